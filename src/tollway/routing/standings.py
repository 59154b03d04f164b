"""What is known of models, read once at start: the shipped file, and what the operator says over it.

Like the catalogue, this reads files; everything it gives is frozen, and what is wrong in a file stops the start with
file, line, key and fix (`ConfigurationError`). A model of which nothing is known has no standing, and `auto` does not
choose it, unless the operator lets it be estimated from its price (`estimated`).
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Literal, TypeVar

import msgspec

from tollway.catalogue.offers import Catalogue, Model, ModelId
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.catalogue.yamlfile import Keys, YamlFile
from tollway.errors import ConfigurationError
from tollway.routing.rating import Five, OwnFile, Rating, ReadingRow, Score, StandingRow, StandingsFile
from tollway.routing.standing import Standing
from tollway.routing.tiers import CATEGORIES, RANK, TIERS

PACKAGED = Path(__file__).with_name("data") / "standings.yml"
NEIGHBOURS = 5
"""How many models of like price an estimate looks at."""
_SHAPE = "see docs/how-to/rate-a-model.md for the shape"
_ESTIMATED = "Estimated from the price alone, because the settings allow it: the middle of five models of like price."
_HIGHEST_ESTIMATE = RANK["standard"]

Shape = TypeVar("Shape")
Origin = Literal["shipped", "own", "estimate"]


class Known(msgspec.Struct, frozen=True):
    """A model's standing, and where it comes from.

    origin: the shipped file, the operator's, or an estimate from the price. scores: the figures that were read; without
    any, everything about the model is an estimate. note: what it rests on besides.
    """

    model: str
    standing: Standing
    origin: Origin
    scores: tuple[Score, ...] = ()
    note: str = ""

    @property
    def is_estimate(self) -> bool:
        """No figure was read, and nothing was stated by the operator."""
        return not self.scores and self.origin != "own"


class StandingTable:
    """See `Standings`. strays: shipped ids that this installation's catalogue does not have."""

    __slots__ = ("_known", "strays")

    def __init__(self, known: Mapping[str, Known], strays: Sequence[str] = ()) -> None:
        self._known = known
        self.strays = tuple(strays)

    def standing(self, model_id: str) -> Standing | None:
        """None: nothing is known of it."""
        found = self._known.get(model_id)
        return None if found is None else found.standing

    def known(self, model_id: str) -> Known | None:
        """The standing with its sources; None: nothing is known of it."""
        return self._known.get(model_id)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)


NOTHING_KNOWN = StandingTable({})


def load_standings(
    catalogue: Catalogue, own: Path | None = None, *, estimate_unlisted: bool = False, shipped: Path = PACKAGED
) -> StandingTable:
    """The standing of every model of the catalogue that has one.

    Args:
        catalogue: which models there are, and what they can do.
        own: the operator's file.
        estimate_unlisted: give the others one too, from their price; see `estimated`.
        shipped: the file that comes with the program.

    Raises:
        ConfigurationError: a file that cannot be used; names file, line, key and fix.
    """
    file = YamlFile(shipped)
    content = _read(file, StandingsFile)
    _check_numbers(file, content)
    rating = Rating(content)
    _check_models(file, content.models, rating)
    known = dict[str, Known]()
    strays = list[str]()
    for row in content.models:
        names = (row.id, *row.also)
        strays += [name for name in names if name not in catalogue.models]
        found = [model for name in names if (model := catalogue.models.get(ModelId(name))) is not None]
        known.update(_known(row, found, rating, "shipped"))
    if own is not None:
        known.update(_own(own, catalogue, rating))
    if estimate_unlisted:
        known.update(estimated(catalogue, known, rating))
    return StandingTable(MappingProxyType(known), strays)


def estimated(catalogue: Catalogue, known: Mapping[str, Known], rating: Rating) -> Iterator[tuple[str, Known]]:
    """A standing for every model that answers chats, has a price and has no standing.

    Its tier is the middle one of the five models with a standing whose price is nearest, one lower if it is known not
    to reason, and never above `standard`. Price: three parts input to one part output, by its cheapest offer. Its
    quality is that of a typical model of the tier; how it calls tools is not known.
    """
    priced = sorted(
        (price, RANK[one.standing.tier], name)
        for name, one in known.items()
        if (price := blended(catalogue.names[name])) is not None and price > 0
    )
    if not priced:
        return
    for model in catalogue.models.values():
        price = blended(model)
        if model.id in known or not price or "text" not in model.output_modalities:
            continue
        near = sorted(priced, key=lambda one, price=price: (abs(math.log(one[0] / price)), one[2]))[:NEIGHBOURS]
        rank = int(median(one[1] for one in near))
        if model.capabilities and "reasoning" not in model.capabilities:
            rank -= 1
        tier = TIERS[min(max(rank, 0), _HIGHEST_ESTIMATE)]
        standing = Standing(tier, MappingProxyType(rating.at(RANK[tier])), None, _ESTIMATED)
        yield model.id, Known(model.id, standing, "estimate", note=_ESTIMATED)


