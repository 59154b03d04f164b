"""`GET /v1/models`, one of them, its offers, and several beside each other: what can be asked for, its list prices, its quality.

Two thousand models are encoded once per catalogue and price change, not once per call; a call only joins bytes.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import Asked, documented, encoded, needs, said
from tollway.api.model_compare import ModelComparison, comparison, names_of
from tollway.api.model_shapes import ModelEntry, ModelList, OfferList, entry, model_offers, obstacle, offer_entry
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Catalogue, Model
from tollway.errors import ModelNotFound, NotFound
from tollway.gateway.admit import Caller
from tollway.jsontypes import JSON
from tollway.routing.nearest import nearest
from tollway.routing.standings import Known, StandingTable
from tollway.routing.tiers import Tier
from tollway.workspaces.key import Key

_DAY_S = 86_400
ModelsCaller = Annotated[Caller, needs("models")]


REPLIES: tuple[type[msgspec.Struct], ...] = (ModelList, ModelEntry, OfferList, ModelComparison)


class ModelsQuery(Asked):
    """Filters of the list."""

    all: Annotated[bool, Field(description="Models that cannot be called now too, with the reason.")] = False
    q: Annotated[str | None, Field(description="Text in the id, name or an alias.", max_length=200)] = None
    provider: Annotated[str | None, Field(description="Has an offer of this provider.", max_length=200)] = None
    tier: Annotated[Tier | None, Field(description="Is of this tier.")] = None


_EVERYTHING = ModelsQuery()


class CompareQuery(Asked):
    """Which models."""

    ids: Annotated[
        str, Field(description="Ids or aliases, at most ten, with commas between them.", min_length=1, max_length=2_000)
    ]


class _Row:
    """A model on the shelf: its entry with the offers that can be called, and with all, encoded when first wanted."""

    __slots__ = ("_all", "_known", "_now", "callable", "is_callable", "model", "words")

    def __init__(self, model: Model, now: int, known: Known | None) -> None:
        self.model = model
        self._now, self._known = now, known
        self._all: bytes | None = None
        offers = model_offers(model, now) if "text" in model.output_modalities else []
        usable = [offer for offer in offers if obstacle(offer, now) is None]
        self.is_callable = bool(usable)
        self.callable = msgspec.json.encode(entry(model, usable, now, known)) if usable else b""
        self.words = "\n".join((model.id, model.name, *model.aliases)).lower()

    @property
    def whole(self) -> bytes:
        if self._all is None:
            offers = model_offers(self.model, self._now)
            self._all = msgspec.json.encode(entry(self.model, offers, self._now, self._known))
        return self._all

    def suits(self, asked: ModelsQuery, key: Key) -> bool:
        """This model belongs on the caller's list."""
        if not (asked.all or self.is_callable):
            return False
        if asked.q is not None and asked.q.lower() not in self.words:
            return False
        if asked.provider is not None and not self._is_at(asked.provider, any_offer=asked.all):
            return False
        if asked.tier is not None and (self._known is None or self._known.standing.tier != asked.tier):
            return False
        return may_use(key, self.model)

    def _is_at(self, provider: str, *, any_offer: bool) -> bool:
        return any(
            offer.provider.id == provider and (any_offer or obstacle(offer, self._now) is None)
            for offer in self.model.offers
        )


class _Shelf:
    """A catalogue as encoded rows, good until its next price change."""

    def __init__(self, catalogue: Catalogue, standings: StandingTable, now: int) -> None:
        self.catalogue = catalogue
        self.until = next_change(catalogue, now)
        ids = sorted(catalogue.models)
        self.rows = [_Row(catalogue.models[model_id], now, standings.known(model_id)) for model_id in ids]
        self.callable = _joined(row.callable for row in self.rows if row.is_callable)

    def list(self, asked: ModelsQuery, key: Key) -> bytes:
        """The rows that suit, joined."""
        if asked == _EVERYTHING and key.allowed_models is None:
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
        # Before the paths that would take it for a model's id.
        add("/v1/models/compare", self.compare, methods=["GET"], **documented(ModelComparison))
        add("/v1/models/{model_id:path}/offers", self.list_offers, methods=["GET"], **documented(OfferList))
        add("/v1/models/{model_id:path}", self.retrieve, methods=["GET"], **documented(ModelEntry))

    def stock(self) -> _Shelf:
        """The shelf of the catalogue as it is now."""
        catalogue, now = self._rooms.catalogue(), int(self._rooms.clock.now())
        shelf = self._shelf
        if shelf is None or shelf.catalogue is not catalogue or now >= shelf.until:
            shelf = self._shelf = _Shelf(catalogue, self._rooms.standings, now)
        return shelf

    async def list_models(self, caller: ModelsCaller, asked: Annotated[ModelsQuery, Query()]) -> Response:
        """List the models that this key can call now, with their prices; `all=true` lists the whole catalogue."""
        rows = self.stock().list(asked, caller.key)
        return encoded(b'{"object":"list","data":[%b],"margin_bps":%d}' % (rows, caller.margin_bps))

    async def retrieve(self, caller: ModelsCaller, model_id: str) -> Response:
        """One model by its id or an alias, with every offer of it."""
        model, now = self._find(caller.key, model_id)
        return said(entry(model, model_offers(model, now), now, self._rooms.standings.known(model.id)))

    async def list_offers(self, caller: ModelsCaller, model_id: str) -> Response:
        """Every offer of a model: who serves it, at which price, and whether it can be called now."""
        model, now = self._find(caller.key, model_id)
        offers = [offer_entry(offer, now) for offer in model_offers(model, now)]
        return said(OfferList(offers, caller.margin_bps))

    async def compare(self, caller: ModelsCaller, asked: Annotated[CompareQuery, Query()]) -> Response:
        """Several models beside each other: price, context, quality by kind of task, and latency seen here."""
        rooms = self._rooms
        found = [self._find(caller.key, name, "ids")[0] for name in names_of(asked.ids)]
        return said(comparison(found, rooms.standings, rooms.health, rooms.clock.now(), caller.margin_bps))

    def _find(self, key: Key, name: str, param: str = "model") -> tuple[Model, int]:
        catalogue = self._rooms.catalogue()
        model = catalogue.find(name)
        if model is None or not may_use(key, model):
            told = unknown_model(catalogue, name, param, lambda near: may_use(key, catalogue.names[near]))
            raise NotFound(told.message, param=param, **told.details)
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
