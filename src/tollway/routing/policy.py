"""Stop 3, route: the names that a request asks for become ordered candidates, and what is left out gets its reason.

Direct mode: `model`, then `models` in order. Within a model the offers of usable providers that have a price in force,
cheapest first, unless the `provider` object says otherwise: `order` goes first, then the others; `only` and `ignore`
leave offers out; without `allow_fallbacks` there is only the first choice, or only those in `order`.
Pure and fast: one offer, no preferences - the usual case - is decided without building a list.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import InvalidField, ModelNotAllowed, ModelNotFound, ModelNotPriced, TollwayError
from tollway.jsontypes import JSON
from tollway.request import ChatRequest, ProviderPreferences
from tollway.routing.nearest import nearest


class AllowList(Protocol):
    """What a key or a plan says about models."""

    @property
    def allowed_models(self) -> frozenset[str] | None:
        """Ids or aliases; None allows all."""
        ...


class _NoPlan:
    """No plan restricts anything."""

    allowed_models: frozenset[str] | None = None


_NO_PLAN = _NoPlan()


class Obstacle(StrEnum):
    """Why an offer or a name is out."""

    UNKNOWN = "unknown"
    NOT_ALLOWED = "not_allowed"
    UNPRICED = "unpriced"
    NO_CREDENTIAL = "no_credential"
    PREFERENCES = "preferences"
    NO_TEXT = "no_text"
    """It writes no text: an embedding, image, speech or realtime model cannot answer a chat."""
    NO_STANDING = "no_standing"
    """Nothing is known of its worth, so it is not chosen unasked."""
    REGION = "region"
    TIER = "tier"
    CAPABILITY = "capability"
    TOOL_CALLING = "tool_calling"
    CONTEXT = "context"
    COST = "cost"
    UNHEALTHY = "unhealthy"


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An offer that may answer, with the price list in force when it was chosen (pinned, money.md R11)."""

    offer: Offer
    prices: PriceList


class Exclusion(msgspec.Struct, frozen=True, gc=False):
    """What may not answer, and why, in words for the caller.

    name: as asked. offer_id: "" when the whole model is out.
    """

    name: str
    offer_id: str
    obstacle: Obstacle
    reason: str


class Route(msgspec.Struct, frozen=True, gc=False):
    """The decision: at least one candidate, best first; and what was left out."""

    candidates: tuple[Candidate, ...]
    exclusions: tuple[Exclusion, ...] = ()


def route(chat: ChatRequest, key: AllowList, catalogue: Catalogue, now: int, plan: AllowList = _NO_PLAN) -> Route:
    """The offers that may answer a request, in the order to try them.

    Args:
        chat: the request.
        key, plan: whose allow-lists apply, both.
        catalogue: what there is.
        now: unix seconds; which prices are in force.

    Raises:
        ModelNotFound: no such model, or no provider of it can be reached; with the nearest names.
        ModelNotAllowed: the allow-list of the key, or of its plan, has none of them.
        ModelNotPriced: no price in force (R6c).
        InvalidField: the `provider` preferences leave no offer.
    """
    if not chat.models and chat.provider is None and key.allowed_models is None and plan.allowed_models is None:
        model = catalogue.names.get(chat.model)
        if model is not None and len(model.offers) == 1:
            offer = model.offers[0]
            prices = offer.price_list(now)
            if prices is not None and offer.provider.is_usable and "text" in model.output_modalities:
                return Route((Candidate(offer, prices),))
    candidates = list[Candidate]()
    exclusions = list[Exclusion]()
    seen = set[str]()
    for name in (chat.model, *chat.models):
        model = catalogue.find(name)
        if model is None:
            exclusions.append(Exclusion(name, "", Obstacle.UNKNOWN, f"there is no model `{name}`"))
        elif "text" not in model.output_modalities:
            kinds = ", ".join(model.output_modalities) or "no text"
            reason = f"`{name}` cannot answer a chat: it gives {kinds}"
            exclusions.append(Exclusion(name, "", Obstacle.NO_TEXT, reason))
        elif model.id not in seen:
            seen.add(model.id)
            if not _is_allowed(model, name, key):
                exclusions.append(Exclusion(name, "", Obstacle.NOT_ALLOWED, f"this key may not use `{name}`"))
            elif not _is_allowed(model, name, plan):
                exclusions.append(Exclusion(name, "", Obstacle.NOT_ALLOWED, f"your plan does not include `{name}`"))
            else:
                candidates += _offers(model, name, chat.provider, now, exclusions)
    if not candidates:
        raise _nothing(chat, key, plan, catalogue, exclusions)
    return Route(tuple(candidates), tuple(exclusions))


def _is_allowed(model: Model, name: str, key: AllowList) -> bool:
    allowed = key.allowed_models
    return allowed is None or model.id in allowed or name in allowed or not allowed.isdisjoint(model.aliases)


