"""Plans and what organizations are on, as text for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import click

from tollway.commands.table import facts as told_facts
from tollway.commands.table import grouped, percent, table
from tollway.jsontypes import JSON, JSONObject
from tollway.plans.difference import Difference, Value, facts
from tollway.plans.plan import Plan, PlanCatalogue

_CENTS = ("month_cents", "year_cents")
_HEADS = {"month_cents": "USD per month", "year_cents": "USD per year", "trial_days": "trial days"}


def catalogue_text(catalogue: PlanCatalogue) -> str:
    """Plans beside each other: a row for every price, limit, feature and margin."""
    columns = [facts(plan) for plan in catalogue.plans]
    names = list(dict.fromkeys(what for column in columns for what in column if what != "name"))
    rows = [[_head(what), *(value_text(what, column.get(what)) for column in columns)] for what in names]
    ids = [plan.id for plan in catalogue.plans]
    shown = table(("", *ids), rows, right=ids)
    return f"catalogue {catalogue.name}; sign-ups start on {catalogue.default_id}\n\n{shown}"


def plan_text(catalogue: PlanCatalogue, plan: Plan) -> str:
    """Everything that a plan says."""
    pairs = [(_head(what), value_text(what, value)) for what, value in facts(plan).items() if what != "name"]
    return f"{plan.name} ({plan.id}), version {plan.version} of {catalogue.name}\n" + told_facts(pairs, "  ")


def between_text(found: Mapping[str, Sequence[Difference]]) -> str:
    """What differs, plan by plan."""
    rows = [
        [plan, _head(one.what), _side(one.what, one.before), _side(one.what, one.after)]
        for plan, told in found.items()
        for one in told
    ]
    return table(("plan", "what", "before", "after"), rows)


def migrations_text(reply: JSONObject) -> str:
    """Subscriptions that would change or have changed, with what changes for each."""
    entries = cast("list[dict[str, Any]]", reply["data"])
    if not entries:
        return "every subscription is on the version of its plan that is sold now"
    lines = list[str]()
    for one in entries:
        head = f"{one['organization_id']}  {one['plan']}  {one['before']} -> {one['after'] or '(not sold any more)'}"
        lines.append(head if one["after"] else f"{head}: stays as it is; use `tollway plans set`")
        for told in one["differences"]:
            what = told["what"]
            lines.append(f"  {_head(what)}: {_side(what, told['before'])} -> {_side(what, told['after'])}")
    verb = "would change" if reply["is_preview"] else "changed"
    return "\n".join([*lines, f"{sum(1 for one in entries if one['after'])} {verb}"])


def organization_text(reply: JSONObject) -> str:
    """What an organization may do, what of it is too much, and its history."""
    data = cast("dict[str, Any]", reply["data"])
    held, agreed = data["subscription"], data["overrides"]
    lines = ["no subscription yet: the default plan is in force" if held is None else _subscription(held)]
    if agreed is not None:
        ends = f" until {agreed['until']}" if agreed["until"] else ""
        lines.append(f"  agreed beyond it{ends}: {agreed['reason']}")
    pairs = list[tuple[str, str]]()
    for around in ("limits", "features", "margins_bps"):
        for name, value in data[around].items():
            mark = " (agreed)" if agreed is not None and name in agreed[around] else ""
            what = f"{around}.{name}"
            pairs.append((_head(what), value_text(what, value) + mark))
    lines.append(told_facts(pairs, "  "))
    for one in data["over_limit"]:
        where = f" in workspace {one['workspace_id']}" if one["workspace_id"] else ""
        lines.append(f"over the limit{where}: {one['limit']}. {one['reason']} {one['effect']}")
    lines += [f"{one['at']}  {one['kind']} by {one['actor']}: {one['reason']}" for one in data["history"]]
    return "\n".join(lines)


def _subscription(held: Mapping[str, Any]) -> str:
    later = "; another version is sold now, see `tollway plans migrate --preview`" if held["outdated"] else ""
    version = f"version {held['version']} of {held['catalogue']}"
    return f"{held['name']} ({held['plan']}), {version}, since {held['since']}{later}"


def value_text(what: str, value: Value) -> str:
    """A value as people read it."""
    if what in _CENTS:
        return "by talking" if value is None else f"{grouped(int(value) // 100)}.{int(value) % 100:02d}"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "-"
    if what.startswith("margins_bps.") and isinstance(value, int):
        return percent(value)
    if what.startswith("limits.") and isinstance(value, int):
        return "unlimited" if value < 0 else "-" if value == 0 else grouped(value)
    return str(value)


def _side(what: str, value: Value) -> str:
    return value_text(what, value) or "(not said)"


def _head(what: str) -> str:
    if what.startswith("margins_bps."):
        return f"margin {what.rpartition('.')[2]}"
    return _HEADS.get(what, what.rpartition(".")[2])


def agreed_values(limits: Sequence[str], features: Sequence[str], margins: Sequence[str]) -> JSONObject:
    """The members of the body that were named: `limits`, `features`, `margins_bps`. Raises UsageError."""
    found: JSONObject = {
        "limits": {name: _whole("--limit", name, text) for name, text in _pairs("--limit", limits)},
        "features": {name: _flag(name, text) for name, text in _pairs("--feature", features)},
        "margins_bps": {name: _whole("--margin", name, text) for name, text in _pairs("--margin", margins)},
    }
    return {name: values for name, values in found.items() if values}


def _pairs(option: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    found = list[tuple[str, str]]()
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.UsageError(f"{option} {text}: write a name, = and a value, such as api_keys=50")
        found.append((name.strip(), value.strip()))
    return found


def _whole(option: str, name: str, text: str) -> JSON:
    try:
        return int(text.replace("_", ""))
    except ValueError:
        raise click.UsageError(f"{option} {name}={text}: {text!r} is not a whole number") from None


def _flag(name: str, text: str) -> JSON:
    if text not in {"true", "false"}:
        raise click.UsageError(f"--feature {name}={text}: write true or false")
    return text == "true"
