"""Stop 1, read: the JSON of a chat request becomes a frozen `ChatRequest`, or a 400 that names the field.

The body is scanned twice in C and never turned into Python objects that nobody reads: once into raw top-level fields, which
travel to the provider in the caller's own bytes, and once into the few typed fields that admission needs.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec

from tollway.api.naming import Named
from tollway.errors import InvalidField, InvalidJSON, PayloadTooLarge
from tollway.jsontypes import JSON
from tollway.money.amount import NANO_PER_USD, NotAnAmount, parse_usd
from tollway.request import ChatRequest, Message
from tollway.routing.asking import ROUTING_FIELDS

Positive = Annotated[int, msgspec.Meta(ge=1)]


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Body(msgspec.Struct, gc=False):
    """The fields that admission reads, and ours; `forbid_unknown_fields` is off because the provider has others."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    models: Annotated[list[str], msgspec.Meta(max_length=16)] | None = None
    user_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    metadata: Annotated[dict[str, str], msgspec.Meta(max_length=16)] | None = None
    max_price: str | int | float | None = None


_OURS = ("model", "stream", "models", "user_id", "max_price")
"""Fields that never travel upstream as they came."""
_NOT_HERE = frozenset({
    "api_base", "base_url", "api_key", "api_version", "organization", "extra_headers", "headers", "custom_llm_provider",
    "assistant_id", "conversation_id", "preset", "plugins",
})  # fmt: skip
"""Fields of other gateways that would change where a request goes, and ours that this version does not serve: refused
by name, so that nobody believes that they worked (security.md: no URL, header or credential in a body)."""

_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_typed = msgspec.json.Decoder(_Body).decode
_PATH = re.compile(r" - at `\$\.?([^`]*)`")


Names = Callable[[dict[str, msgspec.Raw]], Named | None]
"""What the names of a workspace's own stand for, given the top-level fields (naming.py)."""


def read_chat(body: bytes, bytes_max: int, names: Names | None = None) -> ChatRequest:
    """The chat request that `body` asks.

    Args:
        body: the whole HTTP body. bytes_max: largest accepted, in bytes. names: aliases and presets.

    Raises:
        PayloadTooLarge: longer than `bytes_max`.
        InvalidJSON: not a JSON object.
        InvalidField: a field has the wrong type or value; `param` is its path.
        NotFound: there is no such preset.
    """
    if len(body) > bytes_max:
        raise PayloadTooLarge(f"the body has {len(body)} bytes; at most {bytes_max} are accepted")
    try:
        fields = _raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(f"the body is not a JSON object: {error}") from None
    found = None if names is None else names(fields)
    asked_name = ""
    if found is not None:
        asked_name, body = found.alias or found.preset, found.body
        fields = _raw(body)
    if not _NOT_HERE.isdisjoint(fields):
        name = min(_NOT_HERE & fields.keys())
        raise InvalidField(f"`{name}` is not a field of this endpoint; leave it out", param=name)
    try:
        asked = _typed(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(f"the body is not valid JSON: {error}") from None
    routing: dict[str, JSON] = {}
    if not ROUTING_FIELDS.isdisjoint(fields):
        routing = _decoded(fields, ROUTING_FIELDS & fields.keys())
    for name in _OURS:
        fields.pop(name, None)
    completion = asked.max_completion_tokens
    options = asked.stream_options
    return ChatRequest(
        model=asked.model,
        messages=tuple(asked.messages),
        fields=fields,
        stream=bool(asked.stream),
        include_usage=options is not None and bool(options.include_usage),
        max_tokens=asked.max_tokens if completion is None else completion,
        max_tokens_field=_limit_field(asked),
        choices=asked.n or 1,
        models=tuple(asked.models or ()),
        routing=routing,
        user_id=asked.user_id,
        metadata=asked.metadata or {},
        max_price_nano=None if asked.max_price is None else _price(asked.max_price),
        size=len(body),
        asked=asked_name,
    )


def _decoded(fields: dict[str, msgspec.Raw], names: Iterable[str]) -> dict[str, JSON]:
    """Fields taken out of `fields`, as values. Raises InvalidJSON."""
    try:
        return {name: msgspec.json.decode(fields.pop(name)) for name in names}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(f"the body is not valid JSON: {error}") from None


def _limit_field(asked: _Body) -> str:
    if asked.max_completion_tokens is None:
        return "max_tokens"
    if asked.max_tokens is not None and asked.max_tokens != asked.max_completion_tokens:
        raise InvalidField("`max_tokens` and `max_completion_tokens` differ; send one of them", param="max_tokens")
    return "max_completion_tokens"


def _price(given: str | float) -> int:
    try:
        nano = parse_usd(str(given))
    except NotAnAmount as error:
        raise InvalidField(f"`max_price`: {error}", param="max_price") from None
    if not 0 < nano <= 1_000_000 * NANO_PER_USD:
        raise InvalidField("`max_price` is in USD for the whole request and more than 0", param="max_price")
    return nano


def _invalid(text: str) -> InvalidField:
    """The documented 400 from msgspec's words: `Expected `int`, got `str` - at `$.max_tokens``."""
    where = _PATH.search(text)
    path = where.group(1) if where else ""
    said = _PATH.sub("", text)
    if missing := re.search(r"missing required field `(\w+)`", said):
        path = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return InvalidField(f"`{path}` is missing; it is required", param=path)
    return InvalidField(f"`{path}`: {said[0].lower()}{said[1:]}", param=path or None)


def to_json(value: JSON) -> bytes:
    """JSON bytes of a value."""
    return msgspec.json.encode(value)
