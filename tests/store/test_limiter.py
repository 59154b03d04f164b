"""The contract of `ports.Limiter`, kept by both: windows exact at their edges, never more than a limit, all or nothing."""

import asyncio
import timeit
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from store.counting import LIMIT, MIDNIGHT, NOON, Counting, quota, workspace_of
from support.valkey import Valkey
from tollway.errors import RateLimited, TokensPerDayExceeded
from tollway.ports import Counted, Window
from tollway.store.limiter import DAY_S, MINUTE_S, InProcessLimiter
from tollway.store.valkey_limiter import ValkeyLimiter


@pytest.fixture(scope="module", params=["in process", "valkey"])
def fresh(request):
    """Makes limiters that have counted nothing."""
    with asyncio.Runner() as runner:
        if request.param == "in process":
            yield lambda: Counting(InProcessLimiter(), runner)
            return
        with Valkey() as store:

            async def shared():
                return ValkeyLimiter(store.url, workspace_of, timeout_s=10)

            limiter = Counting(runner.run(shared()), runner)

            def emptied():
                store.ask("FLUSHALL")
                return limiter

            yield emptied
            limiter.close()


@pytest.fixture
def limiter(fresh):
    return fresh()


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_minute_counts_down_and_starts_anew(limiter):
    three = quota(requests=3)
    assert limiter.window(three, NOON) == Window(3, 3, NOON + 60)
    assert [limiter.admit(three, 0, NOON + second).remaining for second in (0, 30, 59.999)] == [2, 1, 0]
    with pytest.raises(RateLimited) as refused:
        limiter.admit(three, 0, NOON + 59.5)
    told = {"limit": 3, "reset": NOON + 60, "retry_after_seconds": 1, "limit_source": "plan"}
    assert refused.value.details == told
    assert refused.value.headers() == [(b"retry-after", b"1")]
    assert limiter.window(three, NOON + 59.5) == Window(3, 0, NOON + 60)
    assert limiter.admit(three, 0, NOON + 60) == Window(3, 2, NOON + 120)


def test_retry_after_and_reset_agree_to_the_second(limiter):
    for second in range(60):
        with pytest.raises(RateLimited) as refused:
            limiter.admit(quota(requests=0), 0, NOON + second + 0.9)
        details = refused.value.details
        assert details["reset"] == NOON + 60
        assert NOON + second + details["retry_after_seconds"] == details["reset"]


def test_without_limits_everything_passes_and_is_counted(limiter):
    assert limiter.admit(quota(), 10**15, NOON) == Window(-1, -1, NOON + 60)
    assert limiter.window(quota(), NOON) == Window(-1, -1, NOON + 60)
    assert limiter.counted("w", NOON).requests_today == 1
    limiter.correct(quota(), 10**15, 70, NOON)
    assert limiter.counted("w", NOON).tokens_today == limiter.tokens_of("k", NOON) == 70


