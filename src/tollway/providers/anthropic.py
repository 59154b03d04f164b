"""The dialect `anthropic`: chat requests as requests of the Messages API.

Models differ in what they take, and their names tell their version (`claude-opus-4-6`):

| model | thinking | temperature, top_p, top_k | structured output |
|---|---|---|---|
| Claude up to 4.4, and any other vendor's | budget | yes | a forced tool |
| Claude 4.5 | budget | yes | native |
| Claude 4.6 | adaptive, by effort | yes | native |
| Claude 4.7 and later | adaptive, by effort | only their defaults | native |

| reasoning_effort | effort (adaptive) | budget_tokens |
|---|---|---|
| none | thinking off | thinking off |
| minimal | low | 1,024 |
| low | low | 2,048 |
| medium | medium | 8,192 |
| high | high | 24,576 |
| xhigh, max | xhigh, max | 32,000 |

A budget takes at most half of `max_tokens`, and never less than the 1,024 that the API demands. Temperature is cut to
the API's 0 to 1. Sources: https://platform.claude.com/docs/en/api/messages, .../build-with-claude/thinking,
.../build-with-claude/structured-outputs, .../models/sonnet-5/migration-guide (read 2026-11-24).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import msgspec

from tollway.catalogue.offers import Offer
from tollway.jsontypes import JSON, JSONObject
from tollway.ports import Outgoing
from tollway.providers.anthropic_reply import ANSWER_TOOL, AnthropicTranslator, answer, blocks_of, failure_of
from tollway.providers.asked import Asked, Format, Function, Thinking
from tollway.providers.dialect import Failure, decoded, endpoint, kind_of_status, request_headers, retry_after
from tollway.providers.parts import Part, ToolCall, Turn, object_of, turns
from tollway.request import ChatRequest

MAX_TOKENS_DEFAULT = 4096
"""Sent when neither the caller nor the offer names a limit: the API demands one, and every model takes this one."""
VERSION = "2023-06-01"

BUDGETS: Mapping[str, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_000,
    "max": 32_000,
}
BUDGET_MIN = 1_024
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no prose around it, no code fence."
_NATIVE = ("thinking", "cache_control")
"""Fields of the API itself that a caller may send beside the OpenAI shape, as they are."""


class AnthropicDialect:
    """See `Dialect`."""

    is_identity = False

    def request(self, chat: ChatRequest, offer: Offer, max_tokens: int | None) -> Outgoing:
        asked, model = Asked(chat, offer), model_of(offer.upstream_id)
        limit = max_tokens or chat.max_tokens or offer.max_output_tokens or MAX_TOKENS_DEFAULT
        body: JSONObject = {"model": offer.upstream_id, "max_tokens": limit}
        if chat.stream:
            body["stream"] = True
        conversation = turns(asked.take("messages"))
        system, body["messages"] = _system(conversation), _messages(conversation, asked)
        _thinking(asked, model, body)
        tools, wanted = asked.functions(), asked.format()
        _tools(asked, model, body, tools, conversation)
        _format(asked, model, body, wanted, system)
        if system:
            body["system"] = system
        _sampling(asked, model, body)
        _labels(asked, body)
        asked.finish()
        provider = offer.provider
        headers = request_headers(provider)
        if not any(name.lower() == "anthropic-version" for name in headers):
            headers["anthropic-version"] = VERSION
        path = provider.wire.path
        url = endpoint(provider, "/messages" if path == "/chat/completions" else path)
        return Outgoing(url, headers, msgspec.json.encode(body))

    def reply(self, body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
        return answer(body, model, answer_id, created)

    def usage(self, body: JSONObject) -> JSONObject | None:
        usage = body.get("usage")
        return {"usage": usage} if isinstance(usage, dict) else None

    def stream(self, model: str, answer_id: str, created: int) -> AnthropicTranslator:
        return AnthropicTranslator(model, answer_id, created)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failure_of(decoded(body), status, kind_of_status(status), retry_after(headers))


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What a model takes (see the table above)."""

    is_adaptive: bool
    is_sampled: bool
    has_formats: bool


_MODEL = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d{1,2}))?(?!\d)")


