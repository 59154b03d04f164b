"""What a chat request asks beyond its messages: taken field by field, so that what nobody took is refused, not lost.

A translating dialect takes the fields that its language can say. Of the rest, a value that asks for nothing (`n: 1`,
`logprobs: false`) is let go, and any other is refused with 400 by name (contract.md: never silently dropped).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tollway.catalogue.offers import Offer, WireSpec
from tollway.errors import InvalidField, InvalidJSON, UnsupportedField
from tollway.jsontypes import JSON, JSONObject
from tollway.providers.parts import list_of, object_of, text_of
from tollway.request import ChatRequest

NEUTRAL: Mapping[str, tuple[JSON, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "store": (False,),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "parallel_tool_calls": (True,),
    "verbosity": ("medium",),
    "tools": ([],),
    "tool_choice": ("auto", "none"),
    "stop": ([],),
    "response_format": ({"type": "text"},),
}
"""Field -> values that ask for nothing; null asks for nothing everywhere."""

UNHEARD = frozenset({
    "max_tokens", "max_completion_tokens", "stream_options",
    "metadata", "user", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
"""Fields that are ours to answer (limits, usage chunk), labels, and what steers where a cache lives, not the answer."""

INSTEAD: Mapping[str, str] = {
    "functions": "send `tools`",
    "function_call": "send `tool_choice`",
    "logprobs": "choose a model with log probabilities",
    "top_logprobs": "choose a model with log probabilities",
    "n": "send one request per answer",
    "modalities": "ask for text",
    "audio": "choose a model with audio output",
    "store": "keep answers yourself",
    "parallel_tool_calls": "leave it out, and expect several tool calls at once",
}
_LEAVE_OUT = "leave it out, or choose another model"

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much the model shall think.

    effort: one of EFFORTS, "" if only a budget was given. budget: tokens at most. is_hidden: think, but do not show it.
    """

    effort: str = ""
    budget: int | None = None
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A tool the model may call. parameters: its JSON Schema, None if it takes none."""

    name: str
    description: str
    parameters: JSONObject | None
    is_strict: bool
    cache_control: JSONObject | None
    where: str


@dataclass(frozen=True, slots=True)
class Format:
    """How the answer shall look. kind: `text`, `json_object` or `json_schema`; schema of the last."""

    kind: str
    name: str
    schema: JSONObject
    description: str


class Asked:
    """The fields of one request, with the provider's five verbs applied. Take what can be said, then `finish`.

    Raises InvalidJSON when a field cannot be decoded.
    """

    __slots__ = ("_left", "_who")

    def __init__(self, chat: ChatRequest, offer: Offer) -> None:
        self._who = offer.provider.name
        try:
            fields = chat.document()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            # Fields that admission does not read have only been scanned until now.
            raise InvalidJSON(f"the body is not valid JSON: {error}") from None
        self._left = edited(fields, offer.provider.wire, self._who)

    def take(self, name: str) -> JSON:
        """The value of a field, which counts as heard; None if absent."""
        return self._left.pop(name, None)

    def number(self, name: str) -> int | float | None:
        """A number, or None. Raises InvalidField for anything else."""
        value = self.take(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise InvalidField(f"`{name}` is not a number", param=name)

    def whole(self, name: str) -> int | None:
        """A whole number, or None. Raises InvalidField for anything else."""
        value = self.number(name)
        if isinstance(value, float):
            raise InvalidField(f"`{name}` is not a whole number", param=name)
        return value

    def flag(self, name: str) -> bool | None:
        """A truth value, or None. Raises InvalidField for anything else."""
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return value
        raise InvalidField(f"`{name}` is neither true nor false", param=name)

    def stop(self) -> list[JSON]:
        """The texts that end the answer."""
        value = self.take("stop")
        texts: list[JSON] = [value] if isinstance(value, str) else list_of(value)
        if not all(isinstance(text, str) for text in texts) or not isinstance(value, str | list | None):
            raise InvalidField("`stop` is neither text nor a list of texts", param="stop")
        return texts

    def thinking(self) -> Thinking | None:
        """`reasoning_effort`, or the object `reasoning` (effort, max_tokens, enabled, exclude); None if not asked."""
        effort, given = self.take("reasoning_effort"), self.take("reasoning")
        reasoning = object_of(given)
        effort = reasoning.get("effort") if effort is None else effort
        budget, enabled = reasoning.get("max_tokens"), reasoning.get("enabled")
        if effort is not None and effort not in EFFORTS:
            raise InvalidField(f"`reasoning_effort` is one of {', '.join(EFFORTS)}", param="reasoning_effort")
        if budget is not None and (type(budget) is not int or budget < 0):
            raise InvalidField("`reasoning.max_tokens` is not a number of tokens", param="reasoning.max_tokens")
        if enabled is False:
            effort = "none"
        elif enabled is True and effort is None and budget is None:
            effort = "medium"
        if effort is None and budget is None:
            return None
        return Thinking(text_of(effort), budget, is_hidden=reasoning.get("exclude") is True)

    def functions(self) -> list[Function]:
        """`tools`, which must be functions."""
        return [self._function(tool, f"tools[{number}]") for number, tool in enumerate(list_of(self.take("tools")))]

    def _function(self, tool: JSON, where: str) -> Function:
        function = object_of(tool).get("function")
        if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(function, dict):
            raise self.unsupported(where, "send tools of type `function`")
        parameters = function.get("parameters")
        cache = tool.get("cache_control") or function.get("cache_control")
        return Function(
            name=text_of(function.get("name")),
            description=text_of(function.get("description")),
            parameters=parameters if isinstance(parameters, dict) else None,
            is_strict=function.get("strict") is True,
            cache_control=cache if isinstance(cache, dict) else None,
            where=where,
        )

    def choice(self) -> tuple[str, str]:
        """(`auto`, `none`, `required` or `named`; the name) of `tool_choice`; ("", "") if absent."""
        value = self.take("tool_choice")
        if value is None:
            return "", ""
        if value in ("auto", "none", "required"):
            return text_of(value), ""
        name = text_of(object_of(object_of(value).get("function")).get("name"))
        if not name:
            raise self.unsupported("tool_choice", "send `auto`, `none`, `required` or one function")
        return "named", name

    def format(self) -> Format:
        """`response_format`, `text` if absent."""
        given = object_of(self.take("response_format"))
        kind = text_of(given.get("type")) or "text"
        if kind not in {"text", "json_object", "json_schema"}:
            raise self.unsupported("response_format", "send `text`, `json_object` or `json_schema`")
        wanted = object_of(given.get("json_schema"))
        schema = wanted.get("schema")
        if kind == "json_schema" and not isinstance(schema, dict):
            raise InvalidField(
                "`response_format.json_schema.schema` is missing", param="response_format.json_schema.schema"
            )
        return Format(kind, text_of(wanted.get("name")), object_of(schema), text_of(wanted.get("description")))

    def unsupported(self, name: str, instead: str = "") -> UnsupportedField:
        """The refusal of a field, to raise: says what would do."""
        instead = instead or INSTEAD.get(name, _LEAVE_OUT)
        return UnsupportedField(f"{self._who} does not take `{name}` for this model; {instead}", param=name)

    def finish(self) -> None:
        """Every field has been heard.

        Raises:
            UnsupportedField: one was not, and asks for something.
        """
        for name, value in self._left.items():
            if name not in UNHEARD and not is_neutral(name, value):
                raise self.unsupported(name)


def is_neutral(name: str, value: JSON) -> bool:
    """A field with this value asks for nothing, so that nothing is lost without it."""
    return value is None or value in NEUTRAL.get(name, ())


def edited(fields: JSONObject, wire: WireSpec, who: str) -> JSONObject:
    """Decoded fields after the provider's five verbs (see `WireSpec`); changes and returns `fields`.

    Raises:
        UnsupportedField: the caller asks for a field that this provider refuses.
    """
    for name in wire.drop:
        if name in fields and not is_neutral(name, fields.pop(name)):
            raise UnsupportedField(f"{who} does not take `{name}` for this model; {_LEAVE_OUT}", param=name)
    for name, value in wire.default.items():
        fields.setdefault(name, value)
    for name, (least, most) in wire.clamp.items():
        given = fields.get(name)
        if isinstance(given, int | float):
            fields[name] = min(max(given, least), most)
    fields.update(wire.fix)
    for name, theirs in wire.rename.items():
        if name in fields:
            fields[theirs] = fields.pop(name)
    return fields
