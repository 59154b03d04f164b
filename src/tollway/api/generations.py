"""`/v1/generations/{id}`: the receipt of one request; `/v1/generation?id=` tells it under the names other clients know.

A customer sees the postings of the own wallet and the list prices that were charged; what a provider took is the
operator's.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import Asked, Number, documented, iso, number, said, usd
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import ProviderId
from tollway.gateway.receipt import readable
from tollway.jsontypes import JSON, JSONObject
from tollway.ledger import chart
from tollway.store.generations import Kept
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]


class Tokens(msgspec.Struct):
    """Tokens of a request: cached ones are part of the input, thinking is part of the output. source: who counted."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    source: str | None


class HoldEntry(msgspec.Struct):
    """The money that was reserved, and how that ended: `settled`, `void` or `expired`."""

    amount_usd: str
    outcome: str
    opened_at: str


class PostingEntry(msgspec.Struct):
    """What moved on the wallet; negative takes."""

    account: str
    amount_usd: str


class GenerationEntry(msgspec.Struct):
    """A request and its receipt. Money is exact decimal USD as text.

    receipt: attempts, what was left out, every usage bucket with its price, the rule, times; null once it was dropped.
    uncovered_usd: what the wallet could not pay; nobody owes it.
    """

    id: str
    created_at: str
    status: str
    http_status: int
    error_code: str | None
    model_asked: str
    model: str
    provider: str
    offer: str
    streamed: bool
    finish_reason: str | None
    usage: Tokens
    charge_usd: str
    uncovered_usd: str
    price_list: str
    margin_bps: int
    hold: HoldEntry
    postings: list[PostingEntry]
    latency_ms: int
    ttft_ms: int | None
    key_id: str
    workspace_id: str
    user_id: str | None
    receipt: dict[str, JSON] | None


class GenerationReply(msgspec.Struct):
    """A request and its receipt."""

    data: GenerationEntry


class ProviderResponse(msgspec.Struct):
    """One attempt at a provider."""

    provider_name: str
    model_permaslug: str
    status: int
    latency: int
    is_byok: bool = False


class LegacyGeneration(msgspec.Struct):
    """A request under the field names of another gateway, for clients written for it. Costs are exact USD numbers."""

    id: str
    request_id: str
    model: str
    provider_name: str
    total_cost: Number
    usage: Number
    tokens_prompt: int
    tokens_completion: int
    native_tokens_prompt: int
    native_tokens_completion: int
    native_tokens_reasoning: int
    native_tokens_cached: int
    latency: int
    generation_time: int
    finish_reason: str | None
    native_finish_reason: str | None
    streamed: bool
    cancelled: bool
    created_at: str
    workspace_id: str
    external_user: str | None
    provider_responses: list[ProviderResponse]
    upstream_inference_cost: None = None
    cache_discount: None = None
    moderation_latency: None = None
    num_search_results: None = None
    upstream_id: None = None
    origin: str = ""
    api_type: str = "completions"
    is_byok: bool = False


class LegacyGenerationReply(msgspec.Struct):
    """A request under the field names of another gateway."""

    data: LegacyGeneration


REPLIES: tuple[type[msgspec.Struct], ...] = (GenerationReply, LegacyGenerationReply)


class GenerationQuery(Asked):
    """Which request."""

    id: Annotated[str, Field(description="The X-Request-ID of the reply.", max_length=200)]


class Generations:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["generations"])
        add("/v1/generations/{generation_id}", self.receipt, methods=["GET"], **documented(GenerationReply))
        add("/v1/generation", self.legacy, methods=["GET"], **documented(LegacyGenerationReply))

    async def receipt(self, actor: UsageActor, generation_id: str) -> Response:
        """The receipt of a request: models, attempts, usage, prices, margin, hold, postings, times."""
        kept = await self._rooms.store.generations.get(actor.workspace_id, generation_id)
        return said(GenerationReply(_entry(kept)))

    async def legacy(self, actor: UsageActor, asked: Annotated[GenerationQuery, Query()]) -> Response:
        """The same request under the field names that other gateways' clients read."""
        kept = await self._rooms.store.generations.get(actor.workspace_id, asked.id)
        return said(LegacyGenerationReply(_legacy(kept, self._provider_name)))

    def _provider_name(self, provider_id: str) -> str:
        found = self._rooms.catalogue().providers.get(ProviderId(provider_id))
        return provider_id if found is None else found.name


