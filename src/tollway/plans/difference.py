"""What differs between two plans, or two versions of one: value by value, in the order in which plans are shown."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from tollway.plans.limits import FEATURES, LIMITS
from tollway.plans.plan import Plan, PlanCatalogue

Value: TypeAlias = int | bool | str | None


class Difference(NamedTuple):
    """A value that differs; None where it is not said. what: such as `limits.api_keys`."""

    what: str
    before: Value
    after: Value


def facts(plan: Plan) -> dict[str, Value]:
    """Everything a plan says: `name`, `month_cents`, `limits.api_keys`, `features.sso`, `margins_bps.direct`, ..."""
    told: dict[str, Value] = {
        "name": plan.name,
        "month_cents": plan.month_cents,
        "year_cents": plan.year_cents,
        "trial_days": plan.trial_days,
        "allowed_models": "all" if plan.allowed_models is None else ", ".join(plan.allowed_models),
    }
    told |= {f"limits.{name}": plan.limits[name] for name in _ordered(plan.limits, LIMITS)}
    told |= {f"features.{name}": plan.features[name] for name in _ordered(plan.features, FEATURES)}
    return told | {f"margins_bps.{name}": plan.margins_bps[name] for name in sorted(plan.margins_bps)}


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """What is not the same in both, however each is called."""
    old, new = facts(before), facts(after)
    found = (Difference(what, old.get(what), new.get(what)) for what in (old | new))
    return tuple(one for one in found if one.before != one.after or type(one.before) is not type(one.after))


def between(before: PlanCatalogue, after: PlanCatalogue) -> dict[str, tuple[Difference, ...]]:
    """Plan id -> what differs; `("plan", "yes", None)` for a plan that is gone, and the other way round for a new one."""
    found = dict[str, tuple[Difference, ...]]()
    for plan in before.plans:
        other = after.find(plan.id)
        found[plan.id] = (Difference("plan", "yes", None),) if other is None else differences(plan, other)
    for plan in after.plans:
        if before.find(plan.id) is None:
            found[plan.id] = (Difference("plan", None, "yes"),)
    return {plan_id: told for plan_id, told in found.items() if told}


def _ordered(values: Mapping[str, object], known: Mapping[str, object]) -> list[str]:
    return [*(name for name in known if name in values), *sorted(name for name in values if name not in known)]
