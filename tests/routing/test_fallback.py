"""What follows a failure: every kind, the waits, and the error at the end."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.errors import (
    ContextLengthExceeded,
    NoHealthyOffer,
    TollwayError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from tollway.routing.failure import Failure, FailureKind, UpstreamError, public_text
from tollway.routing.fallback import VERDICTS, backoff_s, final_error, may_follow, may_retry, verdict

K = FailureKind


@dataclass(frozen=True)
class Tried:
    reason: str
    status: int = 500
    provider: str = "acme"
    model: str = "m/one"
    message: str = ""


TABLE = [
    # kind, the same again, any other offer, the error when nothing is left
    (K.BAD_REQUEST, False, False, UpstreamRefused, 400),
    (K.CONTEXT_LENGTH, False, False, ContextLengthExceeded, 400),
    (K.CONTENT_FILTER, False, False, UpstreamRefused, 400),
    (K.NO_AUTH, False, True, UpstreamFailed, 502),
    (K.NOT_FOUND, False, True, UpstreamFailed, 502),
    (K.RATE_LIMITED, True, True, NoHealthyOffer, 503),
    (K.OVERLOADED, True, True, NoHealthyOffer, 503),
    (K.SERVER, True, True, UpstreamFailed, 502),
    (K.TIMEOUT, True, True, UpstreamTimeout, 504),
    (K.CONNECTION, True, True, UpstreamFailed, 502),
    (K.MALFORMED, True, True, UpstreamFailed, 502),
]


def test_every_kind_is_in_the_table():
    assert {row[0] for row in TABLE} == set(VERDICTS) == set(FailureKind)


@pytest.mark.parametrize(("kind", "again", "elsewhere", "error", "status"), TABLE)
def test_verdicts(kind, again, elsewhere, error, status):
    assert (verdict(kind).may_retry, verdict(kind).may_fall_back) == (again, elsewhere)
    assert may_follow(kind, "m/one", "m/one") is elsewhere
    assert may_follow(kind, "m/one", "m/two") is True
    final = final_error(Failure(kind, status), [Tried(kind, status)])
    assert type(final) is error
    assert final.status == status
    assert final.details["attempts"] == [{"provider": "acme", "model": "m/one", "status": status, "reason": kind.value}]


def test_a_longer_pause_than_we_wait_is_not_retried():
    assert may_retry(Failure(K.RATE_LIMITED, 429))
    assert may_retry(Failure(K.RATE_LIMITED, 429, retry_after_s=10))
    assert not may_retry(Failure(K.RATE_LIMITED, 429, retry_after_s=11))
    assert not may_retry(Failure(K.NO_AUTH, 401))


@pytest.mark.parametrize(
    ("attempt", "after", "jitter", "seconds"),
    [
        (0, None, 0.0, 0.125),
        (0, None, 1.0, 0.25),
        (1, None, 0.0, 0.25),
        (2, None, 0.5, 0.75),
        (4, None, 1.0, 4.0),
        (9, None, 1.0, 4.0),
        (10_000, None, 0.0, 2.0),
        (0, 3, 0.0, 3.125),
        (0, 0, 0.0, 0.125),
        (0, 3600, 0.0, 10.125),
    ],
)
def test_waits(attempt, after, jitter, seconds):
    assert backoff_s(attempt, after, jitter) == seconds


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_shorter_than_asked_nor_long(attempt, after, jitter):
    wait = backoff_s(attempt, after, jitter)
    assert min(after, 10) <= wait <= 14


def test_all_busy_says_when_to_come_back():
    tried = [Tried(K.RATE_LIMITED, 429), Tried(K.OVERLOADED, 529, "beta")]
    error = final_error(Failure(K.OVERLOADED, 529, retry_after_s=2.1), tried)
    assert type(error) is NoHealthyOffer
    assert error.details["retry_after_seconds"] == 3
    assert (b"retry-after", b"3") in error.headers()
    assert final_error(Failure(K.OVERLOADED), tried).details["retry_after_seconds"] == 5
    assert [one["reason"] for one in error.details["attempts"]] == ["rate_limited", "overloaded"]


@pytest.mark.parametrize(
    ("kinds", "error"),
    [
        ((K.SERVER, K.RATE_LIMITED), UpstreamFailed),
        ((K.RATE_LIMITED, K.TIMEOUT), UpstreamTimeout),
        ((K.TIMEOUT, K.SERVER), UpstreamFailed),
        ((K.BAD_REQUEST, K.SERVER), UpstreamFailed),
        ((K.TIMEOUT, K.BAD_REQUEST), UpstreamTimeout),  # the request was fine for the first model
        ((K.RATE_LIMITED, K.BAD_REQUEST), UpstreamFailed),
        ((K.CONTEXT_LENGTH, K.BAD_REQUEST), ContextLengthExceeded),
        ((), UpstreamTimeout),
    ],
)
def test_several_attempts(kinds, error):
    last = kinds[-1] if kinds else K.TIMEOUT
    assert type(final_error(Failure(last), [Tried(kind) for kind in kinds])) is error


def test_an_answer_that_broke_is_told_as_what_broke_it():
    error = final_error(Failure(K.CONNECTION, 200), [Tried(K.SERVER, 500), Tried("ok", 200)])
    assert type(error) is UpstreamFailed
    assert [one["reason"] for one in error.details["attempts"]] == ["server", "connection"]


def test_the_callers_own_fault_comes_in_the_providers_words():
    message = "Invalid value for 'temperature': 3"
    error = final_error(
        Failure(K.BAD_REQUEST, 400, message, "temperature"), [Tried(K.BAD_REQUEST, 400, message=message)]
    )
    assert (error.status, error.message, error.param) == (400, message, "temperature")
    assert error.details["reason"] == "bad_request"
    filtered = final_error(Failure(K.CONTENT_FILTER, 400, "no"), [Tried(K.CONTENT_FILTER, 400, message="no")])
    assert filtered.message == "the provider's content filter refused the request. no"


CANARY = "canary"
LEAKS = [
    f"Incorrect API key provided: sk-proj-{CANARY}1234567890abcdef. You can find it at https://platform.{CANARY}.com/keys",
    f"Incorrect API key provided: sk-{CANARY}****abcd.",
    f"Rate limit reached for gpt-5 in organization org-{CANARY}9Zz1 on tokens per min",
    f"The project proj_{CANARY}7777 does not have access",
    f"Permission denied on resource projects/{CANARY}-123/locations/eu for {CANARY}@{CANARY}-123.iam.gserviceaccount.com",
    f"upstream connect error http://10.1.2.3:8080/{CANARY}?key=AIza{CANARY}1234567",
    f"Authorization: Bearer {CANARY}.abc.def123",
    f"tw_{CANARY}0123456789 is not valid here",
]


@pytest.mark.parametrize("message", LEAKS)
@pytest.mark.parametrize("kind", list(FailureKind))
def test_no_error_leaks_keys_urls_or_accounts(kind, message):
    error = final_error(Failure(kind, 400, message), [Tried(kind, 400, message=message)])
    assert CANARY not in str(error.body())
    assert CANARY not in Failure(kind, 400, message).public_message


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        "Unsupported value: 'tools.0.function' is not of type 'object' - 'messages'",
        "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku-20241022",
        "project-wide key-value settings user-defined",
    ],
)
def test_useful_words_stay(message):
    assert public_text(message) == message


def test_what_is_ours_is_hidden_from_callers():
    for kind in (K.NO_AUTH, K.SERVER, K.NOT_FOUND):
        error: TollwayError = final_error(
            Failure(kind, 401, "invalid x-api-key"), [Tried(kind, 401, message="invalid x-api-key")]
        )
        assert "x-api-key" not in str(error.body())


def test_an_upstream_error_carries_its_failure():
    failure = Failure(K.SERVER, 500, "boom")
    assert UpstreamError(failure).failure is failure
    assert str(UpstreamError(failure)) == "boom"
    assert str(UpstreamError(Failure(K.TIMEOUT))) == "timeout"
