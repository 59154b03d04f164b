"""Models for the terminal: a list, everything about one, several beside each other; and as JSON."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tollway.catalogue.offers import Model, Offer
from tollway.catalogue.show import pricing_object
from tollway.catalogue.units import CACHE_READ, CACHE_WRITE_5M, INPUT, OUTPUT, Unit
from tollway.commands.quoting import price_of, standing
from tollway.commands.table import decimals, facts, grouped, table
from tollway.jsontypes import JSON
from tollway.routing.rating import mean
from tollway.routing.standings import Known
from tollway.routing.tiers import CATEGORIES, RANK, Category

_PRICES: Mapping[str, Unit] = {"input / M": INPUT, "cached / M": CACHE_READ, "output / M": OUTPUT}
_UNKNOWN_RANK = -1


@dataclass(frozen=True, slots=True)
class Row:
    """A model, what is known of it, and the offer whose prices are shown: the cheapest that can be called, else the cheapest.

    offers: the cheapest that can be called first. category: what its quality is wanted at; None: on the whole. now: unix
    seconds.
    """

    model: Model
    known: Known | None
    offers: tuple[Offer, ...]
    now: int
    category: Category | None = None

    @classmethod
    def of(cls, model: Model, known: Known | None, now: int, category: Category | None = None) -> "Row":
        """The row of a model at `now`, unix seconds."""
        return cls(model, known, tuple(sorted(model.offers, key=lambda offer: _cost(offer, now))), now, category)

    @property
    def tier(self) -> str:
        """Its tier, or ""."""
        return "" if self.known is None else self.known.standing.tier

    @property
    def rank(self) -> int:
        """Its tier's place; unknown is below all."""
        return RANK.get(self.tier, _UNKNOWN_RANK)

    @property
    def quality(self) -> float | None:
        """At its category, in [0, 1]; None: unknown."""
        if self.known is None:
            return None
        quality = self.known.standing.quality
        return mean(quality) if self.category is None else quality.get(self.category)

    @property
    def prices(self) -> Mapping[Unit, int]:
        """Pico-USD per unit at the offer shown."""
        found = self.offers[0].price_list(self.now) if self.offers else None
        return {} if found is None else found.at(0)

    @property
    def blended(self) -> int | None:
        """Pico-USD per token of three parts input and one part output; None: no price."""
        prices = self.prices
        return (3 * prices[INPUT] + prices[OUTPUT]) // 4 if {INPUT, OUTPUT} <= prices.keys() else None

    @property
    def context(self) -> int:
        """Tokens; 0: unknown."""
        return self.model.context_tokens or next((offer.context_tokens for offer in self.offers), 0)

    @property
    def is_callable(self) -> bool:
        """There is an offer with a key and a price."""
        return bool(self.offers) and _is_callable(self.offers[0], self.now)

    @property
    def answers_chats(self) -> bool:
        """It writes text."""
        return "text" in self.model.output_modalities

    def has_text(self, text: str) -> bool:
        """`text` is in its id, its name or an alias."""
        return text.lower() in "\n".join((self.model.id, self.model.name, *self.model.aliases)).lower()

    def is_at(self, providers: Collection[str]) -> bool:
        """One of the providers offers it."""
        return any(offer.provider.id in providers for offer in self.offers)

    def can(self, abilities: Collection[str]) -> bool:
        """It is known to have all of the abilities."""
        reads = {"image": "vision", "audio": "audio", "file": "file"}
        known = {*self.model.capabilities, *(reads[name] for name in self.model.input_modalities if name in reads)}
        return known.issuperset(abilities)

    def remark(self) -> str:
        """Why it cannot be called; "" if it can."""
        if not self.offers or not self.prices:
            return "no price"
        return standing(self.offers[0])


SORTS: Mapping[str, Callable[[Row], tuple[object, ...]]] = {
    "name": lambda row: (row.model.id,),
    "price": lambda row: (row.blended is None, row.blended or 0, row.model.id),
    "quality": lambda row: (-(row.quality or 0.0), row.model.id),
    "tier": lambda row: (-row.rank, -(row.quality or 0.0), row.model.id),
    "context": lambda row: (-row.context, row.model.id),
}


