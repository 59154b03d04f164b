"""Request and token windows in Valkey or Redis, for many processes (money.md R14, docs/adr/0021-limiter.md).

Two hashes per workspace: of a minute and of a day, `tollway:{<workspace>}:m:<minute>` and `...:d:<day>`. The hash tag keeps
both in one slot of a cluster, so a request is one script: everything is looked at, then everything is counted, or nothing.
They expire by themselves. The window is told by the caller's `now`, not by the store's clock: a request is corrected in
the window that it was counted in, and whatever two clocks say, no window ever lets more than its limit pass.
Numbers in Lua are exact to 2^53, which is 9,000 times the highest limit of tokens.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal

from tollway.errors import LimiterUnavailable
from tollway.ports import Counted, Kind, Quota, Window
from tollway.store.limiter import (
    DAY_S,
    MINUTE_S,
    InProcessLimiter,
    full_day,
    full_kind,
    full_minute,
    nearest,
    window_of,
)
from tollway.store.valkey_lane import TIMEOUT_S, Lane, Reply, StoreDown, called, script

OnStoreDown = Literal["closed", "local"]

MINUTE_TTL_S = 3 * MINUTE_S
DAY_TTL_S = 2 * DAY_S + 3_600
"""A window may still be corrected while the next one is open; after it, its keys are gone."""
TOKENS_MAX = 10**12 + 1
"""More than any limit: a request that wants even more is counted as this, far within what is exact."""
OWED_MAX = 100_000

_TAKE = script("""
local had, passes = {}, 1
for i = 3, #ARGV, 4 do
  local key, by, limit = KEYS[tonumber(ARGV[i])], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local count = tonumber(redis.call('HGET', key, ARGV[i + 1]) or 0)
  had[#had + 1] = count
  if limit >= 0 and count + by > limit then passes = 0 end
end
if passes == 1 then
  for i = 3, #ARGV, 4 do redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]) end
  for i = 1, #KEYS do
    if redis.call('TTL', KEYS[i]) == -1 then redis.call('EXPIRE', KEYS[i], ARGV[i]) end
  end
end
return {passes, unpack(had)}
""")
"""KEYS: hashes of minute and day. ARGV: their seconds to live; then, four by four: which hash, field, how many, limit.
Answers 1 or 0, and what each field had before."""

_GIVE = script("""
for i = 3, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[i])]
  local count = tonumber(redis.call('HGET', key, ARGV[i + 1]) or 0)
  local by = math.max(tonumber(ARGV[i + 2]), -count)
  if by ~= 0 then redis.call('HINCRBY', key, ARGV[i + 1], string.format('%.0f', by)) end
end
for i = 1, #KEYS do
  if redis.call('TTL', KEYS[i]) == -1 then redis.call('EXPIRE', KEYS[i], ARGV[i]) end
