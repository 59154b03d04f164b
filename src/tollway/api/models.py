"""`GET /v1/models`, `/v1/models/{id}` and `/v1/models/{id}/offers`: what can be asked for, and its list prices.

Two thousand models are encoded once per catalogue and price change, not once per call; a call only joins bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import Asked, documented, encoded, needs, said
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.show import pricing_object, tier_objects
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import ModelNotFound, NotFound
from tollway.gateway.admit import Caller
from tollway.jsontypes import JSON
from tollway.routing.nearest import nearest
from tollway.workspaces.key import Key

_DAY_S = 86_400
_PARAMETERS = {
    "tools": ("tools", "tool_choice"),
    "json_schema": ("response_format",),
    "reasoning": ("reasoning_effort",),
    "logprobs": ("logprobs", "top_logprobs"),
}
ModelsCaller = Annotated[Caller, needs("models")]


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


class ModelEntry(msgspec.Struct):
    """A model, in the OpenAI shape and beyond it. `pricing` is that of its cheapest offer; the margin comes on top."""

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


REPLIES: tuple[type[msgspec.Struct], ...] = (ModelList, ModelEntry, OfferList)


class ModelsQuery(Asked):
    """Filters of the list."""

    all: Annotated[bool, Field(description="Models that cannot be called now too, with the reason.")] = False
    q: Annotated[str | None, Field(description="Text in the id, name or an alias.", max_length=200)] = None
    provider: Annotated[str | None, Field(description="Has an offer of this provider.", max_length=200)] = None


class _Row:
    """A model on the shelf: its entry with the offers that can be called, and with all, encoded when first wanted."""

    __slots__ = ("_all", "_now", "callable", "is_callable", "model", "words")

    def __init__(self, model: Model, now: int) -> None:
        self.model = model
        self._now = now
        self._all: bytes | None = None
        offers = model_offers(model, now) if "text" in model.output_modalities else []
        usable = [offer for offer in offers if obstacle(offer, now) is None]
        self.is_callable = bool(usable)
        self.callable = msgspec.json.encode(entry(model, usable, now)) if usable else b""
        self.words = "\n".join((model.id, model.name, *model.aliases)).lower()

    @property
    def whole(self) -> bytes:
        if self._all is None:
            self._all = msgspec.json.encode(entry(self.model, model_offers(self.model, self._now), self._now))
        return self._all

    def suits(self, asked: ModelsQuery, key: Key) -> bool:
        """This model belongs on the caller's list."""
        if not (asked.all or self.is_callable):
            return False
        if asked.q is not None and asked.q.lower() not in self.words:
            return False
        if asked.provider is not None and not self._is_at(asked.provider, any_offer=asked.all):
            return False
        return may_use(key, self.model)

    def _is_at(self, provider: str, *, any_offer: bool) -> bool:
        return any(
            offer.provider.id == provider and (any_offer or obstacle(offer, self._now) is None)
            for offer in self.model.offers
        )


class _Shelf:
    """A catalogue as encoded rows, good until its next price change."""

    def __init__(self, catalogue: Catalogue, now: int) -> None:
        self.catalogue = catalogue
        self.until = next_change(catalogue, now)
        self.rows = [_Row(catalogue.models[model_id], now) for model_id in sorted(catalogue.models)]
        self.callable = _joined(row.callable for row in self.rows if row.is_callable)

    def list(self, asked: ModelsQuery, key: Key) -> bytes:
        """The rows that suit, joined."""
        if not asked.all and asked.q is None and asked.provider is None and key.allowed_models is None:
            return self.callable
        return _joined(row.whole if asked.all else row.callable for row in self.rows if row.suits(asked, key))


