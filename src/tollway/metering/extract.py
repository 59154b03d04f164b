"""Extract: a provider's usage report becomes disjoint counts; one function for whole answers and for streams.

Providers report overlapping numbers: a prompt total that contains the cached tokens, which contain the cached audio.
A `UsageSpec` says where each number is and which ones it lies inside, so that each token is counted once and the counts
below a total add up to that total (pains C-1):

- An absent number is not zero. A report with none of our numbers is no usage; one with a prompt but no answer, or with
  a number that is no count, is unusable. Either way the gateway counts for itself. An explicit zero is believed.
- A part larger than its total is cut down to it, with a warning: no count is ever negative.
- A unit with several paths has, at the first, the number that `inside` speaks of; at the others its own number without
  its parts. That one stands in where the first is missing, and is compared where both are there; the first counts.
- Inside a list, a step picks the element whose `modality` is that step, as in `promptTokensDetails.AUDIO.tokenCount`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tollway.catalogue.offers import UsageSpec
from tollway.catalogue.units import INPUT, OUTPUT, Unit
from tollway.jsontypes import JSON
from tollway.metering.usage import Usage, UsageSource

COUNT_MAX = 1_000_000_000
"""No request has used a billion of anything: a larger number is a fault of the provider, not a bill."""

_Path = tuple[str, ...]


class UnusableUsage(ValueError):
    """There is a usage report, but it cannot be billed from; the message says why."""


def extract(spec: UsageSpec, document: JSON) -> Usage | None:
    """The usage that a provider reported.

    Args:
        spec: the provider's; a long-lived object, as its plan is kept.
        document: a whole answer, or the usage that a stream's translator has merged.

    Returns:
        Disjoint, non-negative counts with warnings about what did not add up; None when nothing was reported.

    Raises:
        UnusableUsage: a number is not a count (negative, fractional, absurd), or the prompt's or answer's is missing.
    """
    if not isinstance(document, dict):
        return None
    plan = _plans.get(id(spec))
    if plan is None or plan.spec is not spec:
        plan = _planned(spec)
    counts: dict[Unit, int] = {}
    has_parts = False
    for prefix, leaves in plan.reads:
        holder: JSON = document
        for step in prefix:
            if type(holder) is dict:
                holder = holder.get(step)
            elif type(holder) is list:
                holder = _element(holder, step)
            else:
                break
        if type(holder) is not dict:
            continue
        for unit, leaf in leaves:
            value = holder.get(leaf)
            if value is None:
                continue
            if type(value) is not int or not 0 <= value <= COUNT_MAX:
                raise UnusableUsage(f"{'.'.join((*prefix, leaf))} is {value!r}, which is not a count")
            counts[unit] = value
            if value and unit in plan.parts:
                has_parts = True
    own = _own_numbers(plan, document, counts) if plan.own else None
    if not counts:
        return None
    for unit in plan.required:
        if unit not in counts:
            raise UnusableUsage(f"{unit} is missing, although {next(iter(counts))} is reported")
    if not has_parts and not own:
        # Nothing lies inside anything, as nearly always: every total is its own.
        return Usage(counts)
    warnings = _subtract_parts(plan, counts, own or {})
    if own:
        warnings = _compared(own, counts, warnings)
    return Usage(counts, UsageSource.PROVIDER, tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A spec made ready.

    reads: first paths, as (where, (unit, field)...): numbers that stand in one object are read at once.
    own: (unit, path of its own number without parts).
    holders: (unit, every unit inside it, however deep), innermost first; parts: all of the latter.
    required: what must be there if anything is.
    """

    spec: UsageSpec
    reads: tuple[tuple[_Path, tuple[tuple[Unit, str], ...]], ...]
    own: tuple[tuple[Unit, _Path], ...]
    holders: tuple[tuple[Unit, tuple[Unit, ...]], ...]
    parts: frozenset[Unit]
    required: tuple[Unit, ...]


