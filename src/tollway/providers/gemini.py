"""The dialect `gemini`: chat requests as requests of Gemini's generateContent.

| reasoning_effort | thinkingLevel (Gemini 3 and later) | thinkingBudget (before) |
|---|---|---|
| none | refused: these models always think | 0 |
| minimal | MINIMAL; LOW for a Pro | 1,024 |
| low | LOW | 1,024 |
| medium | MEDIUM | 8,192 |
| high, xhigh, max | HIGH | 24,576 |

As on Google's own OpenAI endpoint, except that thoughts are shown. `reasoning.max_tokens`, and the Messages API's
`thinking` object, give a budget of their own. JSON Schemas go as they are: the API takes them (`parametersJsonSchema`,
`responseJsonSchema`). Marks for a prompt cache are let go, since Gemini caches by itself.
Sources: https://ai.google.dev/api/generate-content, .../gemini-api/docs/openai, .../docs/thinking,
.../docs/thought-signatures (read 2026-11-24).
"""

import re
from collections.abc import Mapping
from itertools import groupby

import msgspec

from tollway.catalogue.offers import Offer
from tollway.errors import InvalidField
from tollway.jsontypes import JSON, JSONObject
from tollway.ports import Outgoing
from tollway.providers.asked import Asked, Function, Thinking
from tollway.providers.dialect import Failure, decoded, endpoint, kind_of_status, request_headers, retry_after
from tollway.providers.gemini_reply import GeminiTranslator, answer, failure_of, usage_of
from tollway.providers.parts import Part, ToolCall, Turn, list_of, object_of, text_of, turns
from tollway.request import ChatRequest

BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
LEVELS: Mapping[str, str] = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}
UNSIGNED = "skip_thought_signature_validator"
"""What Google documents to send for a call that another vendor's model made, or whose signature the client has lost."""
_MODES = {"": "AUTO", "auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


class GeminiDialect:
    """See `Dialect`."""

    is_identity = False

    def request(self, chat: ChatRequest, offer: Offer, max_tokens: int | None) -> Outgoing:
        asked = Asked(chat, offer)
        is_leveled = _has_levels(offer.upstream_id)
        conversation = turns(asked.take("messages"))
        body: JSONObject = {"contents": _contents(conversation, asked, is_leveled)}
        system: list[JSON] = [
            {"text": part.text} for turn in conversation if turn.role == "system" for part in turn.parts if part.text
        ]
        if system:
            body["systemInstruction"] = {"parts": system}
        _tools(asked, body)
        config = _sampling(asked)
        if limit := max_tokens or chat.max_tokens:
            config["maxOutputTokens"] = limit
        if chat.choices > 1:
            config["candidateCount"] = chat.choices
        asked.take("n")
        _format(asked, config)
        if thinking := _thinking(asked, offer.upstream_id):
            config["thinkingConfig"] = thinking
        if config:
            body["generationConfig"] = config
        asked.finish()
        provider = offer.provider
        path = "/models/{model}" if provider.wire.path == "/chat/completions" else provider.wire.path
        verb = ":streamGenerateContent?alt=sse" if chat.stream else ":generateContent"
        url = endpoint(provider, path.replace("{model}", offer.upstream_id) + verb)
        return Outgoing(url, request_headers(provider), msgspec.json.encode(body))

    def reply(self, body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
        return answer(body, model, answer_id, created)

    def usage(self, body: JSONObject) -> JSONObject | None:
        return usage_of(body)

    def stream(self, model: str, answer_id: str, created: int) -> GeminiTranslator:
        return GeminiTranslator(model, answer_id, created)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failure_of(decoded(body), status, kind_of_status(status), retry_after(headers))


_BEFORE_LEVELS = re.compile(r"gemini-[0-2](?:\.|\b)|gemma|learnlm")


def _has_levels(upstream_id: str) -> bool:
    """The model's thinking goes by level: Gemini 3 and later, names without a version included."""
    return _BEFORE_LEVELS.search(upstream_id) is None


def _contents(conversation: list[Turn], asked: Asked, is_leveled: bool) -> list[JSON]:  # noqa: FBT001
    """User and model contents; messages of one role in a row are one, and a tool's result is said by the user."""
    names = {call.id: call.name for turn in conversation for call in turn.calls}
    spoken = [turn for turn in conversation if turn.role != "system"]
    found = list[JSON]()
    for role, group in groupby(spoken, lambda turn: "model" if turn.role == "assistant" else "user"):
        parts = list[JSON]()
        for turn in group:
            if turn.role == "tool":
                parts.append(_result(turn, names, asked))
            elif turn.role == "assistant":
                parts += _said(turn, asked, is_leveled)
            else:
                parts += [_part(part, asked, is_leveled) for part in turn.parts if part.kind != "text" or part.text]
        if parts:
            found.append({"role": role, "parts": parts})
    return found


def _said(turn: Turn, asked: Asked, is_leveled: bool) -> list[JSON]:  # noqa: FBT001
    parts: list[JSON] = [_part(part, asked, is_leveled) for part in turn.parts if part.kind != "text" or part.text]
    signature = _signature(turn.fields.get("extra_content"))
    if signature:
        last = object_of(parts.pop()) if parts else {"text": ""}
        parts.append({**last, "thoughtSignature": signature})
    for number, call in enumerate(turn.calls):
        # The API checks the first call of each step.
        parts.append(_use(call, UNSIGNED if is_leveled and number == 0 else ""))
    return parts


def _use(call: ToolCall, unsigned: str) -> JSONObject:
    made: JSONObject = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
    signature = _signature(call.extra) or unsigned
    return {**made, "thoughtSignature": signature} if signature else made


def _signature(extra: JSON) -> str:
    return text_of(object_of(object_of(extra).get("google")).get("thought_signature"))


def _result(turn: Turn, names: Mapping[str, str], asked: Asked) -> JSONObject:
    call = text_of(turn.fields.get("tool_call_id"))
    name = names.get(call) or text_of(turn.fields.get("name"))
    if not name:
        where = f"{turn.where}.tool_call_id"
        raise InvalidField(f"`{where}` names no tool call of this conversation", param=where)
    text = "".join(part.text for part in turn.parts if part.kind == "text")
    try:
        value: JSON = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = None
    # An object is the result itself; of anything else the API wants to be told that it is the output.
    told: JSONObject = {"id": call, "name": name, "response": value if isinstance(value, dict) else {"output": text}}
    media: list[JSON] = [_part(part, asked, is_leveled=True) for part in turn.parts if part.kind != "text"]
    return {"functionResponse": {**told, "parts": media} if media else told}


def _part(part: Part, asked: Asked, is_leveled: bool) -> JSONObject:  # noqa: FBT001
    if part.kind == "text":
        return {"text": part.text}
    said: JSONObject
    if part.data:
        said = {"inlineData": {"mimeType": part.mime, "data": part.data}}
    else:
        file: JSONObject = {"fileUri": part.url}
        said = {"fileData": {**file, "mimeType": part.mime} if part.mime else file}
    if part.detail == "low":
        if not is_leveled:
            raise asked.unsupported(f"{part.where}.detail", "send a smaller image, or leave `detail` out")
        said["mediaResolution"] = {"level": "MEDIA_RESOLUTION_LOW"}
    return said


def _tools(asked: Asked, body: JSONObject) -> None:
    functions = asked.functions()
    mode, name = asked.choice()
    if not functions:
        return
    body["tools"] = [{"functionDeclarations": [_declaration(function) for function in functions]}]
    is_strict = any(function.is_strict for function in functions)
    if mode or is_strict:
        how: JSONObject = {"mode": _MODES[mode]}
        if is_strict and how["mode"] == "AUTO":
            # Text or calls, but calls that keep to their schema.
            how["mode"] = "VALIDATED"
        if mode == "named":
            how["allowedFunctionNames"] = [name]
        body["toolConfig"] = {"functionCallingConfig": how}


def _declaration(function: Function) -> JSONObject:
    declared: JSONObject = {"name": function.name}
    if function.description:
        declared["description"] = function.description
    if function.parameters is not None:
        declared["parametersJsonSchema"] = function.parameters
    return declared


def _sampling(asked: Asked) -> JSONObject:
    config: JSONObject = {}
    if stop := asked.stop():
        config["stopSequences"] = stop
    for name, theirs in (
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("top_k", "topK"),
        ("presence_penalty", "presencePenalty"),
        ("frequency_penalty", "frequencyPenalty"),
    ):
        if (value := asked.number(name)) is not None:
            config[theirs] = value
    if (seed := asked.whole("seed")) is not None:
        config["seed"] = seed
    tops = asked.whole("top_logprobs")
    if asked.flag("logprobs"):
        config["responseLogprobs"] = True
        if tops:
            config["logprobs"] = tops
    return config


def _format(asked: Asked, config: JSONObject) -> None:
    wanted = asked.format()
    if wanted.kind != "text":
        config["responseMimeType"] = "application/json"
    if wanted.kind == "json_schema":
        config["responseJsonSchema"] = wanted.schema
    modalities = [text_of(modality) for modality in list_of(asked.take("modalities"))]
    if "image" in modalities:
        config["responseModalities"] = [modality.upper() for modality in modalities]
    if any(modality not in {"text", "image"} for modality in modalities):
        raise asked.unsupported("modalities", "ask for text or images")


def _thinking(asked: Asked, upstream_id: str) -> JSONObject:
    thinking, given = asked.thinking(), asked.take("thinking")
    if given is not None:
        if thinking is not None:
            raise asked.unsupported("reasoning_effort", "send it or `thinking`, not both")
        thinking = _of_messages_api(object_of(given))
    if thinking is None:
        return {}
    config: JSONObject = {"includeThoughts": not thinking.is_hidden and thinking.effort != "none"}
    if thinking.budget is not None:
        config["thinkingBudget"] = thinking.budget
    elif not _has_levels(upstream_id):
        config["thinkingBudget"] = BUDGETS[thinking.effort]
    elif thinking.effort == "none":
        raise asked.unsupported("reasoning_effort", "this model always thinks; `minimal` or `low` is the least")
    elif thinking.effort == "minimal" and "-pro" in upstream_id:
        config["thinkingLevel"] = "LOW"
    else:
        config["thinkingLevel"] = LEVELS.get(thinking.effort, "HIGH")
    return config


def _of_messages_api(given: JSONObject) -> Thinking:
    """What `thinking: {type, budget_tokens}` means. Raises InvalidField."""
    kind, budget = given.get("type"), given.get("budget_tokens")
    if kind == "disabled":
        return Thinking("none")
    if kind == "adaptive":
        return Thinking("", -1)
    if kind != "enabled" or type(budget) is not int:
        raise InvalidField("`thinking` needs `type` (enabled, adaptive, disabled), `budget_tokens`", param="thinking")
    return Thinking("", budget)
