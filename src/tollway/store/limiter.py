"""Request and token windows of keys, in this process: fixed UTC minutes and UTC days (money.md R14, contract.md).

Counters live in two dictionaries per kind: the window that is open and the one before it. A new window throws the older
one away, so memory is bounded by the keys that were used in two windows and nothing has to be reset by a job. The one
before stays for corrections of requests that began in it, and for a clock that jumps back over a boundary.
"""

from collections.abc import Mapping

from tollway.errors import RateLimited, TokensPerDayExceeded
from tollway.ports import Window
from tollway.workspaces.key import Key

MINUTE_S = 60
DAY_S = 86_400


class _Windows:
    """Counts per key in numbered windows of `seconds`: `number` is the newest."""

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


class InProcessLimiter:
    """See `ports.Limiter`. For one process; the scale-out store has its own.

    A key's own limit counts, else the default; -1 means no limit in both places, 0 lets nothing through.
    """

    __slots__ = ("_days", "_minutes", "_requests_per_minute", "_tokens_per_day")

    def __init__(self, requests_per_minute: int = -1, tokens_per_day: int = -1) -> None:
        """The defaults for keys without limits of their own."""
        self._requests_per_minute = requests_per_minute
        self._tokens_per_day = tokens_per_day
        self._minutes = _Windows(MINUTE_S)
        self._days = _Windows(DAY_S)

    def window(self, key: Key, now: float) -> Window:
        """The request window as it stands; counts nothing."""
        limit = key.requests_per_minute if key.requests_per_minute >= 0 else self._requests_per_minute
        minute = int(now) // MINUTE_S
        return _window(limit, self._used(self._minutes, key, minute), (minute + 1) * MINUTE_S)

    def tokens_window(self, key: Key, now: float) -> Window:
        """The token window as it stands: used ones and reserved ones are both gone from what remains."""
        limit = key.tokens_per_day if key.tokens_per_day >= 0 else self._tokens_per_day
        day = int(now) // DAY_S
        return _window(limit, self._used(self._days, key, day), (day + 1) * DAY_S)

    def tokens_used(self, key: Key, now: float) -> int:
        """Tokens used and reserved in this UTC day."""
        return self._used(self._days, key, int(now) // DAY_S)

    def take_request(self, key: Key, now: float) -> Window:
        """Count one request.

        Raises:
            RateLimited: the minute is full; nothing was counted. With limit, reset and retry_after_seconds.
        """
        limit = key.requests_per_minute if key.requests_per_minute >= 0 else self._requests_per_minute
        minute = int(now) // MINUTE_S
        counts = self._minutes.counts if minute == self._minutes.number else self._minutes.at(minute)
        used = counts.get(key.id, 0)
        reset = (minute + 1) * MINUTE_S
        if 0 <= limit <= used:
            seconds = max(1, reset - int(now))
            raise RateLimited(
                f"this key may make {limit} requests per minute; try again in {seconds} s",
                limit=limit,
                reset=reset,
                retry_after_seconds=seconds,
            )
        counts[key.id] = used + 1
        return Window(limit, limit - used - 1 if limit >= 0 else -1, reset)

    def reserve_tokens(self, key: Key, tokens: int, now: float) -> None:
        """Reserve the worst case of tokens for the UTC day.

        Raises:
            TokensPerDayExceeded: the day's limit cannot cover it; nothing was reserved. With limit, used, needed, reset
                and retry_after_seconds.
        """
        limit = key.tokens_per_day if key.tokens_per_day >= 0 else self._tokens_per_day
        day = int(now) // DAY_S
        counts = self._days.counts if day == self._days.number else self._days.at(day)
        used = counts.get(key.id, 0)
        if 0 <= limit < used + tokens:
            reset = (day + 1) * DAY_S
            raise TokensPerDayExceeded(
                f"this request may need {tokens} tokens; of {limit} per day this key has {max(limit - used, 0)} left. "
                "Wait until 00:00 UTC, or ask for fewer tokens",
                limit=limit,
                used=used,
                needed=tokens,
                reset=reset,
                retry_after_seconds=max(1, reset - int(now)),
            )
        counts[key.id] = used + tokens

    def correct_tokens(self, key: Key, reserved: int, used: int, day: int) -> None:
        """Replace a reservation of UTC day number `day` (unix days) by what was used. Older days are over."""
        days = self._days
        counts = days.counts if day == days.number else days.earlier if day == days.number - 1 else None
        if counts is not None:
            counts[key.id] = max(0, counts.get(key.id, 0) + used - reserved)

    def restore(self, tokens_today: Mapping[str, int], day: int) -> None:
        """Set the token counts of UTC day number `day` at start-up: key id -> tokens. Call before the first request."""
        self._days.at(day).update(tokens_today)

    @staticmethod
    def _used(windows: _Windows, key: Key, number: int) -> int:
        if number == windows.number:
            return windows.counts.get(key.id, 0)
        return windows.earlier.get(key.id, 0) if number == windows.number - 1 else 0


def _window(limit: int, used: int, reset: int) -> Window:
    return Window(limit, max(0, limit - used) if limit >= 0 else -1, reset)