def model_of(upstream_id: str) -> ModelTraits:
    """The traits that a model's name tells. A Claude without a version is a new one."""
    if "claude" not in upstream_id:
        return ModelTraits(is_adaptive=False, is_sampled=True, has_formats=False)
    found = _MODEL.search(upstream_id)
    version = 9_900 if found is None else int(found[1]) * 100 + int(found[2] or 0)
    return ModelTraits(is_adaptive=version >= 406, is_sampled=version <= 406, has_formats=version >= 405)


def _system(conversation: list[Turn]) -> list[JSON]:
    # The API has one system prompt, before the conversation: what is said later on moves up there, in its order.
    parts = [part for turn in conversation if turn.role == "system" for part in turn.parts]
    return [_marked({"type": "text", "text": part.text}, part) for part in parts if part.text]


def _messages(conversation: list[Turn], asked: Asked) -> list[JSON]:
    """User and assistant messages; those of one role in a row are one, and a tool's result is said by the user."""
    spoken = [turn for turn in conversation if turn.role != "system"]
    found = list[JSON]()
    for role, group in groupby(spoken, lambda turn: "assistant" if turn.role == "assistant" else "user"):
        content = [block for turn in group for block in _content(turn, asked)]
        if content:
            found.append({"role": role, "content": content})
    return found


def _content(turn: Turn, asked: Asked) -> list[JSON]:
    if turn.role == "tool":
        return [_result(turn, asked)]
    blocks = blocks_of(turn.fields.get("reasoning_details")) if turn.role == "assistant" else list[JSON]()
    # The API refuses empty text, which clients put beside tool calls.
    blocks += [_block(part, asked) for part in turn.parts if part.kind != "text" or part.text]
    return [*blocks, *(_use(call) for call in turn.calls)]


