"""`tollway presets`: named sets of model and parameters of a workspace, in their versions; for the operator to look at."""

import json

import click

from tollway.commands import Outside
from tollway.commands.key_terms import instant
from tollway.commands.options import with_settings
from tollway.commands.table import facts, table
from tollway.commands.target import looking
from tollway.commands.wallet import chosen, json_option, workspace_option
from tollway.jsontypes import JSONObject
from tollway.settings import Settings
from tollway.store.presets import Named, every_preset
from tollway.workspaces.profile import Preset


@click.group()
def command() -> None:
    """Presets: list, show."""


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List presets, each in its newest version."""
    del outside
    with looking(settings) as connection:
        found = every_preset(connection, workspace or "")
    if is_json:
        click.echo(json.dumps([_document(one) for one in found], indent=2))
        return
    rows = [[one.name, str(one.newest.version), one.newest.model, one.description, one.workspace_id] for one in found]
    click.echo(table(("name", "version", "model", "description", "workspace"), rows, right=("version",)))


@command.command()
@click.argument("name")
@workspace_option
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, name: str, workspace: str | None, is_json: bool) -> None:
    """Show a preset with all its versions, newest first."""
    del outside
    of = chosen(settings, workspace)
    with looking(settings) as connection:
        one = next((one for one in every_preset(connection, of) if one.name == name), None)
    if one is None:
        raise click.ClickException(f"there is no preset {name} in workspace {of}; `tollway presets list` lists them")
    if is_json:
        versions = [_version(each) for each in reversed(one.versions)]
        click.echo(json.dumps({**_document(one), "versions": versions}, indent=2))
        return
    click.echo(facts([("name", one.name), ("description", one.description), ("workspace", one.workspace_id)]))
    for each in reversed(one.versions):
        told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in _version(each).items()}
        click.echo()
        click.echo(facts((name, "" if value == "null" else value) for name, value in told.items()))


def _document(one: Named) -> JSONObject:
    newest = _version(one.newest)
    return {"workspace_id": one.workspace_id, "name": one.name, "description": one.description, **newest}


def _version(one: Preset) -> JSONObject:
    return {
        "version": one.version,
        "model": one.model or None,
        "parameters": dict(one.parameters),
        "system": one.system or None,
        "created_by": one.created_by or None,
        "created_at": instant(one.created_at),
    }
