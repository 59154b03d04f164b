"""What has reached the caller: estimated from sizes while it flows, never far below the truth; read exactly at the end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.gateway.delivered import Delivered, written
from tollway.metering.tokens import count

WORDS = (
    "a",
    "toll",
    "road",
    "answers",
    "one",
    "question",
    "at",
    "every",
    "gate",
    "42",
    "internationalisation",
    "\n\n",
    ", ",
)


def event(delta: dict[str, Any]) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice], "usage": None}).encode() + b"\n\n"


def content(text: str) -> bytes:
    return event({"content": text})


ROLE = event({"role": "assistant", "content": "", "refusal": None})


def fed(*pieces: bytes) -> Delivered:
    """As the road does it: the estimate is asked for after each piece."""
    delivered = Delivered()
    for piece in pieces:
        delivered.add(piece, piece.count(b"data:"))
        assert delivered.tokens_estimate >= 0
    return delivered


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), min_size=3, max_size=30))
def test_the_estimate_is_not_below_the_truth_whatever_the_provider_puts_into_an_event(events: list[list[str]]) -> None:
    """One token in each (OpenAI) or a whole paragraph (Gemini): a rolling hold must not run dry unseen."""
    texts = [" ".join(words) for words in events]
    delivered = fed(ROLE, *(content(text) for text in texts))
    truth = count("".join(texts), "o200k")[0]
    assert delivered.tokens_estimate >= truth * 9 // 10
    assert delivered.text() == "".join(texts)


def test_the_role_in_the_first_event_does_not_hide_the_rest() -> None:
    """Its envelope is larger than all others'; taken for theirs, long texts would count as one token each."""
    text = "many words in one event " * 40
    delivered = fed(ROLE, *[content(text)] * 10)
    assert delivered.tokens_estimate >= count(text * 10, "o200k")[0]


def test_several_events_in_one_piece() -> None:
    text = "word " * 100
    assert fed(ROLE + content(text), content(text) + content(text)).tokens_estimate >= count(text * 3, "o200k")[0]


def test_a_very_long_stream_is_folded_and_read_whole() -> None:
    texts = [f"part {number} of a long text; " for number in range(8000)]
    delivered = fed(*(content(text) for text in texts))
    assert delivered.text() == "".join(texts)
    assert delivered.events == 8000


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        (None, []),
        ({}, []),
        ({"content": None, "role": "assistant"}, []),
        ({"content": "a", "reasoning_content": "b", "reasoning": "c", "refusal": "d"}, ["a", "b", "c", "d"]),
        ({"content": [{"type": "text"}]}, []),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, None, {"function": None}, {}]}, ["f", "{}"]),
        ({"tool_calls": "odd"}, []),
    ],
)
def test_everything_that_the_model_wrote_and_nothing_else(message: Any, texts: list[str]) -> None:
    assert written(message) == texts


@pytest.mark.parametrize(
    "odd", [b"data: {half\n\n", b"data: []\n\n", b'data: {"choices": 1}\n\n', b'data: {"choices": [1]}\n\n', b": x\n\n"]
)
def test_odd_events_say_nothing(odd: bytes) -> None:
    assert fed(content("a"), odd, content("b")).text() == "ab"
