"""Pipeline step 3, filter: what may not answer is taken out, with its reason; what is left may.

Every filter looks at one model or offer alone, so a narrower wish never lets through what a wider one keeps out. They
stand in the order below, and the last one that anything reached says why nothing is left.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from tollway.catalogue.units import REQUEST, Unit
from tollway.errors import (
    ContextLengthExceeded,
    InvalidField,
    ModelNotAllowed,
    ModelNotFound,
    NoHealthyOffer,
    TollwayError,
)
from tollway.jsontypes import JSON
from tollway.money.amount import format_per_million, format_pico, format_usd
from tollway.money.rounding import ceiling
from tollway.routing.policy import AllowList, Exclusion, Obstacle
from tollway.routing.shelf import Place, Row
from tollway.routing.tiers import TIERS
from tollway.routing.verdict import Task
from tollway.routing.wish import Wish

EXCLUDED_SHOWN_MAX = 40
RETRY_AFTER_S = 5
_BPS = 10_000
_STAGES: Sequence[Obstacle] = (
    Obstacle.UNKNOWN,
    Obstacle.NO_TEXT,
    Obstacle.NO_STANDING,
    Obstacle.UNPRICED,
    Obstacle.NO_CREDENTIAL,
    Obstacle.NOT_ALLOWED,
    Obstacle.TIER,
    Obstacle.CAPABILITY,
    Obstacle.TOOL_CALLING,
    Obstacle.PREFERENCES,
    Obstacle.REGION,
    Obstacle.CONTEXT,
    Obstacle.COST,
    Obstacle.UNHEALTHY,
)
"""Obstacles in the order in which they are met."""
_IN_WORDS: Mapping[str, str] = {
    "tools": "call tools", "json_schema": "answer by a JSON schema", "vision": "read images", "audio": "hear audio",
    "file": "read files", "video": "watch videos", "reasoning": "think before it answers",
}  # fmt: skip


class Bounds(msgspec.Struct, frozen=True, gc=False):
    """What a request may come to, tokens over all choices. named: the caller's own bound of one choice, 0 none."""

    output: int
    named: int
    margin_bps: int


class Survivor(msgspec.Struct, frozen=True, gc=False):
    """A model that may answer, with its offers that may. cost_pico: expected, at the cheapest of them, before margin."""

    row: Row
    places: tuple[Place, ...]
    cost_pico: int


Reason: TypeAlias = tuple[Obstacle, Callable[..., str], tuple[Any, ...]]
"""An obstacle, and what makes its words of what: hundreds are met for each that is read."""
RuledOut: TypeAlias = tuple[str, str, Reason]
"""Model, offer ("" for all of them), reason."""


def exclusion_of(one: RuledOut) -> Exclusion:
    """What was ruled out, in words."""
    name, offer_id, (obstacle, words, facts) = one
    return Exclusion(name, offer_id, obstacle, words(*facts))


def ruled_out_as(one: Exclusion) -> RuledOut:
    """What has its words already."""
    return one.name, one.offer_id, (one.obstacle, str, (one.reason,))