def test_a_key_may_have_less_than_its_workspace(limiter):
    both = quota(requests=5, key_requests=2)
    assert [limiter.admit(both, 0, NOON).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(RateLimited, match="this key may make 2 requests per minute") as refused:
        limiter.admit(both, 0, NOON)
    assert refused.value.details["limit_source"] == "key"
    # The workspace has counted what passed alone, so another key has three left.
    other = quota("other", requests=5)
    assert [limiter.admit(other, 0, NOON).remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RateLimited, match="your plan allows 5 requests per minute"):
        limiter.admit(other, 0, NOON)


def test_a_full_workspace_counts_nothing_at_the_key(limiter):
    limiter.admit(quota("a", requests=1), 7, NOON)
    with pytest.raises(RateLimited):
        limiter.admit(quota("b", requests=1, key_requests=3), 7, NOON)
    assert limiter.window(quota("b", key_requests=3), NOON).remaining == 3
    assert limiter.tokens_of("b", NOON) == 0
    assert limiter.counted("w", NOON) == Counted(1, 1, 7)


@pytest.mark.parametrize("limits", [{"tokens": 10}, {"key_tokens": 10}, {"tokens": 10, "key_tokens": 10}])
def test_a_day_without_room_counts_no_request(limiter, limits):
    limiter.admit(quota(**limits), 8, NOON)
    with pytest.raises(TokensPerDayExceeded):
        limiter.admit(quota(requests=5, **limits), 3, NOON)
    assert limiter.counted("w", NOON) == Counted(1, 1, 8)
    assert limiter.window(quota(key_requests=9), NOON).remaining == 8


def test_the_nearest_window_is_told(limiter):
    assert limiter.window(quota(requests=9, key_requests=4), NOON) == Window(4, 4, NOON + 60)
    for _ in range(6):
        limiter.admit(quota("other"), 0, NOON)
    assert limiter.window(quota(requests=9, key_requests=4), NOON) == Window(9, 3, NOON + 60)
    assert limiter.admit(quota(requests=9, key_requests=2), 0, NOON) == Window(2, 1, NOON + 60)
    assert limiter.window(quota(requests=-1, key_requests=4), NOON) == Window(4, 3, NOON + 60)


def test_workspaces_do_not_share(limiter):
    one, other = (quota(workspace=name, requests=1, tokens=10) for name in ("one", "other"))
    limiter.admit(one, 10, NOON)
    limiter.admit(other, 10, NOON)
    with pytest.raises(RateLimited):
        limiter.admit(one, 0, NOON)
    assert limiter.tokens_of("k@one", NOON) == 10
    assert limiter.counted("third", NOON) == Counted(0, 0, 0)


def test_looking_counts_nothing_and_opens_nothing(limiter):
    one = quota(requests=1)
    limiter.admit(one, 5, NOON)
    assert limiter.window(one, NOON + 60).remaining == 1
    assert limiter.counted("w", NOON + DAY_S) == Counted(0, 0, 0)
    assert limiter.tokens_of("k", NOON + DAY_S) == 0
    assert limiter.window(one, NOON).remaining == 0
    assert limiter.counted("w", NOON) == Counted(1, 1, 5)


def test_a_clock_that_jumps_back_over_a_boundary_finds_its_counts(limiter):
    one = quota(requests=1)
    limiter.admit(one, 0, NOON + 59)
    limiter.admit(one, 0, NOON + 61)
    with pytest.raises(RateLimited):
        limiter.admit(one, 0, NOON + 58)
    day = quota("day", key_tokens=100)
    limiter.admit(day, 90, MIDNIGHT + DAY_S - 1)
    limiter.admit(day, 90, MIDNIGHT + DAY_S + 1)
    with pytest.raises(TokensPerDayExceeded):
        limiter.admit(day, 90, MIDNIGHT + DAY_S - 600)


def test_a_clock_that_was_set_back_by_hours_does_not_lock_keys_out(limiter):
    one = quota(requests=1)
    limiter.admit(one, 0, NOON)
    assert limiter.admit(one, 0, NOON - 7200).remaining == 0


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_tokens_are_reserved_and_corrected(limiter):
    day = quota(tokens=1_000)
    limiter.admit(day, 500, NOON)
    limiter.reserve(day, 100, NOON)
    for refuses in (limiter.admit, limiter.reserve):
        with pytest.raises(TokensPerDayExceeded) as refused:
            refuses(day, 401, NOON)
        assert refused.value.status == 429
        assert refused.value.details == {
            "limit": 1_000,
            "used": 600,
            "needed": 401,
            "reset": MIDNIGHT + DAY_S,
            "retry_after_seconds": DAY_S // 2,
            "limit_source": "plan",
        }
    limiter.correct(day, 600, 150, NOON)
    assert limiter.tokens_of("k", NOON) == limiter.counted("w", NOON).tokens_today == 150
    limiter.admit(day, 850, NOON)
    limiter.admit(day, 1_000, NOON + DAY_S)


def test_the_message_says_whose_limit_it_is_and_what_is_left(limiter):
    limiter.admit(quota(), 600, NOON)
    with pytest.raises(TokensPerDayExceeded, match="may need 500 tokens; of 1000 per day your plan has 400 left"):
        limiter.admit(quota(tokens=1_000, key_tokens=5_000), 500, NOON)
    with pytest.raises(TokensPerDayExceeded, match="of 900 per day this key has 300 left") as refused:
        limiter.reserve(quota(tokens=9_000, key_tokens=900), 500, NOON)
    assert refused.value.details["limit_source"] == "key"


def test_a_full_minute_is_told_before_a_full_day(limiter):
    full = quota(requests=0, tokens=0)
    with pytest.raises(RateLimited, match="it allows none at all"):
        limiter.admit(full, 5, NOON)


def test_a_day_rolls_over_while_a_request_runs(limiter):
    day, now = quota(tokens=1_000), MIDNIGHT + DAY_S - 1
    limiter.admit(day, 600, now)
    limiter.admit(day, 700, now + 2)
    limiter.correct(day, 600, 10, now)
    assert limiter.tokens_of("k", now + 2) == 700
    assert limiter.tokens_of("k", now) == 10
    assert limiter.counted("w", now + 2) == Counted(1, 1, 700)
    assert limiter.counted("w", now) == Counted(1, 1, 10)
    # ... and a correction of the day before that reaches neither.
    limiter.correct(day, 600, 10, now - DAY_S)
    assert limiter.tokens_of("k", now + 2) == 700
    assert limiter.tokens_of("k", now) == 10


def test_more_used_than_reserved_counts_and_less_than_nothing_does_not(limiter):
    day = quota(tokens=100)
    limiter.admit(day, 90, NOON)
    limiter.correct(day, 90, 120, NOON)
    assert limiter.tokens_of("k", NOON) == 120
    with pytest.raises(TokensPerDayExceeded, match="has 0 left"):
        limiter.reserve(day, 1, NOON)
    limiter.correct(day, 500, 0, NOON)
    assert limiter.tokens_of("k", NOON) == limiter.counted("w", NOON).tokens_today == 0


def test_a_request_that_is_dismissed_does_not_count(limiter):
    one = quota(requests=2, tokens=100, key_requests=2, key_tokens=100)
    limiter.admit(one, 30, NOON)
    limiter.admit(one, 70, NOON + 10)
    limiter.dismiss(one, 70, NOON + 10)
    assert limiter.counted("w", NOON) == Counted(1, 1, 30)
    assert limiter.window(one, NOON) == Window(2, 1, NOON + 60)
    assert limiter.admit(one, 70, NOON + 20).remaining == 0
    # Of a minute that nobody was counted in, nothing is given back.
    limiter.dismiss(one, 70, NOON + 3_600 * 13)
    assert limiter.counted("w", NOON) == Counted(2, 2, 100)


# -- other actions ----------------------------------------------------------------------------------------------------


def test_other_kinds_have_windows_of_their_own(limiter):
    assert limiter.count("web_search", "w", 2, NOON) == Window(2, 1, NOON + 60)
    assert limiter.count("web_search", "w", 2, NOON + 59) == Window(2, 0, NOON + 60)
    with pytest.raises(RateLimited, match="2 web searches per minute are allowed; try again in 30 s"):
        limiter.count("web_search", "w", 2, NOON + 30)
    assert limiter.count("file_search", "w", 5, NOON).remaining == 4
    assert limiter.count("api", "w", -1, NOON) == Window(-1, -1, NOON + 60)
    assert limiter.count("web_search", "other", 1, NOON).remaining == 0
    assert limiter.counted("w", NOON) == Counted(0, 0, 0, 2, 1)
    assert limiter.count("web_search", "w", 2, NOON + 60).remaining == 1
    assert limiter.admit(quota(requests=1), 0, NOON).remaining == 0


# -- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"requests": LIMIT}, {"key_requests": LIMIT}, {"tokens": 10 * LIMIT + 9}])
def test_of_ten_thousand_at_once_exactly_the_limit_passes(limiter, limits):
    assert limiter.at_once(10_000, quota(**limits)) == LIMIT
    assert limiter.counted("w", NOON) == Counted(LIMIT, LIMIT, 10 * LIMIT)


@settings(max_examples=100, deadline=None)
@given(
    limits=st.tuples(st.integers(-1, 5), st.integers(-1, 5)),
    steps=st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 90), st.integers(1, 4)), max_size=40),
)
def test_never_more_than_the_limit_passes_in_any_window(fresh, limits, steps):
    limiter, now, passed = fresh(), float(NOON), Counter()
    for name, pause, together in steps:
        now += pause
        minute = int(now) // MINUTE_S
        before = passed[minute], passed[name, minute]
        room = min((limit - had for limit, had in zip(limits, before, strict=True) if limit >= 0), default=together)
        one = quota(name, requests=limits[0], key_requests=limits[1])

        async def enter(one=one, now=now, together=together):
            asked = [limiter.limiter.admit(one, 1, now) for _ in range(together)]
            return await asyncio.gather(*asked, return_exceptions=True)

        answers = limiter.runner.run(enter())
        let_in = sum(isinstance(answer, Window) for answer in answers)
        assert let_in == min(together, room)
        passed[minute] += let_in
        passed[name, minute] += let_in
        assert limiter.counted("w", now).requests_this_minute == passed[minute]


