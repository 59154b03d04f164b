"""What of a catalogue `auto` may choose from, laid out once per catalogue so that a decision only walks along it.

A row is a model of known standing with the offers that can be called and have a price in force. What stays off the shelf -
no standing, no credential, no price, no text - keeps its reason too. A shelf is good until a price list begins or ends.
"""

from collections.abc import Iterable, Mapping

import msgspec

from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import CACHE_READ, CACHE_WRITE_5M, INPUT, OUTPUT, REASONING, REQUEST
from tollway.routing.policy import Candidate, Exclusion, Obstacle
from tollway.routing.standing import Standing, Standings
from tollway.routing.tiers import CATEGORIES, RANK, TIERS, Category

CONTEXT_ASSUMED = 8_192
"""Tokens of context of a model about which nothing is known."""
_DAY_S = 86_400
_FOREVER = 2**62
_PRETENDED = "simulated"
"""The dialect of the provider that comes with the program, to try it without a key."""
_SHELVES_MAX = 4
_NO_QUALITY: Mapping[Category, float] = {}
_PAYING_INPUT = (INPUT, CACHE_READ, CACHE_WRITE_5M)


class Place(msgspec.Struct, frozen=True, gc=False):
    """An offer with the price list in force. provider, region: in lower case. context, output: tokens, output 0 unknown.

    flat: pico-USD of an input token, an output token and a request, where they do not depend on the input's length.
    """

    offer: Offer
    prices: PriceList
    candidate: Candidate
    provider: str
    region: str
    context: int
    output: int
    flat: tuple[int, int, int] | None

    def cost_pico(self, input_tokens: int, output_tokens: int) -> int:
        """What plain text of that length costs here, before margin."""
        flat = self.flat
        if flat is not None:
            return input_tokens * flat[0] + output_tokens * flat[1] + flat[2]
        level = self.prices.at(input_tokens)
        free = 0
        return (
            input_tokens * level.get(INPUT, free) + output_tokens * level.get(OUTPUT, free) + level.get(REQUEST, free)
        )

    def worst_pico(self, input_tokens: int, output_tokens: int) -> int:
        """The most that a request within these bounds can cost here, before margin, as `rating.worst_case` has it."""
        dearest = self.prices.dearest
        if dearest is not None:
            return input_tokens * dearest[0] + output_tokens * dearest[1] + dearest[2]
        dear_input = dear_output = dear_request = 0
        for above, level in self.prices.resolved:
            if input_tokens > above:
                dear_input = max(dear_input, *(level.get(unit, 0) for unit in _PAYING_INPUT))
                dear_output = max(dear_output, level.get(OUTPUT, 0), level.get(REASONING, 0))
                dear_request = max(dear_request, level.get(REQUEST, 0))
        return input_tokens * dear_input + output_tokens * dear_output + dear_request


class Row(msgspec.Struct, frozen=True, gc=False):
    """A model that may be chosen. rank: of its tier, -1 where its standing is unknown. can: the needs that it meets.

    flat: of the offer that is the cheapest however long request and answer are, if there is one. dearest: the most that
    any offer asks for an input token, an output token and a request, if none has tiers. context, output: the least of its
    offers, tokens; output 0 unknown.
    """

    model: Model
    names: frozenset[str]
    rank: int
    quality: Mapping[Category, float]
    tool_calling: float | None
    can: frozenset[str]
    places: tuple[Place, ...]
    flat: tuple[int, int, int] | None
    dearest: tuple[int, int, int] | None
    context: int
    output: int

    @property
    def id(self) -> str:
        """The model's id."""
        return self.model.id

    def cost_pico(self, input_tokens: int, output_tokens: int) -> int:
        """What plain text of that length costs at the cheapest offer, before margin."""
        return min([place.cost_pico(input_tokens, output_tokens) for place in self.places])


class Shelf:
    """The rows of one catalogue with one table of standings. until: unix seconds; then its prices are looked up anew."""

    __slots__ = ("_references", "absent", "catalogue", "rows", "standings", "until")

    def __init__(self, catalogue: Catalogue, standings: Standings, now: int) -> None:
        self.catalogue, self.standings = catalogue, standings
        self._references: dict[tuple[int, Category], Row | None] = {}
        rows, absent = list[Row](), list[Exclusion]()
        for model in catalogue.models.values():
            standing = standings.standing(model.id)
            if "text" not in model.output_modalities:
                absent.append(Exclusion(model.id, "", Obstacle.NO_TEXT, f"`{model.id}` writes no text"))
            elif standing is None:
                reason = f"how good `{model.id}` is has not been recorded, so it is not chosen unasked"
                absent.append(Exclusion(model.id, "", Obstacle.NO_STANDING, reason))
            else:
                places = _places(model, now, absent)
                if places:
                    rows.append(row_of(model, standing, places))
        real = [row for row in rows if not _is_pretended(row)]
        if real and len(real) < len(rows):
            reason = "it only pretends to answer, so it is not chosen where a real provider can be"
            absent += [Exclusion(row.id, "", Obstacle.NO_STANDING, reason) for row in rows if _is_pretended(row)]
            rows = real
        self.rows = tuple(rows)
        self.absent = tuple(absent)
        self.until = _next_change((offer for row in rows for offer in row.model.offers), now)

    def reference(self, rank: int, category: Category) -> Row | None:
        """The model that a tier is measured by: the best of it for the category, of equals the cheapest.

        Where a tier is empty, that of the next tier up that is not, else of the next one down; None: an empty shelf.
        """
        key = rank, category
        if key not in self._references:
            self._references[key] = self._reference(rank, category)
        return self._references[key]

    def _reference(self, rank: int, category: Category) -> Row | None:
        there = {row.rank for row in self.rows}
        ranks = [*range(rank, len(TIERS)), *range(rank - 1, -1, -1)]
        found = next((one for one in ranks if one in there), None)
        if found is None:
            return None
        rows = (row for row in self.rows if row.rank == found)
        return min(rows, key=lambda row: (-row.quality[category], _typical(row), row.id))


