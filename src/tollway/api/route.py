"""`POST /v1/route`: which model would answer a chat request, and why; nothing is called, held or charged.

Takes the body of a chat request with its routing fields. The sentences are for people, the rest for programs.
"""

import asyncio
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import AskedBody, Number, documented, needs, number, said, usd
from tollway.api.naming import named
from tollway.api.rooms import Rooms
from tollway.api.wire import Names, read_chat
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import InvalidJSON
from tollway.gateway.admit import Caller
from tollway.gateway.steer import TOKENIZER, decided, within_profile
from tollway.metering.estimate import bound_input
from tollway.money.amount import format_per_million
from tollway.request import ChatRequest
from tollway.routing.asking import AUTO
from tollway.routing.decide import Circumstances
from tollway.routing.decision import Decision
from tollway.routing.explain import cost_nano, sentences
from tollway.routing.filters import EXCLUDED_SHOWN_MAX
from tollway.routing.policy import Candidate, Obstacle
from tollway.routing.savings import percent
from tollway.routing.wish import Wish

RouteCaller = Annotated[Caller, needs("models")]


class Feature(msgspec.Struct):
    """What mattered; a positive weight makes the task harder."""

    name: str
    weight: float


class RouteCandidate(msgspec.Struct):
    """An offer that may answer. cost_usd: what this request is expected to be charged there, margin included.

    quality: predicted for this kind of task, 0 to 1; value: what the ranking gave; both null where it was not ranked.
    Prices are the list prices in USD per million tokens.
    """

    place: int
    model: str
    offer: str
    provider: str
    quality: float | None
    value: float | None
    cost_usd: str | None
    input_per_million_usd: str | None
    output_per_million_usd: str | None


class RouteExclusion(msgspec.Struct):
    """What may not answer, and why. offer: null where the whole model is out."""

    model: str
    offer: str | None
    reason: str


class RouteAlternative(msgspec.Struct):
    """What one tier up or down would have chosen, and cost."""

    direction: str
    tier: str
    model: str
    cost_usd: str
    quality: float


class RouteEntry(msgspec.Struct):
    """A decision. explanation: in plain sentences. steps: one line per step of the pipeline.

    method: `direct`, `tier`, or who classified: `model` or `rules`. savings_pct: against baseline_model named directly,
    for the tokens expected; negative where it costs more. excluded: the first 40; excluded_count: all.
    """

    explanation: list[str]
    steps: list[str]
    model: str
    offer: str
    provider: str
    method: str
    tier: str | None
    category: str | None
    confidence: float | None
    features: list[Feature]
    profile: str | None
    margin_bps: int
    input_tokens: int
    output_tokens: int | None
    cost_usd: str | None
    baseline_model: str | None
    savings_pct: Number | None
    reference_model: str | None
    candidates: list[RouteCandidate]
    excluded: list[RouteExclusion]
    excluded_count: int
    alternatives: list[RouteAlternative]


class RouteReply(msgspec.Struct):
    """The decision."""

    data: RouteEntry


class RouteQuestion(AskedBody):
    """The routing fields of a chat body; everything else of a chat body is taken too."""

    model: Annotated[str, Field(description="`auto`, `auto:<tier>`, an id or alias.", examples=["auto"])] = AUTO
    messages: Annotated[list[dict[str, object]], Field(min_length=1)]
    tier: str | None = None
    profile: str | None = None


REPLIES: tuple[type[msgspec.Struct], ...] = (RouteReply,)
BODIES = (RouteQuestion,)


class Routes:
    """The endpoint."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        add = partial(router.add_api_route, tags=["models"])
        add("/v1/route", self.route, methods=["POST"], **documented(RouteReply, body=RouteQuestion, chat=True))

    async def route(self, caller: RouteCaller, request: Request) -> Response:
        """Which model would answer this chat request, and why. Nothing is called, held or charged."""
        store, workspace_id = self._rooms.store, caller.key.workspace_id
        names = partial(named, store.profiles, store.presets, workspace_id)
        chat = read_question(await request.body(), self._rooms.bytes_max, names)
        chat, wish = within_profile(store.profiles, chat, caller.key)
        # Counting a long prompt takes a while: not on the event loop.
        return said(await asyncio.to_thread(self._decided, caller, chat, wish))

    def _decided(self, caller: Caller, chat: ChatRequest, wish: Wish) -> RouteReply:
        rooms = self._rooms
        tokens = bound_input(chat, TOKENIZER).tokens
        usual = Circumstances(default_output=rooms.holds.default_max_output_tokens)
        decision = decided(rooms.router(), chat, wish, caller, rooms.clock.now(), tokens, usual)
        return RouteReply(entry(decision, tokens))


def read_question(body: bytes, bytes_max: int, names: Names | None = None) -> ChatRequest:
    """The chat request; its model is `auto` where none is named. Raises as `read_chat`."""
    try:
        fields = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(f"the body is not a JSON object: {error}") from None
    fields.setdefault("model", msgspec.Raw(b'"auto"'))
    return read_chat(msgspec.json.encode(fields), bytes_max, names)


def entry(decision: Decision, input_tokens: int) -> RouteEntry:
    """A decision as it is told to programs."""
    first, verdict, task = decision.candidates[0], decision.verdict, decision.task
    cost = cost_nano(decision, first)
    saved = percent(decision.expected_saving())
    # That a model is of another tier says the least.
    exclusions = sorted(decision.exclusions, key=lambda one: one.obstacle is Obstacle.TIER)
    return RouteEntry(
        explanation=sentences(decision),
        steps=list(decision.steps),
        model=first.offer.model,
        offer=first.offer.id,
        provider=first.offer.provider.id,
        method="direct" if verdict is None else verdict.method,
        tier=decision.tier or None,
        category=None if verdict is None else verdict.category,
        confidence=None if verdict is None else round(verdict.confidence, 3),
        features=[] if verdict is None else [Feature(name, round(weight, 3)) for name, weight in verdict.features],
        profile=decision.profile or None,
        margin_bps=decision.margin_bps,
        input_tokens=input_tokens,
        output_tokens=None if task is None else task.output_tokens,
        cost_usd=None if cost is None else usd(cost),
        baseline_model=decision.baseline_model,
        savings_pct=None if saved is None else number(saved),
        reference_model=decision.reference or None,
        candidates=[_candidate(decision, one, place) for place, one in enumerate(decision.candidates, 1)],
        excluded=[
            RouteExclusion(one.name, one.offer_id or None, one.reason) for one in exclusions[:EXCLUDED_SHOWN_MAX]
        ],
        excluded_count=len(exclusions),
        alternatives=[
            RouteAlternative(one.direction, one.tier, one.model, usd(one.cost_nano), round(one.quality, 3))
            for one in decision.counterfactuals
        ],
    )


def _candidate(decision: Decision, one: Candidate, place: int) -> RouteCandidate:
    weighed = next((each for each in decision.ranked if each.model == one.offer.model), None)
    cost = cost_nano(decision, one)
    level = one.prices.at(0 if decision.task is None else decision.task.input_tokens)
    return RouteCandidate(
        place=place,
        model=one.offer.model,
        offer=one.offer.id,
        provider=one.offer.provider.id,
        quality=None if weighed is None else round(weighed.quality, 3),
        value=None if weighed is None else round(weighed.value, 3),
        cost_usd=None if cost is None else usd(cost),
        input_per_million_usd=format_per_million(level[INPUT]) if INPUT in level else None,
        output_per_million_usd=format_per_million(level[OUTPUT]) if OUTPUT in level else None,
    )
