"""Stories of a limiter in Valkey, told by both files of its tests."""

import asyncio
import time

from store.counting import NOON, quota, workspace_of
from tollway.store.valkey_limiter import ValkeyLimiter


def scenario(url, story, on_store_down="closed", timeout_s=0.25):
    """Run `story(limiter)` and let go of the limiter."""

    async def run():
        limiter = ValkeyLimiter(url, workspace_of, on_store_down, timeout_s)
        try:
            return await story(limiter)
        finally:
            await limiter.close()

    return asyncio.run(run())


async def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def broken(limiter, store):
    """Kill the store, and have the limiter notice."""
    store.kill()
    await limiter.window(quota(), NOON)
    await until(lambda: limiter.is_down)


async def mended(limiter, store):
    store.start()
    await until(lambda: not limiter.is_down)
