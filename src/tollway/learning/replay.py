"""A period at other terms: charged then, would have been, and the difference, by model and in all."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tollway.learning.repricing import Outcome, Repricer
from tollway.learning.traffic import Request


@dataclass(slots=True)
class Line:
    """Requests of one model. priced: how many have a price at the other terms; the amounts are of these, nano-USD.

    left_out: how many have none, and left_out_nano: what they were charged.
    """

    model: str
    priced: int = 0
    charged_nano: int = 0
    would_nano: int = 0
    left_out: int = 0
    left_out_nano: int = 0

    @property
    def difference_nano(self) -> int:
        """More, or with a minus less, than was charged."""
        return self.would_nano - self.charged_nano

    def add(self, request: Request, outcome: Outcome) -> None:
        """One more request."""
        if outcome.charge_nano is None:
            self.left_out += 1
            self.left_out_nano += request.charge_nano
        else:
            self.priced += 1
            self.charged_nano += request.charge_nano
            self.would_nano += outcome.charge_nano


@dataclass(slots=True)
class Replay:
    """lines: by the model that answered, the dearest first. total: their sum. reasons: why requests were left out.

    bounded: how many of those that were left out would have been charged between least_nano and most_nano, together.
    """

    lines: list[Line]
    total: Line
    reasons: Counter[str] = field(default_factory=Counter[str])
    bounded: int = 0
    least_nano: int = 0
    most_nano: int = 0


def replay(
    requests: Iterable[Request],
    repricer: Repricer,
    bounds: Callable[[Request], tuple[int, int] | None] = lambda _: None,
) -> Replay:
    """Every request at other terms. `bounds`: the least and the most that one without an outcome would be charged."""
    by_model = dict[str, Line]()
    found = Replay([], Line("total"))
    for request in requests:
        outcome = repricer(request)
        line = by_model.get(request.model) or by_model.setdefault(request.model, Line(request.model))
        line.add(request, outcome)
        found.total.add(request, outcome)
        if outcome.charge_nano is not None:
            continue
        found.reasons[outcome.reason] += 1
        between = bounds(request)
        if between is not None:
            found.bounded += 1
            found.least_nano += between[0]
            found.most_nano += between[1]
    found.lines += sorted(by_model.values(), key=lambda one: (-one.charged_nano - one.left_out_nano, one.model))
    return found