def listed(rows: Sequence[Row], category: Category | None) -> str:
    """One line per model."""
    columns = (
        [row.model.id for row in rows],
        [row.tier or "-" for row in rows],
        [_share(row.quality, row.known) for row in rows],
        [_share(None if row.known is None else row.known.standing.tool_calling, row.known) for row in rows],
        [grouped(row.context) if row.context else "-" for row in rows],
        *(decimals([_price(row, unit) for row in rows]) for unit in _PRICES.values()),
        [row.remark() for row in rows],
    )
    titles = ["model", "tier", category or "quality", "tools", "context", *_PRICES, ""]
    shown = table(titles, zip(*columns, strict=True), right=titles[2:-1])
    return f"{shown}\n\n~ an estimate: no figure was read" if "~" in shown else shown


def shown(row: Row) -> str:
    """Everything about one model."""
    model = row.model
    known = row.known
    head = [
        ("model", model.id),
        ("name", model.name),
        ("also called", ", ".join(model.aliases)),
        ("context", grouped(row.context) if row.context else "unknown"),
        ("longest answer", grouped(model.max_output_tokens) if model.max_output_tokens else "unknown"),
        ("reads", ", ".join(model.input_modalities)),
        ("writes", ", ".join(model.output_modalities)),
        ("can", ", ".join(model.capabilities) or "unknown"),
        ("tier", row.tier or "unknown: `auto` does not choose it"),
    ]
    if known is not None:
        tools = known.standing.tool_calling
        head.append(("tool calling", "unknown" if tools is None else _share(tools, known)))
    parts = [facts(head), _offers(row)]
    if known is not None:
        parts += [_qualities(known), _sources(known)]
    return "\n\n".join(parts)


def beside(rows: Sequence[Row], categories: Sequence[Category]) -> str:
    """A column per model; * marks the best of a line, where they differ."""
    lines: list[list[str]] = [
        ["tier", *(row.tier or "-" for row in rows)],
        ["provider", *(row.offers[0].provider.id if row.offers else "-" for row in rows)],
    ]
    for title, unit in _PRICES.items():
        prices = [row.prices.get(unit) for row in rows]
        lines.append([title, *_marked([_price(row, unit) for row in rows], [_minus(price) for price in prices])])
    contexts = [row.context or None for row in rows]
    lines.append(["context", *_marked([grouped(one) if one else "-" for one in contexts], contexts)])
    tools = [None if row.known is None else row.known.standing.tool_calling for row in rows]
    lines.append(["tool calling", *_marked(_shares(tools, rows), tools)])
    whole = [row.quality for row in rows]
    lines.append(["quality", *_marked(_shares(whole, rows), whole)])
    for category in categories:
        found = [None if row.known is None else row.known.standing.quality[category] for row in rows]
        lines.append([f"  {category.replace('_', ' ')}", *_marked(_shares(found, rows), found)])
    lines.append(["can be called", *(row.remark() or "yes" for row in rows)])
    ids = [row.model.id for row in rows]
    told = table(["", *ids], lines, right=ids)
    return f"{told}\n\n~ an estimate: no figure was read" if "~" in told else told


def document(row: Row) -> dict[str, JSON]:
    """A model as JSON."""
    model, known = row.model, row.known
    found = row.offers[0].price_list(row.now) if row.offers else None
    return {
        "id": model.id,
        "name": model.name,
        "tier": row.tier or None,
        "quality": None if known is None else _quality_document(known),
        "context_tokens": row.context or None,
        "max_output_tokens": model.max_output_tokens or None,
        "input_modalities": [*model.input_modalities],
        "output_modalities": [*model.output_modalities],
        "capabilities": [*model.capabilities],
        "available": row.is_callable,
        "provider": row.offers[0].provider.id if row.offers else None,
        "pricing": None if found is None else {**pricing_object(found)},
        "offers": [offer.id for offer in row.offers],
    }


