"""Answers of the Messages API, whole and streamed, as answers of the OpenAI shape.

Thinking becomes `reasoning_content`; its signed blocks become `reasoning_details`, which a client sends back as they
are so that a tool loop may go on thinking. A stream says each of them once, when its block has ended.
Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-24).
"""

from dataclasses import dataclass

import msgspec

from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import ServerEvent
from tollway.providers.chunks import Chunks, choice, completion, malformed, read_event
from tollway.providers.dialect import Failure, FailureKind, UpstreamError, error_text
from tollway.providers.parts import list_of, object_of, text_of

ANSWER_TOOL = "tollway_answer"
"""The tool that a model without structured output is made to call: its arguments are the answer, not a tool call."""
SIGNED = "anthropic-claude-v1"
"""`format` of a reasoning detail: whose signature it is, so that it goes back to no other vendor."""

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""`stop_reason` -> `finish_reason`; one that is new to us ends an answer like any other: `stop`."""

KINDS = {
    "invalid_request_error": FailureKind.BAD_REQUEST,
    "request_too_large": FailureKind.BAD_REQUEST,
    "authentication_error": FailureKind.NO_AUTH,
    "permission_error": FailureKind.NO_AUTH,
    "billing_error": FailureKind.NO_AUTH,
    "not_found_error": FailureKind.NOT_FOUND,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "timeout_error": FailureKind.TIMEOUT,
    "overloaded_error": FailureKind.OVERLOADED,
    "api_error": FailureKind.SERVER,
}
"""`error.type` -> kind. Source: https://platform.claude.com/docs/en/api/errors (read 2026-11-24)."""

_TOO_LONG = ("prompt is too long", "exceed context limit", "context window")
_OUT_OF_MONEY = ("credit balance", "usage limits", "spend limit")
_FILTERED = ("content filtering policy",)


def failure_of(document: JSON, status: int, fallback: FailureKind, retry_after_s: float | None = None) -> Failure:
    """What an error body means; `fallback` where its type says nothing. 400 also means an account without credit."""
    message, code, param = error_text(document)
    error = object_of(object_of(document).get("error"))
    kind = KINDS.get(text_of(error.get("type")) or code, fallback)
    if kind is FailureKind.BAD_REQUEST:
        said = message.lower()
        if any(words in said for words in _TOO_LONG):
            kind = FailureKind.CONTEXT_LENGTH
        elif any(words in said for words in _OUT_OF_MONEY):
            kind = FailureKind.NO_AUTH
        elif any(words in said for words in _FILTERED):
            kind = FailureKind.CONTENT_FILTER
    return Failure(kind, status, message, param, retry_after_s)


def answer(body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
    """See `Dialect.reply`."""
    _raise_if_error(body)
    blocks = body.get("content")
    if not isinstance(blocks, list):
        raise malformed("the answer has no content")
    texts, thoughts = list[str](), list[str]()
    calls, details = list[JSON](), list[JSON]()
    for block in blocks:
        fields = object_of(block)
        match text_of(fields.get("type")):
            case "text":
                texts.append(text_of(fields.get("text")))
            case "tool_use" if fields.get("name") == ANSWER_TOOL:
                texts.append(_json(fields.get("input")))
            case "tool_use":
                calls.append(_call(fields, _json(fields.get("input"))))
            case "thinking" | "redacted_thinking":
                thoughts.append(text_of(fields.get("thinking")))
                details += _detail(fields, len(details))
            case _:
                pass  # Blocks of the provider's own tools, which we never ask for.
    text, thought = "".join(texts), "".join(thoughts)
    message: JSONObject = {
        "role": "assistant",
        "content": text if text or not calls else None,
        "refusal": _refusal(body) or None,
    }
    if thought:
        message["reasoning_content"] = thought
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return completion(model, answer_id, created, [choice(0, message, _finish_reason(body, bool(calls)))])


def merged_usage(before: JSONObject | None, now: JSON) -> JSONObject | None:
    """Usage after another snapshot, as the `usage` of a whole answer: the last value of each number counts.

    Snapshots are totals so far and never add up. `message_delta` may split anew what `message_start` gave as plain
    input (part of it read from a cache), or leave the prompt out as zeros; zeros do not undo a prompt.
    """
    if not isinstance(now, dict):
        return before
    given: JSONObject = {name: value for name, value in now.items() if value is not None}
    if before is None:
        return given
    after = {**before, **given}
    if not any(given.get(name) for name in _PROMPT):
        after |= {name: before[name] for name in (*_PROMPT, "cache_creation") if name in before}
    return after


_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True)
class _Block:
    """A content block that is being streamed. call: its place among the tool calls; said: JSON was sent for it."""

    fields: JSONObject
    kind: str
    call: int = -1
    said: bool = False


