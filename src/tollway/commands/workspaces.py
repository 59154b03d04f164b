"""`tollway workspaces`: workspaces, listed, made, renamed, deleted, restored and exported."""

import json
from typing import cast

import click

from tollway.commands import Outside
from tollway.commands.key_terms import instant
from tollway.commands.options import with_settings
from tollway.commands.table import cents, decimals, table
from tollway.commands.target import act, looking
from tollway.commands.wallet import json_option
from tollway.jsontypes import JSONObject
from tollway.money.amount import format_usd
from tollway.settings import Settings
from tollway.store import EmbeddedStore
from tollway.store.overview import organizations_shown, wallets, workspaces_shown
from tollway.workspaces.actor import By
from tollway.workspaces.workspace import Workspace

_BY = By("operator", "local")
_FORMAT = "One document, or one line per row.  [default: json]"
workspace_argument = click.argument("workspace", metavar="ID")


@click.group()
def command() -> None:
    """Workspaces: list, create, rename, delete, restore, export."""


@command.command("list")
@click.option("--org", metavar="ORG", help="Only of this organization.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, org: str | None, is_json: bool) -> None:
    """List workspaces with what their wallets have; deleted ones say until when they can be restored."""
    del outside
    with looking(settings) as connection:
        found = [one for one in workspaces_shown(connection) if org in {None, one.organization_id}]
        balances = {one.workspace_id: one.balance.posted_nano for one in wallets(connection)}
    if is_json:
        told = [{**_document(one), "balance_usd": format_usd(balances[one.id])} for one in found]
        click.echo(json.dumps(told, indent=2))
        return
    amounts = decimals([cents(format_usd(balances[one.id])) for one in found])
    rows = [
        [one.id, one.organization_id, one.name, amount, _state(one)] for one, amount in zip(found, amounts, strict=True)
    ]
    click.echo(table(("id", "organization", "name", "balance USD", "state"), rows, right=("balance USD",)))


@command.command()
@click.option("--name", required=True, help="What it is called.")
@click.option("--org", metavar="ORG", help="In this organization.  [default: the only one there is]")
@json_option
@with_settings
def create(settings: Settings, outside: Outside, *, name: str, org: str | None, is_json: bool) -> None:
    """Make a workspace with an empty wallet; `tollway keys create` makes its first key."""
    of = _organization(settings, org)

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.add_workspace(of, name, by=_BY))}

    body: JSONObject = {"organization_id": of, "name": name}
    reply = act(settings, outside, here, method="POST", path="/admin/workspaces", body=body)
    data = cast("JSONObject", reply["data"])
    _tell(reply, f"{data['id']}  {data['name']}", is_json=is_json)


@command.command()
@workspace_argument
@click.option("--name", required=True, help="What it is called from now on.")
@json_option
@with_settings
def rename(settings: Settings, outside: Outside, *, workspace: str, name: str, is_json: bool) -> None:
    """Give a workspace another name."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.rename_workspace(workspace, name, by=_BY))}

    reply = act(settings, outside, here, method="PATCH", path=_path(workspace), body={"name": name})
    _tell(reply, f"workspace {workspace} is renamed", is_json=is_json)


@command.command()
@workspace_argument
@click.option("--move-to", metavar="ID", help="The workspace that gets the money that is left.")
@json_option
@with_settings
def delete(settings: Settings, outside: Outside, *, workspace: str, move_to: str | None, is_json: bool) -> None:
    """Delete a workspace: its keys are refused from now on. It can be restored for thirty days; export it first."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.delete_workspace(workspace, move_to=move_to or "", by=_BY))}

    path = _path(workspace) + (f"?move_to={move_to}" if move_to else "")
    reply = act(settings, outside, here, method="DELETE", path=path)
    until = cast("JSONObject", reply["data"])["purge_at"]
    back = f"`tollway workspaces restore {workspace}` brings it back until {until}"
    _tell(reply, f"workspace {workspace} is deleted; {back}", is_json=is_json)


@command.command()
@workspace_argument
@json_option
@with_settings
def restore(settings: Settings, outside: Outside, *, workspace: str, is_json: bool) -> None:
    """Bring a deleted workspace back, its keys with it."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.restore_workspace(workspace, by=_BY))}

    reply = act(settings, outside, here, method="POST", path=f"{_path(workspace)}/restore")
    _tell(reply, f"workspace {workspace} is back", is_json=is_json)


@command.command()
@workspace_argument
@click.option("--format", "form", type=click.Choice(("json", "ndjson")), default="json", help=_FORMAT)
@with_settings
def export(settings: Settings, outside: Outside, *, workspace: str, form: str) -> None:
    """Print all that is kept about a workspace: its keys without their text, its transactions, its requests."""
    from tollway.api.workspace_export import written_by

    del outside
    with looking(settings) as connection:
        for text in written_by(connection, workspace, "ndjson" if form == "ndjson" else "json"):
            click.echo(text, nl=False)


def _organization(settings: Settings, named: str | None) -> str:
    """The organization that was named, or the only one there is. Raises UsageError."""
    if named is not None:
        return named
    with looking(settings) as connection:
        found = organizations_shown(connection)
    if len(found) != 1:
        listing = "".join(f"\n  {one.id}  {one.name}" for one in found)
        raise click.UsageError(f"there are {len(found)} organizations; name one with --org{listing}")
    return found[0].id


def _path(workspace: str) -> str:
    return f"/admin/workspaces/{workspace}"


def _state(one: Workspace) -> str:
    if one.purged_at is not None:
        return f"gone since {instant(one.purged_at)}"
    return "live" if one.is_live else f"deleted, restorable until {instant(one.purge_at)}"


def _document(one: Workspace) -> JSONObject:
    """As the admin API answers (api/admin_workspaces.py::WorkspaceEntry)."""
    return {
        "id": one.id,
        "organization_id": one.organization_id,
        "name": one.name,
        "created_at": instant(one.created_at),
        "deleted_at": instant(one.deleted_at),
        "purge_at": instant(one.purge_at),
        "purged_at": instant(one.purged_at),
    }


def _tell(reply: JSONObject, text: str, *, is_json: bool) -> None:
    click.echo(json.dumps(reply["data"], indent=2) if is_json else text)
