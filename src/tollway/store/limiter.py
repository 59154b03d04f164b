"""Request and token windows in this process: fixed UTC minutes and UTC days (money.md R14, contract.md).

Counters live in two dictionaries per kind: the window that is open and the one before it. A new window throws the older
one away, so memory is bounded by what was used in two windows and nothing has to be reset by a job. The one before stays
for corrections of requests that began in it, and for a clock that jumps back over a boundary. A workspace and a key are
counted in the same dictionary, by id. No method waits, so each is one step.
"""

from collections.abc import Mapping

from tollway.errors import RateLimited, TokensPerDayExceeded
from tollway.ports import Counted, Kind, Quota, Window

MINUTE_S = 60
DAY_S = 86_400


class _Windows:
    """Counts by id in numbered windows of `seconds`: `number` is the newest."""

    __slots__ = ("counts", "earlier", "number", "seconds")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.number = -1
        self.counts = dict[str, int]()
        self.earlier = dict[str, int]()

    def at(self, number: int) -> dict[str, int]:
        """The counts of a window, to be changed in place."""
        if number == self.number:
            return self.counts
        if number == self.number - 1:
            return self.earlier
        # A later window; or one so much earlier that the clock must have been set, and its counts are gone anyway.
        self.earlier = self.counts if number == self.number + 1 else dict[str, int]()
        self.counts = dict[str, int]()
        self.number = number
        return self.counts

    def seen(self, number: int) -> Mapping[str, int]:
        """The counts of a window; looking opens none."""
        if number == self.number:
            return self.counts
        return self.earlier if number == self.number - 1 else {}

    def kept(self, number: int) -> dict[str, int] | None:
        """The counts of a window that is open or the one before, None of an older one, which is over."""
        if number == self.number:
            return self.counts
        return self.earlier if number == self.number - 1 else None


