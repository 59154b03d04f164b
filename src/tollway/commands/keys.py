"""`tollway keys`: API keys, made, shown, changed, rotated and revoked. A key's text is shown once, when it is made."""

import json
from collections.abc import Iterable
from dataclasses import replace
from sqlite3 import Connection
from typing import Unpack

import click

from tollway.commands import Outside
from tollway.commands.key_terms import Options, asked_terms, body_of, key_document, status_of, term_options
from tollway.commands.options import with_settings
from tollway.commands.table import cents, decimals, facts, table
from tollway.commands.target import act, looking
from tollway.commands.wallet import chosen, json_option, workspace_option
from tollway.jsontypes import JSONObject
from tollway.money.amount import format_usd
from tollway.settings import Settings
from tollway.settings.plans import plans_of
from tollway.store import EmbeddedStore, plan_rows
from tollway.store.overview import KeyShown, keys
from tollway.workspaces.actor import By
from tollway.workspaces.key import Key

_BY = By("operator", "local")
_ONCE = "This is shown once and kept only as a digest; write it down."
_GRACE = "How long the old text stays good.  [default: 0]"
key_argument = click.argument("key_id", metavar="ID")


@click.group()
def command() -> None:
    """API keys: create, list, show, update, disable, enable, rotate, revoke."""


@command.command()
@click.option("--name", required=True, help="What it is for.")
@workspace_option
@term_options(is_new=True)
@json_option
@with_settings
def create(
    settings: Settings,
    outside: Outside,
    *,
    name: str,
    workspace: str | None,
    is_json: bool,
    **given: Unpack[Options],
) -> None:
    """Make a key and print it; it is kept only as a digest."""
    of, terms = chosen(settings, workspace), asked_terms(given, outside.now())

    async def here(store: EmbeddedStore) -> JSONObject:
        made, secret = await store.workspaces.add_key(of, name=name, **terms, by=_BY)
        return {"data": key_document(made, 0, outside.now()), "key": secret}

    body: JSONObject = {"workspace_id": of, "name": name, **body_of(terms)}
    _tell_secret(act(settings, outside, here, method="POST", path="/admin/keys", body=body), is_json=is_json)


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List keys, with what each has spent and holds in the window of its budget."""
    now = outside.now()
    with looking(settings) as connection:
        found = keys(connection, int(now) // 86_400, workspace or "")
        beyond = _beyond(settings, connection, found, now)
    if is_json:
        told = [key_document(one.key, one.used_nano, now, is_over=one.key.id in beyond) for one in found]
        click.echo(json.dumps(told, indent=2))
        return
    spent = decimals([cents(format_usd(one.used_nano)) for one in found])
    rows = [
        [one.key.id, one.key.prefix + "...", one.key.name, used, _budget(one.key), _state(one.key, now)]
        for one, used in zip(found, spent, strict=True)
    ]
    click.echo(table(("id", "key", "name", "spent USD", "budget USD", "state"), rows, right=("spent USD",)))
    for line in dict.fromkeys(beyond.values()):
        click.echo(line)


@command.command()
@key_argument
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, key_id: str, is_json: bool) -> None:
    """Show all that is kept about a key."""
    now = outside.now()
    with looking(settings) as connection:
        found = keys(connection, int(now) // 86_400)
        one = next((one for one in found if one.key.id == key_id), None)
        if one is None:
            raise click.ClickException(f"there is no key {key_id}; `tollway keys list` lists them")
        beyond = _beyond(settings, connection, found, now)
    told = key_document(one.key, one.used_nano, now, is_over=key_id in beyond)
    if is_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(facts((name, _plain(value)) for name, value in told.items()))
    if key_id in beyond:
        click.echo(beyond[key_id])


@command.command()
@key_argument
@click.option("--name", help="What it is for.")
@term_options(is_new=False)
@json_option
@with_settings
def update(
    settings: Settings, outside: Outside, *, key_id: str, name: str | None, is_json: bool, **given: Unpack[Options]
) -> None:
    """Change a key; what is not named stays. In force at once."""
    terms = asked_terms(given, outside.now())
    body = body_of(terms) if name is None else {"name": name, **body_of(terms)}
    if not body:
        raise click.UsageError("say what to change: --name, --budget-usd, --rpm, --models, ...")

    async def here(store: EmbeddedStore) -> JSONObject:
        changed = await store.workspaces.update_key(
            key_id, lambda old: replace(old, name=old.name if name is None else name, **terms), by=_BY
        )
        return {"data": key_document(changed, 0, outside.now())}

    reply = act(settings, outside, here, method="PATCH", path=f"/admin/keys/{key_id}", body=body)
    _tell(reply, f"key {key_id} is changed", is_json=is_json)


@command.command()
@key_argument
@json_option
@with_settings
def disable(settings: Settings, outside: Outside, *, key_id: str, is_json: bool) -> None:
    """Refuse a key from now on, until it is enabled."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": key_document(await store.workspaces.disable_key(key_id, by=_BY), 0, outside.now())}

    reply = act(settings, outside, here, method="PATCH", path=f"/admin/keys/{key_id}", body={"disabled": True})
    _tell(reply, f"key {key_id} is disabled; `tollway keys enable {key_id}` takes it back into use", is_json=is_json)


