"""`tollway version`: what to say in a bug report."""

import platform
import sqlite3

import click

from tollway import __version__


@click.command()
def command() -> None:
    """Print the version of Tollway and of what it stands on."""
    click.echo(
        f"tollway {__version__} (Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.machine()})"
    )