class InProcessLimiter:
    """See `ports.Limiter`. For one process; the scale-out store has its own."""

    __slots__ = ("_days", "_minutes", "_requests")

    def __init__(self) -> None:
        self._minutes = _Windows(MINUTE_S)
        self._days = _Windows(DAY_S)
        self._requests = _Windows(DAY_S)

    async def admit(self, quota: Quota, tokens: int, now: float) -> Window:
        """See `Limiter.admit`."""
        second = int(now)
        minutes = self._minutes.at(second // MINUTE_S)
        days = self._days.at(second // DAY_S)
        workspace, key = quota.workspace_id, quota.key_id
        requests, key_requests = minutes.get(workspace, 0), minutes.get(key, 0)
        limit, key_limit = quota.requests, quota.key_requests
        if 0 <= limit <= requests or 0 <= key_limit <= key_requests:
            raise full_minute(quota, requests, second)
        used, key_used = days.get(workspace, 0) + tokens, days.get(key, 0) + tokens
        if 0 <= quota.tokens < used or 0 <= quota.key_tokens < key_used:
            raise full_day(quota, used - tokens, key_used - tokens, tokens, second)
        minutes[workspace], minutes[key] = requests + 1, key_requests + 1
        days[workspace], days[key] = used, key_used
        today = self._requests.at(second // DAY_S)
        today[workspace] = today.get(workspace, 0) + 1
        return nearest(quota, requests + 1, key_requests + 1, second)

    async def reserve(self, quota: Quota, tokens: int, now: float) -> None:
        """See `Limiter.reserve`."""
        second = int(now)
        days = self._days.at(second // DAY_S)
        used, key_used = days.get(quota.workspace_id, 0), days.get(quota.key_id, 0)
        if 0 <= quota.tokens < used + tokens or 0 <= quota.key_tokens < key_used + tokens:
            raise full_day(quota, used, key_used, tokens, second)
        days[quota.workspace_id], days[quota.key_id] = used + tokens, key_used + tokens

    async def dismiss(self, quota: Quota, tokens: int, now: float) -> None:
        """See `Limiter.dismiss`."""
        second = int(now)
        for windows, number, by in (
            (self._minutes, second // MINUTE_S, 1),
            (self._requests, second // DAY_S, 1),
            (self._days, second // DAY_S, tokens),
        ):
            counts = windows.kept(number)
            for one in (quota.workspace_id, quota.key_id):
                if counts is not None and one in counts:
                    counts[one] = max(0, counts[one] - by)

    async def correct(self, quota: Quota, reserved: int, used: int, now: float) -> None:
        """See `Limiter.correct`. Older days than yesterday are over."""
        counts = self._days.kept(int(now) // DAY_S)
        if counts is not None and reserved != used:
            workspace, key, by = quota.workspace_id, quota.key_id, used - reserved
            counts[workspace] = max(0, counts.get(workspace, 0) + by)
            counts[key] = max(0, counts.get(key, 0) + by)

    async def window(self, quota: Quota, now: float) -> Window:
        """See `Limiter.window`."""
        second = int(now)
        counts = self._minutes.seen(second // MINUTE_S)
        return nearest(quota, counts.get(quota.workspace_id, 0), counts.get(quota.key_id, 0), second)

    async def count(self, kind: Kind, workspace_id: str, limit: int, now: float) -> Window:
        """See `Limiter.count`."""
        second = int(now)
        counts, name = self._minutes.at(second // MINUTE_S), f"{kind}:{workspace_id}"
        used = counts.get(name, 0)
        if 0 <= limit <= used:
            raise full_kind(kind, limit, second)
        counts[name] = used + 1
        return window_of(limit, used + 1, second)

    async def counted(self, workspace_id: str, now: float) -> Counted:
        """See `Limiter.counted`."""
        minute, day = int(now) // MINUTE_S, int(now) // DAY_S
        minutes = self._minutes.seen(minute)
        return Counted(
            minutes.get(workspace_id, 0),
            self._requests.seen(day).get(workspace_id, 0),
            self._days.seen(day).get(workspace_id, 0),
            minutes.get(f"web_search:{workspace_id}", 0),
            minutes.get(f"file_search:{workspace_id}", 0),
        )

    async def tokens_of(self, key_id: str, now: float) -> int:
        """See `Limiter.tokens_of`."""
        return self._days.seen(int(now) // DAY_S).get(key_id, 0)

    async def close(self) -> None:
        """Nothing to let go of."""

    def restore(self, tokens: Mapping[str, int], requests: Mapping[str, int], day: int) -> None:
        """Set the counts of UTC day number `day` at start-up, by id. Call before the first request."""
        self._days.at(day).update(tokens)
        self._requests.at(day).update(requests)


def nearest(quota: Quota, requests: int, key_requests: int, second: int) -> Window:
    """Of a workspace's request window and its key's, the one with less left."""
    limit, key_limit = quota.requests, quota.key_requests
    if key_limit >= 0 and (limit < 0 or key_limit - key_requests < limit - requests):
        limit, requests = key_limit, key_requests
    return window_of(limit, requests, second)


def window_of(limit: int, used: int, second: int) -> Window:
    """The window of the minute that contains `second`."""
    return Window(limit, max(0, limit - used) if limit >= 0 else -1, second - second % MINUTE_S + MINUTE_S)


def full_minute(quota: Quota, requests: int, second: int) -> RateLimited:
    """The refusal of a request in a full minute: with limit, reset, retry_after_seconds and limit_source."""
    is_plan = 0 <= quota.requests <= requests
    limit = quota.requests if is_plan else quota.key_requests
    who, source = ("your plan allows", "plan") if is_plan else ("this key may make", "key")
    return _rate_limited(f"{who} {limit} requests per minute", limit, second, source)


def full_kind(kind: Kind, limit: int, second: int) -> RateLimited:
    """The refusal of another action in a full minute."""
    what = {"api": "requests beside chat", "web_search": "web searches", "file_search": "file searches"}[kind]
    return _rate_limited(f"{limit} {what} per minute are allowed", limit, second, "plan")


def _rate_limited(text: str, limit: int, second: int, source: str) -> RateLimited:
    reset = second - second % MINUTE_S + MINUTE_S
    seconds = max(1, reset - second)
    hint = f"try again in {seconds} s" if limit else "it allows none at all"
    return RateLimited(f"{text}; {hint}", limit=limit, reset=reset, retry_after_seconds=seconds, limit_source=source)


def full_day(quota: Quota, used: int, key_used: int, tokens: int, second: int) -> TokensPerDayExceeded:
    """The refusal of tokens that a day cannot cover: with limit, used, needed, reset, retry_after_seconds, limit_source."""
    is_plan = 0 <= quota.tokens < used + tokens
    limit, had, source = (quota.tokens, used, "plan") if is_plan else (quota.key_tokens, key_used, "key")
    whose = "your plan" if is_plan else "this key"
    reset = second - second % DAY_S + DAY_S
    return TokensPerDayExceeded(
        f"this request may need {tokens} tokens; of {limit} per day {whose} has {max(limit - had, 0)} left. "
        "Wait until 00:00 UTC, or ask for fewer tokens",
        limit=limit,
        used=had,
        needed=tokens,
        reset=reset,
        retry_after_seconds=max(1, reset - second),
        limit_source=source,
    )
