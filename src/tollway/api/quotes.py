"""`POST /v1/estimate`, `POST /v1/compare`: what a request would cost, exactly, on one model or many; nothing is called.

Asked with a whole chat body, whose prompt is counted, or with token counts; on a model of the catalogue, or at prices
of one's own. Cached tokens are part of the input, thinking is part of the output.
"""

import asyncio
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tollway.api.edge import documented, needs, said, usd
from tollway.api.models import may_use, obstacle, unknown_model
from tollway.api.question import Comparison, Estimation, Question, Selection, read_comparison, read_estimation
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Model, Offer
from tollway.errors import ModelNotAllowed, ModelNotPriced
from tollway.gateway.admit import Caller
from tollway.metering.quote import OfferQuote, Quote, by_cost, offer_quote, quote
from tollway.metering.quote import QuoteLine as Line
from tollway.money.amount import format_pico

QuotesCaller = Annotated[Caller, needs("models")]


class QuoteLine(msgspec.Struct):
    """One unit of a quote: all requests' count x price = amount, before margin."""

    unit: str
    count: int
    price_usd: str
    amount_usd: str


class QuoteEntry(msgspec.Struct):
    """What the requests would cost at one offer, or at prices of one's own. Money is exact decimal USD as text.

    cost_usd is the exact total with margin; charge_usd is what the ledger would book, each request rounded once to a
    nano-USD; hold_usd is what one request would reserve. sum_usd is the total of the lines, before margin.
    """

    model: str | None
    offer: str | None
    provider: str | None
    available: bool | None
    unavailable_reason: str | None
    price_list: str | None
    requests: int
    input_tokens: int
    input_source: str
    output_tokens: int
    output_source: str
    margin_bps: int
    cost_usd: str | None
    charge_usd: str | None
    charge_per_request_usd: str | None
    hold_usd: str | None
    sum_usd: str | None
    lines: list[QuoteLine]


class Estimate(msgspec.Struct):
    """The estimate at the offer that would answer, and at every other offer of the model, cheapest first."""

    data: QuoteEntry
    offers: list[QuoteEntry]


class QuoteList(msgspec.Struct):
    """One quote per model, cheapest first; those that cannot be priced come last."""

    data: list[QuoteEntry]
    has_more: bool
    object: str = "list"


REPLIES: tuple[type[msgspec.Struct], ...] = (QuoteEntry, Estimate, QuoteList)
BODIES = (Estimation, Comparison)


class Quotes:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["prices"])
        add("/v1/estimate", self.estimate, methods=["POST"], **documented(Estimate, body=Estimation, chat=True))
        add("/v1/compare", self.compare, methods=["POST"], **documented(QuoteList, body=Comparison, chat=True))

    async def estimate(self, caller: QuotesCaller, request: Request) -> Response:
        """Price a chat body or token counts, without calling anything: on `model`, or at `prices` of your own."""
        question = read_estimation(await request.body(), self._rooms.bytes_max)
        # Counting a long prompt exactly takes a while: not on the event loop.
        return said(await asyncio.to_thread(self._estimate, caller, question))

    async def compare(self, caller: QuotesCaller, request: Request) -> Response:
        """Price the same request on many models, cheapest first, without calling anything."""
        question, wanted = read_comparison(await request.body(), self._rooms.bytes_max)
        return said(await asyncio.to_thread(self._compare, caller, question, wanted))

    def _estimate(self, caller: Caller, question: Question) -> Estimate:
        if question.prices is not None:
            counted = question.counted(None, self._rooms.holds)
            found = quote(question.prices, question.margin_bps, counts=counted.counts, requests=question.requests)
            one = self._entry(question, None, None, found, "")
            return Estimate(one, [one])
        model = self._model(caller, question.model, "model")
        rows = self._offers(caller, question, model)
        if all(row.quote is None for row in rows):
            raise ModelNotPriced(f"`{model.id}` has no price that covers this: {rows[0].reason}", param="model")
        told = [self._entry(question, model, row.offer, row.quote, row.reason) for row in rows]
        callable_ = [one for one in told if one.available and one.cost_usd is not None]
        return Estimate(callable_[0] if callable_ else told[0], told)

    def _compare(self, caller: Caller, question: Question, wanted: Selection) -> QuoteList:
        if wanted.models == "all":
            models = [one for one in self._rooms.catalogue().models.values() if may_use(caller.key, one)]
        else:
            models = [self._model(caller, name, f"models[{at}]") for at, name in enumerate(wanted.models)]
        now = int(self._rooms.clock.now())
        best = list[tuple[Model, OfferQuote]]()
        for model in {one.id: one for one in models}.values():
            rows = self._offers(caller, question, model)
            usable = [row for row in rows if obstacle(row.offer, now) is None and row.quote is not None]
            if rows and (usable or not wanted.available):
                best.append((model, (usable or rows)[0]))
        best.sort(key=lambda one: (one[1].quote is None, 0 if one[1].quote is None else one[1].quote.exact, one[0].id))
        shown = best[: wanted.limit]
        told = [self._entry(question, model, row.offer, row.quote, row.reason) for model, row in shown]
        return QuoteList(told, has_more=len(best) > len(shown))

    def _model(self, caller: Caller, name: str, param: str) -> Model:
        catalogue = self._rooms.catalogue()
        model = catalogue.find(name)
        if model is None:
            raise unknown_model(catalogue, name, param)
        if not may_use(caller.key, model):
            raise ModelNotAllowed(f"this key may not use `{model.id}`", param=param)
        return model

    def _offers(self, caller: Caller, question: Question, model: Model) -> tuple[OfferQuote, ...]:
        """Every offer of a model, cheapest first, those that cannot be quoted last."""
        now = int(self._rooms.clock.now())
        return by_cost(self._quoted(caller, question, offer, now) for offer in model.offers)

    def _quoted(self, caller: Caller, question: Question, offer: Offer, now: int) -> OfferQuote:
        counted = question.counted(offer, self._rooms.holds)
        if counted.problem:
            return OfferQuote(offer, None, counted.problem)
        return offer_quote(offer, now, caller.margin_bps, counts=counted.counts, requests=question.requests)

    def _entry(
        self, question: Question, model: Model | None, offer: Offer | None, found: Quote | None, reason: str
    ) -> QuoteEntry:
        counted = question.counted(offer, self._rooms.holds)
        stopped = None if offer is None else obstacle(offer, int(self._rooms.clock.now()))
        lines = () if found is None else found.lines
        hold = None if found is None else question.hold(offer, found, self._rooms.holds, int(self._rooms.clock.now()))
        return QuoteEntry(
            model=None if model is None else model.id,
            offer=None if offer is None else offer.id,
            provider=None if offer is None else offer.provider.id,
            available=None if offer is None else stopped is None and found is not None,
            unavailable_reason=stopped or reason or None,
            price_list=None if found is None else found.price_list_id,
            requests=question.requests,
            input_tokens=counted.input_tokens,
            input_source=counted.input_source,
            output_tokens=counted.output_tokens,
            output_source=counted.output_source,
            margin_bps=0 if found is None else found.margin_bps,
            cost_usd=None if found is None else found.exact_usd,
            charge_usd=None if found is None else usd(found.total_nano),
            charge_per_request_usd=None if found is None else usd(found.charge_nano),
            hold_usd=None if hold is None else usd(hold),
            sum_usd=None if found is None else format_pico(found.cost_pico),
            lines=[_line(line, question.requests) for line in lines],
        )


def _line(line: Line, requests: int) -> QuoteLine:
    return QuoteLine(line.unit, line.count * requests, format_pico(line.price_pico), format_pico(line.amount_pico))