class Sieve:
    """The filters of one request. `ruled_out` grows while rows are sifted."""

    def __init__(
        self,
        task: Task,
        wish: Wish,
        allowed: tuple[AllowList, AllowList],
        bounds: Bounds,
        *,
        is_named: bool = False,
    ) -> None:
        """`allowed`: the lists of key and plan. `is_named`: the models were asked for by name, not chosen."""
        key, plan = allowed
        self._lists: list[tuple[frozenset[str], Reason]] = [
            (names, (Obstacle.NOT_ALLOWED, str, (reason,)))
            for names, reason in (
                (key.allowed_models, "this key may not use it"),
                (plan.allowed_models, "your plan does not include it"),
                (wish.allowed_models, "the profile does not allow it"),
            )
            if names is not None
        ]
        self._task, self._wish, self._bounds, self._is_named = task, wish, bounds, is_named
        self._needs = (frozenset[str]() if is_named and not wish.requires_parameters else task.needs) | wish.needs
        self._tool_calling = wish.tool_calling_min if "tools" in task.needs else 0.0
        self._order = frozenset(wish.order) if wish.order and not wish.fallbacks else None
        self._checks_offers = bool(
            wish.allowed_providers is not None
            or wish.ignored_providers
            or self._order is not None
            or wish.region
            or wish.max_price
            or wish.variant == "free"
        )
        # The most pico-USD before margin whose charge, rounded up, is within the cap.
        cap = wish.max_cost_nano
        self._cap_pico = None if cap is None else cap * _BPS * 1_000 // (_BPS + bounds.margin_bps)
        self.ruled_out = list[RuledOut]()

    def sift(self, rows: Iterable[Row], floor: int, top: int) -> list[Survivor]:
        """The rows that may answer, of tiers whose rank lies in [floor, top]."""
        found = list[Survivor]()
        out = self.ruled_out.append
        tokens, answer, named = self._task.input_tokens, self._task.output_tokens, self._bounds.named
        has_range = floor > 0 or top < len(TIERS) - 1
        checks_models = bool(has_range or self._lists or self._needs or self._tool_calling)
        checks_offers, cap, most = self._checks_offers, self._cap_pico, self._bounds.output
        length = 0 if self._is_named else tokens + max(named, 1)
        for row in rows:
            if checks_models:
                against = self._against_model(row, floor, top, has_range=has_range)
                if against is not None:
                    out((row.model.id, "", against))
                    continue
            dear = row.dearest
            # A cap that even the dearest offer keeps needs no look at each.
            may_cost = cap is not None and (dear is None or tokens * dear[0] + most * dear[1] + dear[2] > cap)
            if checks_offers or may_cost or length > row.context or 0 < row.output < named:
                places = self._standing(row)
                if places:
                    found.append(Survivor(row, places, min([one.cost_pico(tokens, answer) for one in places])))
                continue
            flat = row.flat
            if flat is None:
                found.append(Survivor(row, row.places, row.cost_pico(tokens, answer)))
            else:
                found.append(Survivor(row, row.places, tokens * flat[0] + answer * flat[1] + flat[2]))
        return found

    def _against_model(self, row: Row, floor: int, top: int, *, has_range: bool) -> Reason | None:
        for names, reason in self._lists:
            if names.isdisjoint(row.names):
                return reason
        if has_range and not floor <= row.rank <= top:
            return Obstacle.NO_STANDING if row.rank < 0 else Obstacle.TIER, _of_tier, (row.rank, floor, top)
        if not self._needs <= row.can:
            return Obstacle.CAPABILITY, _lacking, (self._needs, row.can)
        if self._tool_calling and (row.tool_calling is None or row.tool_calling < self._tool_calling):
            return Obstacle.TOOL_CALLING, _calling, (row.tool_calling, self._tool_calling)
        return None

    def _standing(self, row: Row) -> tuple[Place, ...]:
        found = list[Place]()
        bounds, tokens, cap = self._bounds, self._task.input_tokens, self._cap_pico
        named, default = bounds.named, bounds.output
        may_be_long = not self._is_named and (tokens + max(named, 1) > row.context or 0 < row.output < named)
        for place in row.places:
            against = self._against_offer(place) if self._checks_offers else None
            if against is None and may_be_long:
                against = self._against_length(place)
            if against is None and cap is not None:
                output = default if named or not 0 < place.output < default else place.output
                dearest = place.prices.dearest
                if dearest is None:
                    worst = place.worst_pico(tokens, output)
                else:
                    worst = tokens * dearest[0] + output * dearest[1] + dearest[2]
                if worst > cap:
                    words = place.offer.provider.name, worst, bounds.margin_bps, self._wish.max_cost_nano
                    against = Obstacle.COST, _over_cap, words
            if against is None:
                found.append(place)
            else:
                self.ruled_out.append((row.model.id, place.offer.id, against))
        return tuple(found)

    def _against_length(self, place: Place) -> Reason | None:
        named, tokens = self._bounds.named, self._task.input_tokens
        if tokens + max(named, 1) > place.context:
            return Obstacle.CONTEXT, _not_fitting, (tokens + named, place.context)
        if 0 < place.output < named:
            return Obstacle.CONTEXT, _too_short, (place.output, named)
        return None

    def _against_offer(self, place: Place) -> Reason | None:
        wish, provider = self._wish, place.provider
        name = place.offer.provider.name
        if provider in wish.ignored_providers:
            return Obstacle.PREFERENCES, "{} is in `provider.ignore`".format, (name,)
        if wish.allowed_providers is not None and provider not in wish.allowed_providers:
            return Obstacle.PREFERENCES, "{} is not among the providers that are allowed".format, (name,)
        if self._order is not None and provider not in self._order:
            return Obstacle.PREFERENCES, _NOT_IN_ORDER.format, (name,)
        if wish.variant == "free" and not place.prices.is_free:
            return Obstacle.PREFERENCES, "{} asks money for it, and `:free` was asked".format, (name,)
        if wish.region and place.region != wish.region:
            return Obstacle.REGION, _elsewhere, (name, place.region, wish.region)
        if wish.max_price:
            level = place.prices.at(self._task.input_tokens)
            for unit, most in wish.max_price.items():
                if level.get(unit, 0) > most:
                    return Obstacle.PREFERENCES, _dear, (name, unit, level[unit], most)
        return None


_NOT_IN_ORDER = "{} is not in `provider.order`, and `provider.allow_fallbacks` is false"


