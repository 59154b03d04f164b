"""Kept requests at other terms: on another model's prices, or with another plan's margin.

A request keeps what it used, never what was said, so another model is taken to use the same tokens. What cannot be priced
is told with its reason, never guessed or left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import UnpricedUnit
from tollway.learning.traffic import Request
from tollway.metering.rating import BPS, rate
from tollway.metering.usage import Usage
from tollway.money.rounding import half_even
from tollway.plans.plan import Plan

_NANO_OF_BPS = BPS * 1_000
"""Pico-USD times basis points in a nano-USD."""


class Outcome(NamedTuple):
    """What a request would have been charged, nano-USD, on which model; None and a reason where that is not known."""

    charge_nano: int | None
    model: str = ""
    reason: str = ""


Margin: TypeAlias = Callable[[Request], int]
"""Basis points on top of cost that would apply to a request."""
Repricer: TypeAlias = Callable[[Request], Outcome]


class OnModel:
    """Everything to one model: its cheapest offer that can be called, at the prices in force when the request came."""

    def __init__(self, model: Model, margin: Margin, *, now: int | None = None) -> None:
        """`now`: unix seconds whose prices apply to every request, None: each request's own time."""
        self.model = model
        self._margin, self._now = margin, now
        self.offers = callable_offers(model)

    def __call__(self, request: Request) -> Outcome:
        """See `Outcome`."""
        when = request.at if self._now is None else self._now
        lists = [found for one in self.offers if (found := one.price_list(when)) is not None]
        if not lists:
            return Outcome(None, self.model.id, f"{self.model.id} had no price then")
        usage, margin, reason = Usage(request.counts), self._margin(request), ""
        for prices in sorted(lists, key=_price):
            try:
                return Outcome(rate(usage, prices, margin).charge, self.model.id)
            except UnpricedUnit:
                reason = reason or f"{self.model.id} does not price {_unpriced(request, prices)}"
        return Outcome(None, self.model.id, reason)


class OnPlan:
    """The same models with the margin of another plan; its fee and its limits are not part of it."""

    def __init__(self, plan: Plan, catalogue: Catalogue, margins_bps: Mapping[str, int]) -> None:
        """`margins_bps`: the operator's, where the plan says nothing."""
        self._margins = {mode: plan.margins_bps.get(mode, bps) for mode, bps in margins_bps.items()}
        self._plan = plan
        self._lists = {prices.id: prices for model in catalogue.models.values() for prices in _lists(model)}
        self._catalogue = catalogue

    def __call__(self, request: Request) -> Outcome:
        """See `Outcome`."""
        if not self._includes(request.model):
            return Outcome(None, request.model, f"the plan {self._plan.id} does not include {request.model}")
        margin = self._margins[request.mode]
        if request.cost_pico is not None:
            return Outcome(half_even(request.cost_pico * (BPS + margin), _NANO_OF_BPS), request.model)
        prices = self._lists.get(request.price_list_id)
        if prices is None:
            return Outcome(None, request.model, "its receipt was dropped, and its price list is not known any more")
        try:
            return Outcome(rate(Usage(request.counts), prices, margin).charge, request.model)
        except UnpricedUnit:
            return Outcome(None, request.model, f"its receipt was dropped, and {prices.id} does not price its units")

    def _includes(self, name: str) -> bool:
        allowed = self._plan.allowed_models
        if allowed is None or name in allowed:
            return True
        model = self._catalogue.find(name)
        return model is not None and not {model.id, *model.aliases}.isdisjoint(allowed)


def callable_offers(model: Model) -> Sequence[Offer]:
    """The offers of a model that can be called with the keys there are; all of them where none can be."""
    return tuple(one for one in model.offers if one.provider.is_usable) or model.offers


def _price(prices: PriceList) -> int:
    """As direct routing orders the offers of one model (`routing/policy.py`)."""
    level = prices.resolved[-1][1]
    return level.get(INPUT, 0) + level.get(OUTPUT, 0)


def _unpriced(request: Request, prices: PriceList) -> str:
    level = prices.at(Usage(request.counts).input_tokens)
    return ", ".join(unit for unit, count in request.counts.items() if count and unit not in level)


def _lists(model: Model) -> Sequence[PriceList]:
    return [prices for offer in model.offers for prices in offer.prices]