end
return {}
""")
"""As above, three by three: which hash, field, how many. No count goes below nothing."""

_TTLS = (MINUTE_TTL_S, DAY_TTL_S)
_PROBE = called(_TAKE, ("tollway:{probe}:m:0", "tollway:{probe}:d:0"), *_TTLS, 1, "probe", 1, -1)


class ValkeyLimiter:
    """See `ports.Limiter`. For many processes.

    While the store is down, `closed` lets no new request in and `local` counts in this process, with the whole limits.
    Requests that are running go on in both; what they use is counted when the store is back.
    """

    def __init__(
        self,
        url: str,
        workspace_of: Callable[[str], str],
        on_store_down: OnStoreDown = "closed",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`url`: see `Lane`. workspace_of: the id of the workspace that a key, by its id, belongs to."""
        self._lane = Lane(url, (_TAKE, _GIVE), _PROBE, self._pay, timeout_s)
        self._workspace_of = workspace_of
        self._local = InProcessLimiter() if on_store_down == "local" else None
        self._inside: dict[tuple[str, float], int] = {}
        """Tokens reserved in this process alone, of requests by key and time of admission."""
        self._owed: dict[tuple[str, str, int], int] = {}
        """Tokens that the store has not counted yet, by workspace, key and second of admission's day."""

    @property
    def is_down(self) -> bool:
        """The store does not answer."""
        return self._lane.is_down

    async def close(self) -> None:
        """Send what is still to be counted, and close the connection."""
        await self._lane.close()

    async def admit(self, quota: Quota, tokens: int, now: float) -> Window:
        """See `Limiter.admit`. Raises also LimiterUnavailable."""
        second, by, key = int(now), min(tokens, TOKENS_MAX), f"k:{quota.key_id}"
        command = called(
            _TAKE,
            _keys(quota.workspace_id, second),
            *_TTLS,
            *(1, "requests", 1, quota.requests),
            *(1, key, 1, quota.key_requests),
            *(2, "tokens", by, quota.tokens),
            *(2, key, by, quota.key_tokens),
            *(2, "requests", 1, -1),
        )
        try:
            reply = await self._lane.ask(command, partial(self._admitted_late, quota, tokens, now))
        except StoreDown:
            window = await self._without_store().admit(quota, tokens, now)
            self._hold_inside(quota, tokens, now)
            return window
        passes, requests, key_requests, used, key_used, _ = reply
        if passes:
            return nearest(quota, requests + 1, key_requests + 1, second)
        if 0 <= quota.requests <= requests or 0 <= quota.key_requests <= key_requests:
            raise full_minute(quota, requests, second)
        raise full_day(quota, used, key_used, tokens, second)

    async def reserve(self, quota: Quota, tokens: int, now: float) -> None:
        """See `Limiter.reserve`. A request that the store has admitted is not stopped by an outage."""
        if self._local is not None and (quota.key_id, now) in self._inside:
            await self._local.reserve(quota, tokens, now)
            self._hold_inside(quota, tokens, now)
            return
        second, by, key = int(now), min(tokens, TOKENS_MAX), f"k:{quota.key_id}"
        command = called(
            _TAKE,
            _keys(quota.workspace_id, second),
            *_TTLS,
            *(2, "tokens", by, quota.tokens),
            *(2, key, by, quota.key_tokens),
        )
        try:
            passes, used, key_used = await self._lane.ask(command, partial(self._reserved_late, quota, by, second))
        except StoreDown:
            self._owe(quota.workspace_id, quota.key_id, second, by)
            return
        if not passes:
            raise full_day(quota, used, key_used, tokens, second)

    async def dismiss(self, quota: Quota, tokens: int, now: float) -> None:
        """See `Limiter.dismiss`. Waits for nothing."""
        if self._local is not None and (quota.key_id, now) in self._inside:
            await self._local.dismiss(quota, tokens, now)
            self._release_inside(quota, tokens, now)
            return
        self._dismiss(quota, min(tokens, TOKENS_MAX), int(now))

    async def correct(self, quota: Quota, reserved: int, used: int, now: float) -> None:
        """See `Limiter.correct`. Waits for nothing."""
        by = used - min(reserved, TOKENS_MAX)
        if self._local is not None and (quota.key_id, now) in self._inside:
            await self._local.correct(quota, reserved, used, now)
            self._release_inside(quota, reserved, now)
            by = used  # of what was reserved here, the store knows nothing
        self._count_tokens(quota.workspace_id, quota.key_id, int(now), by)

    async def window(self, quota: Quota, now: float) -> Window:
        """See `Limiter.window`. Never fails, for it is told with every answer: while all is closed, nothing remains."""
        second = int(now)
        minute, _ = _keys(quota.workspace_id, second)
        try:
            requests, key_requests = await self._lane.ask(("HMGET", minute, "requests", f"k:{quota.key_id}"))
        except StoreDown:
            if self._local is not None:
                return await self._local.window(quota, now)
            return nearest(quota, quota.requests, quota.key_requests, second)
        return nearest(quota, int(requests or 0), int(key_requests or 0), second)

    async def count(self, kind: Kind, workspace_id: str, limit: int, now: float) -> Window:
        """See `Limiter.count`. Raises also LimiterUnavailable."""
        second = int(now)
        command = called(_TAKE, _keys(workspace_id, second), *_TTLS, 1, kind, 1, limit)
        try:
            passes, had = await self._lane.ask(command)
        except StoreDown:
            return await self._without_store().count(kind, workspace_id, limit, now)
        if not passes:
            raise full_kind(kind, limit, second)
        return window_of(limit, had + 1, second)

    async def counted(self, workspace_id: str, now: float) -> Counted:
        """See `Limiter.counted`. Raises LimiterUnavailable."""
        minute, day = _keys(workspace_id, int(now))
        try:
            minutes, days = await asyncio.gather(
                self._lane.ask(("HMGET", minute, "requests", "web_search", "file_search")),
                self._lane.ask(("HMGET", day, "requests", "tokens")),
            )
        except StoreDown:
            return await self._without_store().counted(workspace_id, now)
        this_minute, web, file, today, tokens = (int(one or 0) for one in (*minutes, *days))
        return Counted(this_minute, today, tokens, web, file)

    async def tokens_of(self, key_id: str, now: float) -> int:
        """See `Limiter.tokens_of`. Raises LimiterUnavailable."""
        _, day = _keys(self._workspace_of(key_id), int(now))
        try:
            (used,) = await self._lane.ask(("HMGET", day, f"k:{key_id}"))
        except StoreDown:
            return await self._without_store().tokens_of(key_id, now)
        return int(used or 0)

    def _without_store(self) -> InProcessLimiter:
        """Who counts while the store is down. Raises LimiterUnavailable where nobody may."""
        if self._local is None:
            raise LimiterUnavailable(retry_after_seconds=1)
        return self._local

    # --- requests that only this process has counted ---

    def _hold_inside(self, quota: Quota, tokens: int, now: float) -> None:
        if tokens:
            if len(self._inside) >= OWED_MAX:
                self._inside.clear()  # of a day on which the ledger lost requests too: rather forgotten than kept for ever
            one = quota.key_id, now
            self._inside[one] = self._inside.get(one, 0) + tokens

    def _release_inside(self, quota: Quota, tokens: int, now: float) -> None:
        one = quota.key_id, now
        left = self._inside.pop(one, 0) - tokens
        if left > 0:
            self._inside[one] = left

    # --- what nobody waits for ---

    def _dismiss(self, quota: Quota, by: int, second: int) -> None:
        key = f"k:{quota.key_id}"
        command = called(
            _GIVE,
            _keys(quota.workspace_id, second),
            *_TTLS,
            *(1, "requests", -1),
            *(1, key, -1),
            *(2, "requests", -1),
            *(2, "tokens", -by),
            *(2, key, -by),
        )
        self._lane.tell(command, partial(self._lost, quota.workspace_id, quota.key_id, second, -by))

    def _count_tokens(self, workspace_id: str, key_id: str, second: int, by: int) -> None:
        if by:
            keys = _keys(workspace_id, second)
            command = called(_GIVE, keys, *_TTLS, 2, "tokens", by, 2, f"k:{key_id}", by)
            self._lane.tell(command, partial(self._lost, workspace_id, key_id, second, by))

    def _admitted_late(self, quota: Quota, tokens: int, now: float, reply: Reply) -> None:
        """The caller has gone before they were told."""
        if reply[0]:
            self._dismiss(quota, min(tokens, TOKENS_MAX), int(now))

    def _reserved_late(self, quota: Quota, by: int, second: int, reply: Reply) -> None:
        if reply[0]:
            self._count_tokens(quota.workspace_id, quota.key_id, second, -by)

    def _lost(self, workspace_id: str, key_id: str, second: int, by: int, is_sent: bool) -> None:  # noqa: FBT001 - `Call.lost`
        # Whether it was counted cannot be known: rather too much is counted until midnight than too little.
        if by > 0 or not is_sent:
            self._owe(workspace_id, key_id, second, by)

    def _owe(self, workspace_id: str, key_id: str, second: int, by: int) -> None:
        one = workspace_id, key_id, second - second % DAY_S
        if one in self._owed or len(self._owed) < OWED_MAX:
            self._owed[one] = self._owed.get(one, 0) + by

    def _pay(self) -> None:
        """The store is back: count what it has missed."""
        owed, self._owed = self._owed, {}
        for (workspace_id, key_id, second), by in owed.items():
            self._count_tokens(workspace_id, key_id, second, by)


def _keys(workspace_id: str, second: int) -> tuple[str, str]:
    """The hashes of the minute and of the day that contain `second`."""
    tag = f"tollway:{{{workspace_id}}}"
    return f"{tag}:m:{second // MINUTE_S}", f"{tag}:d:{second // DAY_S}"
