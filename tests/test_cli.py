"""The command line itself: what it lists, what it imports, and how errors leave it."""

import subprocess
import sys

import click
import pytest

from commands.terminal import Terminal
from tollway import __version__, cli
from tollway.cli import COMMANDS
from tollway.errors import InsufficientBalance

HEAVY = ("asyncio", "fastapi", "msgspec", "sqlite3", "tollway.app", "tollway.catalogue", "tollway.settings", "uvicorn")


@pytest.fixture
def tollway(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


def test_help_lists_every_command_without_importing_one():
    code = (
        "import sys; from tollway.cli import main; main(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, line in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert line in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(tollway, name):
    ran = tollway(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: tollway {name}")


def test_version(tollway):
    assert tollway("--version").out == f"tollway {__version__}\n"
    assert tollway("version").out.startswith(f"tollway {__version__} (Python 3.")


def test_an_unknown_command_suggests_the_nearest(tollway):
    ran = tollway("recipt")
    assert ran.code == 2
    assert "there is no command `recipt`; did you mean `receipt`?" in ran.err
    assert "there are: serve, doctor" in tollway("zzzzz").err


def test_no_command_shows_the_help(tollway):
    ran = tollway()
    assert ran.code == 2
    assert "Usage: tollway" in ran.out + ran.err


def test_a_configuration_error_is_told_and_exits_2(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text("[server]\nprot = 1\n")
    ran = tollway("serve")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err == (
        "tollway: tollway.toml:2: server.prot: there is no such setting in [server]\n  fix: did you mean `port`?\n"
    )


def test_more_than_one_worker_is_refused(tollway):
    ran = tollway("serve", "--workers", 2)
    assert ran.code == 2
    assert "PostgreSQL and Redis" in ran.err
    assert "run one worker" in ran.err


@pytest.fixture
def raising(monkeypatch):
    """Makes every command raise."""

    def make(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: command)

    return make


def test_our_errors_are_told_without_a_traceback_and_exit_1(tollway, raising):
    raising(InsufficientBalance("not enough"))
    ran = tollway("audit")
    assert (ran.code, ran.out, ran.err) == (1, "", "tollway: not enough\n")


def test_an_interrupt_exits_130(tollway, raising):
    raising(KeyboardInterrupt())
    assert tollway("audit").code == 130


def test_an_error_that_nobody_expected_keeps_its_traceback(tollway, raising):
    raising(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        tollway("audit")


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m tollway compare --all --input 1 --output 1 --top 0 | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("asked ")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_python_m_tollway_is_the_same():
    done = subprocess.run([sys.executable, "-m", "tollway", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tollway ")
