"""When a webhook is tried again, and when its endpoint is given up (the delays that Standard Webhooks suggests)."""

_MINUTE, _HOUR = 60, 3_600

RETRY_DELAYS_S: tuple[int, ...] = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
)
"""Seconds to wait after the first failed attempt, the second, and so on; after the last one a delivery is dead."""
ATTEMPTS_MAX = len(RETRY_DELAYS_S) + 1
GONE = 410
"""The status by which a receiver says that its endpoint is gone for good."""


def is_accepted(status: int) -> bool:
    """The receiver has taken the message: any 2xx. A redirect is not followed, so it is a failure."""
    return 200 <= status < 300


def next_try(attempts: int, now: int) -> int | None:
    """Unix seconds of the next try after so many failed attempts; None: no more. `now`: unix seconds."""
    return now + RETRY_DELAYS_S[attempts - 1] if 1 <= attempts < ATTEMPTS_MAX else None
