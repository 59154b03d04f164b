"""What a decision says: who may answer, in which order, and everything that led to it, for replies, receipts and people."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

import msgspec

from tollway.catalogue.units import INPUT, OUTPUT, Unit
from tollway.routing.filters import RuledOut, exclusion_of
from tollway.routing.policy import Candidate, Exclusion
from tollway.routing.savings import cost_pico, percent, saving
from tollway.routing.tiers import Tier
from tollway.routing.verdict import Task, Verdict

MarginKind = Literal["direct", "auto", "tier"]


class Considered(msgspec.Struct, frozen=True, gc=False):
    """A model that was weighed. cost_nano: expected, before margin, at its cheapest offer that may answer; place from 1."""

    model: str
    offer: str
    quality: float
    cost_nano: int
    value: float
    place: int


class Counterfactual(msgspec.Struct, frozen=True, gc=False):
    """What another tier would have chosen; cost_nano with margin, nano-USD, expected."""

    direction: Literal["up", "down"]
    tier: Tier
    model: str
    cost_nano: int
    quality: float


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At least one candidate, best first, and how it came about.

    ruled_out: what this request ruled out; `exclusions` has it in words. absent: what could not be chosen by any request
    (one tuple for all). task, verdict: None where the model was named. tier: what is served; "" likewise. ranked: the
    pool, best value first. steps: one line each. reference: the model that the tier is measured by. baseline: what savings
    are measured against, None if it is not in the catalogue. margin_kind: how the model was chosen (money.md R3).
    """

    candidates: tuple[Candidate, ...]
    ruled_out: tuple[RuledOut, ...] = ()
    absent: tuple[Exclusion, ...] = ()
    task: Task | None = None
    verdict: Verdict | None = None
    tier: Tier | Literal[""] = ""
    ranked: tuple[Considered, ...] = ()
    steps: tuple[str, ...] = ()
    reference: str = ""
    baseline: Candidate | None = None
    counterfactuals: tuple[Counterfactual, ...] = ()
    margin_kind: MarginKind = "direct"
    margin_bps: int = 0
    baseline_margin_bps: int = 0
    profile: str = ""

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """What this request ruled out, each with its reason in words; made when it is asked for."""
        return tuple(map(exclusion_of, self.ruled_out))

    @property
    def baseline_model(self) -> str | None:
        """Id of the model that savings are measured against."""
        return None if self.baseline is None else str(self.baseline.offer.model)

    def expected_pico(self, candidate: Candidate) -> int | None:
        """What this request is expected to cost at a candidate, before margin; None where no task was read."""
        if self.task is None:
            return None
        return cost_pico(candidate.prices, {INPUT: self.task.input_tokens, OUTPUT: self.task.output_tokens})

    def expected_saving(self) -> Fraction | None:
        """The part of the baseline's charge that the first candidate is expected to save."""
        if self.task is None:
            return None
        return self.saving({INPUT: self.task.input_tokens, OUTPUT: self.task.output_tokens}, self.candidates[0])

    def saving(self, counts: Mapping[Unit, int], answered: Candidate) -> Fraction | None:
        """The part of the baseline's charge that a usage has saved; None where either side has no price for it.

        Args:
            counts: disjoint counts per unit of this request. answered: who answered it.
        """
        if self.baseline is None:
            return None
        paid, full = cost_pico(answered.prices, counts), cost_pico(self.baseline.prices, counts)
        if paid is None or full is None:
            return None
        return saving(paid, self.margin_bps, full, self.baseline_margin_bps)

    def savings_pct(self, counts: Mapping[Unit, int], answered: Candidate) -> str | None:
        """The same in percent with one decimal, as JSON writes a number."""
        return percent(self.saving(counts, answered))