def _offers(
    model: Model, name: str, wanted: ProviderPreferences | None, now: int, exclusions: list[Exclusion]
) -> list[Candidate]:
    """The candidates of one model in order; adds what is out to `exclusions`."""
    found = list[Candidate]()
    for offer in model.offers:
        obstacle = None if wanted is None else _against(offer, wanted)
        if obstacle is not None:
            exclusions.append(Exclusion(name, offer.id, Obstacle.PREFERENCES, obstacle))
            continue
        if not offer.provider.is_usable:
            reason = f"the operator has no key for {offer.provider.name}"
            exclusions.append(Exclusion(name, offer.id, Obstacle.NO_CREDENTIAL, reason))
            continue
        prices = offer.price_list(now)
        if prices is None:
            reason = f"`{name}` has no price at {offer.provider.name}"
            exclusions.append(Exclusion(name, offer.id, Obstacle.UNPRICED, reason))
            continue
        found.append(Candidate(offer, prices))
    if len(found) > 1:
        found.sort(key=price_of)
        if wanted is not None and wanted.order:
            ranks = _ranks(wanted.order)
            found.sort(key=lambda one: ranks.get(one.offer.provider.id.lower(), len(ranks)))
        if wanted is not None and not wanted.allow_fallbacks and not wanted.order:
            for spare in found[1:]:
                reason = "`provider.allow_fallbacks` is false, and this is not the first choice"
                exclusions.append(Exclusion(name, spare.offer.id, Obstacle.PREFERENCES, reason))
            del found[1:]
    return found


def _against(offer: Offer, wanted: ProviderPreferences) -> str | None:
    """What in the preferences speaks against an offer, None if nothing."""
    provider = offer.provider.id.lower()
    if wanted.ignore and provider in _ranks(wanted.ignore):
        return f"{offer.provider.name} is in `provider.ignore`"
    if wanted.only and provider not in _ranks(wanted.only):
        return f"{offer.provider.name} is not in `provider.only`"
    if wanted.order and not wanted.allow_fallbacks and provider not in _ranks(wanted.order):
        return f"{offer.provider.name} is not in `provider.order`, and `provider.allow_fallbacks` is false"
    return None


def _ranks(providers: Iterable[str]) -> dict[str, int]:
    return {provider.lower(): rank for rank, provider in enumerate(providers)}


def price_of(candidate: Candidate) -> int:
    """Pico-USD of one input and one output token: what offers of the same model are compared by."""
    level = candidate.prices.resolved[-1][1]
    return level.get(INPUT, 0) + level.get(OUTPUT, 0)


_GRAVEST_FIRST = (
    Obstacle.UNKNOWN,
    Obstacle.NO_TEXT,
    Obstacle.NOT_ALLOWED,
    Obstacle.UNPRICED,
    Obstacle.PREFERENCES,
    Obstacle.NO_CREDENTIAL,
)


def _nothing(
    chat: ChatRequest, key: AllowList, plan: AllowList, catalogue: Catalogue, exclusions: list[Exclusion]
) -> TollwayError:
    """The error for a request that nothing may answer: about the name that was asked first."""
    if not exclusions:
        return ModelNotFound(f"`{chat.model}` has no offer", param="model")
    name = exclusions[0].name
    reasons = [one for one in exclusions if one.name == name]
    obstacles = {one.obstacle for one in reasons}
    obstacle = next(one for one in _GRAVEST_FIRST if one in obstacles)
    text = "; ".join(dict.fromkeys(one.reason for one in reasons))
    excluded = _told(exclusions)
    param = "model" if name == chat.model else "models"
    match obstacle:
        case Obstacle.UNKNOWN:
            names = nearest(catalogue, name)
            hint = f"; did you mean {_listed(names)}?" if names else "; `GET /v1/models` lists them"
            return ModelNotFound(text + hint, param=param, nearest=[*names], excluded=excluded)
        case Obstacle.NO_TEXT:
            return InvalidField(f"{text}; choose a model that writes text", param=param, excluded=excluded)
        case Obstacle.NOT_ALLOWED:
            may = _listed(sorted(key.allowed_models or plan.allowed_models or ())[:10])
            return ModelNotAllowed(f"{text}; it may use {may}" if may else text, param=param, excluded=excluded)
        case Obstacle.UNPRICED:
            return ModelNotPriced(
                f"{text}; choose another, or ask the operator to price it", param=param, excluded=excluded
            )
        case Obstacle.PREFERENCES:
            return InvalidField(f"no offer of `{name}` is left: {text}", param="provider", excluded=excluded)
        case _:
            return ModelNotFound(f"`{name}` cannot be reached here: {text}", param=param, excluded=excluded)


def _told(exclusions: list[Exclusion]) -> list[JSON]:
    return [{"model": one.name, "offer": one.offer_id, "reason": one.reason} for one in exclusions]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
