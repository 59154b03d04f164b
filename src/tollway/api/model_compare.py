"""Models beside each other: price, context, quality by kind of task, and how fast they were here."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from tollway.api.model_shapes import (
    Capabilities,
    Modalities,
    Quality,
    capabilities_of,
    entry,
    model_offers,
)
from tollway.catalogue.offers import Model
from tollway.errors import InvalidField
from tollway.routing.standing import Health, OfferHealth
from tollway.routing.standings import StandingTable
from tollway.routing.tiers import CATEGORIES

COMPARED_MAX = 10


class LatencySeen(msgspec.Struct):
    """What this process saw of an offer lately. Times in ms, throughput in output tokens per second; 0: not measured.

    samples: attempts of the last five minutes.
    """

    p50_ms: float
    p95_ms: float
    first_byte_ms: float
    tokens_per_second: float
    samples: int


class ComparedModel(msgspec.Struct):
    """A column of the comparison. provider, pricing: of its cheapest offer that can be called; the margin comes on top.

    latency: of that offer; null where it was not called lately.
    """

    id: str
    name: str
    tier: str | None
    available: bool
    unavailable_reason: str | None
    provider: str | None
    pricing: Mapping[str, str] | None
    context_length: int | None
    max_output_tokens: int | None
    modalities: Modalities
    capabilities: Capabilities
    quality: Quality | None
    latency: LatencySeen | None = None


class ModelComparison(msgspec.Struct):
    """Models in the order asked for. best: what is compared -> ids of those that are best at it; nothing known: none."""

    data: list[ComparedModel]
    best: Mapping[str, list[str]]
    margin_bps: int
    object: str = "comparison"


def names_of(ids: str) -> list[str]:
    """The names in a list with commas, each once.

    Raises:
        InvalidField: none, or more than ten.
    """
    names = list(dict.fromkeys(name.strip() for name in ids.split(",") if name.strip()))
    if not 1 <= len(names) <= COMPARED_MAX:
        text = f"`ids` has {len(names)} names; send 1 to {COMPARED_MAX}, with commas between them"
        raise InvalidField(text, param="ids")
    return names


def comparison(
    models: Sequence[Model], standings: StandingTable, health: Health, now: float, margin_bps: int
) -> ModelComparison:
    """Models beside each other at `now` (unix seconds), each once."""
    unique = {model.id: model for model in models}.values()
    columns = [_column(model, standings, health, now) for model in unique]
    return ModelComparison(columns, _best(columns), margin_bps)


def _column(model: Model, standings: StandingTable, health: Health, now: float) -> ComparedModel:
    told = entry(model, model_offers(model, int(now)), int(now), standings.known(model.id))
    return ComparedModel(
        id=told.id,
        name=told.name,
        tier=told.tier,
        available=told.available,
        unavailable_reason=told.unavailable_reason,
        provider=told.offers[0].provider if told.offers else None,
        pricing=told.pricing,
        context_length=told.context_length,
        max_output_tokens=told.max_output_tokens,
        modalities=told.modalities,
        capabilities=capabilities_of(model),
        quality=told.quality,
        latency=_seen(health.of(told.offers[0].id, now)) if told.offers else None,
    )


def _seen(health: OfferHealth) -> LatencySeen | None:
    if not health.p50_ms:
        return None
    return LatencySeen(
        p50_ms=health.p50_ms,
        p95_ms=health.p95_ms,
        first_byte_ms=health.ttft_ms,
        tokens_per_second=health.tokens_per_s,
        samples=health.samples,
    )


def _best(columns: Sequence[ComparedModel]) -> dict[str, list[str]]:
    def quality(category: str) -> Callable[[ComparedModel], float | None]:
        return lambda one: None if one.quality is None else one.quality.by_category.get(category)

    return {
        "prompt": _least(columns, "prompt"),
        "completion": _least(columns, "completion"),
        "context_length": _most(columns, lambda one: one.context_length),
        "tool_calling": _most(columns, lambda one: None if one.quality is None else one.quality.tool_calling),
        **{category: _most(columns, quality(category)) for category in CATEGORIES},
    }


def _most(columns: Sequence[ComparedModel], figure: Callable[[ComparedModel], float | None]) -> list[str]:
    known = [(value, one.id) for one in columns if (value := figure(one)) is not None]
    top = max((value for value, _ in known), default=None)
    return [name for value, name in known if value == top]


def _least(columns: Sequence[ComparedModel], price: str) -> list[str]:
    known = [(Decimal(one.pricing[price]), one.id) for one in columns if one.pricing and price in one.pricing]
    least = min((value for value, _ in known), default=None)
    return [name for value, name in known if value == least]
