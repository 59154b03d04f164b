"""`tollway orgs`: organizations, listed, made and renamed."""

import json

import click

from tollway.commands import Outside
from tollway.commands.key_terms import instant
from tollway.commands.options import with_settings
from tollway.commands.table import table
from tollway.commands.target import act, looking
from tollway.commands.wallet import json_option
from tollway.jsontypes import JSONObject
from tollway.settings import Settings
from tollway.settings.plans import plans_of
from tollway.store import EmbeddedStore, plan_rows
from tollway.store.overview import organizations_shown, workspaces_shown
from tollway.workspaces.actor import By
from tollway.workspaces.workspace import Organization

_BY = By("operator", "local")


@click.group()
def command() -> None:
    """Organizations: list, create, rename."""


@command.command("list")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, is_json: bool) -> None:
    """List organizations with their plans and how many workspaces they have."""
    catalogue = plans_of(settings).catalogue
    with looking(settings) as connection:
        found, workspaces = organizations_shown(connection), workspaces_shown(connection)
        subscriptions, overrides = plan_rows.subscriptions(connection), plan_rows.overrides(connection)
    now, live = outside.now(), [ws for ws in workspaces if ws.is_live]
    inside = {one.id: [ws.id for ws in live if ws.organization_id == one.id] for one in found}
    plans = {
        one.id: plan_rows.effective(subscriptions.get(one.id), overrides.get(one.id), catalogue, now).plan_id
        for one in found
    }
    if is_json:
        told = [{**_document(one), "plan": plans[one.id], "workspaces": inside[one.id]} for one in found]
        click.echo(json.dumps(told, indent=2))
        return
    rows = [[one.id, one.name, plans[one.id], str(len(inside[one.id])), instant(one.created_at) or ""] for one in found]
    click.echo(table(("id", "name", "plan", "workspaces", "created"), rows, right=("workspaces",)))


@command.command()
@click.option("--name", required=True, help="What it is called.")
@json_option
@with_settings
def create(settings: Settings, outside: Outside, *, name: str, is_json: bool) -> None:
    """Make an organization; `tollway workspaces create` makes its first workspace."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.add_organization(name))}

    reply = act(settings, outside, here, method="POST", path="/admin/organizations", body={"name": name})
    _tell(reply, is_json=is_json)


@command.command()
@click.argument("organization", metavar="ORG")
@click.option("--name", required=True, help="What it is called from now on.")
@json_option
@with_settings
def rename(settings: Settings, outside: Outside, *, organization: str, name: str, is_json: bool) -> None:
    """Give an organization another name."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.rename_organization(organization, name, by=_BY))}

    path = f"/admin/organizations/{organization}"
    _tell(act(settings, outside, here, method="PATCH", path=path, body={"name": name}), is_json=is_json)


def _document(one: Organization) -> JSONObject:
    return {"id": one.id, "name": one.name, "created_at": instant(one.created_at)}


def _tell(reply: JSONObject, *, is_json: bool) -> None:
    data = reply["data"]
    assert isinstance(data, dict)
    click.echo(json.dumps(data, indent=2) if is_json else f"{data['id']}  {data['name']}")
