"""The identity dialect: the caller's bytes travel, the five verbs edit, errors are told apart."""

import json

import pytest

from tollway.catalogue.offers import ModelId, Offer, Provider, ProviderId, WireSpec
from tollway.errors import UnsupportedField
from tollway.providers.openai import OpenAIDialect
from tollway.request import ChatRequest
from tollway.routing.failure import FailureKind, UpstreamError
from wire.golden import chat


def offer(**wire: object) -> Offer:
    spec = WireSpec("openai", "https://api.example.com/v1", **wire)
    provider = Provider(ProviderId("acme"), "Acme", spec, is_usable=True, key="sk-secret")
    return Offer("acme/big-1", ModelId("acme/big-1"), provider, "big-1")


def sent(request: ChatRequest, max_tokens: int | None = None, **wire: object) -> dict:
    return json.loads(OpenAIDialect().request(request, offer(**wire), max_tokens).body)


MESSAGES = [{"role": "user", "content": "Hi"}]


def test_the_request_goes_to_the_provider_with_its_credential() -> None:
    outgoing = OpenAIDialect().request(chat({"messages": MESSAGES}), offer(), None)
    assert outgoing.url == "https://api.example.com/v1/chat/completions"
    assert outgoing.headers["authorization"] == "Bearer sk-secret"
    assert json.loads(outgoing.body) == {"model": "big-1", "messages": MESSAGES}
    assert "sk-secret" not in repr(outgoing)


def test_unknown_parameters_travel_byte_for_byte() -> None:
    body = b'{"model":"x","messages":[{"role":"user","content":"\\u00e9"}],"min_p":0.050,"nested":{"a":1.0}}'
    from tollway.api.wire import read_chat

    outgoing = OpenAIDialect().request(read_chat(body, 10_000), offer(), None)
    for piece in (b'"min_p":0.050', b'"nested":{"a":1.0}', b'[{"role":"user","content":"\\u00e9"}]'):
        assert piece in outgoing.body


def test_the_bound_is_sent_under_the_caller_s_name_for_it() -> None:
    assert sent(chat({"messages": MESSAGES, "max_tokens": 900}), 500)["max_tokens"] == 500
    got = sent(chat({"messages": MESSAGES, "max_completion_tokens": 900}), 500)
    assert got["max_completion_tokens"] == 500
    assert "max_tokens" not in got
    assert sent(chat({"messages": MESSAGES}), 77)["max_tokens"] == 77
    assert "max_tokens" not in sent(chat({"messages": MESSAGES}), None)


def test_a_stream_always_asks_for_usage() -> None:
    got = sent(chat({"messages": MESSAGES, "stream": True}))
    assert got["stream"] is True
    assert got["stream_options"] == {"include_usage": True}
    kept = sent(chat({"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": False, "x": 1}}))
    assert kept["stream_options"] == {"include_usage": True, "x": 1}
    assert "stream_options" not in sent(chat({"messages": MESSAGES, "stream": True}), stream_usage=False)


def test_the_five_verbs() -> None:
    asked = {"messages": MESSAGES, "max_completion_tokens": 9, "temperature": 3, "seed": None}
    got = sent(
        chat(asked),
        None,
        drop=frozenset({"seed"}),
        rename={"max_completion_tokens": "max_tokens"},
        fix={"store": False},
        default={"top_p": 0.9},
        clamp={"temperature": (0, 2)},
    )
    assert got == {
        "model": "big-1",
        "messages": MESSAGES,
        "max_tokens": 9,
        "temperature": 2,
        "store": False,
        "top_p": 0.9,
    }


def test_a_dropped_field_that_asks_for_something_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedField) as caught:
        sent(chat({"messages": MESSAGES, "logprobs": True}), None, drop=frozenset({"logprobs"}))
    assert caught.value.param == "logprobs"
    assert "Acme" in caught.value.message


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "bad", "type": "invalid_request_error", "param": "x"}, FailureKind.BAD_REQUEST),
        (400, {"message": "too long", "code": "context_length_exceeded"}, FailureKind.CONTEXT_LENGTH),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, FailureKind.CONTEXT_LENGTH),
        (400, {"message": "no", "code": "content_policy_violation"}, FailureKind.CONTENT_FILTER),
        (401, {"message": "Incorrect API key provided: sk-1***"}, FailureKind.NO_AUTH),
        (404, {"message": "The model does not exist"}, FailureKind.NOT_FOUND),
        (429, {"message": "slow down", "type": "rate_limit"}, FailureKind.RATE_LIMITED),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, FailureKind.NO_AUTH),
        (500, {"message": "oops"}, FailureKind.SERVER),
        (503, {"message": "busy"}, FailureKind.OVERLOADED),
        (529, {"message": "busy"}, FailureKind.OVERLOADED),
        (504, {"message": "slow"}, FailureKind.TIMEOUT),
    ],
)
def test_failures_are_told_apart(status: int, error: dict, kind: FailureKind) -> None:
    failure = OpenAIDialect().failure(status, {"retry-after": "7"}, json.dumps({"error": error}).encode())
    assert failure.kind is kind
    assert failure.status == status
    assert failure.retry_after_s == 7


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"error": "text"}', b'{"detail": "x"}', b"\xff\xfe", b"[" * 5000]
)
def test_an_error_page_may_be_anything(body: bytes) -> None:
    assert OpenAIDialect().failure(500, {}, body).kind is FailureKind.SERVER


def test_an_error_under_200_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        OpenAIDialect().reply({"error": {"message": "x"}}, "m", "id", 0)
    with pytest.raises(UpstreamError):
        OpenAIDialect().reply({"object": "chat.completion"}, "m", "id", 0)
