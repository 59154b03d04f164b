"""The envelope of a stream: what fits is exactly what has the same fields, whatever its text says."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.gateway.envelope import Envelope

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def event(text: str, *, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "choices": [choice], "usage": None, **more}, ensure_ascii=False).encode()


def learned(pattern: bytes = event("word")) -> Envelope:
    envelope = Envelope()
    envelope.learn(pattern)
    assert envelope.is_known
    return envelope


@given(st.text())
def test_any_text_fits(text: str) -> None:
    envelope, data = learned(), event(text) + b"\n\n"
    assert envelope.fits(data)
    assert envelope.leading(data + data + event("x", finish="stop")) == (2 * len(data), 2)


@given(st.binary(max_size=40))
def test_what_fits_has_no_other_fields_than_the_pattern(inside: bytes) -> None:
    """Whatever bytes stand where the text is: it is text, or it is no JSON."""
    front, _, back = event("word").partition(b"word")
    data = front + inside + back
    if learned().fits(data + b"\n\n"):
        try:
            found = msgspec.json.decode(data.removeprefix(b"data: "))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        text = found["choices"][0]["delta"].pop("content")
        assert isinstance(text, str)
        assert found == {
            **HEAD,
            "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}],
            "usage": None,
        }


@pytest.mark.parametrize(
    "other",
    [
        event("x", finish="stop"),
        event("x", usage={"prompt_tokens": 1}),
        event("x", error={"code": 1}),
        b"data: [DONE]",
        event("x").replace(b'"x"', b'"x", "finish_reason": "stop", "a": "b"'),
        event("x").replace(b'"x"', b'"x\ndata: [DONE]\ny"'),
        event("x")[:-1],
        b"",
    ],
)
def test_anything_else_does_not(other: bytes) -> None:
    envelope, good = learned(), event("good") + b"\n\n"
    assert not envelope.fits(other + b"\n\n")
    assert envelope.leading(good + other + b"\n\n" + good) == (len(good), 1)


@pytest.mark.parametrize("rest", [b"", b"\n", b"\n\n", b"\n\ndata: {"])
def test_only_whole_events_are_counted(rest: bytes) -> None:
    good = event("good")
    size, events = learned().leading(good + b"\n\n" + good + rest)
    assert (size, events) == ((2 * len(good) + 4, 2) if rest.startswith(b"\n\n") else (len(good) + 2, 1))
    assert learned().fits(good + rest) is (rest == b"\n\n")


def test_front_and_back_may_not_share_bytes() -> None:
    envelope = learned(b'data: {"a":"","content":"x","a":""}')
    assert not envelope.fits(b'data: {"a":"","content":"","a":""}'.replace(b'"content":"",', b"") + b"\n\n")


def test_an_event_without_text_teaches_nothing_and_few_are_tried() -> None:
    envelope = Envelope()
    assert not envelope.fits(b"")
    for _ in range(5):
        envelope.learn(b'data: {"choices":[]}')
    envelope.learn(event("word"))
    assert not envelope.is_known


def test_a_long_text_with_quotes_is_read_in_linear_time() -> None:
    envelope = learned()
    text = 'say "x" \\ ' * 200_000
    assert envelope.fits(event(text) + b"\n\n")
    front, _, back = event("word").partition(b"word")
    assert not envelope.fits(front + b"a" * 2_000_000 + b'"b' + back + b"\n\n")
