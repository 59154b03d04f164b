"""Rating: usage x prices x margin -> charge, exact in pico-USD and rounded once to nano-USD (money.md R1, R2, R6)."""

import msgspec

from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import (
    CACHE_READ,
    CACHE_WRITE_5M,
    INPUT,
    INPUT_UNITS,
    OUTPUT,
    REASONING,
    REQUEST,
    Unit,
)
from tollway.errors import UnpricedUnit
from tollway.metering.usage import Usage
from tollway.money.amount import NanoUSD, PicoUSD
from tollway.money.rounding import ceiling, half_even

BPS = 10_000
_CHARGE_DENOMINATOR = BPS * 1_000  # basis points and pico -> nano
_COST_DENOMINATOR = 1_000
_INPUT_SIDE = frozenset(INPUT_UNITS)


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What a request costs: `charge` to the customer, `cost` to us, `margin = charge - cost` by subtraction (R2).

    lines: (unit, count, pico-USD per unit) of everything that was used and priced, for the receipt.
    """

    charge: NanoUSD
    cost: NanoUSD
    margin: NanoUSD
    lines: tuple[tuple[Unit, int, PicoUSD], ...]


def rate(usage: Usage, prices: PriceList, margin_bps: int) -> Charge:
    """Price a usage.

    The tier is chosen by all input tokens of the request, cached ones included, and applies to the whole request (R6). The
    sum is exact in pico-USD and rounded once, half-even, to nano-USD.

    Args:
        usage: disjoint counts per unit.
        prices: the pinned price list.
        margin_bps: 0..100_000; 550 is 5.5 %.

    Raises:
        UnpricedUnit: a unit was used that `prices` has no price for. Never treated as free.
    """
    counts = usage.counts
    resolved = prices.resolved
    level = resolved[0][1] if len(resolved) == 1 else prices.at(usage.input_tokens)
    pico, lines = 0, list[tuple[Unit, int, PicoUSD]]()
    for unit, count in counts.items():
        if not count:
            continue
        price = level.get(unit)
        if price is None:
            raise UnpricedUnit(f"{count} x {unit} used, but price list {prices.id} does not price it")
        pico += count * price
        lines.append((unit, count, price))
    if (per_request := level.get(REQUEST)) and REQUEST not in counts:
        pico += per_request
        lines.append((REQUEST, 1, per_request))
    charge = half_even(pico * (BPS + margin_bps), _CHARGE_DENOMINATOR)
    cost = half_even(pico, _COST_DENOMINATOR)
    return Charge(NanoUSD(charge), NanoUSD(cost), NanoUSD(charge - cost), tuple(lines))


_ALWAYS: tuple[Unit, ...] = (INPUT, CACHE_READ, CACHE_WRITE_5M)


def worst_case(
    prices: PriceList,
    margin_bps: int,
    *,
    input_tokens: int,
    output_tokens: int,
    extra_units: tuple[Unit, ...] = (),
    extra_pico: int = 0,
) -> NanoUSD:
    """The hold that covers any usage within these bounds, rounded up (R2, R6).

    Every token is taken at the dearest price that it can come to, over the tiers that `input_tokens` can reach, so that no
    split into cached, written, audio or thinking tokens costs more than the hold.

    Args:
        input_tokens: upper bound of all input tokens.
        output_tokens: upper bound of all output tokens.
        extra_units: what this request can cause beyond text: audio, images, one-hour cache writes.
        extra_pico: upper bound for tools and other per-call units, pico-USD before margin.
    """
    dearest = prices.dearest
    if dearest is not None and not extra_units:
        # One level and plain text, as nearly always: the same as below, without its loops.
        pico = input_tokens * dearest[0] + output_tokens * dearest[1] + dearest[2] + extra_pico
        return NanoUSD(ceiling(pico * (BPS + margin_bps), _CHARGE_DENOMINATOR))
    resolved = prices.resolved
    dear_input = dear_output = dear_request = 0
    for above, level in resolved:
        if input_tokens <= above:
            continue
        for unit in (*_ALWAYS, *extra_units):
            if unit in _INPUT_SIDE and level.get(unit, 0) > dear_input:
                dear_input = level[unit]
        for unit in (OUTPUT, REASONING, *extra_units):
            if unit not in _INPUT_SIDE and level.get(unit, 0) > dear_output:
                dear_output = level[unit]
        dear_request = max(dear_request, level.get(REQUEST, 0))
    pico = input_tokens * dear_input + output_tokens * dear_output + dear_request + extra_pico
    return NanoUSD(ceiling(pico * (BPS + margin_bps), _CHARGE_DENOMINATOR))
