"""What routing saves against the baseline model, from a request's own tokens; never prettified, negative where it is.

Compared is what the caller pays: the chosen model with the margin of how it was chosen, against the baseline model named
directly, with that margin. The baseline is assumed to use the same tokens.
"""

from collections.abc import Mapping
from fractions import Fraction

from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT_UNITS, REQUEST, Unit
from tollway.money.rounding import half_even

_BPS = 10_000
_INPUT = frozenset(INPUT_UNITS)


def saving(paid_pico: int, margin_bps: int, baseline_pico: int, baseline_margin_bps: int) -> Fraction | None:
    """The part of the baseline's charge that is saved, exact; negative where the baseline is cheaper, None if it is free."""
    full = baseline_pico * (_BPS + baseline_margin_bps)
    return None if full <= 0 else Fraction(full - paid_pico * (_BPS + margin_bps), full)


def cost_pico(prices: PriceList, counts: Mapping[Unit, int]) -> int | None:
    """What a usage costs at a price list, pico-USD before margin; None where it has no price for a unit.

    Args:
        counts: disjoint counts per unit, as `Usage.counts`.
    """
    level = prices.at(sum(count for unit, count in counts.items() if unit in _INPUT))
    pico = 0 if REQUEST in counts else level.get(REQUEST, 0)
    for unit, count in counts.items():
        if not count:
            continue
        price = level.get(unit)
        if price is None:
            return None
        pico += count * price
    return pico


def percent(part: Fraction | None) -> str | None:
    """A part as percent with one decimal, half-even, as JSON writes a number: `71.4`, `-4.3`, `0.0`."""
    if part is None:
        return None
    tenths = half_even(part.numerator * 1_000, part.denominator)
    whole, rest = divmod(abs(tenths), 10)
    return f"{'-' if tenths < 0 else ''}{whole}.{rest}"
