"""The circuit breaker: its table, its exact instants, and random histories against a plain model of what is promised."""

from copy import copy
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tollway.routing.breaker import (
    GRAVE,
    GRAVE_MAX_S,
    LIGHT,
    PLAIN,
    PROBE_TIMEOUT_S,
    TRANSITIONS,
    Breaker,
    Event,
    State,
    next_state,
    pause_s,
)

T = 1_800_000_000.0


def opened(at: float = T, failures: int = 5) -> Breaker:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(PLAIN, at, at)
    assert breaker.state == "open"
    return breaker


def test_the_table_is_all_that_can_happen() -> None:
    assert dict(TRANSITIONS) == {
        ("closed", "trip"): "open",
        ("open", "rest"): "half_open",
        ("open", "answer"): "half_open",
        ("half_open", "answer"): "half_open",
        ("half_open", "heal"): "closed",
        ("half_open", "trip"): "open",
    }
    refused = {(s, e) for s in get_args(State) for e in get_args(Event)} - set(TRANSITIONS)
    assert len(refused) == 6
    for state, event in refused:
        with pytest.raises(KeyError):
            next_state(state, event)


def test_pauses_double_to_their_limits() -> None:
    assert [pause_s(n) for n in range(7)] == [5, 10, 20, 40, 80, 120, 120]
    assert [pause_s(n, is_grave=True) for n in range(5)] == [60, 120, 240, 300, 300]
    assert pause_s(10**9) == 120


def test_five_failures_in_a_row_open_it_and_a_success_between_starts_anew() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(PLAIN, T, T)
    breaker.succeeded(T, T)
    for _ in range(4):
        breaker.failed(PLAIN, T, T)
    assert breaker.admits(T)
    breaker.failed(PLAIN, T, T)
    assert not breaker.admits(T)


def test_half_of_ten_samples_open_it_and_a_little_less_does_not() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.succeeded(T, T)
    for _ in range(4):
        breaker.failed(PLAIN, T, T)
    assert breaker.state == "closed"
    breaker.succeeded(T, T)
    breaker.failed(PLAIN, T, T)
    # 6 of 11 were answered; one more failure makes it half of 12.
    assert breaker.state == "closed"
    breaker.failed(PLAIN, T, T)
    assert breaker.state == "open"


def test_a_busy_provider_counts_half() -> None:
    breaker = Breaker()
    for _ in range(9):
        breaker.failed(LIGHT, T, T)
    assert breaker.state == "closed"
    breaker.failed(LIGHT, T, T)
    assert breaker.state == "open"
    half_busy = Breaker()
    for _ in range(100):
        half_busy.failed(LIGHT, T, T)
        half_busy.succeeded(T, T)
    assert half_busy.state == "closed"


def test_what_was_long_ago_does_not_open_it() -> None:
    breaker = Breaker()
    for second in (0, 90):
        for _ in range(4):
            breaker.failed(PLAIN, T + second, T + second)
        breaker.succeeded(T + second, T + second)
    assert (breaker.samples, breaker.bad, breaker.samples_before) == (5, 8, 0)
    assert breaker.state == "closed"
    breaker.succeeded(T + 120, T + 120)
    assert (breaker.samples, breaker.samples_before, breaker.bad_before) == (1, 5, 8)


def test_the_exact_instants_of_an_outage() -> None:
    breaker = opened(T)
    assert (breaker.state_at(T + 4.999), breaker.admits(T + 4.999)) == ("open", False)
    assert breaker.state_at(T + 5) == "half_open"
    assert breaker.state == "open", "looking changes nothing"
    assert breaker.admits(T + 5)
    assert not breaker.admits(T + 5), "one at a time"
    breaker.failed(PLAIN, T + 5, T + 6)
    assert breaker.reopens_at == T + 16
    assert not breaker.admits(T + 15.999)
    assert breaker.admits(T + 16)
    breaker.succeeded(T + 16, T + 17)
    assert breaker.state == "half_open"
    assert breaker.admits(T + 17)
    breaker.succeeded(T + 17, T + 18)
    assert (breaker.state, breaker.trips) == ("closed", 0)
    assert all(breaker.admits(T + 18) for _ in range(100))
    # It has closed, so the next pause is the first one again, and what failed before is forgotten.
    for _ in range(4):
        breaker.failed(PLAIN, T + 18, T + 19)
    assert breaker.state == "closed"
    breaker.failed(PLAIN, T + 18, T + 19)
    assert breaker.reopens_at == T + 24


