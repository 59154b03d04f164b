"""One chat request as it was asked: read once, frozen, with its fields still in the caller's own bytes.

Fields that are ours are taken out; every other top-level field of the OpenAI shape stays in `fields` as raw JSON, so that a
provider that speaks the same dialect gets the caller's bytes and parameters we have never heard of.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tollway.jsontypes import JSON, JSONObject


class Message(msgspec.Struct, frozen=True, gc=False):
    """The parts of a message that admission reads; everything else stays in the raw bytes.

    content: text, a list of parts (`{"type": "text" | "image_url" | "input_audio" | "file", ...}`), or None.
    """

    role: str
    content: "str | list[dict[str, JSON]] | None" = None
    name: str | None = None
    tool_calls: "list[dict[str, JSON]] | None" = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderPreferences:
    """The `provider` object of a request: which providers may answer, in which order (OpenRouter's semantics)."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    sort: str = ""


class ChatRequest(msgspec.Struct, frozen=True, gc=False):
    """A chat request.

    model, models: what was asked, and the ordered fallbacks after it.
    fields: top-level field -> raw JSON, without our own fields, `model` and `stream`.
    max_tokens: upper bound of output tokens named by the caller, None if none; max_tokens_field: under which name.
    choices: `n`, at least 1.
    include_usage: the caller asked for a usage chunk of its own (`stream_options.include_usage`).
    routing: our fields about which model may answer, decoded; read by routing/asking.py.
    size: bytes of the whole body.
    asked: the model as it was asked for, where that was an alias or a preset of the workspace.
    """

    model: str
    messages: tuple[Message, ...]
    fields: Mapping[str, msgspec.Raw]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    max_tokens_field: str = "max_tokens"
    choices: int = 1
    models: tuple[str, ...] = ()
    provider: ProviderPreferences | None = None
    user_id: str | None = None
    routing: Mapping[str, JSON] = msgspec.field(default_factory=dict[str, JSON])
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    max_price_nano: int | None = None
    size: int = 0
    asked: str = ""

    def value(self, name: str) -> JSON:
        """The decoded value of a top-level field, None if absent. Decodes anew at each call: for translation only."""
        raw = self.fields.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def document(self) -> JSONObject:
        """All fields decoded: the request of the OpenAI shape as a translating dialect wants it."""
        return {name: msgspec.json.decode(raw) for name, raw in self.fields.items()}
