"""A model and its offers as the API tells them."""

from collections.abc import Mapping

import msgspec

from tollway.catalogue.offers import Model, Offer
from tollway.catalogue.show import pricing_object, tier_objects
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.jsontypes import JSON
from tollway.routing.rating import mean
from tollway.routing.standings import Known

_PARAMETERS = {
    "tools": ("tools", "tool_choice"),
    "json_schema": ("response_format",),
    "reasoning": ("reasoning_effort",),
    "logprobs": ("logprobs", "top_logprobs"),
}


class OfferEntry(msgspec.Struct):
    """A model at a provider. Prices are the provider's list prices, exact decimal USD per token or per call.

    pricing_tiers: what changes for the whole request once its input has more than `min_prompt_tokens` tokens.
    """

    id: str
    provider: str
    provider_name: str
    region: str | None
    context_length: int | None
    max_output_tokens: int | None
    pricing: Mapping[str, str] | None
    pricing_tiers: list[dict[str, JSON]]
    price_list: str | None
    available: bool
    unavailable_reason: str | None


class Modalities(msgspec.Struct):
    """What goes in and what comes out: `text`, `image`, `audio`, `file`, `video`."""

    input: tuple[str, ...]
    output: tuple[str, ...]


class Capabilities(msgspec.Struct):
    """What a model can do; null where nothing is known."""

    vision: bool | None
    function_calling: bool | None
    structured_output: bool | None
    reasoning: bool | None
    logprobs: bool | None


class Quality(msgspec.Struct):
    """How good a model is held to be, each in [0, 1], and on what grounds.

    mean: over all categories. tool_calling: null where nothing is known. estimated: no figure was read of this model.
    source: pages, or a sentence. checked: when the last of the pages was read; null where none was.
    """

    mean: float
    by_category: Mapping[str, float]
    tool_calling: float | None
    estimated: bool
    source: str
    checked: str | None


class ModelEntry(msgspec.Struct):
    """A model, in the OpenAI shape and beyond it. `pricing` is that of its cheapest offer; the margin comes on top.

    tier: the hardest kind of task that it is good enough for. tier, quality: null where nothing is known, and `auto` does
    not choose it.
    """

    id: str
    created: int
    owned_by: str
    name: str
    description: str
    context_length: int | None
    max_output_tokens: int | None
    modalities: Modalities
    capabilities: Capabilities
    supported_parameters: tuple[str, ...] | None
    tier: str | None
    quality: Quality | None
    pricing: Mapping[str, str] | None
    offers: list[OfferEntry]
    available: bool
    unavailable_reason: str | None
    object: str = "model"


class ModelList(msgspec.Struct):
    """Models, by id. margin_bps: what comes on top of every price, in basis points."""

    data: list[ModelEntry]
    margin_bps: int
    object: str = "list"


class OfferList(msgspec.Struct):
    """The offers of a model: those that can be called first, cheapest first."""

    data: list[OfferEntry]
    margin_bps: int
    object: str = "list"


def obstacle(offer: Offer, now: int) -> str | None:
    """Why an offer cannot be called at `now` (unix seconds); None: it can."""
    if not offer.provider.is_usable:
        return f"the operator has no key for {offer.provider.name}"
    if offer.price_list(now) is None:
        return "it has no price"
    return None


def model_offers(model: Model, now: int) -> list[Offer]:
    """Every offer: those that can be called first, cheapest first, those without a price last."""

    def rank(offer: Offer) -> tuple[bool, bool, int, str]:
        prices = offer.price_list(now)
        if prices is None:
            return True, True, 0, offer.id
        level = prices.at(0)
        return obstacle(offer, now) is not None, False, level.get(INPUT, 0) + level.get(OUTPUT, 0), offer.id

    return sorted(model.offers, key=rank)


def offer_entry(offer: Offer, now: int) -> OfferEntry:
    """An offer as it is told."""
    prices, reason = offer.price_list(now), obstacle(offer, now)
    return OfferEntry(
        id=offer.id,
        provider=offer.provider.id,
        provider_name=offer.provider.name,
        region=offer.region or None,
        context_length=offer.context_tokens or None,
        max_output_tokens=offer.max_output_tokens or None,
        pricing=None if prices is None else pricing_object(prices),
        pricing_tiers=[] if prices is None else tier_objects(prices),
        price_list=None if prices is None else prices.id,
        available=reason is None,
        unavailable_reason=reason,
    )


def entry(model: Model, offers: list[Offer], now: int, known: Known | None = None) -> ModelEntry:
    """A model with some of its offers, in the order given."""
    told = [offer_entry(offer, now) for offer in offers]
    best = told[0] if told else None
    reason = "it has no offer" if best is None else best.unavailable_reason
    if "text" not in model.output_modalities:
        reason = f"no endpoint here serves a model that writes {', '.join(model.output_modalities) or 'nothing'}"
    return ModelEntry(
        id=model.id,
        created=model.created,
        owned_by=model.owned_by,
        name=model.name,
        description=model.description,
        context_length=model.context_tokens or (best.context_length if best else None),
        max_output_tokens=model.max_output_tokens or (best.max_output_tokens if best else None),
        modalities=Modalities(model.input_modalities, model.output_modalities),
        capabilities=capabilities_of(model),
        supported_parameters=_parameters(model.capabilities),
        tier=None if known is None else known.standing.tier,
        quality=None if known is None else quality_of(known),
        pricing=best.pricing if best else None,
        offers=told,
        available=reason is None,
        unavailable_reason=reason,
    )


def capabilities_of(model: Model) -> Capabilities:
    """What a model can do, as far as is known."""
    known = model.capabilities
    return Capabilities(
        vision="image" in model.input_modalities or "vision" in known or (False if known else None),
        function_calling="tools" in known if known else None,
        structured_output="json_schema" in known if known else None,
        reasoning="reasoning" in known if known else None,
        logprobs="logprobs" in known if known else None,
    )


def quality_of(known: Known) -> Quality:
    """A standing as it is told."""
    standing = known.standing
    return Quality(
        mean=round(mean(standing.quality), 3),
        by_category={**standing.quality},
        tool_calling=standing.tool_calling,
        estimated=known.is_estimate,
        source=standing.source,
        checked=standing.checked or None,
    )


def _parameters(capabilities: tuple[str, ...]) -> tuple[str, ...] | None:
    """The parameters that capabilities speak of; None where nothing is known."""
    if not capabilities:
        return None
    return tuple(name for known, names in _PARAMETERS.items() if known in capabilities for name in names)
