"""`tollway aliases`: other names of models in a workspace, for the operator to look at."""

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
from tollway.store.aliases import every_alias
from tollway.workspaces.profile import Alias


@click.group()
def command() -> None:
    """Aliases of models: list, show."""


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List aliases and what they stand for."""
    del outside
    with looking(settings) as connection:
        found = every_alias(connection, workspace or "")
    if is_json:
        click.echo(json.dumps([_document(one) for one in found], indent=2))
        return
    rows = [[one.name, one.target, "hides a model" if one.is_override else "", one.workspace_id] for one in found]
    click.echo(table(("name", "target", "", "workspace"), rows))


@command.command()
@click.argument("name")
@workspace_option
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, name: str, workspace: str | None, is_json: bool) -> None:
    """Show what an alias stands for."""
    del outside
    of = chosen(settings, workspace)
    with looking(settings) as connection:
        one = next((one for one in every_alias(connection, of) if name in {one.name, one.id}), None)
    if one is None:
        raise click.ClickException(f"there is no alias {name} in workspace {of}; `tollway aliases list` lists them")
    told = _document(one)
    text = facts((each, str(value)) for each, value in told.items())
    click.echo(json.dumps(told, indent=2) if is_json else text)


def _document(one: Alias) -> JSONObject:
    return {
        "id": one.id,
        "workspace_id": one.workspace_id,
        "name": one.name,
        "target": one.target,
        "override": one.is_override,
        "created_at": instant(one.created_at),
        "changed_at": instant(one.changed_at),
    }
