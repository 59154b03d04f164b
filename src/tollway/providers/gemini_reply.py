"""Answers of Gemini's generateContent, whole and streamed, as answers of the OpenAI shape.

Both are `GenerateContentResponse`s: a whole answer is one, a stream is many, each with the parts that are new. Thoughts
become `reasoning_content`; the signature of a thought travels where Google's own OpenAI endpoint puts it, in
`extra_content.google.thought_signature` of the tool call (or of the message), and comes back from there.
Source: https://ai.google.dev/api/generate-content (read 2026-11-24).
"""

from dataclasses import dataclass, field

import msgspec

from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import ServerEvent
from tollway.providers.chunks import Chunks, choice, completion, malformed, read_event
from tollway.providers.dialect import Failure, FailureKind, UpstreamError, error_text
from tollway.providers.parts import list_of, object_of, text_of

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""`finishReason` -> `finish_reason`. One that is neither here nor broken ends an answer that says something: `stop`."""

BROKEN = frozenset({
    "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE",
})  # fmt: skip
"""The model failed to answer: an attempt to repeat or to make elsewhere, not an answer to charge for."""

KINDS = {
    "INVALID_ARGUMENT": FailureKind.BAD_REQUEST,
    "FAILED_PRECONDITION": FailureKind.NO_AUTH,
    "UNAUTHENTICATED": FailureKind.NO_AUTH,
    "PERMISSION_DENIED": FailureKind.NO_AUTH,
    "NOT_FOUND": FailureKind.NOT_FOUND,
    "RESOURCE_EXHAUSTED": FailureKind.RATE_LIMITED,
    "UNAVAILABLE": FailureKind.OVERLOADED,
    "DEADLINE_EXCEEDED": FailureKind.TIMEOUT,
    "INTERNAL": FailureKind.SERVER,
}
"""`error.status` -> kind; FAILED_PRECONDITION is our account's billing or region.
Source: https://ai.google.dev/gemini-api/docs/troubleshooting (read 2026-11-24)."""


