"""What the zero-delay upstream answers and what the load asks: fixed bytes of the OpenAI shape."""

import json

CHUNKS = 30
USAGE = {
    "prompt_tokens": 1234,
    "completion_tokens": 567,
    "total_tokens": 1801,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_HEAD = {"id": "chatcmpl-bench0000000000000000000000", "created": 1_760_000_000, "model": "bench"}
_SENTENCE = "A toll road answers one question at every gate: who is passing, what does it cost, and who has paid. "


def whole() -> bytes:
    """A plain answer of about 700 bytes."""
    message = {"role": "assistant", "content": _SENTENCE * 3, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def stream() -> bytes:
    """A stream of 30 content chunks, then the finish reason, the usage and the terminator."""
    words = (_SENTENCE * 2).split()[:CHUNKS]
    deltas = [
        ({"role": "assistant", "content": ""}, None),
        *(({"content": f"{word} "}, None) for word in words),
        ({}, "stop"),
    ]
    frames = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], "usage": None}
        for delta, finish in deltas
    ]
    frames.append({"choices": [], "usage": USAGE})
    lines = [json.dumps({**_HEAD, "object": "chat.completion.chunk", **frame}) for frame in frames]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def question(model: str, *, streams: bool) -> bytes:
    """The body that the load posts."""
    asked = {"model": model, "messages": [{"role": "user", "content": _SENTENCE * 2}], "max_tokens": 600}
    if streams:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(asked).encode()