def _quality_document(known: Known) -> dict[str, JSON]:
    standing = known.standing
    return {
        "mean": round(mean(standing.quality), 3),
        "by_category": {**standing.quality},
        "tool_calling": standing.tool_calling,
        "estimated": known.is_estimate,
        "origin": known.origin,
        "source": standing.source,
        "checked": standing.checked or None,
        "figures": [
            {"benchmark": one.benchmark, "figure": one.text, "source": one.source, "checked": one.checked}
            for one in known.scores
        ],
        "note": known.note or None,
    }


def _offers(row: Row) -> str:
    lists = [offer.price_list(row.now) for offer in row.offers]

    def column(unit: Unit) -> list[str]:
        return decimals(
            [
                "-" if found is None or (pico := found.at(0).get(unit)) is None else price_of(unit, pico)
                for found in lists
            ]
        )

    units = {**_PRICES, "cache write / M": CACHE_WRITE_5M}
    columns = (
        [offer.id for offer in row.offers],
        [offer.region or "-" for offer in row.offers],
        [grouped(offer.context_tokens) if offer.context_tokens else "-" for offer in row.offers],
        *(column(unit) for unit in units.values()),
        ["no price" if found is None else standing(offer) for offer, found in zip(row.offers, lists, strict=True)],
    )
    titles = ["offer", "region", "context", *units, ""]
    return table(titles, zip(*columns, strict=True), right=titles[2:-1])


def _qualities(known: Known) -> str:
    quality = known.standing.quality
    cells = [(name.replace("_", " "), f"{quality[name]:.2f}" if quality[name] else "-") for name in CATEGORIES]
    half = (len(cells) + 1) // 2
    left, right = cells[:half], [*cells[half:], ("", "")]
    lines = [(*one, "", *other) for one, other in zip(left, right, strict=False)]
    return table(("quality at", f"{mean(quality):.2f}", "", "", ""), lines)


def _sources(known: Known) -> str:
    told = list[str]()
    if known.is_estimate:
        told.append("an estimate: no figure was read")
    if known.origin == "own":
        told.append("stated in the file of [routing] standings")
    if known.note:
        told.append(known.note)
    for page in dict.fromkeys((one.source, one.checked) for one in known.scores):
        figures = [one for one in known.scores if (one.source, one.checked) == page]
        told.append(f"{page[0]}, read {page[1]}")
        told.append(facts(((one.benchmark, f"{one.text:9} {one.what}") for one in figures), "  "))
    return "\n".join(told)


def _share(value: float | None, known: Known | None) -> str:
    if not value or known is None:
        return "-"
    return f"{'~' if known.is_estimate else ''}{value:.2f}"


def _shares(values: Sequence[float | None], rows: Sequence[Row]) -> list[str]:
    return [_share(value, row.known) for value, row in zip(values, rows, strict=True)]


def _price(row: Row, unit: Unit) -> str:
    pico = row.prices.get(unit)
    return "-" if pico is None else price_of(unit, pico)


def _minus(price: int | None) -> int | None:
    return None if price is None else -price


def _marked(cells: Sequence[str], figures: Sequence[float | None]) -> list[str]:
    """The cells with a star behind the best, as far as their digits tell; none where all are alike."""
    rounded = [None if figure is None else round(figure, 2) for figure in figures]
    known = {figure for figure in rounded if figure is not None}
    best = max(known) if len(known) > 1 else None
    return [
        f"{cell} *" if best is not None and one == best else f"{cell}  "
        for cell, one in zip(cells, rounded, strict=True)
    ]


def _is_callable(offer: Offer, now: int) -> bool:
    return offer.provider.is_usable and offer.price_list(now) is not None


def _cost(offer: Offer, now: int) -> tuple[bool, bool, int, str]:
    found = offer.price_list(now)
    if found is None:
        return True, True, 0, offer.id
    level = found.at(0)
    return not offer.provider.is_usable, False, sum(level[unit] for unit in (INPUT, OUTPUT) if unit in level), offer.id
