"""The one entitlement check: is there room for this, and is this part of the plan; and what is over after a downgrade."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from tollway.errors import TierLimitExceeded
from tollway.plans.grants import Grants
from tollway.plans.limits import FEATURES, LIMITS, counted
from tollway.plans.plan import Plan, PlanCatalogue


class Over(NamedTuple):
    """There is more of something than the limit allows."""

    name: str
    limit: int
    current: int


def require_room(
    grants: Grants,
    catalogue: PlanCatalogue,
    name: str,
    current: int,
    adding: int = 1,
    *,
    upgrade_url: str = "",
    param: str | None = None,
) -> None:
    """Refuse what would go over a limit.

    Args:
        name: of the limit. current: how much there is. adding: how much there would be more; both in its unit.
        param: the field of the request that asks for it.

    Raises:
        TierLimitExceeded: with limit, current, limit_name, required_tier and upgrade_url.
    """
    limit = grants.limit(name)
    if limit < 0 or current + adding <= limit:
        return
    higher = _cheapest(grants, catalogue, lambda plan: _allows(plan.limits.get(name, -1), current + adding))
    problem = _problem(grants, name, limit, current, adding)
    _refuse(problem, _remedy(name, limit), higher, name, limit=limit, current=current, url=upgrade_url, param=param)


def require_feature(
    grants: Grants, catalogue: PlanCatalogue, name: str, *, upgrade_url: str = "", param: str | None = None
) -> None:
    """Refuse what is not part of the plan. A feature that the plan does not mention is not part of it.

    Raises:
        TierLimitExceeded: with the same details as `require_room`; limit and current are 0.
    """
    if grants.features.get(name, False):
        return
    higher = _cheapest(grants, catalogue, lambda plan: plan.features.get(name, False))
    problem = f"`{name}` ({FEATURES.get(name, 'a feature')}) is not part of the plan {grants.plan_name}"
    _refuse(problem, "", higher, name, limit=0, current=0, url=upgrade_url, param=param)


def over(grants: Grants, counts: Mapping[str, int]) -> tuple[Over, ...]:
    """What is over its limit. `counts`: limit name -> how much there is, in its unit."""
    return tuple(
        Over(name, limit, current) for name, current in counts.items() if 0 <= (limit := grants.limit(name)) < current
    )


def effect(one: Over) -> str:
    """What being over a limit means, for whoever is over it."""
    return (
        "Nothing is deleted: what there is can be read and removed, but not changed, and nothing can be added until "
        f"there is room again: at most {counted(one.name, one.limit)}."
    )


def why(grants: Grants, one: Over) -> str:
    """Why something is over its limit: the plan and the numbers."""
    return f"The plan {grants.plan_name} has {counted(one.name, one.limit)}; there are {one.current:,}."


def _allows(limit: int, wanted: int) -> bool:
    return limit < 0 or wanted <= limit


def _cheapest(grants: Grants, catalogue: PlanCatalogue, would_do: Callable[[Plan], bool]) -> Plan | None:
    """The smallest other plan that would do; plans are listed from the smallest."""
    return next((plan for plan in catalogue.plans if plan.id != grants.plan_id and would_do(plan)), None)


def _problem(grants: Grants, name: str, limit: int, current: int, adding: int) -> str:
    known = LIMITS.get(name)
    unit = name if known is None else known.unit
    if limit == 0:
        return f"{unit} are not part of the plan {grants.plan_name}"
    if known is not None and known.kind == "bound":
        return f"this asks for {current + adding:,} {unit}; the plan {grants.plan_name} allows {limit:,}"
    if current > limit:
        return f"the plan {grants.plan_name} has {counted(name, limit)}, and there are {current:,}"
    if known is not None and known.kind == "size":
        return (
            f"the plan {grants.plan_name} has {counted(name, limit)}: {current:,} are used, {adding:,} more do not fit"
        )
    return f"the plan {grants.plan_name} has {counted(name, limit)}, and {current:,} {_are(current)} there already"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _remedy(name: str, limit: int) -> str:
    known = LIMITS.get(name)
    if limit == 0:
        return ""
    if known is None or known.kind in {"count", "size"}:
        return "remove some, or "
    return "ask for less, or " if known.kind == "bound" else "wait for the next window, or "


def _refuse(
    problem: str,
    remedy: str,
    higher: Plan | None,
    name: str,
    *,
    limit: int,
    current: int,
    url: str,
    param: str | None,
) -> NoReturn:
    """Raises TierLimitExceeded."""
    if higher is None:
        advice = f"{remedy}ask the operator for more"
    else:
        has = f" ({counted(name, higher.limits.get(name, -1))})" if name in higher.limits else ""
        advice = f"{remedy}upgrade to {higher.name}{has}"
    if url:
        advice += f": {url}"
    raise TierLimitExceeded(
        f"{problem}; {advice}",
        param=param,
        limit=limit,
        current=current,
        limit_name=name,
        required_tier=None if higher is None else higher.id,
        upgrade_url=url or None,
    )
