"""The rules of a routing profile as options of `tollway profiles create` and `update`, and as they are shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from tollway.api.profile_shapes import fraction
from tollway.commands.key_terms import instant
from tollway.jsontypes import JSON, JSONObject
from tollway.money.amount import format_usd
from tollway.workspaces.key import Key
from tollway.workspaces.profile import MODES, NEEDS, TIERS, Profile

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""Takes a rule away."""
_TIER = click.Choice([*TIERS, NONE])
_NO_RULE = "  [default: no rule]"
_OPTIONS: Sequence[tuple[str, str, click.Choice[str] | None, str, str]] = (
    ("tier_floor", "--tier-floor", _TIER, "", "No task is answered below this tier."),
    ("tier_ceiling", "--tier-ceiling", _TIER, "", "Nor above this one."),
    ("max_cost_usd", "--max-cost-usd", None, "USD", "Most that one request may cost."),
    ("needs", "--needs", None, "LIST", f"What every model must be able to do, of {', '.join(NEEDS)}."),
    ("tool_calling_min", "--tool-calling-min", None, "X", "Least score of calling tools, from 0 to 1."),
    ("quality", "--quality", None, "PERCENT", "From 0, the cheapest, to 100, the best."),
    ("mode", "--mode", click.Choice([*MODES, NONE]), "", "Sets --quality; fastest sorts by latency, too."),
    ("allowed_models", "--models", None, "LIST", "Only these."),
    ("allowed_providers", "--providers", None, "LIST", "Only these."),
    ("ignored_providers", "--ignore-providers", None, "LIST", "None of these."),
    ("region", "--region", None, "NAME", "Where an offer must run."),
    ("fallbacks", "--fallbacks", None, "LIST", "Models to try next, in this order."),
    ("sort", "--sort", click.Choice(["price", "throughput", "latency", NONE]), "", "Of the offers of one model."),
)
_LISTS = {"needs", "allowed_models", "allowed_providers", "ignored_providers", "fallbacks"}
_NEVER_NULL = {"needs", "ignored_providers", "fallbacks"}


def rule_options(*, is_new: bool) -> Callable[[Command], Command]:
    """The options of both commands. `is_new`: help tells what is left out, else what takes a rule away."""

    def wrapped(command: Command) -> Command:
        for field, option, kind, metavar, text in reversed(_OPTIONS):
            told = text + (_NO_RULE if is_new else f"  `{NONE}` takes it away.")
            command = click.option(option, field, type=kind, metavar=metavar or None, help=told)(command)
        return command

    return wrapped


def asked_rules(given: Mapping[str, str | None]) -> JSONObject:
    """The fields of a body that the options name. Raises BadParameter: no number of percent."""
    found: JSONObject = {}
    for name, text in given.items():
        if text is None:
            continue
        if text == NONE:
            found[name] = list[JSON]() if name in _NEVER_NULL else None
        elif name in _LISTS:
            found[name] = list[JSON](one.strip() for one in text.split(",") if one.strip())
        elif name == "quality":
            if not text.isdecimal():
                raise click.BadParameter(f"{text!r} is no number from 0 to 100", param_hint="--quality")
            found[name] = int(text)
        else:
            found[name] = text
    return found


def profile_document(one: Profile, key: Key | None, *, is_over: bool = False) -> JSONObject:
    """A profile as the API answers (api/profile_shapes.py::ProfileEntry); the fraction as text."""
    models, providers = one.allowed_models, one.allowed_providers
    return {
        "id": one.id,
        "name": one.name,
        "workspace_id": one.workspace_id,
        "tier_floor": one.tier_floor or None,
        "tier_ceiling": one.tier_ceiling or None,
        "max_cost_usd": None if one.max_cost_nano is None else format_usd(one.max_cost_nano),
        "needs": [*one.needs],
        "tool_calling_min": fraction(one.tool_calling_milli) if one.tool_calling_milli else None,
        "quality": one.quality,
        "mode": one.mode or None,
        "allowed_models": None if models is None else [*models],
        "allowed_providers": None if providers is None else [*providers],
        "ignored_providers": [*one.ignored_providers],
        "region": one.region or None,
        "fallbacks": [*one.fallbacks],
        "sort": one.sorts_by or None,
        "key": None if key is None else {"id": key.id, "prefix": key.prefix, "status": key.state},
        "over_limit": is_over,
        "created_at": instant(one.created_at),
        "changed_at": instant(one.changed_at),
    }
