"""Windows: exact at their edges, never more than the limit, corrections in their own day."""

import timeit
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tollway.errors import RateLimited, TokensPerDayExceeded
from tollway.ports import Window
from tollway.store.limiter import DAY_S, MINUTE_S, InProcessLimiter
from tollway.workspaces.key import Key

MIDNIGHT = 20_000 * DAY_S  # 2024-10-04T00:00:00Z
NOON = MIDNIGHT + 12 * 3600


def key(name="k", rpm=-1, tpd=-1):
    return Key(name, "w", "o", "n", "tw_test", requests_per_minute=rpm, tokens_per_day=tpd)


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_minute_counts_down_and_starts_anew():
    limiter, three = InProcessLimiter(), key(rpm=3)
    assert limiter.window(three, NOON) == Window(3, 3, NOON + 60)
    assert [limiter.take_request(three, NOON + second).remaining for second in (0, 30, 59.999)] == [2, 1, 0]
    with pytest.raises(RateLimited) as refused:
        limiter.take_request(three, NOON + 59.5)
    assert refused.value.details == {"limit": 3, "reset": NOON + 60, "retry_after_seconds": 1}
    assert refused.value.headers() == [(b"retry-after", b"1")]
    assert limiter.window(three, NOON + 59.5) == Window(3, 0, NOON + 60)
    assert limiter.take_request(three, NOON + 60) == Window(3, 2, NOON + 120)


def test_retry_after_and_reset_agree_to_the_second():
    limiter, none = InProcessLimiter(), key(rpm=0)
    for second in range(60):
        with pytest.raises(RateLimited) as refused:
            limiter.take_request(none, NOON + second + 0.9)
        details = refused.value.details
        assert details["reset"] == NOON + 60
        assert NOON + second + details["retry_after_seconds"] == details["reset"]


def test_a_keys_own_limit_or_the_default():
    limiter = InProcessLimiter(requests_per_minute=2, tokens_per_day=100)
    assert limiter.take_request(key("own", rpm=5), NOON).limit == 5
    assert limiter.take_request(key("default"), NOON).limit == 2
    assert InProcessLimiter().take_request(key("free"), NOON) == Window(-1, -1, NOON + 60)
    assert limiter.tokens_window(key("own", tpd=7), NOON).limit == 7
    assert limiter.tokens_window(key("default"), NOON).limit == 100


def test_keys_do_not_share():
    limiter = InProcessLimiter(requests_per_minute=1)
    limiter.take_request(key("a"), NOON)
    limiter.take_request(key("b"), NOON)
    with pytest.raises(RateLimited):
        limiter.take_request(key("a"), NOON)


def test_looking_counts_nothing_and_opens_nothing():
    limiter, one = InProcessLimiter(), key(rpm=1)
    limiter.take_request(one, NOON)
    assert limiter.window(one, NOON + 60).remaining == 1
    assert limiter.window(one, NOON).remaining == 0


def test_a_clock_that_jumps_back_over_a_boundary_finds_its_counts():
    limiter, one = InProcessLimiter(), key(rpm=1, tpd=100)
    limiter.take_request(one, NOON + 59)
    limiter.take_request(one, NOON + 61)
    with pytest.raises(RateLimited):
        limiter.take_request(one, NOON + 58)
    limiter.reserve_tokens(one, 90, MIDNIGHT - 1)
    limiter.reserve_tokens(one, 90, MIDNIGHT + 1)
    with pytest.raises(TokensPerDayExceeded):
        limiter.reserve_tokens(one, 90, MIDNIGHT - 600)


def test_a_clock_that_was_set_back_by_hours_does_not_lock_keys_out():
    limiter, one = InProcessLimiter(), key(rpm=1)
    limiter.take_request(one, NOON)
    assert limiter.take_request(one, NOON - 7200).remaining == 0


