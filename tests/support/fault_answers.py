"""What the fault upstream says apart from usage: whole answers, stream frames and errors of three dialects.

The text of an answer of N chunks is "word0 word1 ... ", one word in each content frame.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from support.fault_usage import CHUNKS, Call, Doc, usage_of

CREATED = 1_760_000_000


@dataclass(frozen=True)
class Stream:
    """Frames of a stream.

    middle: index of the frame before which half of the content has been said.
    usage_at: index of the frame that completes the usage.
    has_terminator: the last frame says only that the stream is over (`[DONE]`, `message_stop`); Gemini has none.
    """

    frames: list[bytes]
    middle: int
    usage_at: int
    has_terminator: bool = True


def words(chunks: int) -> list[str]:
    """The content frames' texts."""
    return [f"word{number} " for number in range(chunks)]


def text_of(chunks: int = CHUNKS) -> str:
    """The whole text of an answer of so many chunks."""
    return "".join(words(chunks))


def whole(call: Call) -> bytes:
    """The answer to a request that did not ask for a stream."""
    return json.dumps(_WHOLE[call.dialect](call)).encode()


def stream(call: Call) -> Stream:
    """The answer to a request that asked for a stream."""
    return _STREAM[call.dialect](call)


def error_body(dialect: str, status: int, message: str) -> bytes:
    """The body of a non-2xx answer, as the provider documents it."""
    return json.dumps(_error(dialect, status, message)).encode()


def error_frame(dialect: str) -> bytes:
    """The frame by which a provider says in mid-stream that it failed, although the status was 200."""
    error = _error(dialect, 503, "The fault upstream failed in mid-stream, as asked.")
    return _event("error", error) if dialect == "anthropic" else _data(error)


def broken_frame(dialect: str) -> bytes:
    """A frame whose JSON stops half-way, correctly framed."""
    name = b"event: content_block_delta\n" if dialect == "anthropic" else b""
    return name + b'data: {"id": "fault", "choices": [{"delta": {"content": "half a \n\n'


def empty(call: Call) -> tuple[bytes, Stream]:
    """An answer with status 200 that says nothing: no choices, no content, no usage."""
    bodies = {
        "openai": {"id": "fault", "object": "chat.completion", "created": CREATED, "model": call.model, "choices": []},
        "anthropic": {**_message(call), "content": [], "usage": {"input_tokens": 0, "output_tokens": 0}},
        "gemini": {"candidates": [], "modelVersion": call.model},
    }
    frames = {"openai": [b"data: [DONE]\n\n"], "anthropic": [], "gemini": []}[call.dialect]
    return json.dumps(bodies[call.dialect]).encode(), Stream(list(frames), 0, 0, has_terminator=bool(frames))


def _data(document: Doc) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _event(name: str, document: Doc) -> bytes:
    return f"event: {name}\n".encode() + _data(document)