def failure_of(document: JSON, status: int, fallback: FailureKind, retry_after_s: float | None = None) -> Failure:
    """What an error body means; `fallback` where its status says nothing. A bad key is an INVALID_ARGUMENT too."""
    message, _, _ = error_text(document)
    first = list_of(document)[0] if list_of(document) else document
    error = object_of(object_of(first).get("error"))
    kind = KINDS.get(text_of(error.get("status")), fallback)
    for item in list_of(error.get("details")):
        detail = object_of(item)
        if detail.get("reason") in {"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "CONSUMER_SUSPENDED"}:
            kind = FailureKind.NO_AUTH
        delay = text_of(detail.get("retryDelay")).removesuffix("s")
        if retry_after_s is None and delay.replace(".", "", 1).isdecimal():
            retry_after_s = float(delay)
    if kind is FailureKind.BAD_REQUEST and "API key" in message:
        kind = FailureKind.NO_AUTH
    elif kind is FailureKind.BAD_REQUEST and "exceeds the maximum number of tokens" in message:
        kind = FailureKind.CONTEXT_LENGTH
    return Failure(kind, status, message, None, retry_after_s)


@dataclass(slots=True)
class _Said:
    """What one response says of one candidate, new parts only. `finish_reason` "" while there is more to come."""

    text: str = ""
    thought: str = ""
    signature: str = ""
    calls: list[JSONObject] = field(default_factory=list[JSONObject])
    images: list[JSON] = field(default_factory=list[JSON])
    logprobs: JSON = None
    finish_reason: str = ""


class _Candidate:
    """One candidate over the responses of an answer: how many calls it has made, and whether it has said anything."""

    __slots__ = ("_answer_id", "_calls", "_has_said", "_index")

    def __init__(self, answer_id: str, index: int) -> None:
        self._answer_id = answer_id
        self._index = index
        self._calls = 0
        self._has_said = False

    def read(self, candidate: JSONObject) -> _Said:
        """What is new. Raises UpstreamError when the model failed to answer."""
        said = _Said(logprobs=_logprobs(candidate.get("logprobsResult")))
        for part in list_of(object_of(candidate.get("content")).get("parts")):
            self._part(object_of(part), said)
        self._has_said = self._has_said or bool(said.text or said.calls or said.images)
        reason = text_of(candidate.get("finishReason"))
        if not reason or reason == "FINISH_REASON_UNSPECIFIED":
            return said
        if reason in BROKEN or (reason not in FINISH_REASONS and not self._has_said):
            told = text_of(candidate.get("finishMessage"))
            raise malformed(f"the model failed to answer: {reason} {told}".rstrip())
        said.finish_reason = FINISH_REASONS.get(reason, "stop")
        if said.finish_reason == "stop" and self._calls:
            said.finish_reason = "tool_calls"
        return said

    def _part(self, part: JSONObject, said: _Said) -> None:
        signature = text_of(part.get("thoughtSignature"))
        if isinstance(part.get("functionCall"), dict):
            said.calls.append(self._call(object_of(part["functionCall"]), signature))
            return
        said.signature = signature or said.signature
        if isinstance(part.get("inlineData"), dict):
            image = object_of(part["inlineData"])
            url = f"data:{image.get('mimeType')};base64,{image.get('data')}"
            said.images.append({"type": "image_url", "image_url": {"url": url}})
        elif part.get("thought") is True:
            said.thought += text_of(part.get("text"))
        else:
            said.text += text_of(part.get("text"))

    def _call(self, call: JSONObject, signature: str) -> JSONObject:
        number, self._calls = self._calls, self._calls + 1
        arguments = msgspec.json.encode(object_of(call.get("args"))).decode()
        made: JSONObject = {
            "index": number,
            "id": text_of(call.get("id")) or self._call_id(number),
            "type": "function",
            "function": {"name": text_of(call.get("name")), "arguments": arguments},
        }
        return {**made, **_signed(signature)}

    def _call_id(self, number: int) -> str:
        # Unique and the same each time. OpenAI takes at most 40 characters, so that the history may move there.
        where = f"{self._index}_{number}" if self._index else str(number)
        return f"call_{self._answer_id.replace('-', '')[-24:]}_{where}"


def answer(body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
    """See `Dialect.reply`."""
    _raise_if_error(body)
    if _is_blocked(body):
        message: JSONObject = {"role": "assistant", "content": "", "refusal": None}
        return completion(model, answer_id, created, [choice(0, message, "content_filter")])
    choices = list[JSON]()
    for index, fields in _candidates(body):
        said = _Candidate(answer_id, index).read(fields)
        calls: list[JSON] = [{name: call[name] for name in call if name != "index"} for call in said.calls]
        content: JSON = said.text if said.text or not calls else None
        message = {"role": "assistant", "content": content, "refusal": None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.images:
            message["images"] = said.images
        if calls:
            message["tool_calls"] = calls
        message |= _signed(said.signature)
        choices.append(choice(index, message, said.finish_reason or "stop", said.logprobs))
    if not choices:
        raise malformed("the answer has no candidates")
    return completion(model, answer_id, created, choices)


def usage_of(body: JSONObject) -> JSONObject | None:
    """The usage of a response, None without one.

    Zeros are not sent (proto3 JSON): an answer without a visible token has no `candidatesTokenCount`. Results of
    Google's own tools are prompt tokens that stand beside the prompt's count; they are billed as input.
    """
    usage = body.get("usageMetadata")
    if not isinstance(usage, dict):
        return None
    prompt, results = usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")
    if prompt is None:
        return {"usageMetadata": usage}
    told: JSONObject = {"candidatesTokenCount": 0, **usage}
    if isinstance(prompt, int) and isinstance(results, int):
        told["promptTokenCount"] = prompt + results
    return {"usageMetadata": told}


class GeminiTranslator:
    """See `Translator`."""

    __slots__ = ("_answer_id", "_candidates", "_chunks", "_finished", "is_done", "usage")

    def __init__(self, model: str, answer_id: str, created: int) -> None:
        self.usage: JSONObject | None = None
        self.is_done = False
        self._answer_id = answer_id
        self._chunks = Chunks(model, answer_id, created)
        self._candidates = dict[int, _Candidate]()
        self._finished = set[int]()

    def event(self, event: ServerEvent) -> list[JSONObject]:
        if not event.data:
            return []
        document = read_event(event)
        _raise_if_error(document)
        # Each response counts everything so far: the last one counts.
        self.usage = usage_of(document) or self.usage
        if _is_blocked(document):
            self.is_done = True
            return [self._chunks.chunk({"content": ""}, "content_filter")]
        chunks = list[JSONObject]()
        for index, fields in _candidates(document):
            candidate = self._candidates.setdefault(index, _Candidate(self._answer_id, index))
            chunks += self._said(index, candidate.read(fields))
        self.is_done = bool(self._candidates) and len(self._finished) == len(self._candidates)
        return chunks

    def _said(self, index: int, said: _Said) -> list[JSONObject]:
        delta: JSONObject = {}
        if said.thought:
            delta["reasoning_content"] = said.thought
        if said.text:
            delta["content"] = said.text
        if said.images:
            delta["images"] = said.images
        if said.calls:
            delta["tool_calls"] = list[JSON](said.calls)
        delta |= _signed(said.signature)
        chunks = list[JSONObject]()
        if delta or said.logprobs is not None:
            chunks.append(self._chunks.chunk(delta, choice=index, logprobs=said.logprobs))
        if said.finish_reason and index not in self._finished:
            self._finished.add(index)
            chunks.append(self._chunks.chunk({}, said.finish_reason, choice=index))
        return chunks


def _raise_if_error(body: JSONObject) -> None:
    if body.get("error"):
        raise UpstreamError(failure_of(body, 200, FailureKind.SERVER))


def _is_blocked(body: JSONObject) -> bool:
    return bool(object_of(body.get("promptFeedback")).get("blockReason")) and not body.get("candidates")


def _candidates(body: JSONObject) -> list[tuple[int, JSONObject]]:
    found = [object_of(candidate) for candidate in list_of(body.get("candidates"))]
    return [(index if isinstance(index := fields.get("index"), int) else 0, fields) for fields in found]


def _signed(signature: str) -> JSONObject:
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _logprobs(result: JSON) -> JSON:
    """OpenAI's `logprobs` of a `logprobsResult`, None without one."""
    chosen = list_of(object_of(result).get("chosenCandidates"))
    if not chosen:
        return None
    tops = [list_of(object_of(top).get("candidates")) for top in list_of(object_of(result).get("topCandidates"))]
    content = list[JSON]()
    for number, token in enumerate(chosen):
        others: list[JSON] = [_logprob(other) for other in tops[number]] if number < len(tops) else []
        content.append({**_logprob(token), "top_logprobs": others})
    return {"content": content, "refusal": None}


def _logprob(candidate: JSON) -> JSONObject:
    fields = object_of(candidate)
    token = text_of(fields.get("token"))
    spelled = list[JSON](token.encode("utf-8", "replace"))
    return {"token": token, "logprob": fields.get("logProbability", 0), "bytes": spelled}
