"""What a key may do, as options of `tollway keys create` and `update`, and as the admin API takes and tells it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypedDict, TypeVar

import click

from tollway.commands.instants import unix_seconds, when
from tollway.commands.wallet import nano
from tollway.errors import ValidationFailed
from tollway.jsontypes import JSON, JSONObject
from tollway.money.amount import format_usd
from tollway.workspaces.key import SCOPES, BudgetWindow, Key, Terms, checked_networks

Command = TypeVar("Command", bound=Callable[..., object])
WINDOWS: tuple[BudgetWindow, ...] = ("day", "week", "month", "lifetime")
NONE = "none"
"""Takes a restriction away."""


class Options(TypedDict):
    """The options as click gives them; None: not given; (): `none`."""

    budget_usd: int | tuple[()] | None
    budget_window: BudgetWindow | None
    rpm: int | None
    tokens_per_day: int | None
    models: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    expires: str | None
    ip_allow: tuple[str, ...] | None


def _budget(context: click.Context, parameter: click.Parameter, text: str | None) -> int | tuple[()] | None:
    return () if text == NONE else nano(context, parameter, text)


def _when(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    return text if text == NONE else when(context, parameter, text)


def _names(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Names with commas between them; `none` is (). Raises BadParameter: there is none."""
    if text is None or text == NONE:
        return None if text is None else ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise click.BadParameter("name at least one", context, parameter)
    return names


def _networks(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    names = _names(context, parameter, text)
    try:
        return None if names is None else checked_networks(names)
    except ValidationFailed as error:
        raise click.BadParameter(error.message, context, parameter) from None


def term_options(*, is_new: bool) -> Callable[[Command], Command]:
    """The options of both commands; `is_new`: help tells what is left out, else what takes a restriction away."""

    def told(new: str, old: str = "`none` takes it away.") -> str:
        return f"  [default: {new}]" if is_new else f"  {old}"

    helps = {
        "budget": "What it may spend and hold per window." + told("none"),
        "models": "Only these, with commas between them." + told("all"),
        "scopes": f"Of {', '.join(SCOPES)}." + told("chat, models, usage, wallet", ""),
        "expires": "A date, an instant, or days from now such as 30d." + told("never"),
        "ip": "Only from these addresses and networks, IPv4 or IPv6." + told("all"),
    }
    options: Sequence[Callable[[Command], Command]] = (
        click.option("--budget-usd", metavar="USD", callback=_budget, help=helps["budget"]),
        click.option("--budget-window", type=click.Choice(WINDOWS), help="In UTC." + told("lifetime", "")),
        click.option("--rpm", type=click.IntRange(-1), help="Requests per minute; -1: no limit of its own."),
        click.option("--tokens-per-day", type=click.IntRange(-1), help="Per UTC day; -1: no limit of its own."),
        click.option("--models", metavar="LIST", callback=_names, help=helps["models"]),
        click.option("--scopes", metavar="LIST", callback=_names, help=helps["scopes"]),
        click.option("--expires", metavar="WHEN", callback=_when, help=helps["expires"]),
        click.option("--ip-allow", metavar="LIST", callback=_networks, help=helps["ip"]),
    )

    def wrapped(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return wrapped


def asked_terms(given: Options, now: float) -> Terms:
    """The fields of a key that the options name. `now`: unix seconds. Raises UsageError: the expiry has passed."""
    found = Terms()
    budget = given["budget_usd"]
    if budget is not None:
        found["budget_nano"] = None if isinstance(budget, tuple) else budget
    if given["budget_window"] is not None:
        found["budget_window"] = given["budget_window"]
    if given["rpm"] is not None:
        found["requests_per_minute"] = given["rpm"]
    if given["tokens_per_day"] is not None:
        found["tokens_per_day"] = given["tokens_per_day"]
    if given["models"] is not None:
        found["allowed_models"] = frozenset(given["models"]) or None
    if given["scopes"] is not None:
        found["scopes"] = frozenset(given["scopes"])
    if given["expires"] is not None:
        found["expires_at"] = None if given["expires"] == NONE else unix_seconds(given["expires"], now, "--expires")
    if given["ip_allow"] is not None:
        found["ip_allow"] = given["ip_allow"]
    return found


def body_of(terms: Terms) -> JSONObject:
    """The terms as the admin API takes them."""
    models, budget = terms.get("allowed_models"), terms.get("budget_nano")
    body: JSONObject = {
        "scopes": list[JSON](sorted(terms.get("scopes", ()))),
        "allowed_models": None if models is None else list[JSON](sorted(models)),
        "budget_usd": None if budget is None else format_usd(budget),
        "budget_window": terms.get("budget_window"),
        "requests_per_minute": terms.get("requests_per_minute"),
        "tokens_per_day": terms.get("tokens_per_day"),
        "expires_at": instant(terms.get("expires_at")),
        "ip_allow": list[JSON](terms.get("ip_allow", ())),
    }
    asked = {"budget_usd" if name == "budget_nano" else name for name in terms}
    return {name: value for name, value in body.items() if name in asked}


def status_of(key: Key, now: float) -> str:
    """As the API tells it (api/key_shapes.py)."""
    has_expired = key.state == "active" and key.expires_at is not None and key.expires_at <= now
    return "expired" if has_expired else key.state


def key_document(key: Key, used_nano: int, now: float, *, is_over: bool = False) -> JSONObject:
    """A key as the admin API answers (api/key_shapes.py::KeyEntry)."""
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
        "expires_at": instant(key.expires_at),
        "ip_allow": [*key.ip_allow],
        "status": status_of(key, now),
        "disabled": key.is_disabled,
        "over_limit": is_over,
        "created_by": key.created_by or None,
        "profile_id": key.profile_id or None,
        "created_at": instant(key.created_at),
    }


def instant(at: int | None) -> str | None:
    """ISO 8601 of unix seconds, UTC."""
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