class AnthropicTranslator:
    """See `Translator`."""

    __slots__ = ("_blocks", "_calls", "_chunks", "_details", "is_done", "usage")

    def __init__(self, model: str, answer_id: str, created: int) -> None:
        self.usage: JSONObject | None = None
        self.is_done = False
        self._chunks = Chunks(model, answer_id, created)
        self._blocks = dict[int, _Block]()
        self._calls = 0
        self._details = 0

    def event(self, event: ServerEvent) -> list[JSONObject]:
        if not event.data:
            return []
        document = read_event(event)
        _raise_if_error(document)
        match document.get("type"):
            case "content_block_delta":
                return self._delta(document)
            case "content_block_start":
                return self._start(document)
            case "content_block_stop":
                return self._stop(document)
            case "message_start":
                # The first chunk waits for content: an error may still come, and another offer take over.
                self._count(object_of(document.get("message")).get("usage"))
            case "message_delta":
                self._count(document.get("usage"))
                return self._end(object_of(document.get("delta")))
            case "message_stop":
                self.is_done = True
            case _:
                pass  # `ping`, and what the API may add.
        return []

    def _count(self, usage: JSON) -> None:
        merged = merged_usage(None if self.usage is None else object_of(self.usage["usage"]), usage)
        self.usage = None if merged is None else {"usage": merged}

    def _start(self, document: JSONObject) -> list[JSONObject]:
        fields = object_of(document.get("content_block"))
        kind = text_of(fields.get("type"))
        block = self._blocks[_index(document)] = _Block(dict(fields), kind)
        if kind == "text" and fields.get("text"):
            return [self._chunks.chunk({"content": fields["text"]})]
        if kind == "thinking" and fields.get("thinking"):
            return [self._chunks.chunk({"reasoning_content": fields["thinking"]})]
        if kind == "tool_use" and fields.get("name") != ANSWER_TOOL:
            block.call, self._calls = self._calls, self._calls + 1
            return [self._chunks.chunk({"tool_calls": [{"index": block.call, **_call(fields, "")}]})]
        return []

    def _delta(self, document: JSONObject) -> list[JSONObject]:
        block, delta = self._blocks.get(_index(document)), object_of(document.get("delta"))
        if block is None:
            raise malformed("a stream speaks of a block that has not begun")
        match delta.get("type"):
            case "text_delta":
                return [self._chunks.chunk({"content": delta["text"]})] if delta.get("text") else []
            case "input_json_delta":
                return self._arguments(block, text_of(delta.get("partial_json")))
            case "thinking_delta":
                thought = text_of(delta.get("thinking"))
                block.fields["thinking"] = text_of(block.fields.get("thinking")) + thought
                return [self._chunks.chunk({"reasoning_content": thought})] if thought else []
            case "signature_delta":
                block.fields["signature"] = text_of(block.fields.get("signature")) + text_of(delta.get("signature"))
            case _:
                pass  # `citations_delta`, and what the API may add.
        return []

    def _arguments(self, block: _Block, text: str) -> list[JSONObject]:
        if not text:
            return []
        block.said = True
        if block.call < 0:
            return [self._chunks.chunk({"content": text})] if block.kind == "tool_use" else []
        return [self._chunks.chunk({"tool_calls": [{"index": block.call, "function": {"arguments": text}}]})]

    def _stop(self, document: JSONObject) -> list[JSONObject]:
        block = self._blocks.pop(_index(document), None)
        if block is None:
            return []
        if block.kind == "tool_use" and not block.said:
            # A call without arguments streams none; clients parse what they have got.
            return self._arguments(block, _json(block.fields.get("input")))
        if details := _detail(block.fields, self._details):
            self._details += 1
            return [self._chunks.chunk({"reasoning_details": details})]
        return []

    def _end(self, delta: JSONObject) -> list[JSONObject]:
        if not delta.get("stop_reason"):
            return []
        self.is_done = True
        refusal = _refusal(delta)
        said: JSONObject = {"refusal": refusal} if refusal else {}
        return [self._chunks.chunk(said, _finish_reason(delta, self._calls > 0))]