class Models:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._shelf: _Shelf | None = None

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["models"])
        add("/v1/models", self.list_models, methods=["GET"], **documented(ModelList))
        add("/v1/models/{model_id:path}/offers", self.list_offers, methods=["GET"], **documented(OfferList))
        add("/v1/models/{model_id:path}", self.retrieve, methods=["GET"], **documented(ModelEntry))

    def stock(self) -> _Shelf:
        """The shelf of the catalogue as it is now."""
        catalogue, now = self._rooms.catalogue(), int(self._rooms.clock.now())
        shelf = self._shelf
        if shelf is None or shelf.catalogue is not catalogue or now >= shelf.until:
            shelf = self._shelf = _Shelf(catalogue, now)
        return shelf

    async def list_models(self, caller: ModelsCaller, asked: Annotated[ModelsQuery, Query()]) -> Response:
        """List the models that this key can call now, with their prices; `all=true` lists the whole catalogue."""
        rows = self.stock().list(asked, caller.key)
        return encoded(b'{"object":"list","data":[%b],"margin_bps":%d}' % (rows, caller.margin_bps))

    async def retrieve(self, caller: ModelsCaller, model_id: str) -> Response:
        """One model by its id or an alias, with every offer of it."""
        model, now = self._find(caller.key, model_id)
        return said(entry(model, model_offers(model, now), now))

    async def list_offers(self, caller: ModelsCaller, model_id: str) -> Response:
        """Every offer of a model: who serves it, at which price, and whether it can be called now."""
        model, now = self._find(caller.key, model_id)
        offers = [offer_entry(offer, now) for offer in model_offers(model, now)]
        return said(OfferList(offers, caller.margin_bps))

    def _find(self, key: Key, name: str) -> tuple[Model, int]:
        catalogue = self._rooms.catalogue()
        model = catalogue.find(name)
        if model is None or not may_use(key, model):
            told = unknown_model(catalogue, name, "model", lambda near: may_use(key, catalogue.names[near]))
            raise NotFound(told.message, param="model", **told.details)
        return model, int(self._rooms.clock.now())


def unknown_model(
    catalogue: Catalogue, name: str, param: str, shown: Callable[[str], bool] = lambda _: True
) -> ModelNotFound:
    """The error about a name that no model has, with the nearest names among those that may be shown."""
    names = list[JSON](near for near in nearest(catalogue, name) if shown(near))
    hint = f"; did you mean {', '.join(f'`{near}`' for near in names)}?" if names else ""
    return ModelNotFound(f"there is no model `{name[:200]}`{hint}", param=param, nearest=names)


def may_use(key: Key, model: Model) -> bool:
    """The key's allow-list names the model, by its id or an alias; or there is none."""
    allowed = key.allowed_models
    return allowed is None or model.id in allowed or not allowed.isdisjoint(model.aliases)


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


def entry(model: Model, offers: list[Offer], now: int) -> ModelEntry:
    """A model with some of its offers, in the order given."""
    told = [offer_entry(offer, now) for offer in offers]
    best = told[0] if told else None
    known = model.capabilities
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
        capabilities=Capabilities(
            vision="image" in model.input_modalities or "vision" in known or (False if known else None),
            function_calling="tools" in known if known else None,
            structured_output="json_schema" in known if known else None,
            reasoning="reasoning" in known if known else None,
            logprobs="logprobs" in known if known else None,
        ),
        supported_parameters=_parameters(known),
        tier=None,
        pricing=best.pricing if best else None,
        offers=told,
        available=reason is None,
        unavailable_reason=reason,
    )


def _parameters(capabilities: tuple[str, ...]) -> tuple[str, ...] | None:
    """The parameters that capabilities speak of; None where nothing is known."""
    if not capabilities:
        return None
    return tuple(name for known, names in _PARAMETERS.items() if known in capabilities for name in names)


def next_change(catalogue: Catalogue, now: int) -> int:
    """The next instant (unix seconds) at which another price list comes into force, at most a day ahead."""
    until, day, second = now + _DAY_S, now - now % _DAY_S, now % _DAY_S
    for model in catalogue.models.values():
        for offer in model.offers:
            for prices in offer.prices:
                if now < prices.effective_from < until:
                    until = prices.effective_from
                for edge in prices.window_utc or ():
                    at = day + edge if edge > second else day + edge + _DAY_S
                    until = min(until, at)
    return until


def _joined(rows: Iterable[bytes]) -> bytes:
    return b",".join(rows)
