"""Fixtures of the command line's tests."""

import pytest

from commands.installation import owned, workspace
from commands.terminal import Terminal

__all__ = ["owned", "tollway", "workspace"]


@pytest.fixture
def tollway(monkeypatch, capsys, tmp_path):
    """Runs a command in an empty folder: `tollway("doctor", "--json")`."""
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)
