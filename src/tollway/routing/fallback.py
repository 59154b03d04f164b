"""What follows a failed attempt: the same offer again, another one, or an error for the caller.

| kind | again | next offer | when nothing is left |
|---|---|---|---|
| bad_request, context_length, content_filter | no | another model only | 400, in the provider's words |
| no_auth, not_found | no | yes | 502 |
| rate_limited, overloaded | yes | yes | 503 if all were, else 502 |
| server, connection, malformed | yes | yes | 502 |
| timeout | yes | yes | 504 |

A `models` list is the caller's consent to move on for any error, so a request that one model finds bad goes to the next
model, never to the same model elsewhere. The error tells every attempt, and nothing of ours (contract.md, Errors).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tollway.errors import (
    ContextLengthExceeded,
    NoHealthyOffer,
    TollwayError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from tollway.jsontypes import JSON
from tollway.routing.failure import Failure, FailureKind, public_text

BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 4.0
RETRY_AFTER_MAX_S = 10.0
"""A provider that asks for a longer pause is not waited for."""
RETRY_AFTER_DEFAULT_S = 5
"""What a caller is told when every provider was busy and none said for how long."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a kind of failure allows.

    may_retry: the same offer may be asked again. may_fall_back: any other offer may be asked; if not, only one of
    another model. error: what the caller gets when nothing is left.
    """

    may_retry: bool
    may_fall_back: bool
    error: type[TollwayError]


_CALLERS_FAULT = Verdict(may_retry=False, may_fall_back=False, error=UpstreamRefused)
_ELSEWHERE = Verdict(may_retry=False, may_fall_back=True, error=UpstreamFailed)
_BUSY = Verdict(may_retry=True, may_fall_back=True, error=NoHealthyOffer)
_AGAIN = Verdict(may_retry=True, may_fall_back=True, error=UpstreamFailed)

VERDICTS: dict[FailureKind, Verdict] = {
    FailureKind.BAD_REQUEST: _CALLERS_FAULT,
    FailureKind.CONTEXT_LENGTH: Verdict(may_retry=False, may_fall_back=False, error=ContextLengthExceeded),
    FailureKind.CONTENT_FILTER: _CALLERS_FAULT,
    FailureKind.NO_AUTH: _ELSEWHERE,
    FailureKind.NOT_FOUND: _ELSEWHERE,
    FailureKind.RATE_LIMITED: _BUSY,
    FailureKind.OVERLOADED: _BUSY,
    FailureKind.SERVER: _AGAIN,
    FailureKind.TIMEOUT: Verdict(may_retry=True, may_fall_back=True, error=UpstreamTimeout),
    FailureKind.CONNECTION: _AGAIN,
    FailureKind.MALFORMED: _AGAIN,
}


class Tried(Protocol):
    """An attempt as it was written down; `reason` is the kind of its failure, or `ok`."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...


def verdict(kind: FailureKind) -> Verdict:
    """What follows a failure of this kind."""
    return VERDICTS[kind]


def may_retry(failure: Failure) -> bool:
    """The same offer may be asked again, and is not asking for a longer pause than we wait."""
    return VERDICTS[failure.kind].may_retry and (failure.retry_after_s or 0) <= RETRY_AFTER_MAX_S


def may_follow(kind: FailureKind, failed_model: str, next_model: str) -> bool:
    """After a failure of this kind at one model, an offer of the next may be asked."""
    return VERDICTS[kind].may_fall_back or failed_model != next_model


def backoff_s(attempt: int, retry_after_s: float | None, jitter: float) -> float:
    """Seconds to wait before asking the same offer again.

    0.25, 0.5, 1, ... at most 4 seconds, of which the upper half is random so that callers do not return in step. A
    provider's `Retry-After` is the least, up to RETRY_AFTER_MAX_S.

    Args:
        attempt: 0 after the first failure.
        retry_after_s: what the provider asked for, None if nothing.
        jitter: a fresh random number in [0, 1).
    """
    step = min(BACKOFF_FIRST_S * 2 ** min(attempt, 16), BACKOFF_MAX_S)
    wait = step * (1 + jitter) / 2
    if retry_after_s is None or retry_after_s <= 0:
        return wait
    return min(retry_after_s, RETRY_AFTER_MAX_S) + wait


def final_error(failure: Failure, attempts: Sequence[Tried]) -> TollwayError:
    """What the caller gets when nothing is left to try.

    The provider's words reach the caller only if every attempt failed by the caller's own request, and then without
    what looks like a URL, a key or an account; the first attempt counts, because its model was the first choice.

    Args:
        failure: the last one.
        attempts: all of them, in order; may be empty when time ran out before any.
    """
    # The last attempt is `ok` when it began to answer and broke.
    kinds = [failure.kind if tried.reason == "ok" else FailureKind(tried.reason) for tried in attempts]
    told: list[JSON] = [
        {"provider": tried.provider, "model": tried.model, "status": tried.status, "reason": kind.value}
        for tried, kind in zip(attempts, kinds, strict=True)
    ]
    kinds = kinds or [failure.kind]
    if all(_is_callers_fault(kind) for kind in kinds):
        return _refused(kinds[0], failure, attempts, told)
    blamed = next(kind for kind in reversed(kinds) if not _is_callers_fault(kind))
    error = VERDICTS[blamed].error
    if error is NoHealthyOffer:
        if not all(VERDICTS[kind].error is NoHealthyOffer for kind in kinds):
            return UpstreamFailed(attempts=told)
        return NoHealthyOffer(retry_after_seconds=_whole_seconds(failure.retry_after_s), attempts=told)
    return error(attempts=told)


def _refused(kind: FailureKind, failure: Failure, attempts: Sequence[Tried], told: list[JSON]) -> TollwayError:
    said = public_text(attempts[0].message) if attempts else failure.public_message
    param = failure.param if len(attempts) <= 1 else None
    error = VERDICTS[kind].error
    if kind is FailureKind.CONTENT_FILTER:
        said = f"the provider's content filter refused the request. {said}".strip()
    return error(said, param=param, reason=kind.value, attempts=told)


def _is_callers_fault(kind: FailureKind) -> bool:
    return issubclass(VERDICTS[kind].error, UpstreamRefused | ContextLengthExceeded)


def _whole_seconds(seconds: float | None) -> int:
    return RETRY_AFTER_DEFAULT_S if seconds is None else max(1, -int(-seconds // 1))