def _of_tier(rank: int, floor: int, top: int) -> str:
    if rank < 0:
        return "its tier has not been recorded, and only some tiers are allowed"
    return f"it is a {TIERS[rank]} model, {f'below {TIERS[floor]}' if rank < floor else f'above {TIERS[top]}'}"


def _lacking(needs: frozenset[str], can: frozenset[str]) -> str:
    return f"it is not known to {', '.join(_IN_WORDS.get(one, one) for one in sorted(needs - can))}"


def _calling(score: float | None, least: float) -> str:
    return f"its tool-calling score is {'unknown' if score is None else f'{score:.2f}'}, below {least:g}"


def _not_fitting(tokens: int, context: int) -> str:
    return f"{tokens:,} tokens do not fit into its context of {context:,}"


def _too_short(most: int, named: int) -> str:
    return f"it writes at most {most:,} tokens; {named:,} are asked for"


def _elsewhere(name: str, region: str, wanted: str) -> str:
    return f"at {name} it runs {f'in {region}' if region else 'where nobody has recorded'}, not in {wanted}"


def _dear(name: str, unit: Unit, price: int, most: int) -> str:
    if unit == REQUEST:
        return f"{name} asks {format_pico(price)} USD per request, above {format_pico(most)}"
    return f"{name} asks {format_per_million(price)} USD per million of {unit}, above {format_per_million(most)}"


def _over_cap(name: str, worst_pico: int, margin_bps: int, cap: int) -> str:
    worst = ceiling(worst_pico * (_BPS + margin_bps), _BPS * 1_000)
    return f"at {name} this request may cost {format_usd(worst)} USD, above {format_usd(cap)}"


def failing(row: Row, place: Place) -> RuledOut:
    """An offer whose circuit is open."""
    words = "{} is failing, and is left alone for a while".format
    return row.model.id, place.offer.id, (Obstacle.UNHEALTHY, words, (place.offer.provider.name,))


def worst_nano(place: Place, input_tokens: int, output_tokens: int, margin_bps: int) -> int:
    """Nano-USD of the worst case at an offer, margin included, rounded up as a hold is."""
    return ceiling(place.worst_pico(input_tokens, output_tokens) * (_BPS + margin_bps), _BPS * 1_000)


def nothing_left(asked: str, exclusions: Sequence[Exclusion], absent: Sequence[Exclusion], task: Task) -> TollwayError:
    """The error for a request that nothing may answer: what the filter says that anything got as far as.

    Args:
        asked: the model as asked. exclusions: of this request. absent: what was not on the shelf to begin with.
    """
    reasons = exclusions or absent
    last = max((_STAGES.index(one.obstacle) for one in reasons), default=0)
    obstacle = _STAGES[last]
    decisive = [one for one in reasons if one.obstacle is obstacle]
    why = "; ".join(dict.fromkeys(f"`{one.name}`: {one.reason}" for one in decisive[:5]))
    more = f"; and {len(decisive) - 5} more" if len(decisive) > 5 else ""
    text = f"no model is left for `{asked}`. {why}{more}" if why else f"there is no model that `{asked}` can choose"
    excluded = told(reasons)
    match obstacle:
        case Obstacle.UNHEALTHY:
            return NoHealthyOffer(
                f"{text}. Nothing was charged; try again shortly", retry_after_seconds=RETRY_AFTER_S, excluded=excluded
            )
        case Obstacle.NOT_ALLOWED:
            return ModelNotAllowed(text, param="model", excluded=excluded)
        case Obstacle.CONTEXT:
            return ContextLengthExceeded(
                f"{text}. Shorten the prompt, or ask for fewer tokens",
                param="messages",
                prompt_tokens=task.input_tokens,
                excluded=excluded,
            )
        case Obstacle.COST:
            return InvalidField(
                f"{text}. Raise `max_cost`, or ask for fewer tokens", param="max_cost", excluded=excluded
            )
        case Obstacle.TIER:
            return InvalidField(f"{text}. Widen the range of tiers", param="tier", excluded=excluded)
        case Obstacle.CAPABILITY:
            return InvalidField(f"{text}. Leave out what needs it, or name a model", param="model", excluded=excluded)
        case Obstacle.TOOL_CALLING:
            return InvalidField(f"{text}. Lower `tool_calling_min`", param="tool_calling_min", excluded=excluded)
        case Obstacle.PREFERENCES | Obstacle.REGION:
            return InvalidField(f"{text}. Loosen `provider`", param="provider", excluded=excluded)
        case _:
            return ModelNotFound(f"{text}. Name a model; `GET /v1/models` lists them", param="model", excluded=excluded)


def told(exclusions: Sequence[Exclusion]) -> list[JSON]:
    """Exclusions as an error or an answer lists them, the first 40."""
    return [
        {"model": one.name, "offer": one.offer_id or None, "reason": one.reason}
        for one in exclusions[:EXCLUDED_SHOWN_MAX]
    ]