@command.command()
@key_argument
@json_option
@with_settings
def enable(settings: Settings, outside: Outside, *, key_id: str, is_json: bool) -> None:
    """Take a disabled key back into use."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": key_document(await store.workspaces.enable_key(key_id, by=_BY), 0, outside.now())}

    reply = act(settings, outside, here, method="PATCH", path=f"/admin/keys/{key_id}", body={"disabled": False})
    _tell(reply, f"key {key_id} is enabled", is_json=is_json)


@command.command()
@key_argument
@click.option("--grace", type=click.IntRange(0, 86_400), default=0, metavar="SECONDS", help=_GRACE)
@json_option
@with_settings
def rotate(settings: Settings, outside: Outside, *, key_id: str, grace: int, is_json: bool) -> None:
    """Give a key a new text and print it; id, limits and spending stay."""

    async def here(store: EmbeddedStore) -> JSONObject:
        key, secret = await store.workspaces.rotate_key(key_id, grace_s=grace, by=_BY)
        return {"data": key_document(key, 0, outside.now()), "key": secret}

    path, body = f"/admin/keys/{key_id}/rotate", JSONObject({"grace_seconds": grace})
    _tell_secret(act(settings, outside, here, method="POST", path=path, body=body), is_json=is_json)


@command.command()
@key_argument
@json_option
@with_settings
def revoke(settings: Settings, outside: Outside, *, key_id: str, is_json: bool) -> None:
    """Revoke a key: it is refused from now on, for ever."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": key_document(await store.workspaces.revoke_key(key_id, by=_BY), 0, outside.now())}

    reply = act(settings, outside, here, method="DELETE", path=f"/admin/keys/{key_id}")
    _tell(reply, f"key {key_id} is revoked", is_json=is_json)


def _beyond(settings: Settings, connection: Connection, found: Iterable[KeyShown], now: float) -> dict[str, str]:
    """Keys that their plan has no room for, and why: key id -> line."""
    catalogue = plans_of(settings).catalogue
    subscriptions, overrides = plan_rows.subscriptions(connection), plan_rows.overrides(connection)
    live = dict[str, list[Key]]()
    for one in found:
        if not one.key.is_revoked and not one.key.profile_id:
            live.setdefault(one.key.workspace_id, []).append(one.key)
    told = dict[str, str]()
    for workspace_id, inside in live.items():
        of = inside[0].organization_id
        grants = plan_rows.effective(subscriptions.get(of), overrides.get(of), catalogue, now)
        limit = grants.limit("api_keys")
        line = (
            f"workspace {workspace_id} has {len(inside)} keys, its plan {grants.plan_name} has room for {limit}: the newest "
            "work and cannot be changed; revoke some, or change the plan with `tollway plans set`"
        )
        if limit >= 0:
            told.update((key.id, line) for key in inside[limit:])
    return told


def _tell(reply: JSONObject, text: str, *, is_json: bool) -> None:
    click.echo(json.dumps(reply["data"], indent=2) if is_json else text)


def _tell_secret(reply: JSONObject, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(reply, indent=2))
        return
    click.echo(str(reply["key"]))
    click.echo(_ONCE, err=True)


def _budget(key: Key) -> str:
    return "none" if key.budget_nano is None else f"{format_usd(key.budget_nano, 2)} / {key.budget_window}"


def _state(key: Key, now: float) -> str:
    status, ends = status_of(key, now), key_document(key, 0, now)["expires_at"]
    if ends is None or status not in {"active", "expired"}:
        return status.replace("_", " ")
    return f"{'active until' if status == 'active' else 'expired'} {ends}"


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "all"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
