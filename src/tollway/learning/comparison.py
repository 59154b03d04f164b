"""`auto` against every single model, on an installation's own traffic: what it cost, and what people thought of it.

Cost: the same tokens at the single model's prices. Quality: ratings of what `auto` answered against ratings of what was
sent to the model by name; these are other requests, so a difference may come from them and not from the model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tollway.learning.intervals import Interval, Pairs, Scores, difference
from tollway.learning.repricing import Repricer
from tollway.learning.traffic import Request

LEAST_RATINGS = 10
"""Below so many ratings on either side, nothing is said of which is better."""


@dataclass(slots=True)
class Single:
    """One model for everything that `auto` answered. left_out: requests that it does not price."""

    model: str
    costs: Pairs = field(default_factory=Pairs)
    left_out: int = 0
    scores: Scores = field(default_factory=Scores)
    """Of requests that named this model."""


@dataclass(slots=True)
class Cell:
    """Requests of one tier and model; tier "" is of those that named their model."""

    tier: str
    model: str
    requests: int = 0
    charged_nano: int = 0
    scores: Scores = field(default_factory=Scores)

    def add(self, request: Request, ratings: Sequence[int]) -> None:
        """One more request."""
        self.requests += 1
        self.charged_nano += request.charge_nano
        for score in ratings:
            self.scores.add(score)


@dataclass(slots=True)
class Comparison:
    """auto: everything that `auto` chose a model for, or a tier. singles: by what they would have cost, dearest first.

    cells: by tier and model, in this order. direct: requests that named their model.
    """

    auto: Cell
    direct: Cell
    singles: list[Single]
    cells: list[Cell]

    def against(self, single: Single) -> Interval | None:
        """How much better `auto` was rated than a model; None where there are too few ratings to say."""
        mine, other = self.auto.scores.interval(), single.scores.interval()
        if mine is None or other is None or min(self.auto.scores.count, single.scores.count) < LEAST_RATINGS:
            return None
        return difference(mine, other)


def compare(
    requests: Iterable[Request], ratings: Mapping[str, Sequence[int]], repricers: Mapping[str, Repricer]
) -> Comparison:
    """`auto` against single models.

    Args:
        requests: of a period.
        ratings: request -> scores, 0..100.
        repricers: model -> what a request would have cost there.
    """
    auto, direct = Cell("", "auto"), Cell("", "direct")
    singles = {model: Single(model) for model in repricers}
    cells = dict[tuple[str, str], Cell]()
    for request in requests:
        scores = ratings.get(request.id, ())
        is_direct = request.mode == "direct"
        tier = "" if is_direct else request.tier or "unknown"
        place = (tier, request.model)
        (cells.get(place) or cells.setdefault(place, Cell(*place))).add(request, scores)
        if is_direct:
            direct.add(request, scores)
            single = singles.get(request.model)
            if single is not None:
                for score in scores:
                    single.scores.add(score)
            continue
        auto.add(request, scores)
        for model, single in singles.items():
            charge = repricers[model](request).charge_nano
            if charge is None:
                single.left_out += 1
            else:
                single.costs.add(request.charge_nano, charge)
    ranked = sorted(singles.values(), key=lambda one: (-one.costs.other, one.model))
    return Comparison(auto, direct, ranked, [cells[place] for place in sorted(cells)])
