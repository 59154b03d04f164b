"""A circuit breaker: whether an offer may be asked, from how its last requests ended. Pure; every instant is handed in.

closed     requests pass. It opens when at least half of at least 10 samples of the last 30 to 60 s failed, when 5 in a
           row did, or at the first failure that does not heal by itself (a wrong key, an unknown model).
open       nothing passes until its pause is over: 5 s, doubled each time it opens again before it has closed, at most
           120 s; after a grave failure 60 s to 300 s. Only a last resort may be asked (`probe`).
half_open  one request at a time is let through to find out. Two answers close it, one failure opens it again.

No pause is longer than 300 s and no probe keeps others out for more than 30 s: it never locks an offer out for ever.
What was asked before it opened says nothing about now: its late results are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

State = Literal["closed", "open", "half_open"]
Event = Literal["trip", "rest", "answer", "heal"]
"""trip: too many failures. rest: the pause is over. answer, heal: a probe was answered; the last one that was needed."""

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("closed", "trip"): "open",
    ("open", "rest"): "half_open",
    ("open", "answer"): "half_open",
    ("half_open", "answer"): "half_open",
    ("half_open", "heal"): "closed",
    ("half_open", "trip"): "open",
}

LIGHT, PLAIN, GRAVE = 1, 2, 3
"""Weights, in halves of a failure: a busy provider counts half; a grave one weighs as a plain one, and opens at once."""

ERA_S = 30.0
SAMPLES_MIN = 10
STREAK_MAX = 5 * PLAIN
ANSWERS_TO_CLOSE = 2
PAUSE_FIRST_S, PAUSE_MAX_S = 5.0, 120.0
GRAVE_FIRST_S, GRAVE_MAX_S = 60.0, 300.0
PROBE_TIMEOUT_S = 30.0
"""A probe that says nothing for so long is given up: the next request may be one."""
RECENT_S = 60.0
"""An offer that answered so lately has a good key and knows its model: one grave failure is about the request, not the offer."""
_STEP_BACK_S = 60.0
"""A clock that runs back by more was set; what it said before is forgotten."""
_SLACK_S = 0.05
"""How far the start of an attempt, worked out from its duration, may seem to lie before it was let through."""


def next_state(state: State, event: Event) -> State:
    """The state after an event. Raises KeyError for one that cannot happen in `state`."""
    return TRANSITIONS[state, event]


def pause_s(trips: int, *, is_grave: bool = False) -> float:
    """How long it stays open the (trips + 1)th time in a row."""
    first, most = (GRAVE_FIRST_S, GRAVE_MAX_S) if is_grave else (PAUSE_FIRST_S, PAUSE_MAX_S)
    return min(first * 2.0 ** min(trips, 16), most)


@dataclass(slots=True)
class Breaker:
    """The breaker of one offer. All instants are unix seconds.

    trips: how often it has opened since it was last closed. probe_at: when the probe that is running was let through, 0
    none. probed_from: when the first probe since it opened was. answers: of probes. streak: weight of the failures in a
    row. samples, bad: of this era of ERA_S and the one before; `bad` in halves.
    """

    state: State = "closed"
    opened_at: float = 0.0
    reopens_at: float = 0.0
    trips: int = 0
    probe_at: float = 0.0
    probed_from: float = inf
    answers: int = 0
    streak: int = 0
    answered_at: float = -inf
    era: int = 0
    samples: int = 0
    bad: int = 0
    samples_before: int = 0
    bad_before: int = 0

    def state_at(self, now: float) -> State:
        """The state that a request would find."""
        if self.state == "open" and self._is_rested(now):
            return "half_open"
        return self.state

    def admits(self, now: float) -> bool:
        """A request may be sent now. While half open this lets one through, and that one is the probe."""
        if self.state == "closed":
            return True
        if self.state == "open":
            if not self._is_rested(now):
                return False
            self.state = next_state("open", "rest")
        return self.probe(now)

    def probe(self, now: float) -> bool:
        """Let one request through if none is on its way, the pause over or not: the last resort when all are open."""
        if self.is_probed(now):
            return False
        self.probe_at = now
        self.probed_from = min(self.probed_from, now)
        return True

    def is_probed(self, now: float) -> bool:
        """A probe is on its way."""
        return self.probe_at > 0 and -_STEP_BACK_S <= now - self.probe_at < PROBE_TIMEOUT_S

    def succeeded(self, began: float, now: float) -> None:
        """A request that began then was answered, or began to be."""
        self.answered_at = now
        if self.state == "closed":
            if int(now // ERA_S) != self.era:
                self._turn(int(now // ERA_S))
            self.samples += 1
            self.streak = 0
        elif self._is_probe(began):
            self.answers += 1
            if self.state == "open":
                self.state = next_state("open", "answer")
            self.state = next_state("half_open", "heal" if self.answers >= ANSWERS_TO_CLOSE else "answer")
            if self.state == "closed":
                self._begin_anew()

    def failed(self, weight: int, began: float, now: float, *, takes_back: bool = False) -> None:
        """A request that began then failed. takes_back: it had been called answered, and broke off."""
        is_grave = weight >= GRAVE and not 0 <= now - self.answered_at < RECENT_S
        if self.state == "closed":
            if int(now // ERA_S) != self.era:
                self._turn(int(now // ERA_S))
            self.samples += not (takes_back and self.samples)
            self.bad += min(weight, PLAIN)
            self.streak += min(weight, PLAIN)
            if is_grave or self._is_tripped():
                self._open(now, is_grave=is_grave)
        elif self._is_probe(began) and self.state == "half_open":
            self._open(now, is_grave=is_grave)

    def ended(self, began: float) -> None:
        """A request that began then ended without telling anything of the offer: a probe leaves its place to the next."""
        if self.state != "closed":
            self._is_probe(began)

    def _is_rested(self, now: float) -> bool:
        return now >= self.reopens_at or now < self.opened_at - _STEP_BACK_S

    def _is_tripped(self) -> bool:
        """Half of the samples failed, or so many in a row. `bad` counts halves, so it reaches `samples` at one half."""
        samples = self.samples + self.samples_before
        return self.streak >= STREAK_MAX or (samples >= SAMPLES_MIN and self.bad + self.bad_before >= samples)

    def _is_probe(self, began: float) -> bool:
        """A request that began then was let through after it opened; if it is the one on its way, its place is free again."""
        if self.probe_at > 0 and began >= self.probe_at - _SLACK_S:
            self.probe_at = 0.0
        return began >= self.probed_from - _SLACK_S

    def _turn(self, era: int) -> None:
        """Another era has begun: what is older than the one before it is forgotten."""
        is_next = era == self.era + 1
        self.samples_before, self.bad_before = (self.samples, self.bad) if is_next else (0, 0)
        self.samples = self.bad = 0
        self.era = era

    def _open(self, now: float, *, is_grave: bool) -> None:
        self.state = next_state(self.state, "trip")
        self.opened_at, self.reopens_at = now, now + pause_s(self.trips, is_grave=is_grave)
        self.trips += 1
        self.answers = 0
        # A lost probe may have come back as a failure while the next one is on its way: that one still counts.
        self.probed_from = self.probe_at or inf

    def _begin_anew(self) -> None:
        self.trips = self.answers = self.streak = 0
        self.samples = self.bad = self.samples_before = self.bad_before = 0
        self.probe_at, self.probed_from = 0.0, inf
