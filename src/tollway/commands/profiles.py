"""`tollway profiles`: routing profiles of a workspace, each with a key of its own, whose text is shown once."""

import json
from sqlite3 import Connection

import click

from tollway.api.edge import checked
from tollway.api.profile_shapes import KEY_TERMS, LIMIT, NewProfile, ProfileChange, ruled
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.profile_terms import asked_rules, profile_document, rule_options
from tollway.commands.table import facts, table
from tollway.commands.target import act, looking
from tollway.commands.wallet import chosen, json_option, workspace_option
from tollway.jsontypes import JSONObject
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.plans import plans_of
from tollway.store import EmbeddedStore, plan_rows
from tollway.store.overview import keys, workspaces_shown
from tollway.store.profiles import every_profile
from tollway.workspaces.actor import By
from tollway.workspaces.key import Key
from tollway.workspaces.profile import Profile

_BY = By("operator", "local")
_ONCE = "This is the profile's key. It is shown once and kept only as a digest; write it down."
profile_argument = click.argument("profile_id", metavar="ID")


@click.group()
def command() -> None:
    """Routing profiles: list, show, create, update, delete."""


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List routing profiles, with the public part of their keys."""
    with looking(settings) as connection:
        found = every_profile(connection, workspace or "")
        live = _live_keys(connection, outside.now())
        beyond = _beyond(settings, connection, outside.now())
    if is_json:
        told = [profile_document(one, live.get(one.id), is_over=one.id in beyond) for one in found]
        click.echo(json.dumps(told, indent=2))
        return
    rows = [
        [
            one.id,
            one.name,
            f"{live[one.id].prefix}..." if one.id in live else "none",
            f"{one.tier_floor or 'any'} to {one.tier_ceiling or 'any'}",
            one.mode or ("" if one.quality is None else f"{one.quality} %"),
            "beyond the plan" if one.id in beyond else "",
        ]
        for one in found
    ]
    click.echo(table(("id", "name", "key", "tiers", "quality", ""), rows))


@command.command()
@profile_argument
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, profile_id: str, is_json: bool) -> None:
    """Show the rules of a routing profile."""
    with looking(settings) as connection:
        one = next((one for one in every_profile(connection) if one.id == profile_id), None)
        if one is None:
            problem = f"there is no routing profile {profile_id}; `tollway profiles list` lists them"
            raise click.ClickException(problem)
        is_over = profile_id in _beyond(settings, connection, outside.now())
        told = profile_document(one, _live_keys(connection, outside.now()).get(one.id), is_over=is_over)
    if is_json:
        click.echo(json.dumps(told, indent=2))
        return
    key = told.pop("key")
    told["key"] = f"{key['prefix']}... ({key['id']})" if isinstance(key, dict) else "none"
    click.echo(facts((name, _plain(value)) for name, value in told.items()))


@command.command()
@click.option("--name", required=True, help="What it is for.")
@workspace_option
@rule_options(is_new=True)
@json_option
@with_settings
def create(
    settings: Settings,
    outside: Outside,
    *,
    name: str,
    workspace: str | None,
    is_json: bool,
    **given: str | None,
) -> None:
    """Make a routing profile and print its key, which is kept only as a digest."""
    of, body = chosen(settings, workspace), JSONObject({"name": name, **asked_rules(given)})

    async def here(store: EmbeddedStore) -> JSONObject:
        asked = checked(NewProfile, json.dumps(body).encode())
        wanted = ruled(catalogue_of(settings), Profile(id="", workspace_id=of, name=""), asked)
        made, key, secret = await store.profiles.add(wanted, KEY_TERMS, by=_BY)
        return {"data": profile_document(made, key), "key": secret}

    reply = act(settings, outside, here, method="POST", path="/admin/profiles", body={"workspace_id": of, **body})
    if is_json:
        click.echo(json.dumps(reply, indent=2))
        return
    click.echo(str(reply["key"]))
    click.echo(_ONCE, err=True)


@command.command()
@profile_argument
@click.option("--name", help="What it is for.")
@rule_options(is_new=False)
@json_option
@with_settings
def update(
    settings: Settings, outside: Outside, *, profile_id: str, name: str | None, is_json: bool, **given: str | None
) -> None:
    """Change a routing profile; what is not named stays. In force at the next request with its key."""
    body = asked_rules(given) if name is None else JSONObject({"name": name, **asked_rules(given)})
    if not body:
        raise click.UsageError("say what to change: --name, --tier-floor, --quality, --models, ...")

    async def here(store: EmbeddedStore) -> JSONObject:
        asked = checked(ProfileChange, json.dumps(body).encode())
        catalogue = catalogue_of(settings)
        changed = await store.profiles.change(profile_id, None, lambda old: ruled(catalogue, old, asked), by=_BY)
        return {"data": profile_document(changed, store.profiles.key_of(changed))}

    reply = act(settings, outside, here, method="PATCH", path=f"/admin/profiles/{profile_id}", body=body)
    click.echo(json.dumps(reply["data"], indent=2) if is_json else f"routing profile {profile_id} is changed")


@command.command()
@profile_argument
@json_option
@with_settings
def delete(settings: Settings, outside: Outside, *, profile_id: str, is_json: bool) -> None:
    """Delete a routing profile: its key is refused from now on, for ever."""

    async def here(store: EmbeddedStore) -> JSONObject:
        deleted = await store.profiles.delete(profile_id, by=_BY)
        return {"data": {"id": deleted.id, "deleted": True}}

    reply = act(settings, outside, here, method="DELETE", path=f"/admin/profiles/{profile_id}")
    told = f"routing profile {profile_id} is deleted, and its key refused"
    click.echo(json.dumps(reply["data"], indent=2) if is_json else told)


def _live_keys(connection: Connection, now: float) -> dict[str, Key]:
    """Profile id -> its key that is not revoked."""
    found = [one.key for one in keys(connection, int(now) // 86_400)]
    return {key.profile_id: key for key in found if key.profile_id and not key.is_revoked}


def _beyond(settings: Settings, connection: Connection, now: float) -> frozenset[str]:
    """Profiles that their organization's plan has no room for: the newest."""
    catalogue = plans_of(settings).catalogue
    subscriptions, overrides = plan_rows.subscriptions(connection), plan_rows.overrides(connection)
    owners = {one.id: one.organization_id for one in workspaces_shown(connection) if one.is_live}
    by_owner = dict[str, list[str]]()
    for one in every_profile(connection):
        if one.workspace_id in owners:
            by_owner.setdefault(owners[one.workspace_id], []).append(one.id)
    found = set[str]()
    for of, inside in by_owner.items():
        limit = plan_rows.effective(subscriptions.get(of), overrides.get(of), catalogue, now).limit(LIMIT)
        found |= set(inside[limit:]) if limit >= 0 else set()
    return frozenset(found)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
