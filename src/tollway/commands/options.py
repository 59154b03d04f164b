"""Options that many commands share: where the settings come from."""

import functools
from collections.abc import Callable
from typing import TypeVar

import click

from tollway.commands import Outside
from tollway.settings import load_settings

Result = TypeVar("Result")


def outside_of(context: click.Context) -> Outside:
    """What the command line was started with; nothing, where a command is run without it."""
    found: object = context.find_root().obj
    return found if isinstance(found, Outside) else Outside({}, lambda: 0.0)


def with_settings(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command `--data DIR` and `--config FILE`, and as its first arguments the settings and the outside."""

    @click.option("--data", metavar="DIR", help="Folder of the ledger.  [default: ./tollway-data]")
    @click.option("--config", metavar="FILE", help="Settings file.  [default: tollway.toml, if there is one]")
    @functools.wraps(command)
    def wrapped(*, config: str | None, data: str | None, **given: object) -> Result:
        outside = outside_of(click.get_current_context())
        settings = load_settings(config=config, environment=outside.environment, flags={"data.folder": data})
        return command(settings, outside, **given)

    return wrapped
