"""Quotes: what a number of equal requests would cost at a price list, exactly and as it would be charged.

Two totals, because they answer two questions. The *charged* total is what the ledger would book: each request is
rounded once to nano-USD (money.md R2), and the rounded charge is multiplied. The *exact* total is not rounded at all;
basis points of a pico-USD make its unit 1e-16 USD, so it is an integer too. They differ by at most half a nano-USD per
request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tollway.catalogue.offers import Model, Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import CACHE_READ, INPUT, INPUT_UNITS, OUTPUT, OUTPUT_UNITS, REASONING, REQUEST, Unit
from tollway.errors import UnpricedUnit
from tollway.metering.rating import BPS, rate, worst_case
from tollway.metering.usage import Usage
from tollway.money.amount import NanoUSD, PicoUSD

EXACT_PLACES = 16
"""Decimal places of `Quote.exact`: twelve of a pico-USD and four of a basis point."""

_TOKENS = frozenset((*INPUT_UNITS, *OUTPUT_UNITS))


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One unit of a quote: `count` per request x `price_pico`, times the requests = `amount_pico`, before margin."""

    unit: Unit
    count: int
    price_pico: PicoUSD
    amount_pico: PicoUSD


@dataclass(frozen=True, slots=True)
class Quote:
    """What `requests` equal requests would cost.

    cost_pico: all requests before margin, exact, pico-USD.
    exact: all requests with margin, not rounded, in 1e-16 USD.
    charge_nano, total_nano: one request as it would be charged, rounded half-even once; and all of them.
    margin_nano: what of `total_nano` is margin, by subtraction as in `Charge`.
    hold_nano: what one request would reserve if its token counts were its upper bounds; never less than `charge_nano`.
    """

    price_list_id: str
    margin_bps: int
    requests: int
    lines: tuple[QuoteLine, ...]
    cost_pico: PicoUSD
    exact: int
    charge_nano: NanoUSD
    total_nano: NanoUSD
    margin_nano: NanoUSD
    hold_nano: NanoUSD

    @property
    def exact_usd(self) -> str:
        """The exact total as decimal USD text, without trailing zeros."""
        return format_exact(self.exact)

    @property
    def margin_exact_usd(self) -> str:
        """What of the exact total is margin, likewise."""
        return format_exact(self.exact - self.cost_pico * BPS)


def format_exact(exact: int) -> str:
    """Decimal USD text of an amount in 1e-16 USD, without trailing zeros. `exact` >= 0."""
    whole, rest = divmod(exact, 10**EXACT_PLACES)
    return f"{whole}.{rest:0{EXACT_PLACES}d}".rstrip("0").rstrip(".")


def quote(prices: PriceList, margin_bps: int, *, counts: Mapping[Unit, int], requests: int = 1) -> Quote:
    """Price `requests` requests that use `counts` each.

    Args:
        prices: the price list; the tier is chosen by the input tokens of one request (R6).
        margin_bps: 0..100_000; 550 is 5.5 %.
        counts: disjoint, non-negative counts per unit, of one request; see `token_counts`.
        requests: at least 0.

    Raises:
        UnpricedUnit: a unit is counted that `prices` has no price for. Never treated as free.
    """
    usage = Usage(counts)
    charge = rate(usage, prices, margin_bps)
    lines = tuple(
        QuoteLine(unit, count, price, PicoUSD(count * price * requests)) for unit, count, price in charge.lines
    )
    cost = sum(line.amount_pico for line in lines)
    hold = worst_case(
        prices,
        margin_bps,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        extra_units=tuple(unit for unit, count in counts.items() if count and unit in _TOKENS),
        # `worst_case` counts one request itself.
        extra_pico=sum(
            (line.count - (line.unit == REQUEST)) * line.price_pico for line in lines if line.unit not in _TOKENS
        ),
    )
    return Quote(
        price_list_id=prices.id,
        margin_bps=margin_bps,
        requests=requests,
        lines=lines,
        cost_pico=PicoUSD(cost),
        exact=cost * (BPS + margin_bps),
        charge_nano=charge.charge,
        total_nano=NanoUSD(charge.charge * requests),
        margin_nano=NanoUSD(charge.margin * requests),
        hold_nano=hold,
    )


def token_counts(
    *, input_tokens: int, output_tokens: int, cached_tokens: int = 0, reasoning_tokens: int = 0
) -> dict[Unit, int]:
    """Disjoint counts from totals as people state them: cached tokens are part of the input, thinking of the output.

    Raises:
        ValueError: a count is negative, or a part is larger than its whole.
    """
    if min(input_tokens, output_tokens, cached_tokens, reasoning_tokens) < 0:
        raise ValueError("token counts cannot be negative")
    if cached_tokens > input_tokens:
        raise ValueError(
            f"{cached_tokens} cached tokens are more than the {input_tokens} input tokens they are part of"
        )
    if reasoning_tokens > output_tokens:
        raise ValueError(
            f"{reasoning_tokens} reasoning tokens are more than the {output_tokens} output tokens they are part of"
        )
    counts = {
        INPUT: input_tokens - cached_tokens,
        CACHE_READ: cached_tokens,
        OUTPUT: output_tokens - reasoning_tokens,
        REASONING: reasoning_tokens,
    }
    return {unit: count for unit, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class OfferQuote:
    """An offer with what it would cost; `quote` is None where it cannot be quoted, and `reason` says why."""

    offer: Offer
    quote: Quote | None
    reason: str = ""


def quotes_of(
    model: Model, when: int, margin_bps: int, *, counts: Mapping[Unit, int], requests: int = 1
) -> tuple[OfferQuote, ...]:
    """Every offer of a model, cheapest first, those without a price last.

    `when` is in unix seconds, UTC: the price lists in force then are used. The rest is as for `quote`.
    """
    return by_cost(offer_quote(offer, when, margin_bps, counts=counts, requests=requests) for offer in model.offers)


def by_cost(quoted: Iterable[OfferQuote]) -> tuple[OfferQuote, ...]:
    """Cheapest first by the exact total, else in the order given; what cannot be quoted comes last."""
    return tuple(sorted(quoted, key=lambda one: (one.quote is None, 0 if one.quote is None else one.quote.exact)))


def offer_quote(
    offer: Offer, when: int, margin_bps: int, *, counts: Mapping[Unit, int], requests: int = 1
) -> OfferQuote:
    """One offer of a model; see `quotes_of`."""
    prices = offer.price_list(when)
    if prices is None:
        return OfferQuote(offer, None, "no price in force")
    try:
        return OfferQuote(offer, quote(prices, margin_bps, counts=counts, requests=requests))
    except UnpricedUnit as error:
        return OfferQuote(offer, None, error.message)