def test_old_windows_are_dropped():
    limiter = InProcessLimiter()
    for minute in range(100):
        limiter.take_request(key(f"k{minute}"), NOON + minute * MINUTE_S)
    assert set(limiter._minutes.counts) == {"k99"}
    assert set(limiter._minutes.earlier) == {"k98"}


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_tokens_are_reserved_and_corrected():
    limiter, day = InProcessLimiter(), key(tpd=1_000)
    limiter.reserve_tokens(day, 600, NOON)
    with pytest.raises(TokensPerDayExceeded) as refused:
        limiter.reserve_tokens(day, 401, NOON)
    assert refused.value.status == 429
    assert refused.value.details == {
        "limit": 1_000,
        "used": 600,
        "needed": 401,
        "reset": MIDNIGHT + DAY_S,
        "retry_after_seconds": DAY_S // 2,
    }
    limiter.correct_tokens(day, 600, 150, NOON // DAY_S)
    assert limiter.tokens_used(day, NOON) == 150
    limiter.reserve_tokens(day, 850, NOON)
    assert limiter.tokens_window(day, NOON) == Window(1_000, 0, MIDNIGHT + DAY_S)
    limiter.reserve_tokens(day, 1_000, NOON + DAY_S)


def test_the_message_says_what_is_left():
    limiter, day = InProcessLimiter(), key(tpd=1_000)
    limiter.reserve_tokens(day, 600, NOON)
    with pytest.raises(TokensPerDayExceeded, match="may need 500 tokens; of 1000 per day this key has 400 left"):
        limiter.reserve_tokens(day, 500, NOON)


def test_a_correction_after_midnight_goes_into_yesterday():
    limiter, day = InProcessLimiter(), key(tpd=1_000)
    limiter.reserve_tokens(day, 600, MIDNIGHT - 1)
    limiter.reserve_tokens(day, 700, MIDNIGHT + 1)
    limiter.correct_tokens(day, 600, 10, MIDNIGHT // DAY_S - 1)
    assert limiter.tokens_used(day, MIDNIGHT + 1) == 700
    assert limiter.tokens_used(day, MIDNIGHT - 1) == 10
    # ... and of the day before that, nothing is kept.
    limiter.correct_tokens(day, 600, 10, MIDNIGHT // DAY_S - 2)
    assert limiter.tokens_used(day, MIDNIGHT + 1) == 700


def test_more_used_than_reserved_counts_and_less_than_nothing_does_not():
    limiter, day = InProcessLimiter(), key(tpd=100)
    limiter.reserve_tokens(day, 90, NOON)
    limiter.correct_tokens(day, 90, 120, NOON // DAY_S)
    assert limiter.tokens_used(day, NOON) == 120
    assert limiter.tokens_window(day, NOON).remaining == 0
    limiter.correct_tokens(day, 500, 0, NOON // DAY_S)
    assert limiter.tokens_used(day, NOON) == 0


def test_restore_at_start():
    limiter, day = InProcessLimiter(), key(tpd=100)
    limiter.restore({"k": 95, "other": 3}, NOON // DAY_S)
    with pytest.raises(TokensPerDayExceeded):
        limiter.reserve_tokens(day, 6, NOON)
    limiter.reserve_tokens(day, 5, NOON)
    limiter.reserve_tokens(day, 100, NOON + DAY_S)


# -- properties -------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 90)), max_size=80),
)
def test_never_more_than_the_limit_passes_in_any_window(limit, steps):
    limiter, now, passed = InProcessLimiter(requests_per_minute=limit), float(NOON), Counter()
    for name, pause in steps:
        now += pause
        try:
            window = limiter.take_request(key(name), now)
        except RateLimited:
            assert passed[name, int(now) // MINUTE_S] == limit
        else:
            passed[name, int(now) // MINUTE_S] += 1
            assert window.remaining == limit - passed[name, int(now) // MINUTE_S]
    assert all(count <= limit for count in passed.values())


class Days(RuleBasedStateMachine):
    """Reservations, corrections (within them) and a clock, against a plain dictionary per day."""

    LIMIT = 1_000

    def __init__(self):
        super().__init__()
        self.limiter, self.now = InProcessLimiter(tokens_per_day=self.LIMIT), float(NOON)
        self.open, self.model = [], Counter()

    @rule(name=st.sampled_from("ab"), tokens=st.integers(0, 700))
    def reserve(self, name, tokens):
        day = int(self.now) // DAY_S
        try:
            self.limiter.reserve_tokens(key(name), tokens, self.now)
        except TokensPerDayExceeded:
            assert self.model[name, day] + tokens > self.LIMIT
        else:
            self.model[name, day] += tokens
            self.open.append((name, tokens, day))

    @rule(which=st.integers(0, 99), share=st.integers(0, 100))
    def correct(self, which, share):
        if not self.open:
            return
        name, tokens, day = self.open.pop(which % len(self.open))
        used = tokens * share // 100
        self.limiter.correct_tokens(key(name), tokens, used, day)
        self.model[name, day] += used - tokens

    @rule(hours=st.integers(0, 30))
    def wait(self, hours):
        self.now += hours * 3600

    @invariant()
    def agrees(self):
        day = int(self.now) // DAY_S
        for name in "ab":
            assert self.limiter.tokens_used(key(name), self.now) == self.model[name, day] <= self.LIMIT


TestDays = Days.TestCase
TestDays.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_request_costs_little():
    limiter, one = InProcessLimiter(), key(rpm=10_000_000, tpd=10**15)

    def step():
        limiter.take_request(one, NOON)
        limiter.reserve_tokens(one, 10, NOON)
        limiter.correct_tokens(one, 10, 5, NOON // DAY_S)

    # About 1.2 us; the bound only says that nothing grows.
    assert min(timeit.repeat(step, number=1000, repeat=5)) / 1000 < 50e-6