def _raise_if_error(document: JSONObject) -> None:
    if document.get("type") == "error" or document.get("error"):
        raise UpstreamError(failure_of(document, 200, FailureKind.SERVER))


def _finish_reason(said: JSONObject, has_calls: bool) -> str:  # noqa: FBT001
    reason = FINISH_REASONS.get(text_of(said.get("stop_reason")), "stop")
    return "stop" if reason == "tool_calls" and not has_calls else reason


def _refusal(said: JSONObject) -> str:
    is_refusal = said.get("stop_reason") == "refusal"
    return text_of(object_of(said.get("stop_details")).get("explanation")) if is_refusal else ""


def _call(fields: JSONObject, arguments: str) -> JSONObject:
    function: JSONObject = {"name": text_of(fields.get("name")), "arguments": arguments}
    return {"id": text_of(fields.get("id")), "type": "function", "function": function}


def _detail(fields: JSONObject, index: int) -> list[JSON]:
    """The reasoning detail of a block: the signed thinking, or the encrypted; none of any other block."""
    if fields.get("type") == "redacted_thinking":
        return [{"type": "reasoning.encrypted", "data": fields.get("data"), "format": SIGNED, "index": index}]
    if fields.get("type") != "thinking" or not fields.get("signature"):
        return []
    text, signature = text_of(fields.get("thinking")), fields["signature"]
    return [{"type": "reasoning.text", "text": text, "signature": signature, "format": SIGNED, "index": index}]


def blocks_of(details: JSON) -> list[JSON]:
    """The thinking blocks that `reasoning_details` of an assistant message keep, to send back unmodified.

    Details that another vendor signed are left out, since nobody else can read them; fragments of one index are joined.
    """
    joined = dict[str, JSONObject]()
    for number, detail in enumerate(list_of(details)):
        fields = object_of(detail)
        if not text_of(fields.get("format") or SIGNED).startswith("anthropic"):
            continue
        kind = fields.get("type")
        if kind in {"reasoning.encrypted", "redacted_thinking"}:
            joined[f"encrypted {number}"] = {"type": "redacted_thinking", "data": fields.get("data")}
        elif kind in {"reasoning.text", "thinking"}:
            block = joined.setdefault(f"text {fields.get('index', -number)}", {"type": "thinking", "thinking": ""})
            block["thinking"] = text_of(block["thinking"]) + text_of(fields.get("text") or fields.get("thinking"))
            if fields.get("signature"):
                block["signature"] = fields["signature"]
    return [block for block in joined.values() if block["type"] == "redacted_thinking" or "signature" in block]


def _index(document: JSONObject) -> int:
    index = document.get("index")
    return index if isinstance(index, int) else -1


def _json(value: JSON) -> str:
    return msgspec.json.encode(object_of(value)).decode()
