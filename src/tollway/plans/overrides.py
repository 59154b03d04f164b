"""What an operator has agreed with one organization beyond its plan, and the grants that come of both."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

import msgspec

from tollway.errors import InvalidField
from tollway.plans.grants import UNLIMITED, Grants
from tollway.plans.limits import FEATURES, LIMITS
from tollway.plans.plan import Plan

MARGINS = ("direct", "auto", "tier")
"""How a model is chosen: by name, by the router, by the router within a tier."""
LIMIT_MAX = 10**15
MARGIN_MAX_BPS = 100_000
Value = TypeVar("Value", int, bool)


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """Values that replace a plan's, by name. limits: -1 no limit, 0 not available. margins_bps: basis points."""

    limits: Mapping[str, int] = {}
    features: Mapping[str, bool] = {}
    margins_bps: Mapping[str, int] = {}

    @property
    def is_empty(self) -> bool:
        return not (self.limits or self.features or self.margins_bps)


NONE = Overrides()


def check_overrides(asked: Overrides, plan: Plan) -> None:
    """Refuse names that neither the plan nor the code knows, and numbers out of range.

    Raises:
        InvalidField: `param` is the path, such as `limits.api_keys`.
    """
    _known("limits", asked.limits, {**LIMITS, **plan.limits})
    _known("features", asked.features, {**FEATURES, **plan.features})
    _known("margins_bps", asked.margins_bps, dict.fromkeys(MARGINS))
    for name, value in asked.limits.items():
        if not UNLIMITED <= value <= LIMIT_MAX:
            param = f"limits.{name}"
            raise InvalidField(f"`{param}` is -1 (no limit), 0 (not available) or a number of {name}", param=param)
    for name, value in asked.margins_bps.items():
        if not 0 <= value <= MARGIN_MAX_BPS:
            param = f"margins_bps.{name}"
            raise InvalidField(f"`{param}` is 0 to {MARGIN_MAX_BPS} basis points; 550 is 5.5 %", param=param)


def _known(around: str, asked: Mapping[str, object], known: Mapping[str, object]) -> None:
    for name in asked:
        if name not in known:
            near = get_close_matches(name[:100], known, 1)
            fix = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(known)}"
            param = f"{around}.{name[:100]}"
            raise InvalidField(f"`{param}` is not in the plan; {fix}", param=param)


def grants_of(plan: Plan, catalogue: str, overrides: Overrides = NONE) -> Grants:
    """What is in force: the plan's values with the overrides laid over them. `catalogue`: the name of the plan's."""
    limits = _in_order({**plan.limits, **overrides.limits}, LIMITS)
    allowed = plan.allowed_models
    return Grants(
        plan_id=plan.id,
        plan_name=plan.name,
        catalogue=catalogue,
        version=plan.version,
        limits=limits,
        features=_in_order({**plan.features, **overrides.features}, FEATURES),
        allowed_models=None if allowed is None else frozenset(allowed),
        margins_bps={**plan.margins_bps, **overrides.margins_bps},
        requests_per_minute=limits.get("requests_per_minute", UNLIMITED),
        tokens_per_day=limits.get("tokens_per_day", UNLIMITED),
        max_context_tokens=limits.get("max_context_tokens", UNLIMITED),
    )


def _in_order(values: Mapping[str, Value], known: Mapping[str, object]) -> dict[str, Value]:
    """The known names in their order, then the others in the file's."""
    return {name: values[name] for name in (*known, *values) if name in values}