def _error(dialect: str, status: int, message: str) -> Doc:
    if dialect == "anthropic":
        kind = {
            400: "invalid_request_error",
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
        }
        kind |= {413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 529: "overloaded_error"}
        error = {"type": kind.get(status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_fault"}
    if dialect == "gemini":
        name = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
        name |= {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
        return {"error": {"code": status, "message": message, "status": name.get(status, "INTERNAL")}}
    kind = "invalid_request_error" if status in {400, 404, 413, 422} else "server_error"
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(status, kind)
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _openai_whole(call: Call) -> Doc:
    usage = usage_of(call)
    message = {"role": "assistant", "content": text_of(call.chunks), "refusal": None}
    return {
        "id": "chatcmpl-fault",
        "object": "chat.completion",
        "created": CREATED,
        "model": call.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        **({} if usage is None else {"usage": usage}),
    }


def _openai_stream(call: Call) -> Stream:
    usage = usage_of(call) if call.wants_usage_chunk else None
    snapshots = call.behaviour == "usage-snapshots" and usage is not None

    def chunk(delta: Doc, finish: str | None = None, spent: int | None = None) -> bytes:
        document: Doc = {
            "id": "chatcmpl-fault",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": call.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }
        if call.wants_usage_chunk:
            so_far = {"completion_tokens": spent, "total_tokens": call.input + (spent or 0)}
            document["usage"] = {**usage, **so_far} if snapshots and usage and spent is not None else None
        return _data(document)

    frames = [chunk({"role": "assistant", "content": "", "refusal": None})]
    for number, word in enumerate(words(call.chunks), 1):
        frames.append(chunk({"content": word}, spent=call.output * number // call.chunks))
    frames.append(chunk({}, "stop"))
    usage_at = len(frames)
    if usage is not None:
        head = {"id": "chatcmpl-fault", "object": "chat.completion.chunk", "created": CREATED, "model": call.model}
        frames.append(_data({**head, "choices": [], "usage": usage}))
    return Stream([*frames, b"data: [DONE]\n\n"], middle=1 + call.chunks // 2, usage_at=usage_at)


def _message(call: Call) -> Doc:
    return {
        "id": "msg_fault",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [{"type": "text", "text": text_of(call.chunks)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }


def _anthropic_whole(call: Call) -> Doc:
    usage = usage_of(call)
    return {**_message(call), **({} if usage is None else {"usage": usage})}


def _anthropic_stream(call: Call) -> Stream:
    usage = usage_of(call)
    start = {**_message(call), "content": [], "stop_reason": None}
    if usage is not None:
        # As documented: the input side is known at the start, the output side is a first count that later ones replace.
        start["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"]) if _counts(usage) else "1"}
    if call.behaviour == "usage-late":
        start["usage"] = {"input_tokens": 0, "output_tokens": 0}
    frames = [
        _event("message_start", {"type": "message_start", "message": start}),
        _event(
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        _event("ping", {"type": "ping"}),
    ]
    for word in words(call.chunks):
        delta = {"type": "text_delta", "text": word}
        frames.append(_event("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}))
    frames.append(_event("content_block_stop", {"type": "content_block_stop", "index": 0}))

    def message_delta(reason: str | None, output: Any) -> bytes:
        document: Doc = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
        if usage is not None:
            spent = {name: count for name, count in usage.items() if name not in {"cache_creation", "service_tier"}}
            document["usage"] = {**spent, "output_tokens": output}
        return _event("message_delta", document)

    if call.behaviour == "usage-snapshots" and usage is not None:
        frames.append(message_delta(None, usage["output_tokens"] // 2))
    usage_at = len(frames)
    frames.append(message_delta("end_turn", None if usage is None else usage["output_tokens"]))
    frames.append(_event("message_stop", {"type": "message_stop"}))
    return Stream(frames, middle=3 + call.chunks // 2, usage_at=usage_at)


def _counts(usage: Doc) -> bool:
    return isinstance(usage.get("output_tokens"), int)


def _gemini(call: Call, text: str, usage: Doc | None, *, finished: bool) -> Doc:
    candidate: Doc = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finished:
        candidate["finishReason"] = "STOP"
    document: Doc = {"candidates": [candidate], "modelVersion": call.model, "responseId": "fault"}
    return document if usage is None else {**document, "usageMetadata": usage}


def _gemini_whole(call: Call) -> Doc:
    return _gemini(call, text_of(call.chunks), usage_of(call), finished=True)


def _gemini_stream(call: Call) -> Stream:
    """Usage is on every chunk, a snapshot that grows; the last one counts."""
    usage, frames = usage_of(call), list[bytes]()
    for number, word in enumerate(words(call.chunks), 1):
        so_far, last = usage, number == call.chunks
        if usage is not None and not last and isinstance(usage.get("candidatesTokenCount"), int):
            candidates = usage["candidatesTokenCount"] * number // call.chunks
            total = usage["totalTokenCount"] - usage["candidatesTokenCount"] + candidates
            so_far = {**usage, "candidatesTokenCount": candidates, "totalTokenCount": total}
        frames.append(_data(_gemini(call, word, so_far, finished=last)))
    return Stream(frames, middle=call.chunks // 2, usage_at=len(frames) - 1, has_terminator=False)


_WHOLE: Mapping[str, Callable[[Call], Doc]] = {
    "openai": _openai_whole,
    "anthropic": _anthropic_whole,
    "gemini": _gemini_whole,
}
_STREAM: Mapping[str, Callable[[Call], Stream]] = {
    "openai": _openai_stream,
    "anthropic": _anthropic_stream,
    "gemini": _gemini_stream,
}