def _use(call: ToolCall) -> JSONObject:
    return {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": call.arguments}


def _result(turn: Turn, asked: Asked) -> JSONObject:
    content: JSON = [_block(part, asked) for part in turn.parts if part.kind != "text" or part.text]
    result: JSONObject = {"type": "tool_result", "tool_use_id": _id(turn.fields.get("tool_call_id"))}
    return {**result, "content": content} if content else result


def _id(given: JSON) -> str:
    # Ids of calls that another vendor's model made may have characters that this API refuses.
    return re.sub(r"[^a-zA-Z0-9_-]", "_", str(given))


def _block(part: Part, asked: Asked) -> JSONObject:
    if part.kind == "text":
        return _marked({"type": "text", "text": part.text}, part)
    if part.kind == "image":
        if part.detail == "low":
            raise asked.unsupported(f"{part.where}.detail", "send a smaller image, or leave `detail` out")
        return _marked({"type": "image", "source": _source(part)}, part)
    if part.kind == "file":
        document: JSONObject = {"type": "document", "source": _document(part, asked)}
        return _marked({**document, "title": part.name} if part.name else document, part)
    raise asked.unsupported(part.where, f"choose a model that takes {part.kind}")


def _source(part: Part) -> JSONObject:
    if part.data:
        return {"type": "base64", "media_type": part.mime, "data": part.data}
    return {"type": "url", "url": part.url}


def _document(part: Part, asked: Asked) -> JSONObject:
    if not part.data or part.mime == "application/pdf":
        return _source(part)
    if part.mime.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": part.plain()}
    raise asked.unsupported(part.where, "send a PDF or text")


def _marked(block: JSONObject, part: Part) -> JSONObject:
    return block if part.cache_control is None else {**block, "cache_control": part.cache_control}


def _thinking(asked: Asked, model: ModelTraits, body: JSONObject) -> None:
    for name in _NATIVE:
        if (given := asked.take(name)) is not None:
            body[name] = given
    if isinstance(given := asked.take("output_config"), dict):
        body["output_config"] = given
    thinking = asked.thinking()
    if thinking is None:
        return
    if "thinking" in body:
        raise asked.unsupported("reasoning_effort", "send it or `thinking`, not both")
    if thinking.effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    how: JSONObject
    if model.is_adaptive and thinking.budget is None:
        how = {"type": "adaptive"}
        effort = "low" if thinking.effort == "minimal" else thinking.effort
        body["output_config"] = {**object_of(body.get("output_config")), "effort": effort}
    else:
        how = {"type": "enabled", "budget_tokens": _budget(asked, thinking, body["max_tokens"])}
    if model.is_adaptive or thinking.is_hidden:
        # Newer models do not show what they think unless asked to.
        how["display"] = "omitted" if thinking.is_hidden else "summarized"
    body["thinking"] = how


def _budget(asked: Asked, thinking: Thinking, limit: JSON) -> int:
    if thinking.budget is not None:
        return thinking.budget
    tokens = limit if isinstance(limit, int) else 0
    if tokens <= BUDGET_MIN:
        raise asked.unsupported("reasoning_effort", f"thinking needs `max_tokens` of more than {BUDGET_MIN}")
    return max(BUDGET_MIN, min(BUDGETS[thinking.effort], tokens // 2))


def _tools(
    asked: Asked, model: ModelTraits, body: JSONObject, functions: list[Function], conversation: list[Turn]
) -> None:
    mode, name = asked.choice()
    alone = asked.flag("parallel_tool_calls") is False
    if functions:
        body["tools"] = [_tool(asked, model, function) for function in functions]
    elif called := {call.name for turn in conversation for call in turn.calls}:
        # The API wants to know the tools of a conversation that has called some, even if it may call none any more.
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(called)]
        mode, alone = "none", False
    else:
        return
    choice: JSONObject = {"type": {"required": "any", "named": "tool"}.get(mode, mode or "auto")}
    if mode == "named":
        choice["name"] = name
    if alone and mode != "none":
        choice["disable_parallel_tool_use"] = True
    if mode or alone:
        body["tool_choice"] = choice


def _tool(asked: Asked, model: ModelTraits, function: Function) -> JSONObject:
    if function.name == ANSWER_TOOL:
        raise asked.unsupported(f"{function.where}.function.name", "give the tool another name")
    tool: JSONObject = {
        "name": function.name,
        "input_schema": {"type": "object", "properties": {}} if function.parameters is None else function.parameters,
    }
    if function.description:
        tool["description"] = function.description
    if function.is_strict:
        if not model.has_formats:
            raise asked.unsupported(f"{function.where}.function.strict")
        tool["strict"] = True
    if function.cache_control is not None:
        tool["cache_control"] = function.cache_control
    return tool


def _format(asked: Asked, model: ModelTraits, body: JSONObject, wanted: Format, system: list[JSON]) -> None:
    if wanted.kind == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    elif wanted.kind == "json_schema" and model.has_formats:
        form: JSONObject = {"type": "json_schema", "schema": wanted.schema}
        body["output_config"] = {**object_of(body.get("output_config")), "format": form}
    elif wanted.kind == "json_schema":
        if "tools" in body or object_of(body.get("thinking")).get("type") == "enabled":
            raise asked.unsupported("response_format", "this model has it only without `tools` and without thinking")
        tool: JSONObject = {"name": ANSWER_TOOL, "input_schema": wanted.schema}
        tool["description"] = wanted.description or "Gives the answer. Call it once, with the whole answer."
        body["tools"] = [tool]
        body["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}


def _sampling(asked: Asked, model: ModelTraits, body: JSONObject) -> None:
    if stop := asked.stop():
        body["stop_sequences"] = stop
    temperature, top_p, top_k = asked.number("temperature"), asked.number("top_p"), asked.whole("top_k")
    if not model.is_sampled:
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            if value is not None and (name == "top_k" or value != 1):
                raise asked.unsupported(name, "leave it out: this model takes its default only")
        return
    if temperature is not None:
        body["temperature"] = min(max(temperature, 0), 1)
    if top_p is not None:
        body["top_p"] = top_p
    if top_k is not None:
        body["top_k"] = top_k


def _labels(asked: Asked, body: JSONObject) -> None:
    user, safety = asked.take("user"), asked.take("safety_identifier")
    if user or safety:
        body["metadata"] = {"user_id": user or safety}
    tier = asked.take("service_tier")
    if tier in {"default", "standard_only"}:
        body["service_tier"] = "standard_only"
    elif tier not in {None, "auto"}:
        raise asked.unsupported("service_tier", "send `auto` or `default`")
