"""The dialect `openai`: the shape we speak ourselves, so the caller's bytes pass through and only a few fields are set.

Also the dialect, by data file, of every provider that is compatible with it. What a provider does differently is said by the
five verbs of its data file (drop, rename, fix, default, clamp), never by an `if` here.
Source: https://platform.openai.com/docs/api-reference/chat (read 2026-11-24).
"""

from collections.abc import Mapping

import msgspec

from tollway.catalogue.offers import Offer, WireSpec
from tollway.errors import UnsupportedField
from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import ServerEvent
from tollway.ports import Outgoing
from tollway.providers.asked import is_neutral
from tollway.providers.dialect import (
    Failure,
    FailureKind,
    UpstreamError,
    decoded,
    endpoint,
    error_text,
    kind_of_status,
    request_headers,
    retry_after,
)
from tollway.request import ChatRequest

_TRUE = msgspec.Raw(b"true")
_WITH_USAGE = msgspec.Raw(b'{"include_usage":true}')
_encode = msgspec.json.encode


class OpenAIDialect:
    """See `Dialect`."""

    is_identity = True

    def __init__(self) -> None:
        self._prepared: dict[str, tuple[Offer, str, dict[str, str], msgspec.Raw]] = {}

    def request(self, chat: ChatRequest, offer: Offer, max_tokens: int | None) -> Outgoing:
        prepared = self._prepared.get(offer.id)
        if prepared is None or prepared[0] is not offer:
            provider = offer.provider
            path = provider.wire.path.replace("{model}", offer.upstream_id)
            name = msgspec.Raw(_encode(offer.upstream_id))
            prepared = self._prepared[offer.id] = (offer, endpoint(provider, path), request_headers(provider), name)
        _, url, headers, name = prepared
        wire = offer.provider.wire
        fields: dict[str, msgspec.Raw] = {"model": name, **chat.fields}
        if max_tokens is not None:
            other = "max_tokens" if chat.max_tokens_field == "max_completion_tokens" else "max_completion_tokens"
            fields.pop(other, None)
            fields[chat.max_tokens_field] = msgspec.Raw(b"%d" % max_tokens)
        if chat.stream:
            fields["stream"] = _TRUE
            if wire.stream_usage:
                fields["stream_options"] = _stream_options(chat)
        if wire.drop or wire.rename or wire.fix or wire.default or wire.clamp:
            fields = _apply_verbs(fields, wire, offer.provider.name)
        return Outgoing(url, headers, _encode(fields))

    def reply(self, body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
        _raise_if_error(body)
        if not isinstance(body.get("choices"), list):
            raise UpstreamError(Failure(FailureKind.MALFORMED, 200, "the answer has no choices"))
        return body

    def usage(self, body: JSONObject) -> JSONObject | None:
        return body if isinstance(body.get("usage"), dict) else None

    def stream(self, model: str, answer_id: str, created: int) -> "OpenAITranslator":
        return OpenAITranslator()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        message, code, param = error_text(decoded(body))
        kind = kind_of_status(status)
        if kind is FailureKind.BAD_REQUEST and ("context_length" in code or "maximum context length" in message):
            kind = FailureKind.CONTEXT_LENGTH
        elif kind is FailureKind.BAD_REQUEST and "content_policy" in code:
            kind = FailureKind.CONTENT_FILTER
        elif kind is FailureKind.RATE_LIMITED and code == "insufficient_quota":
            kind = FailureKind.NO_AUTH
        return Failure(kind, status, message, param, retry_after(headers))


class OpenAITranslator:
    """See `Translator`; chunks stay as they are."""

    __slots__ = ("is_done", "usage")

    def __init__(self) -> None:
        self.usage: JSONObject | None = None
        self.is_done = False

    def event(self, event: ServerEvent) -> list[JSONObject]:
        if event.data == b"[DONE]":
            self.is_done = True
            return []
        chunk = decoded(event.data)
        if not isinstance(chunk, dict):
            raise UpstreamError(Failure(FailureKind.MALFORMED, 200, "a stream event is not a JSON object"))
        _raise_if_error(chunk)
        if isinstance(chunk.get("usage"), dict):
            self.usage = {"usage": chunk.pop("usage")}
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise UpstreamError(Failure(FailureKind.MALFORMED, 200, "a stream event has no choices"))
        if any(isinstance(choice, dict) and choice.get("finish_reason") for choice in choices):
            self.is_done = True
        return [chunk] if choices else []


def _stream_options(chat: ChatRequest) -> msgspec.Raw:
    given = chat.value("stream_options")
    if not isinstance(given, dict) or given.get("include_usage") is True:
        return chat.fields.get("stream_options", _WITH_USAGE) if isinstance(given, dict) else _WITH_USAGE
    return msgspec.Raw(_encode({**given, "include_usage": True}))


def _raise_if_error(body: Mapping[str, JSON]) -> None:
    if body.get("error"):
        message, code, param = error_text(dict(body))
        kind = FailureKind.RATE_LIMITED if "rate_limit" in code or code == "429" else FailureKind.SERVER
        raise UpstreamError(Failure(kind, 200, message, param))


def _apply_verbs(fields: dict[str, msgspec.Raw], wire: WireSpec, provider: str) -> dict[str, msgspec.Raw]:
    for name in wire.drop:
        if name in fields and not is_neutral(name, decoded(bytes(fields[name]))):
            raise UnsupportedField(
                f"{provider} does not take `{name}` for this model; leave it out, or choose another model", param=name
            )
        fields.pop(name, None)
    for name, value in wire.default.items():
        if name not in fields:
            fields[name] = msgspec.Raw(_encode(value))
    for name, (least, most) in wire.clamp.items():
        given = msgspec.json.decode(fields[name]) if name in fields else None
        if isinstance(given, int | float) and not least <= given <= most:
            fields[name] = msgspec.Raw(_encode(min(max(given, least), most)))
    for name, value in wire.fix.items():
        fields[name] = msgspec.Raw(_encode(value))
    for name, theirs in wire.rename.items():
        if name in fields:
            fields[theirs] = fields.pop(name)
    return fields
