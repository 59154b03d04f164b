"""The watch over a real store: each threshold once per window, whatever the path, the races, the restarts and the failures."""

import asyncio
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.world import DAY, NOW, FakeClock, World, opened
from tollway.alerts.thresholds import AlertSettings
from tollway.errors import LedgerUnavailable
from tollway.ledger.budget import window_start
from tollway.ports import Quota
from tollway.store.limiter import InProcessLimiter
from tollway.store.watch import Watch, funded

USD = 1_000_000_000
BUDGET = {"budget_nano": 10 * USD, "budget_window": "month"}


def run(scenario) -> None:
    asyncio.run(scenario)


def watch_of(world: World, limiter: InProcessLimiter | None = None, tokens: int = -1, **more: object) -> Watch:
    def quota(key) -> Quota:
        return Quota(key.workspace_id, key.id, tokens=tokens, key_tokens=key.tokens_per_day)

    store = world.store
    return Watch(store.alerts, store.workspaces, store.book, limiter or InProcessLimiter(), quota, world.clock, **more)


async def spend(world: World, nano: int) -> None:
    name = world.store.ids.new()
    await world.hold(name, nano)
    await world.settle(name, nano)


async def told(world: World, kind: str = "") -> list[tuple[str, int]]:
    """Kind and threshold of every alert, in the order of telling."""
    rows = await world.ask("SELECT kind, threshold FROM alerts WHERE ? = '' OR kind = ? ORDER BY id", kind, kind)
    return [tuple(row) for row in rows]


def test_a_budget_is_told_at_each_threshold_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(100 * USD)
            watch = watch_of(world)
            assert await watch.look() == 0
            for nano, expected in ((4 * USD, 0), (1 * USD, 1), (1, 0), (3 * USD - 2, 0), (1, 1), (2 * USD, 1), (0, 0)):
                await spend(world, nano)
                assert await watch.look() == expected, nano
                assert await watch.look() == 0
            assert await told(world) == [("budget.threshold", 50), ("budget.threshold", 80), ("budget.threshold", 100)]
            (last, *_) = (await world.store.alerts.recent(world.ws, limit=10)).alerts
            assert last.data == {
                "key_id": world.key.id,
                "key_name": "first",
                "key_prefix": world.key.prefix,
                "threshold_percent": 100,
                "spent_usd": "10.00",
                "budget_usd": "10.00",
                "window": "month",
                "window_start": "2027-01-01T00:00:00Z",
                "resets_at": "2027-02-01T00:00:00Z",
            }

    run(scenario())


