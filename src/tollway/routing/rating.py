"""How good a model is, from what was read of it: the shape of `data/standings.yml`, and the one formula behind it.

The file's own heading gives the formula and says what is verified and what is not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from tollway.catalogue.pricerows import Day
from tollway.routing.tiers import CATEGORIES, RANK, TIERS, Category, Tier

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Lean = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Figure = float | str
Five = tuple[float, float, float, float, float]

_LEAN_WEIGHT = 1.0
_BEYOND = 0.5
"""A model is at most half a tier below the lowest typical one, or above the highest."""
_RANK = re.compile(r"([1-9]\d*)/([1-9]\d*)(\*?)")


class BenchmarkRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test. at: the score of a typical model of each tier, rising. categories: what it speaks of; none means of all.

    rank: its figures are places among so many, such as `6/313`; `at` is then the share of the others beaten, percent.
    """

    what: str
    at: Five
    categories: list[Category] = []
    rank: bool = False
    weight: Annotated[float, msgspec.Meta(gt=0, le=10)] = 2


class ReadingRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One page. checked: when it was read. scores: benchmark -> its figure there."""

    source: str
    checked: Day
    scores: dict[str, Figure]


class StandingRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model. also: ids under which providers serve the same weights apart from it.

    because: what a tier without an overall score rests on, or what else is to be known. place, lean: guesses, in tiers.
    quality, tool_calling: stated outright; they win over what is computed. tools: false where it calls none.
    """

    id: str
    tier: Tier
    also: list[str] = []
    read: list[ReadingRow] = []
    because: str = ""
    place: Lean = 0
    lean: dict[Category, Lean] = {}
    quality: dict[Category, Share] = {}
    tool_calling: Share | None = None
    tools: bool = True


class StandingsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shipped file. tiers: the least `overall` score of each. shrink: weight of the tier's mean."""

    tiers: dict[Tier, float]
    shrink: Annotated[float, msgspec.Meta(gt=0, le=100)]
    categories: dict[Category, tuple[Share, Share, Share, Share, Share]]
    benchmarks: dict[str, BenchmarkRow]
    models: list[StandingRow]


class OwnFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's file: models that are added, or that replace shipped ones."""

    models: list[StandingRow]


class Score(msgspec.Struct, frozen=True):
    """A figure as it was read. text: as its source writes it."""

    benchmark: str
    what: str
    text: str
    source: str
    checked: str


class Rating:
    """The formula, with the numbers of a file."""

    def __init__(self, file: StandingsFile) -> None:
        self._file = file

    def quality(self, row: StandingRow) -> dict[Category, float]:
        """Every category of a model, in [0, 1], to three digits."""
        return {category: row.quality.get(category, self._computed(row, category)) for category in CATEGORIES}

    def at(self, position: float) -> dict[Category, float]:
        """Every category of a model at a place on the line of tiers, 0 the lowest."""
        return {category: round(_between(self._file.categories[category], position), 3) for category in CATEGORIES}

    def position(self, row: StandingRow, category: Category) -> float:
        """Where a model stands on the line of tiers in a category, drawn towards its tier."""
        home = float(RANK[row.tier])
        total, weight = self._file.shrink * home, self._file.shrink
        for place, counts in (*self._read(row, category), *_guessed(row, home, category)):
            total += counts * place
            weight += counts
        return min(max(total / weight, -_BEYOND), len(TIERS) - 1 + _BEYOND)

    def tests_tools(self, row: StandingRow) -> bool:
        """A figure of this model speaks of calling tools in particular."""
        return any(
            "tool_use" in self._file.benchmarks[name].categories for reading in row.read for name in reading.scores
        )

    def tier_of(self, overall: float) -> Tier:
        """The tier that an `overall` score reaches."""
        return next(tier for tier in reversed(TIERS) if overall >= self._file.tiers[tier])

    def scores(self, row: StandingRow) -> Iterator[Score]:
        """What was read of a model."""
        for reading in row.read:
            for name, figure in reading.scores.items():
                text = figure if isinstance(figure, str) else f"{figure:g}"
                yield Score(name, self._file.benchmarks[name].what, text, reading.source, reading.checked)

    def problem(self, name: str, figure: Figure) -> tuple[str, str] | None:
        """(what is wrong, what would do) of a figure; None if it is right."""
        benchmark = self._file.benchmarks.get(name)
        if benchmark is None:
            return "there is no such benchmark", f"there are: {', '.join(self._file.benchmarks)}"
        if not benchmark.rank:
            return ("a score is a number", "write it without quotes") if isinstance(figure, str) else None
        match = _RANK.fullmatch(figure) if isinstance(figure, str) else None
        if match is None or not int(match[1]) <= int(match[2]) or int(match[2]) < 2:
            return f"{figure} is not a rank", "write place/number, such as 6/313; add * where little stands behind it"
        return None

    def _computed(self, row: StandingRow, category: Category) -> float:
        return round(_between(self._file.categories[category], self.position(row, category)), 3)

    def _read(self, row: StandingRow, category: Category) -> Iterator[tuple[float, float]]:
        for reading in row.read:
            for name, figure in reading.scores.items():
                benchmark = self._file.benchmarks[name]
                if not benchmark.categories or category in benchmark.categories:
                    value, share = _value(figure)
                    yield _place(benchmark.at, value), benchmark.weight * share


def _guessed(row: StandingRow, home: float, category: Category) -> Iterator[tuple[float, float]]:
    for guess in (row.place, row.lean.get(category, 0)):
        if guess:
            yield home + guess, _LEAN_WEIGHT


def _value(figure: Figure) -> tuple[float, float]:
    """(score, how much of its weight counts); of a rank, the share of the others beaten in percent."""
    if not isinstance(figure, str):
        return figure, 1.0
    match = _RANK.fullmatch(figure)
    assert match is not None
    return 100 * (1 - (int(match[1]) - 1) / (int(match[2]) - 1)), 0.5 if match[3] else 1.0


def _place(at: Sequence[float], value: float) -> float:
    """Where on the line of tiers a score stands; beyond the ends, as the nearest stretch goes on."""
    low = max((tier for tier in range(len(at) - 1) if at[tier] <= value), default=0)
    found = low + (value - at[low]) / (at[low + 1] - at[low])
    return min(max(found, -_BEYOND), len(at) - 1 + _BEYOND)


def _between(row: Sequence[float], position: float) -> float:
    low = min(max(int(position), 0), len(row) - 2)
    return min(max(row[low] + (position - low) * (row[low + 1] - row[low]), 0.0), 1.0)


def mean(quality: Mapping[Category, float]) -> float:
    """The plain mean, in [0, 1], over the kinds of task that a model can do at all."""
    able = [share for share in quality.values() if share]
    return sum(able) / len(able) if able else 0.0