def test_a_lost_probe_locks_nobody_out() -> None:
    breaker = opened(T)
    assert breaker.admits(T + 5)
    assert not breaker.admits(T + 34.999)
    assert breaker.admits(T + 35)
    # The lost one comes after all: a success is a success, but the place is the newer one's.
    breaker.succeeded(T + 5, T + 36)
    assert (breaker.answers, breaker.admits(T + 36)) == (1, False)
    breaker.succeeded(T + 35, T + 37)
    assert breaker.state == "closed"


def test_a_lost_probe_that_fails_does_not_make_room_for_another() -> None:
    breaker = opened(T)
    assert breaker.admits(T + 5)
    assert breaker.admits(T + 35)
    breaker.failed(PLAIN, T + 5, T + 36)
    assert (breaker.state, breaker.reopens_at) == ("open", T + 46)
    assert not breaker.probe(T + 37)
    breaker.succeeded(T + 35, T + 38)
    assert (breaker.state, breaker.answers) == ("half_open", 1)
    assert breaker.probe(T + 38)


def test_a_probe_that_tells_nothing_leaves_its_place() -> None:
    breaker = opened(T)
    assert breaker.admits(T + 5)
    breaker.ended(T + 1)
    assert not breaker.admits(T + 6), "that was another one"
    breaker.ended(T + 5)
    assert breaker.admits(T + 6)
    assert (breaker.state, breaker.trips) == ("half_open", 1)


def test_what_was_asked_before_it_opened_says_nothing() -> None:
    breaker = opened(T)
    breaker.succeeded(T - 3, T + 1)
    breaker.failed(GRAVE, T - 3, T + 1)
    assert (breaker.state, breaker.reopens_at) == ("open", T + 5)
    assert breaker.admits(T + 5)
    breaker.failed(PLAIN, T - 60, T + 5.5)
    breaker.succeeded(T - 60, T + 5.5)
    assert (breaker.state, breaker.answers, breaker.is_probed(T + 5.5)) == ("half_open", 0, True)


def test_a_wrong_key_opens_it_at_once_and_for_longer() -> None:
    breaker = Breaker()
    breaker.failed(GRAVE, T, T)
    assert (breaker.state, breaker.reopens_at) == ("open", T + 60)
    assert breaker.admits(T + 60)
    breaker.failed(GRAVE, T + 60, T + 61)
    assert breaker.reopens_at == T + 61 + 120


def test_one_strange_request_does_not_close_an_offer_that_works() -> None:
    breaker = Breaker()
    breaker.succeeded(T, T)
    breaker.failed(GRAVE, T + 59, T + 59)
    assert breaker.state == "closed"
    breaker.failed(GRAVE, T + 60, T + 60)
    assert breaker.state == "open"
    # All of them failing is another matter.
    breaker = Breaker()
    breaker.succeeded(T, T)
    for _ in range(5):
        breaker.failed(GRAVE, T + 1, T + 1)
    assert (breaker.state, breaker.reopens_at) == ("open", T + 6)


def test_a_probe_before_its_time_changes_no_pause_when_it_fails() -> None:
    breaker = opened(T)
    assert breaker.probe(T + 1)
    assert not breaker.probe(T + 1)
    breaker.failed(PLAIN, T + 1, T + 2)
    assert (breaker.state, breaker.reopens_at, breaker.trips) == ("open", T + 5, 1)
    assert breaker.probe(T + 2)
    breaker.succeeded(T + 2, T + 3)
    assert (breaker.state_at(T + 3), breaker.answers) == ("half_open", 1)
    assert breaker.admits(T + 3)
    breaker.succeeded(T + 3, T + 4)
    assert breaker.state == "closed"