def _story(kept: Kept) -> JSONObject | None:
    """The receipt of a request, None once dropped; what recovery wrote of one whose process died is told as it is."""
    raw = kept.generation.receipt
    if len(raw) <= len(b"{}"):
        return None
    try:
        return readable(raw)
    except msgspec.DecodeError:
        found: JSON = msgspec.json.decode(raw)
        return found if isinstance(found, dict) else None


def _entry(kept: Kept) -> GenerationEntry:
    one, end = kept.generation, kept.end
    own = chart.wallet(one.workspace_id)
    return GenerationEntry(
        id=one.id,
        created_at=iso(one.created_at),
        status=one.status,
        http_status=one.http_status,
        error_code=one.error_code or None,
        model_asked=one.model_asked,
        model=one.model,
        provider=one.provider,
        offer=one.offer_id,
        streamed=one.is_streamed,
        finish_reason=one.finish_reason or None,
        usage=Tokens(
            one.input_tokens,
            one.output_tokens,
            one.cached_tokens,
            one.reasoning_tokens,
            one.input_tokens + one.output_tokens,
            one.usage_source or None,
        ),
        charge_usd=usd(end.charge_nano),
        uncovered_usd=usd(end.bad_debt_nano),
        price_list=end.price_list_id,
        margin_bps=end.margin_bps,
        hold=HoldEntry(usd(end.hold_nano), end.outcome, iso(end.opened_at * 1000)),
        postings=[PostingEntry("wallet", usd(line.amount_nano)) for line in kept.postings if line.account == own],
        latency_ms=one.latency_ms,
        ttft_ms=one.ttft_ms or None,
        key_id=one.key_id,
        workspace_id=one.workspace_id,
        user_id=one.user_id or None,
        receipt=_story(kept),
    )


def _legacy(kept: Kept, provider_name: Callable[[str], str]) -> LegacyGeneration:
    one = kept.generation
    cost = number(usd(kept.end.charge_nano))
    story = _story(kept) or {}
    attempts = story.get("attempts")
    return LegacyGeneration(
        id=one.id,
        request_id=one.id,
        model=one.model,
        provider_name=provider_name(one.provider),
        total_cost=cost,
        usage=cost,
        tokens_prompt=one.input_tokens,
        tokens_completion=one.output_tokens,
        native_tokens_prompt=one.input_tokens,
        native_tokens_completion=one.output_tokens,
        native_tokens_reasoning=one.reasoning_tokens,
        native_tokens_cached=one.cached_tokens,
        latency=one.ttft_ms or one.latency_ms,
        generation_time=one.latency_ms,
        finish_reason=one.finish_reason or None,
        native_finish_reason=one.finish_reason or None,
        streamed=one.is_streamed,
        cancelled=one.status == "cancelled",
        created_at=iso(one.created_at),
        workspace_id=one.workspace_id,
        external_user=one.user_id or None,
        provider_responses=[
            _attempt(attempt, provider_name)
            for attempt in (attempts if isinstance(attempts, list) else [])
            if isinstance(attempt, dict)
        ],
    )


def _attempt(attempt: JSONObject, provider_name: Callable[[str], str]) -> ProviderResponse:
    def whole(name: str) -> int:
        value = attempt.get(name)
        return value if isinstance(value, int) else 0

    return ProviderResponse(
        provider_name(str(attempt.get("provider", ""))),
        str(attempt.get("model", "")),
        whole("status"),
        whole("ended_ms") - whole("started_ms"),
    )
