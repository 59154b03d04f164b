"""The simulated provider: deterministic, paced, and able to fail as it is told."""

import asyncio
import json
import time

import pytest

from tollway.ports import Outgoing
from tollway.providers.simulated import SimulatedProvider


def outgoing(model: str, text: str = "one two three", **fields: object) -> Outgoing:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return Outgoing("simulated:/chat/completions", {}, json.dumps(body).encode())


def whole(model: str, **fields: object) -> tuple[int, dict]:
    status, _, body = asyncio.run(SimulatedProvider().fetch(outgoing(model, **fields), 10))
    return status, json.loads(body)


def streamed(model: str, **fields: object) -> list[bytes]:
    async def run() -> list[bytes]:
        stream = await SimulatedProvider().open(outgoing(model, stream=True, **fields), 10)
        got = []
        try:
            while (data := await stream.next()) is not None:
                got.append(data)
        finally:
            await stream.close()
        return got

    return asyncio.run(run())


def test_echo_repeats_and_counts() -> None:
    status, body = whole("echo")
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "one two three"
    assert body["usage"]["completion_tokens"] == 3
    assert body["usage"]["prompt_tokens"] == 7  # three words, and four for the message


def test_the_same_request_gets_the_same_answer() -> None:
    assert whole("small") == whole("small")


def test_the_output_bound_is_kept() -> None:
    _, body = whole("small", max_tokens=5)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 5


def test_a_stream_says_the_same_as_the_whole_answer() -> None:
    chunks = [json.loads(data[6:]) for data in streamed("small") if data != b"data: [DONE]\n\n"]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    _, body = whole("small")
    assert text == body["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == body["usage"]


def test_it_can_be_told_to_fail() -> None:
    assert whole("echo", simulate={"status": 500})[0] == 500
    with pytest.raises(ConnectionError):
        streamed("small", simulate={"fail_after_chunks": 2})
    assert b'"error"' in streamed("small", simulate={"error_after_chunks": 2})[-1]
    assert not any(b'"usage"' in data for data in streamed("echo", simulate={"no_usage": True}))


def test_it_can_be_told_to_be_slow() -> None:
    began = time.monotonic()
    whole("echo", simulate={"delay_ms": 200})
    assert time.monotonic() - began >= 0.2


def test_flaky_fails_every_second_time() -> None:
    provider = SimulatedProvider()
    statuses = [asyncio.run(provider.fetch(outgoing("flaky", simulate={"delay_ms": 0}), 10))[0] for _ in range(4)]
    assert statuses == [503, 200, 503, 200]


def test_a_timeout_is_kept() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(SimulatedProvider().fetch(outgoing("slow"), 0.05))