def blended(model: Model) -> int | None:
    """Pico-USD of three input tokens and an output token at the model's cheapest offer, by latest list; None: unpriced."""
    found = [
        3 * level[INPUT] + level[OUTPUT]
        for offer in model.offers
        if offer.prices and {INPUT, OUTPUT} <= (level := offer.prices[-1].at(0)).keys()
    ]
    return min(found, default=None)


def _known(row: StandingRow, models: Sequence[Model], rating: Rating, origin: Origin) -> Iterator[tuple[str, Known]]:
    """Each of the models that a row speaks of: the same weights under several ids."""
    quality, scores = rating.quality(row), tuple(rating.scores(row))
    pages = list(dict.fromkeys(score.source for score in scores))
    standing = Standing(
        tier=row.tier,
        quality=MappingProxyType(quality),
        tool_calling=_tool_calling(row, models, rating, quality["tool_use"]),
        source="; ".join(pages) or row.because,
        checked=max((score.checked for score in scores), default=""),
    )
    blind = msgspec.structs.replace(standing, quality=MappingProxyType({**quality, "vision": 0.0}))
    for model in models:
        own = standing if "image" in model.input_modalities else blind
        yield model.id, Known(model.id, own, origin, scores, row.because)


def _tool_calling(row: StandingRow, models: Sequence[Model], rating: Rating, tool_use: float) -> float | None:
    """Stated; else as in its quality where it was tested, or is known to call tools; else unknown."""
    if row.tool_calling is not None or not row.tools:
        return row.tool_calling
    calls = rating.tests_tools(row) or any("tools" in model.capabilities for model in models)
    return tool_use if calls else None


def _own(path: Path, catalogue: Catalogue, rating: Rating) -> dict[str, Known]:
    file = YamlFile(path)
    content = _read(file, OwnFile)
    _check_models(file, content.models, rating)
    known = dict[str, Known]()
    for index, row in enumerate(content.models):
        found = list[Model]()
        for name, keys in _places(row, index):
            model = catalogue.find(name)
            if model is None:
                near = difflib.get_close_matches(name, catalogue.names, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                file.fail(keys, f"there is no model {name}", f"{hint}`tollway models list --all` has them")
            found.append(model)
        known.update(_known(row, found, rating, "own"))
    return known


def _read(file: YamlFile, shape: type[Shape]) -> Shape:
    try:
        return file.read(shape)
    except ConfigurationError as wrong:
        if "add-a-provider" not in wrong.fix:
            raise
        raise ConfigurationError(
            file=wrong.file, line=wrong.line, key=wrong.key, problem=wrong.problem, fix=_SHAPE
        ) from None


def _check_numbers(file: YamlFile, content: StandingsFile) -> None:
    for names, found, key in ((TIERS, content.tiers, "tiers"), (CATEGORIES, content.categories, "categories")):
        missing = [name for name in names if name not in found]
        if missing:
            file.fail([key], f"without {', '.join(missing)}", "give each its numbers")
    rows: list[tuple[Keys, Five]] = [(["categories", name], row) for name, row in content.categories.items()]
    rows += [(["benchmarks", name, "at"], benchmark.at) for name, benchmark in content.benchmarks.items()]
    for keys, row in rows:
        if list(row) != sorted(set(row)):
            file.fail(keys, "the five numbers do not rise", "write those of nano, simple, light, standard, complex")


def _check_models(file: YamlFile, rows: Sequence[StandingRow], rating: Rating) -> None:
    seen = set[str]()
    for index, row in enumerate(rows):
        for name, keys in _places(row, index):
            if name in seen:
                file.fail(keys, f"`{name}` is there twice", "merge the two")
            seen.add(name)
        if not row.read and not row.because:
            file.fail(["models", index], "it rests on nothing", "name what was read, or say in `because` what it is")
        for place, reading in enumerate(row.read):
            _check_reading(file, ["models", index, "read", place], reading, rating)


def _check_reading(file: YamlFile, keys: list[str | int], reading: ReadingRow, rating: Rating) -> None:
    if not reading.source or not reading.checked or not reading.scores:
        file.fail(keys, "a reading needs `source`, `checked` and `scores`", "say where the figures stand, and when")
    for name, figure in reading.scores.items():
        wrong = rating.problem(name, figure)
        if wrong is not None:
            file.fail([*keys, "scores", name], *wrong)


def _places(row: StandingRow, index: int) -> Iterator[tuple[str, list[str | int]]]:
    yield row.id, ["models", index, "id"]
    for place, name in enumerate(row.also):
        yield name, ["models", index, "also", place]
