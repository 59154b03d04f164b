"""The relay: bytes in, bytes out, split anywhere; usage and the end are read, everything else passes untouched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.gateway.relay import Relay
from tollway.providers.openai import OpenAITranslator
from tollway.routing.failure import FailureKind, UpstreamError

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def event(**chunk: object) -> bytes:
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **chunk}
    return b"data: " + json.dumps(whole, separators=(",", ":")).encode() + b"\n\n"


def content(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], usage=None)


ROLE = event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
FINISH = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
FINAL = event(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"
TRICKY = content('she said "error": {"finish_reason":"stop"} and [DONE] \n\n data: x')
STREAM = ROLE + content("Hel") + content("lo") + TRICKY + FINISH + FINAL + DONE


def relay(*, include_usage: bool = False) -> Relay:
    return Relay(OpenAITranslator(), is_identity=True, include_usage=include_usage)


def chunks(data: bytes) -> list[dict]:
    return [json.loads(line[6:]) for line in data.decode().split("\n\n") if line.startswith("data: {")]


def run(one: Relay, pieces: list[bytes]) -> bytes:
    return b"".join(one.feed(piece) for piece in pieces) + one.end()


def test_what_is_not_remarkable_passes_byte_for_byte() -> None:
    one = relay()
    one.feed(ROLE)
    odd = b'data: {"choices":[{"delta":{"content":"a"}}],  "x":1.0, "big": 123456789012345678901234567890}\n\n'
    assert one.feed(odd) == odd


def test_usage_rides_on_the_finish_chunk_so_that_choices_is_never_empty() -> None:
    one = relay()
    out = run(one, [STREAM]) + one.closing(b'{"prompt_tokens":9}', b'{"cost_usd":"1"}')
    got = chunks(out)
    assert all(chunk["choices"] for chunk in got)
    assert got[-1]["choices"][0]["finish_reason"] == "stop"
    assert got[-1]["usage"] == {"prompt_tokens": 9}
    assert got[-1]["tollway"] == {"cost_usd": "1"}
    assert out.endswith(DONE)
    assert out.count(b"[DONE]\n\n") == 1


def test_a_caller_who_asks_for_a_usage_chunk_gets_one() -> None:
    one = relay(include_usage=True)
    got = chunks(run(one, [STREAM]) + one.closing(b"{}", b"{}"))
    assert got[-1]["choices"] == []
    assert got[-1]["usage"] == {}
    assert got[-2]["choices"][0]["finish_reason"] == "stop"


@settings(max_examples=300)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12, unique=True))
def test_sse_may_be_split_anywhere(cuts: list[int]) -> None:
    whole = relay()
    expected = chunks(run(whole, [STREAM]))
    edges = [0, *sorted(cuts), len(STREAM)]
    one = relay()
    got = chunks(run(one, [STREAM[a:b] for a, b in zip(edges, edges[1:], strict=False)]))
    assert got == expected
    assert one.source.usage == {"usage": USAGE}
    assert one.finish_reason == "stop"
    assert one.is_done
    assert one.is_over
    assert (
        one.delivered.text()
        == whole.delivered.text()
        == "Hello" + 'she said "error": {"finish_reason":"stop"} and [DONE] \n\n data: x'
    )


def test_crlf_line_ends() -> None:
    one = relay()
    got = chunks(run(one, [STREAM.replace(b"\n", b"\r\n")]))
    assert [c["choices"][0]["delta"].get("content") for c in got[:3]] == ["", "Hel", "lo"]
    assert one.is_over


def test_an_error_frame_is_an_error() -> None:
    one = relay()
    one.feed(ROLE)
    with pytest.raises(UpstreamError) as caught:
        one.feed(b'data: {"error": {"message": "overloaded", "code": 503}}\n\n')
    assert caught.value.failure.kind is FailureKind.SERVER
    assert caught.value.failure.message == "overloaded"


def test_a_stream_that_ends_early_is_not_done() -> None:
    one = relay()
    one.feed(ROLE + content("Hel"))
    one.end()
    assert not one.is_done


def test_a_missing_last_blank_line_is_forgiven() -> None:
    one = relay()
    one.feed(ROLE + content("Hi") + FINISH[:-2])
    one.end()
    assert one.is_done
    assert one.finish_reason == "stop"


def test_usage_in_the_finish_chunk() -> None:
    one = relay()
    one.feed(ROLE + content("Hi"))
    one.feed(event(choices=[{"index": 0, "delta": {}, "finish_reason": "length"}], usage=USAGE))
    assert one.source.usage == {"usage": USAGE}
    assert one.finish_reason == "length"


def test_the_last_usage_wins_and_snapshots_are_never_summed() -> None:
    """pains 15, 16."""
    one = relay()
    one.feed(ROLE + event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 1}) + FINISH + FINAL)
    assert one.source.usage == {"usage": USAGE}


def test_two_choices_both_finish() -> None:
    one = relay()
    other = event(choices=[{"index": 1, "delta": {}, "finish_reason": "length"}])
    out = run(one, [ROLE, content("a"), FINISH, other, FINAL, DONE]) + one.closing(b"{}", b"{}")
    finished = [c["choices"][0]["index"] for c in chunks(out) if c["choices"] and c["choices"][0]["finish_reason"]]
    assert finished == [0, 1]


def test_tokens_are_estimated_while_bytes_pass() -> None:
    one = relay()
    one.feed(ROLE)
    for word in ["word "] * 400:
        one.feed(content(word))
    assert 400 <= one.delivered.tokens_estimate <= 900
    one.feed(content("x" * 30_000))
    assert one.delivered.tokens_estimate >= 10_000


def test_failing_says_error_once_and_ends() -> None:
    one = relay()
    one.feed(ROLE + content("Hi"))
    last = chunks(one.failing({"code": "upstream_error", "message": "x"}, b"{}"))[0]
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["error"]["code"] == "upstream_error"
    assert last["id"] == "chatcmpl-1"
