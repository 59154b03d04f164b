"""Limiters for tests as plain calls, and requests by the thousand.

As a program: `python counting.py <url> <how many>` lets so many requests at once into a limit of 300 and says how many passed.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tollway.errors import RateLimited
from tollway.ports import Limiter, Quota
from tollway.store.limiter import DAY_S

MIDNIGHT = 20_000 * DAY_S  # 2024-10-04T00:00:00Z
NOON = MIDNIGHT + 12 * 3600
LIMIT = 300


def quota(key="k", workspace="w", **limits: int) -> Quota:
    """The limits of a key; of another workspace than `w`, its id carries it: `k@other`."""
    return Quota(workspace, key if workspace == "w" else f"{key}@{workspace}", **limits)


def workspace_of(key_id: str) -> str:
    return key_id.partition("@")[2] or "w"


class Counting:
    """A limiter whose methods wait until they are done."""

    def __init__(self, limiter: Limiter, runner: asyncio.Runner) -> None:
        self.limiter, self.runner = limiter, runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.limiter, name)
        return lambda *given: self.runner.run(method(*given))

    def at_once(self, count: int, one: Quota, tokens: int = 10) -> int:
        """How many of so many concurrent requests pass."""
        return self.runner.run(crowd([self.limiter], count, one, tokens))


async def crowd(limiters: Sequence[Limiter], count: int, one: Quota, tokens: int) -> int:
    async def enter(at: int) -> int:
        await asyncio.sleep(0)
        try:
            await limiters[at % len(limiters)].admit(one, tokens, NOON + at % 60)
        except RateLimited:
            return 0
        return 1

    return sum(await asyncio.gather(*(enter(at) for at in range(count))))


async def main(url: str, count: int) -> int:
    from tollway.store.valkey_limiter import ValkeyLimiter

    limiters = [ValkeyLimiter(url, workspace_of, timeout_s=10) for _ in range(3)]
    passed = await crowd(limiters, count, quota(requests=LIMIT), 10)
    for limiter in limiters:
        await limiter.close()
    return passed


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))
