"""`tollway bench`: what routing is worth, measured on files with known outcomes."""

import importlib.util
import pathlib

import click

from tollway.commands.options import outside_of

_USUAL = pathlib.Path("../shared/data/routing")
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    metavar="DIR",
    help="Folder of the data files.  [default: TOLLWAY_ROUTING_DATA, else ../shared/data/routing]",
)


def folder_of(data: pathlib.Path | None) -> pathlib.Path:
    """The folder that the option names, or the environment, or the usual one."""
    named = outside_of(click.get_current_context()).environment.get("TOLLWAY_ROUTING_DATA", "")
    return data or (pathlib.Path(named) if named else _USUAL)


def require_numpy() -> None:
    """Raises a usage error that tells how to install what training needs."""
    if importlib.util.find_spec("numpy") is None:
        raise click.UsageError("this needs numpy: install it with `pip install 'tollway[routing]'`")


@click.group()
def command() -> None:
    """What routing is worth, measured."""


@command.command()
@data_option
@click.option(
    "--rounds", type=click.IntRange(10), default=1_000, metavar="N", help="Bootstrap rounds.  [default: 1000]"
)
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    metavar="FILE",
    help="Also write the tables there.",
)
def routing(*, data: pathlib.Path | None, rounds: int, markdown: pathlib.Path | None) -> None:
    r"""Train, route, and score: every goal of the router beside length alone and the best single model; some minutes.

    \b
      tollway bench routing --data ../shared/data/routing --markdown table.md
    """
    require_numpy()
    from tollway.training import benchmark, report

    found = benchmark.measure(folder_of(data), rounds=rounds, say=lambda step: click.echo(f"{step} ...", err=True))
    text = report.markdown(found, "tollway bench routing")
    click.echo(text, nl=False)
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