_plans: dict[int, _Plan] = {}
_PLANS_MAX = 4096


def _planned(spec: UsageSpec) -> _Plan:
    reads, own = dict[Unit, _Path](), list[tuple[Unit, _Path]]()
    for unit, path in spec.paths:
        if unit in reads:
            own.append((unit, path))
        else:
            reads[unit] = path
    inside = {unit: _inside(unit, spec) for unit in reads}
    # A unit has fewer units inside it than any unit around it has: by number, parts come before what holds them.
    holders = sorted(((unit, parts) for unit, parts in inside.items() if parts), key=lambda holder: len(holder[1]))
    required = tuple(unit for unit in (INPUT, OUTPUT) if unit in reads)
    places = dict[_Path, list[tuple[Unit, str]]]()
    for unit, path in reads.items():
        places.setdefault(path[:-1], []).append((unit, path[-1]))
    grouped = tuple((prefix, tuple(leaves)) for prefix, leaves in places.items())
    parts = frozenset(part for _, found in holders for part in found)
    plan = _Plan(spec, grouped, tuple(own), tuple(holders), parts, required)
    if len(_plans) >= _PLANS_MAX:
        _plans.clear()
    _plans[id(spec)] = plan
    return plan


def _inside(unit: Unit, spec: UsageSpec) -> tuple[Unit, ...]:
    """Every unit inside `unit`, once, in the order of the spec's paths."""
    found, grown = {unit}, True
    while grown:
        more = {part for part, holder in spec.inside if holder in found} - found
        grown = bool(more)
        found |= more
    if any(part == unit and holder in found for part, holder in spec.inside):
        raise ValueError(f"usage: {unit} is inside itself")
    named = dict.fromkeys(unit for unit, _ in spec.paths)
    return tuple(part for part in named if part in found and part != unit)


def _element(values: list[JSON], step: str) -> JSON:
    for value in values:
        if isinstance(value, dict) and value.get("modality") == step:
            return value
    return None


def _own_numbers(plan: _Plan, document: JSON, counts: dict[Unit, int]) -> dict[Unit, int]:
    """Own numbers to compare later; -1 marks one that stands in for a missing total, and is in `counts` already."""
    found = dict[Unit, int]()
    for unit, path in plan.own:
        value = document
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            else:
                value = _element(value, step) if isinstance(value, list) else None
        if type(value) is not int or not 0 <= value <= COUNT_MAX:
            continue
        if unit in counts:
            found.setdefault(unit, value)
        else:
            counts[unit], found[unit] = value, -1
    return found


def _subtract_parts(plan: _Plan, counts: dict[Unit, int], own: Mapping[Unit, int]) -> list[str]:
    """Take from every total what lies inside it; warnings about what did not fit."""
    warnings = list[str]()
    for unit, parts in plan.holders:
        total = counts.get(unit)
        if total is None or own.get(unit) == -1:
            continue
        for part in parts:
            total -= counts.get(part, 0)
        if total < 0:
            _cut(counts, unit, parts, -total, warnings)
            total = 0
        counts[unit] = total
    return warnings


def _cut(counts: dict[Unit, int], unit: Unit, parts: tuple[Unit, ...], excess: int, warnings: list[str]) -> None:
    """Take from the parts what they have beyond their total, the last named first."""
    for part in reversed(parts):
        had = counts.get(part, 0)
        taken = min(had, excess)
        if taken:
            counts[part] = had - taken
            excess -= taken
            warnings.append(f"{part} is reported as {taken} more than {unit} has room for; it counts as {had - taken}")


def _compared(own: Mapping[Unit, int], counts: Mapping[Unit, int], warnings: list[str]) -> list[str]:
    for unit, number in own.items():
        if number not in (-1, counts[unit]):
            warnings.append(f"{unit} is reported as {number}, but its total leaves {counts[unit]}, which counts")
    return warnings
