"""What the limiter in Valkey has beyond the contract: many processes, one slot, and keys that expire."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from store import counting
from store.counting import LIMIT, NOON, crowd, quota, workspace_of
from store.valkey_story import scenario
from support.process import free_port
from support.valkey import Valkey
from tollway.ports import Counted
from tollway.store.limiter import DAY_S
from tollway.store.valkey_limiter import DAY_TTL_S, MINUTE_TTL_S, ValkeyLimiter


@pytest.fixture(scope="module")
def server():
    with Valkey() as store:
        yield store


@pytest.fixture
def store(server):
    server.ask("FLUSHALL")
    return server


def keys(store):
    return re.findall(rb"tollway:\S+", store.ask("KEYS", "*"))


# -- many ----------------------------------------------------------------------------------------------------------------


def test_of_ten_thousand_through_two_processes_exactly_the_limit_passes(store):
    command = [sys.executable, counting.__file__, store.url, "5000"]
    both = [
        subprocess.Popen(command, cwd=Path(counting.__file__).parents[1], env={"PYTHONPATH": "."}, stdout=-1, text=True)
        for _ in range(2)
    ]
    passed = [int(one.communicate(timeout=60)[0]) for one in both]
    assert sum(passed) == LIMIT

    async def told(limiter):
        return await limiter.counted("w", NOON)

    assert scenario(store.url, told) == Counted(LIMIT, LIMIT, 10 * LIMIT)


def test_several_connections_share_a_day(store):
    async def story(first):
        others = [ValkeyLimiter(store.url, workspace_of, timeout_s=10) for _ in range(4)]
        passed = await crowd([first, *others], 2_000, quota(key_tokens=1_005), 10)
        await others[0].correct(quota(), 1_000, 400, NOON)
        await others[0].window(quota(), NOON)
        assert await first.tokens_of("k", NOON) == 400
        for one in others:
            await one.close()
        return passed

    assert scenario(store.url, story, timeout_s=10) == 100


def test_a_cluster_takes_it_since_all_keys_of_a_request_are_in_one_slot():
    with Valkey("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as store:
        store.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        deadline = time.monotonic() + 10
        while b"cluster_state:ok" not in store.ask("CLUSTER", "INFO"):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        async def story(limiter):
            for workspace in ("one", "other", "third"):
                one = quota(workspace=workspace, requests=9)
                await limiter.admit(one, 5, NOON)
                await limiter.dismiss(one, 5, NOON)
                await limiter.admit(one, 5, NOON)
                await limiter.reserve(one, 5, NOON)
                await limiter.correct(one, 10, 7, NOON)
                assert await limiter.counted(workspace, NOON) == Counted(1, 1, 7)
            assert not limiter.is_down

        scenario(store.url, story)


def test_keys_expire_and_correcting_what_is_gone_makes_none(store):
    async def story(limiter):
        await limiter.admit(quota(), 5, NOON)
        await limiter.correct(quota(), 5, 0, NOON - 3 * DAY_S)
        await limiter.dismiss(quota(), 5, NOON - 3 * DAY_S)
        await limiter.window(quota(), NOON)

    scenario(store.url, story)
    assert sorted(keys(store)) == [b"tollway:{w}:d:%d" % (NOON // DAY_S), b"tollway:{w}:m:%d" % (NOON // 60)]
    for key in keys(store):
        left = int(store.ask("TTL", key.decode())[1:])
        whole = MINUTE_TTL_S if b":m:" in key else DAY_TTL_S
        assert whole - 5 <= left <= whole


def test_a_store_that_forgot_the_scripts_is_told_them_again(store):
    async def story(limiter):
        await limiter.admit(quota(), 5, NOON)
        store.ask("SCRIPT", "FLUSH")
        passed = await crowd([limiter], 600, quota(requests=301), 0)
        store.ask("SCRIPT", "FLUSH")
        await limiter.correct(quota(), 5, 2, NOON)
        assert await limiter.tokens_of("k", NOON) in {
            5,
            2,
        }  # this once, the correction is sent again behind the question
        assert await limiter.tokens_of("k", NOON) == 2
        assert not limiter.is_down
        return passed

    assert scenario(store.url, story) == LIMIT


def test_a_request_costs_one_call(store):
    async def story(limiter):
        one = quota(requests=10**9, tokens=10**12, key_requests=10**9, key_tokens=10**12)
        await limiter.admit(one, 10, NOON)
        calls, took = calls_of(store), []
        for _ in range(200):
            began = time.perf_counter()
            await limiter.admit(one, 10, NOON)
            took.append(time.perf_counter() - began)
        assert calls_of(store) - calls == 200
        # About 0.2 ms on loopback.
        assert median(took) < 0.02

    scenario(store.url, story)


def calls_of(store):
    return int(re.search(rb"cmdstat_evalsha:calls=(\d+)", store.ask("INFO", "commandstats"))[1])


# -- callers who leave -----------------------------------------------------------------------------------------------------


def test_who_leaves_before_the_answer_has_not_asked(store):
    async def story(limiter):
        one = quota(requests=3, tokens=100)
        await limiter.admit(one, 10, NOON)
        for pauses in range(6):
            tasks = [asyncio.create_task(limiter.admit(one, 30, NOON)) for _ in range(2)]
            tasks += [asyncio.create_task(limiter.reserve(one, 5, NOON)) for _ in range(2)]
            for _ in range(pauses):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in done)
        with store.stopped():
            task = asyncio.create_task(limiter.admit(one, 30, NOON))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await limiter.counted("w", NOON)
        assert await limiter.counted("w", NOON) == Counted(1, 1, 10)

    scenario(store.url, story, timeout_s=5)


def test_who_is_cancelled_in_the_moment_of_the_answer_has_not_asked(store):
    async def story(limiter):
        send = limiter._lane._send

        async def send_and_cancel(batch):
            await send(batch)
            task.cancel()

        limiter._lane._send = send_and_cancel
        task = asyncio.create_task(limiter.admit(quota(), 30, NOON))
        with pytest.raises(asyncio.CancelledError):
            await task
        limiter._lane._send = send
        assert await limiter.counted("w", NOON) == Counted(0, 0, 0)

    scenario(store.url, story)
