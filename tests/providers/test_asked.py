"""Fields taken one by one: what nobody took and asks for something is refused."""

from types import MappingProxyType

import pytest

from tollway.catalogue.offers import WireSpec
from tollway.errors import InvalidField, UnsupportedField
from tollway.jsontypes import JSON
from tollway.providers.asked import EFFORTS, Asked, Format, Function, Thinking, edited, is_neutral
from wire import golden

WIRE = WireSpec("test", "https://upstream.test")


def asked(**fields: JSON) -> Asked:
    taken = Asked(golden.chat({"messages": [{"role": "user", "content": "a"}], **fields}), golden.offer("m"))
    taken.take("messages")
    return taken


def test_what_was_taken_is_heard_and_the_rest_refused() -> None:
    fields = asked(seed=7, top_k=3, n=1, metadata={"a": "b"})
    assert fields.whole("seed") == 7
    with pytest.raises(UnsupportedField) as raised:
        fields.finish()
    assert raised.value.message == "Acme does not take `top_k` for this model; leave it out, or choose another model"
    assert fields.take("top_k") == 3
    fields.finish()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"reasoning": {}}, None),
        ({"reasoning_effort": "low"}, Thinking("low")),
        ({"reasoning": {"effort": "high"}}, Thinking("high")),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, Thinking("low")),
        ({"reasoning": {"max_tokens": 9}}, Thinking("", 9)),
        ({"reasoning": {"effort": "low", "exclude": True}}, Thinking("low", is_hidden=True)),
        ({"reasoning": {"enabled": True}}, Thinking("medium")),
        ({"reasoning": {"enabled": False, "effort": "high"}}, Thinking("none")),
    ],
)
def test_thinking(fields: dict[str, JSON], expected: Thinking | None) -> None:
    assert asked(**fields).thinking() == expected
    assert set(EFFORTS) >= {"none", "minimal", "low", "medium", "high"}


def test_functions() -> None:
    mark: JSON = {"type": "ephemeral"}
    tools: JSON = [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        },
        {"type": "function", "function": {"name": "g", "cache_control": mark}},
    ]
    assert asked(tools=tools).functions() == [
        Function("f", "d", {"type": "object"}, is_strict=True, cache_control=None, where="tools[0]"),
        Function("g", "", None, is_strict=False, cache_control=mark, where="tools[1]"),
    ]
    assert asked().functions() == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ("", "")),
        ("auto", ("auto", "")),
        ("required", ("required", "")),
        ({"type": "function", "function": {"name": "f"}}, ("named", "f")),
    ],
)
def test_choice(given: JSON, expected: tuple[str, str]) -> None:
    assert asked(tool_choice=given).choice() == expected


def test_format() -> None:
    assert asked().format() == Format("text", "", {}, "")
    wanted: JSON = {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}},
    }
    assert asked(response_format=wanted).format() == Format("json_schema", "n", {"type": "object"}, "d")


@pytest.mark.parametrize(("given", "expected"), [(None, []), ("a", ["a"]), (["a", "b"], ["a", "b"]), ([], [])])
def test_stop(given: JSON, expected: list[JSON]) -> None:
    assert asked(stop=given).stop() == expected


def test_flags_and_numbers() -> None:
    fields = asked(a=True, b=1.5, c=2)
    assert (fields.flag("a"), fields.flag("none"), fields.number("b"), fields.whole("c"), fields.number("none")) == (
        True,
        None,
        1.5,
        2,
        None,
    )
    with pytest.raises(InvalidField):
        asked(a=1).flag("a")


def test_neutral_values() -> None:
    assert is_neutral("n", 1)
    assert is_neutral("anything", None)
    assert not is_neutral("n", 2)
    assert not is_neutral("seed", 0)


def test_verbs_in_their_order() -> None:
    wire = WireSpec(
        "test",
        "https://upstream.test",
        drop=frozenset({"logprobs"}),
        default=MappingProxyType({"temperature": 3}),
        clamp=MappingProxyType({"temperature": (0, 2)}),
        fix=MappingProxyType({"store": False}),
        rename=MappingProxyType({"max_completion_tokens": "max_tokens"}),
    )
    assert edited({"logprobs": False, "max_completion_tokens": 5, "store": True}, wire, "Acme") == {
        "temperature": 2,
        "store": False,
        "max_tokens": 5,
    }
    with pytest.raises(UnsupportedField, match="Acme does not take `logprobs`"):
        edited({"logprobs": True}, wire, "Acme")
    assert edited({"temperature": "hot"}, wire, "Acme")["temperature"] == "hot"
