"""`tollway keys`: API keys, made, listed and revoked. A key's text is shown once, when it is made."""

import json
import re
from datetime import UTC, datetime, timedelta

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import cents, decimals, table
from tollway.commands.target import act, looking
from tollway.commands.wallet import chosen, json_option, nano, workspace_option
from tollway.jsontypes import JSONObject
from tollway.money.amount import format_usd
from tollway.settings import Settings
from tollway.store import EmbeddedStore
from tollway.store.overview import keys
from tollway.workspaces.key import DEFAULT_SCOPES, SCOPES, BudgetWindow, Key

WINDOWS: tuple[BudgetWindow, ...] = ("day", "week", "month", "lifetime")
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


def _when(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """A date (its first second, UTC), an instant with its offset, or days from now. Raises BadParameter."""
    try:
        if text is not None and not _DAYS.fullmatch(text):
            datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is neither a date such as 2027-06-30 nor days such as 30d"
        raise click.BadParameter(problem, context, parameter) from None
    return text


def _names(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Names with commas between them. Raises BadParameter: there is none."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise click.BadParameter("name at least one", context, parameter)
    return names


@click.group()
def command() -> None:
    """API keys: create, list, revoke."""


@command.command()
@click.option("--name", required=True, help="What it is for.")
@workspace_option
@click.option("--budget-usd", metavar="USD", callback=nano, help="What it may spend and hold per window.")
@click.option("--budget-window", type=click.Choice(WINDOWS), default="lifetime", show_default=True, help="In UTC.")
@click.option("--rpm", type=click.IntRange(-1), default=-1, help="Requests per minute; -1: no limit of its own.")
@click.option("--tokens-per-day", type=click.IntRange(-1), default=-1, help="Per UTC day; -1: no limit of its own.")
@click.option("--models", metavar="LIST", callback=_names, help="Only these, with commas between them.  [default: all]")
@click.option("--scopes", metavar="LIST", callback=_names, help=f"Of {', '.join(SCOPES)}.  [default: all but keys]")
@click.option(
    "--expires",
    metavar="WHEN",
    callback=_when,
    help="A date, an instant, or days from now such as 30d.  [default: never]",
)
@json_option
@with_settings
def create(
    settings: Settings,
    outside: Outside,
    *,
    name: str,
    workspace: str | None,
    budget_usd: int | None,
    budget_window: BudgetWindow,
    rpm: int,
    tokens_per_day: int,
    models: tuple[str, ...] | None,
    scopes: tuple[str, ...] | None,
    expires: str | None,
    is_json: bool,
) -> None:
    """Make a key and print it; it is kept only as a digest."""
    of = chosen(settings, workspace)
    expires_at = None if expires is None else _expiry(expires, outside.now())

    async def here(store: EmbeddedStore) -> JSONObject:
        made, secret = await store.workspaces.add_key(
            of,
            name=name,
            scopes=DEFAULT_SCOPES if scopes is None else frozenset(scopes),
            allowed_models=None if models is None else frozenset(models),
            budget_nano=budget_usd,
            budget_window=budget_window,
            requests_per_minute=rpm,
            tokens_per_day=tokens_per_day,
            expires_at=expires_at,
        )
        return {"data": _document(made, 0), "key": secret}

    body: JSONObject = {
        "workspace_id": of,
        "name": name,
        "scopes": None if scopes is None else list(scopes),
        "allowed_models": None if models is None else list(models),
        "budget_usd": None if budget_usd is None else format_usd(budget_usd),
        "budget_window": budget_window,
        "requests_per_minute": rpm,
        "tokens_per_day": tokens_per_day,
        "expires_at": _instant(expires_at),
    }
    reply = act(settings, outside, here, method="POST", path="/admin/keys", body=body)
    if is_json:
        click.echo(json.dumps(reply, indent=2))
        return
    click.echo(str(reply["key"]))
    click.echo("This is shown once and kept only as a digest; write it down.", err=True)


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List keys, with what each has spent and holds in the window of its budget."""
    with looking(settings) as connection:
        found = keys(connection, int(outside.now()) // 86_400, workspace or "")
    if is_json:
        click.echo(json.dumps([_document(one.key, one.used_nano) for one in found], indent=2))
        return
    spent = decimals([cents(format_usd(one.used_nano)) for one in found])
    rows = [
        [
            one.key.id,
            one.key.prefix + "...",
            one.key.name,
            used,
            "none"
            if one.key.budget_nano is None
            else f"{format_usd(one.key.budget_nano, 2)} / {one.key.budget_window}",
            "revoked" if one.key.is_disabled else _state(one.key, outside.now()),
        ]
        for one, used in zip(found, spent, strict=True)
    ]
    click.echo(table(("id", "key", "name", "spent USD", "budget USD", "state"), rows, right=("spent USD",)))


@command.command()
@click.argument("key_id", metavar="ID")
@json_option
@with_settings
def revoke(settings: Settings, outside: Outside, *, key_id: str, is_json: bool) -> None:
    """Revoke a key: it is refused from now on, for ever."""

    async def here(store: EmbeddedStore) -> JSONObject:
        return {"data": _document(await store.workspaces.revoke_key(key_id), 0)}

    reply = act(settings, outside, here, method="DELETE", path=f"/admin/keys/{key_id}")
    click.echo(json.dumps(reply["data"], indent=2) if is_json else f"key {key_id} is revoked")


def _expiry(text: str, now: float) -> int:
    """Unix seconds. Raises UsageError: it has passed."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return int(now) + int(timedelta(days=int(days[1])).total_seconds())
    when = datetime.fromisoformat(text)
    at = int((when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp())
    if at <= now:
        raise click.UsageError(f"--expires {text} has passed")
    return at


def _state(key: Key, now: float) -> str:
    if key.expires_at is None:
        return "active"
    return f"{'active until' if key.expires_at > now else 'expired'} {_instant(key.expires_at)}"


def _instant(at: int | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _document(key: Key, used_nano: int) -> JSONObject:
    """As the admin API answers (api/admin_keys.py)."""
    models = key.allowed_models
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "workspace_id": key.workspace_id,
        "organization_id": key.organization_id,
        "scopes": [*sorted(key.scopes)],
        "allowed_models": None if models is None else [*sorted(models)],
        "budget_usd": None if key.budget_nano is None else format_usd(key.budget_nano),
        "budget_window": key.budget_window,
        "spent_usd": format_usd(used_nano),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_day": key.tokens_per_day,
        "expires_at": _instant(key.expires_at),
        "disabled": key.is_disabled,
        "created_at": _instant(key.created_at),
    }