class Days(RuleBasedStateMachine):
    """Reservations, corrections (within them), dismissals and a clock, against a plain dictionary per day."""

    LIMIT = 1_000

    def __init__(self, limiter):
        super().__init__()
        self.limiter, self.now = limiter, float(NOON)
        self.open, self.model = [], Counter()

    def quota(self, name):
        return quota(name, tokens=3 * self.LIMIT // 2, key_tokens=self.LIMIT)

    @rule(name=st.sampled_from("ab"), tokens=st.integers(0, 700))
    def admit(self, name, tokens):
        day = int(self.now) // DAY_S
        try:
            self.limiter.admit(self.quota(name), tokens, self.now)
        except TokensPerDayExceeded:
            total = self.model["a", day] + self.model["b", day]
            assert self.model[name, day] + tokens > self.LIMIT or total + tokens > 3 * self.LIMIT // 2
        else:
            self.model[name, day] += tokens
            self.open.append((name, tokens, self.now))

    @rule(which=st.integers(0, 99), share=st.integers(0, 100))
    def correct(self, which, share):
        self._end(
            which, lambda name, tokens, now: self.limiter.correct(name, tokens, tokens * share // 100, now), share
        )

    @rule(which=st.integers(0, 99))
    def dismiss(self, which):
        self._end(which, self.limiter.dismiss, 0)

    def _end(self, which, how, share):
        if self.open:
            name, tokens, then = self.open.pop(which % len(self.open))
            how(self.quota(name), tokens, then)
            self.model[name, int(then) // DAY_S] += tokens * share // 100 - tokens

    @rule(hours=st.integers(0, 30))
    def wait(self, hours):
        self.now += hours * 3600

    @invariant()
    def agrees(self):
        day = int(self.now) // DAY_S
        for name in "ab":
            assert self.limiter.tokens_of(name, self.now) == self.model[name, day] <= self.LIMIT
        assert self.limiter.counted("w", self.now).tokens_today == self.model["a", day] + self.model["b", day]


def test_days(fresh):
    run_state_machine_as_test(
        lambda: Days(fresh()), settings=settings(max_examples=50, stateful_step_count=40, deadline=None)
    )


# -- in this process alone --------------------------------------------------------------------------------------------


def test_restore_at_start():
    with asyncio.Runner() as runner:
        limiter, day = Counting(InProcessLimiter(), runner), quota(tokens=100)
        limiter.limiter.restore({"w": 95, "k": 95, "other": 3}, {"w": 4}, NOON // DAY_S)
        assert limiter.counted("w", NOON) == Counted(0, 4, 95)
        with pytest.raises(TokensPerDayExceeded):
            limiter.admit(day, 6, NOON)
        limiter.admit(day, 5, NOON)
        limiter.admit(day, 100, NOON + DAY_S)


def test_old_windows_are_dropped():
    with asyncio.Runner() as runner:
        limiter = Counting(InProcessLimiter(), runner)
        for minute in range(100):
            limiter.admit(quota(f"k{minute}", f"w{minute}"), 1, NOON + minute * MINUTE_S)
        minutes = limiter.limiter._minutes
        assert set(minutes.counts) == {"w99", "k99@w99"}
        assert set(minutes.earlier) == {"w98", "k98@w98"}


def test_a_request_costs_little():
    limiter, one = InProcessLimiter(), quota(requests=10**7, tokens=10**15, key_requests=10**7, key_tokens=10**15)

    async def steps():
        for _ in range(1_000):
            await limiter.admit(one, 10, NOON)
            await limiter.correct(one, 10, 5, NOON)

    # About 2 us; the bound only says that nothing grows.
    assert min(timeit.repeat(lambda: asyncio.run(steps()), number=1, repeat=5)) / 1000 < 50e-6
