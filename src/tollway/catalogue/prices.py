"""A price list: what each unit costs at one offer, since when, and above which context length.

Immutable: a new price is a new list with a later `effective_from`; the old one stays (money.md R11). The id of the
list in force is pinned on the hold and used at settle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollway.catalogue.units import BY_NAME, CACHE_READ, CACHE_WRITE_5M, INPUT, OUTPUT, REASONING, REQUEST, Unit
from tollway.money.amount import PicoUSD


@dataclass(frozen=True, slots=True)
class PriceTier:
    """Prices of the WHOLE request once its input is longer than `above_input_tokens` (R6), cached tokens included."""

    above_input_tokens: int
    prices: Mapping[Unit, PicoUSD]
    """Only what differs from the tier below; what is missing is inherited."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of one offer in force from an instant on.

    id: `<offer id>@<effective_from date>`, unique; with a `#n` suffix for a daily window.
    effective_from: unix seconds, UTC.
    prices: pico-USD per unit below every tier.
    tiers: ascending by `above_input_tokens`.
    window_utc: seconds of the UTC day [start, end) in which this list applies; None means the whole day.
    source, checked: where the figures were read and when (ISO date).
    """

    id: str
    effective_from: int
    prices: Mapping[Unit, PicoUSD]
    tiers: tuple[PriceTier, ...] = ()
    window_utc: tuple[int, int] | None = None
    source: str = ""
    checked: str = ""
    resolved: tuple[tuple[int, Mapping[Unit, PicoUSD]], ...] = field(init=False)
    """Every unit's price with fallbacks applied, per tier, descending by threshold: what the hot path reads."""
    dearest: tuple[PicoUSD, PicoUSD, PicoUSD] | None = field(init=False)
    """Where there are no tiers: the most that an input token, an output token and a request can cost as plain text."""

    def __post_init__(self) -> None:
        merged: dict[Unit, PicoUSD] = dict(self.prices)
        levels = [(-1, _with_fallbacks(merged))]
        for tier in self.tiers:
            merged = {**merged, **tier.prices}
            levels.append((tier.above_input_tokens, _with_fallbacks(merged)))
        object.__setattr__(self, "resolved", tuple(reversed(levels)))
        object.__setattr__(self, "dearest", None if self.tiers else _dearest(levels[0][1]))

    def at(self, input_tokens: int) -> Mapping[Unit, PicoUSD]:
        """Pico-USD per unit for a request with that many input tokens in all; a unit without a price is absent."""
        for above, prices in self.resolved:
            if input_tokens > above:
                return prices
        return self.resolved[-1][1]

    @property
    def is_free(self) -> bool:
        """Every price is zero, as stated by the source: free on purpose, which is not the same as unpriced."""
        return all(not price for _, prices in self.resolved for price in prices.values())


def _dearest(prices: Mapping[Unit, PicoUSD]) -> tuple[PicoUSD, PicoUSD, PicoUSD]:
    get = prices.get
    free = PicoUSD(0)
    dear_input = max(get(INPUT, free), get(CACHE_READ, free), get(CACHE_WRITE_5M, free))
    return dear_input, max(get(OUTPUT, free), get(REASONING, free)), get(REQUEST, free)


def _with_fallbacks(prices: Mapping[Unit, PicoUSD]) -> Mapping[Unit, PicoUSD]:
    full = dict(prices)
    for spec in BY_NAME.values():
        unit = spec.unit
        while unit not in full:
            parent = BY_NAME[unit].fallback
            if parent is None:
                break
            unit = parent
        if unit in full:
            full[spec.unit] = full[unit]
    return full


def price_at(lists: tuple[PriceList, ...], when: int) -> PriceList | None:
    """The list in force at `when` (unix seconds, UTC), or None: not routable on wallet money (R6c).

    Among lists that have started and whose daily window covers `when`, the latest start wins; at the same start, one
    with a window wins over one without.
    """
    best: PriceList | None = None
    second = when % 86_400
    for candidate in lists:
        if candidate.effective_from > when:
            continue
        window = candidate.window_utc
        if window is not None and not _covers(window, second):
            continue
        if (
            best is None
            or candidate.effective_from > best.effective_from
            or (candidate.effective_from == best.effective_from and window is not None and best.window_utc is None)
        ):
            best = candidate
    return best


def _covers(window: tuple[int, int], second: int) -> bool:
    start, end = window
    return start <= second < end if start <= end else second >= start or second < end