def test_an_early_probe_that_ends_late_is_still_a_probe() -> None:
    breaker = opened(T)
    assert breaker.probe(T + 4)
    assert not breaker.admits(T + 6)
    breaker.failed(PLAIN, T + 4, T + 7)
    assert breaker.reopens_at == T + 17


def test_an_answer_that_breaks_off_is_taken_back() -> None:
    breaker = Breaker()
    for _ in range(9):
        breaker.succeeded(T, T)
        breaker.failed(PLAIN, T, T + 1, takes_back=True)
    assert (breaker.samples, breaker.bad, breaker.state) == (9, 18, "closed")
    breaker.succeeded(T, T)
    breaker.failed(PLAIN, T, T + 1, takes_back=True)
    assert breaker.state == "open"


def test_a_clock_that_was_set_back_does_not_lock_it() -> None:
    breaker = opened(T)
    assert breaker.admits(T - 86_400)
    assert breaker.is_probed(T - 86_400)
    breaker = opened(T)
    assert breaker.probe(T)
    assert breaker.admits(T - 86_400)


class Outages(RuleBasedStateMachine):
    """One offer, requests in flight, and a model that knows only what is promised from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.twin = Breaker()
        self.now = T
        self.flying: list[float] = []
        self.probes: list[float] = []

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 5.0, 29.0, 31.0, 61.0, 125.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        # The breaker tells requests apart by when they began.
        self.now += 0.1
        state = self.breaker.state_at(self.now)
        may = self.breaker.admits(self.now)
        assert self.twin.admits(self.now) == may
        if state == "open":
            assert not may
        if state == "closed":
            assert may
        if may:
            self.flying.append(self.now)
            if state == "half_open":
                self.probed()

    @precondition(lambda self: self.breaker.state == "open")
    @rule()
    def last_resort(self) -> None:
        self.now += 0.1
        may = self.breaker.probe(self.now)
        assert self.twin.probe(self.now) == may
        if may:
            self.flying.append(self.now)
            self.probed()

    def probed(self) -> None:
        running = [at for at in self.probes if at in self.flying and self.now - at < PROBE_TIMEOUT_S]
        assert running == [], "one probe at a time"
        self.probes.append(self.now)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), how=st.sampled_from(["ok", "ok", PLAIN, LIGHT, GRAVE, "gone"]))
    def end(self, data: st.DataObject, how: str | int) -> None:
        began = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        before, is_probe = self.breaker.state, began in self.probes
        for breaker in (self.breaker, self.twin):
            if how == "ok":
                breaker.succeeded(began, self.now)
            elif how == "gone":
                breaker.ended(began)
            else:
                breaker.failed(how, began, self.now)
        if before != "closed" and not is_probe:
            assert self.breaker.state == before, "what was asked before says nothing"
        if how == "gone" or (before == "open" and how != "ok"):
            assert self.breaker.state == before
        if before == "closed" and how == "ok":
            assert self.breaker.state == "closed"
        if before == "half_open" and is_probe and how in (PLAIN, LIGHT, GRAVE) and began >= self.breaker.opened_at:
            assert self.breaker.state == "open"

    @invariant()
    def the_same_history_gives_the_same_breaker(self) -> None:
        assert self.breaker == self.twin

    @invariant()
    def it_never_locks_an_offer_out(self) -> None:
        later = copy(self.breaker)
        assert later.admits(self.now + max(GRAVE_MAX_S, PROBE_TIMEOUT_S))

    @invariant()
    def two_answers_always_heal_it(self) -> None:
        later, at = copy(self.breaker), self.now + GRAVE_MAX_S
        for _ in range(2):
            at += 1
            if later.state != "closed":
                assert later.admits(at)
                later.succeeded(at, at + 0.5)
        assert later.state == "closed"

    @invariant()
    def its_numbers_make_sense(self) -> None:
        one = self.breaker
        assert one.bad <= 2 * one.samples
        assert one.bad_before <= 2 * one.samples_before
        assert one.reopens_at - one.opened_at <= GRAVE_MAX_S
        assert (one.state == "closed") <= (one.trips == 0)


def test_random_histories() -> None:
    run_state_machine_as_test(Outages, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))
