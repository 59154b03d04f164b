"""The receipt: the whole story of one request, without prompts, so that its charge adds up by hand.

Kept with the generation as a `Story`, integers only, because it is written on every request; `readable` turns it into the
`Receipt` that people and clients see, with exact decimal USD. The postings come from the ledger, which alone knows them.
"""

from collections.abc import Mapping

import msgspec

from tollway.gateway.chosen import chosen
from tollway.gateway.passage import Attempt, Passage
from tollway.jsontypes import JSONObject
from tollway.money.amount import format_pico, format_usd

RULE = "half_even(sum(count * price) * (1 + margin)), once per request, to nano-USD"


class Story(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is kept. lines: (unit, count, pico-USD per unit). Money in nano-USD, stages in microseconds."""

    model_asked: str
    model: str
    offer: str
    provider: str
    price_list: str
    margin_bps: int
    hold_nano: int
    attempts: list[Attempt]
    stages_us: Mapping[str, int]
    streamed: bool = False
    finish_reason: str = ""
    interruption: str | None = None
    excluded: list[tuple[str, str]] = []
    usage_source: str = ""
    input_bound_tokens: int = 0
    input_bound_source: str = ""
    output_bound_tokens: int = 0
    price_source: str = ""
    lines: tuple[tuple[str, int, int], ...] = ()
    charge_nano: int = 0
    tokens_reserved: int = 0
    ttft_ms: int | None = None
    metadata: Mapping[str, str] = {}
    warnings: list[str] = []
    error: dict[str, str | int] | None = None
    routing: JSONObject | None = None


class Line(msgspec.Struct):
    """One usage bucket: count x price = amount. Prices and amounts are exact decimal USD."""

    unit: str
    count: int
    price_usd: str
    amount_usd: str


class Attempted(msgspec.Struct):
    """One attempt at a provider; times in ms since the request began."""

    provider: str
    model: str
    status: int
    reason: str
    started_ms: int
    ended_ms: int


class Receipt(msgspec.Struct):
    """See `GET /v1/generations/{id}` in the API reference. Money is exact decimal USD as text, times are ms."""

    model_asked: str
    model: str
    offer: str
    provider: str
    streamed: bool
    finish_reason: str
    interruption: str | None
    attempts: list[Attempted]
    excluded: list[dict[str, str]]
    usage_source: str
    input_bound_tokens: int
    input_bound_source: str
    output_bound_tokens: int
    price_list: str
    price_source: str
    lines: list[Line]
    sum_usd: str
    margin_bps: int
    charge_usd: str
    rule: str
    hold_usd: str
    released_usd: str
    tokens_reserved: int
    stages_ms: dict[str, float]
    ttft_ms: int | None
    metadata: Mapping[str, str]
    warnings: list[str]
    error: dict[str, str | int] | None
    routing: JSONObject | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Story).decode


def story(passage: Passage, stages: Mapping[str, int], error: dict[str, str | int] | None = None) -> bytes:
    """The story of a passage that has ended, to be kept; its `charge` is None when nothing is charged.

    stages: microseconds of each.
    """
    charge, usage, prices = passage.charge, passage.usage, passage.candidate.prices
    offer, bound, output = passage.candidate.offer, passage.input, passage.output
    warnings = passage.warnings
    if usage is not None and usage.warnings:
        warnings = [*warnings, *usage.warnings]
    return _encode(
        Story(
            passage.chat.asked or passage.chat.model,
            offer.model,
            offer.id,
            offer.provider.id,
            prices.id,
            passage.caller.margin_bps,
            passage.held_nano,
            passage.attempts,
            stages,
            streamed=passage.chat.stream,
            finish_reason=passage.finish_reason,
            interruption=passage.interruption,
            excluded=_excluded(passage) if passage.route.exclusions else _NOTHING,
            usage_source="" if usage is None else usage.source,
            input_bound_tokens=0 if bound is None else bound.tokens,
            input_bound_source="" if bound is None else bound.source,
            output_bound_tokens=0 if output is None else output.hold_tokens,
            price_source=prices.source,
            lines=() if charge is None else charge.lines,
            charge_nano=0 if charge is None else charge.charge,
            tokens_reserved=passage.tokens_reserved,
            ttft_ms=int(passage.ttft_s * 1000) if passage.ttft_s else None,
            metadata=passage.chat.metadata,
            warnings=warnings,
            error=error,
            routing=None if passage.decision is None else chosen(passage.decision, passage),
        )
    )


_NOTHING: list[tuple[str, str]] = []


def _excluded(passage: Passage) -> list[tuple[str, str]]:
    return [(left.offer_id or left.name, left.reason) for left in passage.route.exclusions]


def readable(kept: bytes) -> JSONObject:
    """The receipt that a kept story tells, as JSON; see `Receipt` for its members. Raises msgspec.DecodeError."""
    told = _decode(kept)
    return msgspec.to_builtins(
        Receipt(
            model_asked=told.model_asked,
            model=told.model,
            offer=told.offer,
            provider=told.provider,
            streamed=told.streamed,
            finish_reason=told.finish_reason,
            interruption=told.interruption,
            attempts=[
                Attempted(one.provider, one.model, one.status, one.reason, one.started_ms, one.ended_ms)
                for one in told.attempts
            ],
            excluded=[{"offer": name, "reason": reason} for name, reason in told.excluded],
            usage_source=told.usage_source,
            input_bound_tokens=told.input_bound_tokens,
            input_bound_source=told.input_bound_source,
            output_bound_tokens=told.output_bound_tokens,
            price_list=told.price_list,
            price_source=told.price_source,
            lines=[
                Line(unit, count, format_pico(price), format_pico(count * price)) for unit, count, price in told.lines
            ],
            sum_usd=format_pico(sum(count * price for _, count, price in told.lines)),
            margin_bps=told.margin_bps,
            charge_usd=format_usd(told.charge_nano),
            rule=RULE,
            hold_usd=format_usd(told.hold_nano),
            released_usd=format_usd(max(told.hold_nano - told.charge_nano, 0)),
            tokens_reserved=told.tokens_reserved,
            stages_ms={name: micros / 1000 for name, micros in told.stages_us.items()},
            ttft_ms=told.ttft_ms,
            metadata=told.metadata,
            warnings=told.warnings,
            error=told.error,
            routing=told.routing,
        )
    )
