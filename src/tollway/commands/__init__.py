"""The command line, one file per command; each has its click command as `command`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outside:
    """What a command may know of the world: the process's variables, and the time in unix seconds."""

    environment: Mapping[str, str]
    now: Callable[[], float]