def _is_pretended(row: Row) -> bool:
    return all(place.offer.provider.wire.dialect == _PRETENDED for place in row.places)


def _typical(row: Row) -> int:
    return row.cost_pico(1_000, 500)


def row_of(model: Model, standing: Standing | None, places: tuple[Place, ...]) -> Row:
    """The row of a model; with no standing it has the rank -1, and no quality is known of it."""
    can = {*model.capabilities, *(("vision",) if "image" in model.input_modalities else ())}
    can.update(one for one in model.input_modalities if one in {"audio", "file", "video"})
    known: Mapping[Category, float] = _NO_QUALITY if standing is None else standing.quality
    mean = sum(known.values()) / len(known) if known else 0.0
    return Row(
        model=model,
        names=frozenset((model.id, *model.aliases)),
        rank=-1 if standing is None else RANK[standing.tier],
        quality={category: known.get(category, mean) for category in CATEGORIES},
        tool_calling=None if standing is None else standing.tool_calling,
        can=frozenset(can),
        places=places,
        flat=_cheapest_always(places),
        dearest=_dearest(places),
        context=min((place.context for place in places), default=0),
        output=min((place.output for place in places if place.output), default=0),
    )


def _cheapest_always(places: tuple[Place, ...]) -> tuple[int, int, int] | None:
    flats = [place.flat for place in places if place.flat is not None]
    if not flats or len(flats) < len(places):
        return None
    least = min(one[0] for one in flats), min(one[1] for one in flats), min(one[2] for one in flats)
    return least if least in flats else None


def _dearest(places: tuple[Place, ...]) -> tuple[int, int, int] | None:
    found = [place.prices.dearest for place in places if place.prices.dearest is not None]
    if not found or len(found) < len(places):
        return None
    return max(one[0] for one in found), max(one[1] for one in found), max(one[2] for one in found)


def place_of(model: Model, candidate: Candidate) -> Place:
    """An offer on the shelf."""
    offer, prices = candidate.offer, candidate.prices
    level = prices.resolved[-1][1]
    return Place(
        offer=offer,
        prices=prices,
        candidate=candidate,
        provider=offer.provider.id.lower(),
        region=offer.region.lower(),
        context=offer.context_tokens or model.context_tokens or CONTEXT_ASSUMED,
        output=offer.max_output_tokens or model.max_output_tokens,
        flat=None if prices.tiers else (level.get(INPUT, 0), level.get(OUTPUT, 0), level.get(REQUEST, 0)),
    )


def _places(model: Model, now: int, absent: list[Exclusion]) -> tuple[Place, ...]:
    found = list[Place]()
    for offer in model.offers:
        prices = offer.price_list(now)
        if not offer.provider.is_usable:
            reason = f"the operator has no key for {offer.provider.name}"
            absent.append(Exclusion(model.id, offer.id, Obstacle.NO_CREDENTIAL, reason))
        elif prices is None:
            reason = f"`{model.id}` has no price at {offer.provider.name}"
            absent.append(Exclusion(model.id, offer.id, Obstacle.UNPRICED, reason))
        else:
            found.append(place_of(model, Candidate(offer, prices)))
    return tuple(found)


def _next_change(offers: Iterable[Offer], now: int) -> int:
    """The next instant at which another price list than now may be in force."""
    found = _FOREVER
    midnight = now - now % _DAY_S
    for offer in offers:
        for each in offer.prices:
            if each.effective_from > now:
                found = min(found, each.effective_from)
            for second in each.window_utc or ():
                at = midnight + second
                found = min(found, at if at > now else at + _DAY_S)
    return found


_shelves: dict[tuple[int, int], Shelf] = {}


def shelf_of(catalogue: Catalogue, standings: Standings, now: int) -> Shelf:
    """The shelf of a catalogue; made once for as long as the two objects and their prices stay the same."""
    key = id(catalogue), id(standings)
    found = _shelves.get(key)
    if found is None or now >= found.until:
        if len(_shelves) >= _SHELVES_MAX:
            _shelves.clear()
        # It holds on to both objects, so that their ids are not given to others.
        found = _shelves[key] = Shelf(catalogue, standings, now)
    return found