def test_what_is_only_held_is_no_alert(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(100 * USD)
            watch = watch_of(world)
            await world.hold("held", 9 * USD)
            assert await watch.look() == 0
            await world.settle("held", USD)
            assert await watch.look() == 0
            assert await told(world) == []

    run(scenario())


def test_several_at_once_are_told_in_order_and_mailed_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(100 * USD)
            await spend(world, 9 * USD)
            assert await watch_of(world).look() == 2
            rows = await world.ask("SELECT threshold, mail FROM alerts ORDER BY id")
            assert [tuple(row) for row in rows] == [(50, "none"), (80, "due")]

    run(scenario())


def test_a_new_window_and_a_new_budget_are_told_again(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with opened(tmp_path, clock, **{**BUDGET, "budget_window": "day"}) as world:
            await world.fund(100 * USD)
            watch = watch_of(world)
            await spend(world, 6 * USD)
            assert await watch.look() == 1
            clock.time = (DAY + 1) * 86_400 + 4_000
            assert await watch.look() == 0
            await spend(world, 6 * USD)
            assert await watch.look() == 1
            await world.store.workspaces.update_key(world.key.id, lambda key: _with_budget(key, 7 * USD))
            for _ in range(61):
                await watch.look()
            assert [one for _, one in await told(world)] == [50, 50, 50, 80]

    run(scenario())


def _with_budget(key, nano):
    from dataclasses import replace

    return replace(key, budget_nano=nano)


def test_a_charge_after_midnight_counts_in_the_day_it_began(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock((DAY + 1) * 86_400 - 10)
        async with opened(tmp_path, clock, **{**BUDGET, "budget_window": "day"}) as world:
            await world.fund(100 * USD)
            watch = watch_of(world)
            await watch.look()
            await world.hold("late", 8 * USD)
            clock.time += 20
            await spend(world, 5 * USD)
            await world.settle("late", 8 * USD)
            assert await watch.look() == 3
            rows = await world.ask("SELECT window_start / 86400, threshold FROM alerts ORDER BY window_start, id")
            assert [tuple(row) for row in rows] == [(DAY, 50), (DAY, 80), (DAY + 1, 50)]

    run(scenario())


def test_tokens_of_a_key_and_of_a_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, tokens_per_day=1_000) as world:
            await world.fund(100 * USD)
            limiter = InProcessLimiter()
            watch = watch_of(world, limiter, tokens=2_000)
            assert await watch.look() == 0
            await spend(world, 1)
            quota = Quota(world.ws, world.key.id)
            await limiter.admit(quota, 850, NOW)
            assert await watch.look() == 2
            await limiter.reserve(quota, 200, NOW)
            assert await watch.look() == 2
            await limiter.correct(quota, 200, 0, NOW)
            await limiter.reserve(quota, 200, NOW)
            assert await watch.look() == 0
            found = (await world.store.alerts.recent(world.ws, limit=10, kind="tokens.threshold")).alerts
            assert sorted(
                (one.data["key_name"] or "", one.threshold, one.data["tokens_used"], one.data["tokens_per_day"])
                for one in found
            ) == [
                ("", 50, 1_050, 2_000),
                ("first", 50, 850, 1_000),
                ("first", 80, 850, 1_000),
                ("first", 100, 1_050, 1_000),
            ]

    run(scenario())


def test_a_balance_is_told_when_it_falls_and_again_after_it_rose(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with opened(tmp_path, clock) as world:
            watch = watch_of(world)
            assert await watch.look() == 0, "a wallet that never had money has not fallen"
            await world.fund(3 * USD)
            assert await watch.look() == 0, "it has just been filled"
            await spend(world, USD)
            assert await watch.look() == 1
            await world.fund(10 * USD)
            clock.time += 1
            assert await watch.look() == 0
            await spend(world, 11 * USD + USD - 1)
            clock.time += 1
            assert await watch.look() == 2
            assert await told(world) == [("balance.low", 5 * USD), ("balance.low", 5 * USD), ("balance.low", 0)]
            rows = await world.ask("SELECT mail, cleared_at IS NULL FROM alerts ORDER BY id")
            assert [tuple(row) for row in rows] == [("due", 0), ("none", 1), ("due", 1)]
            # Rising over one level only clears that one.
            await world.fund(USD)
            clock.time += 1
            assert await watch.look() == 0
            await spend(world, USD)
            clock.time += 1
            assert await watch.look() == 1
            assert (await told(world))[-1] == ("balance.low", 0)

    run(scenario())


def test_storage_comes_from_a_seam(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            room = {"used": 0, "limit": 1_000}
            watch = watch_of(world, storage=lambda workspace_id: (room["used"], room["limit"]))
            assert await watch.look() == 0
            fired = []
            for used in (500, 900, 400, 850):
                room["used"] = used
                world.clock.time += 60
                fired.append(sum([await watch.look() for _ in range(60)]))
            assert fired == [1, 1, 0, 2]

    run(scenario())


def test_settings_of_a_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            chosen = AlertSettings(budget_percent=(90, 10), low_balance_nano=0, email=False)
            await world.store.alerts.set_settings(world.ws, chosen)
            await world.fund(100 * USD)
            watch = watch_of(world)
            await spend(world, 9 * USD)
            assert await watch.look() == 2
            rows = await world.ask("SELECT threshold, mail FROM alerts ORDER BY id")
            assert [tuple(row) for row in rows] == [(10, "none"), (90, "none")]
        async with opened(tmp_path, prefix=1) as again:
            assert again.store.alerts.settings(again.ws) == AlertSettings(
                budget_percent=(10, 90), low_balance_nano=0, email=False
            )

    run(scenario())


def test_fifty_looks_at_once_tell_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(11 * USD)
            watches = [watch_of(world) for _ in range(50)]
            await asyncio.gather(*(watch.look() for watch in watches))
            await spend(world, 10 * USD)
            fired = await asyncio.gather(*(watch.look() for watch in watches))
            assert sum(fired) == 4
            assert sorted(await told(world)) == [
                ("balance.low", 5 * USD), ("budget.threshold", 50), ("budget.threshold", 80), ("budget.threshold", 100)
            ]  # fmt: skip

    run(scenario())


def test_a_restart_tells_nothing_twice_and_what_was_missed_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(12 * USD)
            await spend(world, 6 * USD)
            assert await watch_of(world).look() == 1
            await spend(world, 3 * USD)  # and the process ends before the next look
        async with opened(tmp_path, prefix=1) as world:
            seen = await world.store.reader.run(funded)
            assert seen == [world.ws]
            assert await watch_of(world, funded=seen).look() == 2
            assert sorted(await told(world)) == [
                ("balance.low", 5 * USD),
                ("budget.threshold", 50),
                ("budget.threshold", 80),
            ]
        async with opened(tmp_path, prefix=2) as world:
            assert await watch_of(world, funded=[world.ws]).look() == 0

    run(scenario())


def test_what_could_not_be_written_is_told_later(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(100 * USD)
            watch = watch_of(world)
            await watch.look()
            await spend(world, 5 * USD)
            world.store._writer.is_down = True
            with pytest.raises(LedgerUnavailable):
                await watch.look()
            world.store._writer.is_down = False
            assert await watch.look() == 1
            assert await told(world) == [("budget.threshold", 50)]

    run(scenario())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 3 * USD), st.integers(0, 3), st.booleans()), min_size=1, max_size=25),
    st.sampled_from(["day", "week", "month", "lifetime"]),
    st.randoms(use_true_random=False),
)
def test_for_any_spending_path_each_threshold_is_told_once_per_window_in_order(
    tmp_path_factory, steps, window, draw
) -> None:
    """steps: (nano-USD, days until the next, whether somebody looks after it)."""

    async def scenario() -> None:
        clock, expected, spent = FakeClock(), [], {}
        async with opened(tmp_path_factory.mktemp("path"), clock, budget_nano=4 * USD, budget_window=window) as world:
            await world.fund(1_000 * USD)
            watches = [watch_of(world) for _ in range(3)]
            for nano, days, looks in steps:
                start = window_start(window, int(clock.time) // 86_400)
                nano = min(nano, 4 * USD - spent.get(start, 0))
                before, spent[start] = spent.get(start, 0), spent.get(start, 0) + nano
                await spend(world, nano)
                expected += [
                    (start, one) for one in (50, 80, 100) if before * 100 < 4 * USD * one <= spent[start] * 100
                ]
                if looks or days:
                    await asyncio.gather(*(watch.look() for watch in draw.sample(watches, draw.randint(1, 3))))
                clock.time += days * 86_400
                if days == 0:
                    clock.time += 1
            await watches[0].look()
            rows = await world.ask(
                "SELECT window_start / 86400, threshold FROM alerts WHERE kind = 'budget.threshold' ORDER BY id"
            )
            assert [tuple(row) for row in rows] == expected

    run(scenario())


def test_ten_thousand_keys_are_cheap(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, **BUDGET) as world:
            await world.fund(100 * USD)
            keys, book = world.store.workspaces, world.store.book()
            template = world.key
            from dataclasses import replace

            for number in range(10_000):
                key = replace(template, id=f"key-{number}", tokens_per_day=1_000)
                keys._keys[key.id] = key
                book.spend(key.id).move(DAY, random.randrange(USD), 0)
            watch = watch_of(world, InProcessLimiter())
            await watch.look()
            began = time.process_time()
            for _ in range(10):
                await watch.look()
            each = (time.process_time() - began) / 10
            print(f"a look at 10,000 keys takes {each * 1000:.1f} ms")
            assert each < 0.25

    run(scenario())
