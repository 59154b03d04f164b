"""The command line as a test sees it: run in this process, in an empty folder, with an environment of its own."""

import os
from dataclasses import dataclass

from tollway.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Terminal:
    """Runs commands; `environment` is all that they see of the process's variables."""

    def __init__(self, monkeypatch, capsys) -> None:
        self._capsys = capsys
        for name in list(os.environ):
            if name.endswith(("_API_KEY", "_BASE_URL")) or name.startswith("TOLLWAY_"):
                monkeypatch.delenv(name)
        self.set = monkeypatch.setenv

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Ran(code, out, err)
