"""Fixtures of the command line's tests."""

import pytest

from commands.terminal import Terminal


@pytest.fixture
def tollway(monkeypatch, capsys, tmp_path):
    """Runs a command in an empty folder: `tollway("doctor", "--json")`."""
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)
