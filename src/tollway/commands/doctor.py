"""`tollway doctor`: everything that can be checked without a request, each with what to do about it."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from tollway.commands import Outside
from tollway.commands.checks import (
    Finding,
    Level,
    clock_checks,
    database_checks,
    folder_checks,
    of_error,
    plan_checks,
    port_checks,
    price_checks,
    provider_checks,
    settings_checks,
)
from tollway.commands.online import online_checks
from tollway.commands.options import outside_of
from tollway.commands.table import table
from tollway.errors import ConfigurationError
from tollway.settings import load_settings
from tollway.settings.catalogue import catalogue_of

_SIGNS = {Level.OK: "OK", Level.WARN: "WARN", Level.FAIL: "FAIL"}


@click.command()
@click.option("--data", metavar="DIR", help="Folder of the ledger.  [default: ./tollway-data]")
@click.option("--config", metavar="FILE", help="Settings file.  [default: tollway.toml, if there is one]")
@click.option("--host", metavar="ADDRESS", help="The address that `tollway serve` would listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), metavar="PORT", help="The port that it would.")
@click.option("--online", is_flag=True, help="Also ask each provider that has a key for its list of models.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    *,
    data: str | None,
    config: str | None,
    host: str | None,
    port: int | None,
    online: bool,
    is_json: bool,
) -> int:
    """Check settings, data folder, keys, prices, clock and port.

    Changes nothing and sends nothing, unless --online asks the providers. Exit code 1 if anything FAILs.
    """
    flags = {"data.folder": data, "server.host": host, "server.port": port}
    found = list(_examined(outside_of(context), config, flags, online=online))
    worst = max((one.level for one in found), key=list(Level).index)
    if is_json:
        checks = [{"level": one.level, "what": one.what, "found": one.found, "fix": one.fix or None} for one in found]
        click.echo(json.dumps({"level": worst, "checks": checks}, indent=2))
    else:
        click.echo(_told(found))
    return 1 if worst is Level.FAIL else 0


def _examined(
    outside: Outside, config: str | None, flags: dict[str, str | int | None], *, online: bool
) -> Iterator[Finding]:
    try:
        settings = load_settings(config=config, environment=outside.environment, flags=flags)
    except ConfigurationError as error:
        # What the settings would have said about the rest is not known, so the rest is not checked.
        yield of_error("settings", error)
        return
    folder, now = Path(settings.data.folder), outside.now()
    yield from settings_checks(settings)
    yield from plan_checks(settings)
    yield from folder_checks(folder)
    yield from database_checks(settings)
    yield from clock_checks(folder, now)
    yield from port_checks(settings)
    try:
        catalogue = catalogue_of(settings)
        yield from provider_checks(settings, catalogue)
        yield from price_checks(settings, catalogue, now)
    except ConfigurationError as error:
        yield of_error("catalogue", error)
        return
    if online:
        yield from online_checks(catalogue.providers.values())


def _told(found: list[Finding]) -> str:
    rows = [[_SIGNS[one.level], one.what, one.found] for one in found]
    lines = list[str]()
    for line, one in zip(table(["", "", ""], rows).split("\n")[1:], found, strict=True):
        lines.append(line)
        if one.fix:
            lines.append(f"      fix: {one.fix}")
    counts = [(sum(one.level is level for one in found), level) for level in Level]
    lines.append("\n" + ", ".join(f"{count} {level}" for count, level in counts if count))
    return "\n".join(lines)
