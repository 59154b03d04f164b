"""The anthropic dialect beyond its golden files: what is refused, what models differ in, usage over snapshots, bad streams."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.catalogue.offers import WireSpec
from tollway.errors import InvalidField, InvalidJSON, UnsupportedField
from tollway.metering.sse import ServerEvent
from tollway.providers.anthropic import AnthropicDialect, model_of
from tollway.providers.anthropic_reply import AnthropicTranslator, merged_usage
from tollway.routing.failure import FailureKind, UpstreamError
from wire import golden

DIALECT = AnthropicDialect()
OLD, BUDGET, ADAPTIVE, NEW = "claude-3-haiku-20240307", "claude-sonnet-4-5", "claude-opus-4-6", "claude-sonnet-5"
HELLO: list[object] = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def sent(
    model: str = BUDGET,
    /,
    *,
    max_tokens: int | None = None,
    wire: WireSpec | None = None,
    most: int = 0,
    **fields: object,
) -> dict[str, Any]:
    chat = golden.chat({"messages": HELLO, **fields})
    return json.loads(DIALECT.request(chat, golden.offer(model, max_output_tokens=most, wire=wire), max_tokens).body)


def parts(*given: Mapping[str, object]) -> list[object]:
    return [{"role": "user", "content": list(given)}]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (BUDGET, {"logprobs": True}, "logprobs"),
        (BUDGET, {"top_logprobs": 3}, "top_logprobs"),
        (BUDGET, {"n": 2}, "n"),
        (BUDGET, {"seed": 7}, "seed"),
        (BUDGET, {"logit_bias": {"50256": -100}}, "logit_bias"),
        (BUDGET, {"frequency_penalty": 0.5}, "frequency_penalty"),
        (BUDGET, {"presence_penalty": -1}, "presence_penalty"),
        (BUDGET, {"modalities": ["text", "audio"]}, "modalities"),
        (BUDGET, {"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        (BUDGET, {"prediction": {"type": "content", "content": "x"}}, "prediction"),
        (BUDGET, {"web_search_options": {}}, "web_search_options"),
        (BUDGET, {"store": True}, "store"),
        (BUDGET, {"verbosity": "low"}, "verbosity"),
        (BUDGET, {"service_tier": "flex"}, "service_tier"),
        (BUDGET, {"functions": [{"name": "f"}]}, "functions"),
        (BUDGET, {"function_call": "auto"}, "function_call"),
        (BUDGET, {"something_new": 1}, "something_new"),
        (BUDGET, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        (BUDGET, {"tools": [TOOL, {"type": "custom", "custom": {"name": "g"}}]}, "tools[1]"),
        (BUDGET, {"tools": [{"type": "function", "function": {"name": "tollway_answer"}}]}, "tools[0].function.name"),
        (OLD, {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, "tools[0].function.strict"),
        (BUDGET, {"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        (BUDGET, {"response_format": {"type": "grammar"}}, "response_format"),
        (OLD, {"response_format": SCHEMA, "tools": [TOOL]}, "response_format"),
        (OLD, {"response_format": SCHEMA, "reasoning_effort": "low", "max_tokens": 9000}, "response_format"),
        (BUDGET, {"reasoning_effort": "low", "max_tokens": 1024}, "reasoning_effort"),
        (BUDGET, {"reasoning_effort": "low", "thinking": {"type": "disabled"}}, "reasoning_effort"),
        (NEW, {"temperature": 0}, "temperature"),
        (NEW, {"top_p": 0.9}, "top_p"),
        (NEW, {"top_k": 40}, "top_k"),
        (BUDGET, {"messages": parts({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}})}, "messages[0].content[0].input_audio"),
        (BUDGET, {"messages": parts({"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}})}, "messages[0].content[0].video_url"),
        (BUDGET, {"messages": parts({"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}})}, "messages[0].content[0].image_url.detail"),
        (BUDGET, {"messages": parts({"type": "file", "file": {"file_id": "file-abc123"}})}, "messages[0].content[0].file"),
        (BUDGET, {"messages": parts({"type": "file", "file": {"file_data": "data:application/msword;base64,AA=="}})}, "messages[0].content[0].file"),
        (BUDGET, {"messages": [{"role": "user", "name": "ada", "content": "a"}, {"role": "user", "name": "eve", "content": "b"}]}, "messages[1].name"),
        (BUDGET, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio"),
        (BUDGET, {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]}, "messages[0].function_call"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused_by_name(model: str, fields: dict[str, object], param: str) -> None:
    with pytest.raises(UnsupportedField) as raised:
        sent(model, **fields)
    assert raised.value.param == param
    assert f"`{param}`" in raised.value.message
    # It says what would do, too.
    assert "; " in raised.value.message or ", which " in raised.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {
            "n": 1,
            "logprobs": False,
            "top_logprobs": 0,
            "logit_bias": {},
            "frequency_penalty": 0,
            "presence_penalty": 0.0,
        },
        {
            "store": False,
            "modalities": ["text"],
            "parallel_tool_calls": True,
            "service_tier": "auto",
            "seed": None,
            "audio": None,
        },
        {"tools": [], "tool_choice": "auto", "stop": None, "response_format": {"type": "text"}, "verbosity": "medium"},
        {"stream_options": {"include_usage": True}, "metadata": {"job": "7"}, "prompt_cache_key": "k", "user": None},
        {"messages": [{"role": "user", "name": "ada", "content": "hello"}]},
        {"messages": parts({"type": "text", "text": "hello"}, {"type": "text", "text": ""})},
    ],
)
def test_what_asks_for_nothing_is_let_go(fields: dict[str, object]) -> None:
    assert sent(**fields) == {
        "model": BUDGET,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"temperature": "hot"}, InvalidField, "temperature"),
        ({"temperature": True}, InvalidField, "temperature"),
        ({"top_k": 1.5}, InvalidField, "top_k"),
        ({"stop": 3}, InvalidField, "stop"),
        ({"stop": ["a", 3]}, InvalidField, "stop"),
        ({"parallel_tool_calls": "no", "tools": [TOOL]}, InvalidField, "parallel_tool_calls"),
        ({"reasoning_effort": "hard"}, InvalidField, "reasoning_effort"),
        ({"reasoning": {"max_tokens": -1}}, InvalidField, "reasoning.max_tokens"),
        ({"response_format": {"type": "json_schema"}}, InvalidField, "response_format.json_schema.schema"),
        ({"messages": [{"role": "oracle", "content": "a"}]}, InvalidField, "messages[0].role"),
        ({"messages": parts({"type": "smell"})}, InvalidField, "messages[0].content[0]"),
        ({"messages": parts({"type": "image_url", "image_url": {"url": "gate.png"}})}, InvalidField, "messages[0].content[0].image_url"),
        ({"messages": parts({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}})}, InvalidField, "messages[0].content[0].file"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{oops"}}]}]},
            InvalidField,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1]"}}]}]},
            InvalidField,
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(fields: dict[str, object], error: type[InvalidField], param: str) -> None:
    with pytest.raises(error) as raised:
        sent(**fields)
    assert raised.value.param == param


def test_a_field_that_admission_only_scanned_may_turn_out_to_be_no_json() -> None:
    chat = golden.read_chat(b'{"model":"m","messages":[{"role":"user","content":"a"}],"user":"\xff"}', 1000)
    with pytest.raises(InvalidJSON):
        DIALECT.request(chat, golden.offer(BUDGET), None)


@pytest.mark.parametrize(
    ("upstream_id", "is_adaptive", "is_sampled", "has_formats"),
    [
        ("claude-3-haiku-20240307", False, True, False),
        ("claude-3-5-sonnet-20241022", False, True, False),
        ("claude-3-7-sonnet-latest", False, True, False),
        ("claude-opus-4-20250514", False, True, False),
        ("claude-opus-4-1-20250805", False, True, False),
        ("claude-sonnet-4-5-20250929", False, True, True),
        ("anthropic/claude-haiku-4.5", False, True, True),
        ("claude-opus-4-6", True, True, True),
        ("anthropic.claude-opus-4-6-v1", True, True, True),
        ("claude-opus-4-7", True, False, True),
        ("claude-sonnet-5", True, False, True),
        ("claude-fable-5-2", True, False, True),
        ("claude-mythos-preview", True, False, True),
        ("kimi-k3", False, True, False),
    ],
)
def test_traits_of_models(upstream_id: str, is_adaptive: bool, is_sampled: bool, has_formats: bool) -> None:
    traits = model_of(upstream_id)
    assert (traits.is_adaptive, traits.is_sampled, traits.has_formats) == (is_adaptive, is_sampled, has_formats)


@pytest.mark.parametrize(
    ("effort", "max_tokens", "budget"),
    [
        ("minimal", 50_000, 1_024),
        ("low", 50_000, 2_048),
        ("medium", 50_000, 8_192),
        ("high", 50_000, 24_576),
        ("xhigh", 80_000, 32_000),
        ("max", 80_000, 32_000),
        ("high", 4_096, 2_048),  # half of the limit is left for the answer
        ("high", 1_500, 1_024),  # but thinking has no less than 1,024
    ],
)
def test_effort_as_a_budget(effort: str, max_tokens: int, budget: int) -> None:
    body = sent(BUDGET, reasoning_effort=effort, max_tokens=max_tokens)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert budget < body["max_tokens"]


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "config"),
    [
        (BUDGET, {"reasoning_effort": "none"}, {"type": "disabled"}, None),
        (NEW, {"reasoning_effort": "none"}, {"type": "disabled"}, None),
        (NEW, {"reasoning_effort": "minimal"}, {"type": "adaptive", "display": "summarized"}, {"effort": "low"}),
        (ADAPTIVE, {"reasoning_effort": "max"}, {"type": "adaptive", "display": "summarized"}, {"effort": "max"}),
        (NEW, {"reasoning": {"enabled": True}}, {"type": "adaptive", "display": "summarized"}, {"effort": "medium"}),
        (NEW, {"reasoning": {"enabled": False}}, {"type": "disabled"}, None),
        (NEW, {"reasoning": {"effort": "high", "exclude": True}}, {"type": "adaptive", "display": "omitted"}, {"effort": "high"}),
        (BUDGET, {"reasoning": {"max_tokens": 2_000}}, {"type": "enabled", "budget_tokens": 2_000}, None),
        (BUDGET, {"thinking": {"type": "enabled", "budget_tokens": 1_111}}, {"type": "enabled", "budget_tokens": 1_111}, None),
        (NEW, {"thinking": {"type": "between_tools"}, "output_config": {"effort": "low"}}, {"type": "between_tools"}, {"effort": "low"}),
        (NEW, {}, None, None),
    ],
)  # fmt: skip
def test_thinking(model: str, fields: dict[str, object], thinking: object, config: object) -> None:
    body = sent(model, **fields)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config


def test_format_joins_what_the_caller_configures() -> None:
    body = sent(NEW, output_config={"effort": "low"}, response_format=SCHEMA)
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_which_max_tokens_is_sent() -> None:
    assert sent()["max_tokens"] == 4096
    assert sent(most=64_000)["max_tokens"] == 64_000
    assert sent(most=64_000, max_completion_tokens=50)["max_tokens"] == 50
    assert sent(most=64_000, max_completion_tokens=50, max_tokens=40)["max_tokens"] == 40


@pytest.mark.parametrize(("given", "expected"), [(-0.5, 0), (0, 0), (0.3, 0.3), (1, 1), (2, 1)])
def test_temperature_is_cut_to_the_range_of_the_api(given: float, expected: float) -> None:
    assert sent(temperature=given)["temperature"] == expected


@pytest.mark.parametrize(
    ("choice", "alone", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", None, {"type": "none"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, None),
    ],
)
def test_tool_choice(choice: object, alone: bool | None, expected: object) -> None:
    assert sent(tools=[TOOL], tool_choice=choice, parallel_tool_calls=alone).get("tool_choice") == expected


def test_a_conversation_that_has_called_tools_names_them_although_it_offers_none() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "lost", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    body = sent(messages=messages)
    assert body["tools"] == [{"name": "lost", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


def test_messages_of_one_role_are_merged_and_empty_ones_vanish() -> None:
    body = sent(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "system", "content": "later rule"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "refusal": "No.", "content": None},
            {"role": "user", "content": [{"type": "text", "text": "c"}]},
        ]
    )
    text = [[block["text"] for block in message["content"]] for message in body["messages"]]
    assert ([message["role"] for message in body["messages"]], text) == (
        ["user", "assistant", "user"],
        [["a", "b"], ["No."], ["c"]],
    )
    assert body["system"] == [{"type": "text", "text": "later rule"}]


def test_the_callers_cache_marks_travel() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = sent(
        cache_control=mark,
        tools=[{**TOOL, "cache_control": mark}],
        messages=parts({"type": "text", "text": "a", "cache_control": mark}),
    )
    assert (
        body["cache_control"]
        == body["tools"][0]["cache_control"]
        == body["messages"][0]["content"][0]["cache_control"]
        == mark
    )


def test_where_and_how_it_is_sent() -> None:
    chat, offer = golden.chat({"messages": HELLO}), golden.offer(BUDGET)
    outgoing = DIALECT.request(chat, offer, None)
    assert outgoing.url == "https://upstream.test/v1/messages"
    assert outgoing.headers == {
        "content-type": "application/json",
        "x-api-key": "key-of-ours",
        "anthropic-version": "2023-06-01",
    }
    headers = MappingProxyType({"Anthropic-Version": "2024-01-01"})
    wire = WireSpec("anthropic", "https://upstream.test", "/anthropic/v1/messages", headers=headers)
    outgoing = DIALECT.request(chat, golden.offer(BUDGET, wire=wire), None)
    assert outgoing.url == "https://upstream.test/anthropic/v1/messages"
    assert outgoing.headers == {
        "content-type": "application/json",
        "authorization": "Bearer key-of-ours",
        "Anthropic-Version": "2024-01-01",
    }


def test_the_providers_verbs_edit_what_was_asked() -> None:
    wire = WireSpec(
        "anthropic",
        "https://upstream.test/v1",
        drop=frozenset({"top_k"}),
        default=MappingProxyType({"temperature": 0.5, "stop": "x"}),
        clamp=MappingProxyType({"top_p": (0, 1)}),
        fix=MappingProxyType({"user": "us"}),
        rename=MappingProxyType({"halt": "stop"}),
    )
    body = sent(wire=wire, top_p=7, user="them", halt=["y"])
    assert (body["temperature"], body["top_p"], body["metadata"], body["stop_sequences"]) == (
        0.5,
        1,
        {"user_id": "us"},
        ["y"],
    )
    with pytest.raises(UnsupportedField, match="Acme does not take `top_k`"):
        sent(wire=wire, top_k=3)


# Answers.

SHOWN = ("m", "id", 1)


def play(*documents: object) -> tuple[list[dict[str, Any]], AnthropicTranslator]:
    translator = DIALECT.stream(*SHOWN)
    chunks = [chunk for document in documents for chunk in translator.event(ServerEvent(json.dumps(document).encode()))]
    return json.loads(json.dumps(chunks)), translator


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamError) as raised:
        DIALECT.reply({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, *SHOWN)
    assert raised.value.failure.kind is FailureKind.OVERLOADED
    with pytest.raises(UpstreamError, match="no content"):
        DIALECT.reply({"type": "message"}, *SHOWN)


def test_usage_is_none_without_one() -> None:
    assert DIALECT.usage({}) is None
    assert DIALECT.usage({"usage": None}) is None


def test_blocks_and_events_that_are_new_to_us_are_passed_over() -> None:
    chunks, translator = play(
        {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 0}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"query":'}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "future_delta"}},
        {"type": "weather_report", "sky": "blue"},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_stop", "index": 9},
        {"type": "message_delta", "delta": {"stop_reason": "a_new_reason"}, "usage": {"output_tokens": 7}},
    )  # fmt: skip
    assert [chunk["choices"][0] for chunk in chunks] == [
        {"index": 0, "delta": {"role": "assistant"}, "finish_reason": "stop"}
    ]
    assert translator.is_done
    assert translator.usage == {"usage": {"input_tokens": 3, "output_tokens": 7}}
    answer = DIALECT.reply(
        {"content": [{"type": "server_tool_use"}, {"type": "text", "text": "a"}], "stop_reason": "end_turn"}, *SHOWN
    )
    assert answer["choices"][0]["message"]["content"] == "a"


def test_a_call_whose_arguments_come_at_once() -> None:
    chunks, _ = play(
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        },
        {"type": "content_block_stop", "index": 0},
    )
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks]
    assert calls[0]["function"] == {"name": "f", "arguments": ""}
    assert calls[1] == {"index": 0, "function": {"arguments": '{"a":1}'}}


def test_nothing_is_said_before_there_is_content() -> None:
    chunks, translator = play(
        {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}, {"type": "ping"}
    )
    assert chunks == []
    assert translator.usage == {"usage": {"input_tokens": 3, "output_tokens": 1}}
    assert translator.event(ServerEvent(b"")) == []


@pytest.mark.parametrize("data", [b"[DONE]", b"{", b"[]", b"3", b'"\xff"', b"[" * 100_000])
def test_what_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        DIALECT.stream(*SHOWN).event(ServerEvent(data))
    assert raised.value.failure.kind is FailureKind.MALFORMED
    assert DIALECT.failure(500, {}, data).kind is FailureKind.SERVER


def test_a_delta_of_no_block_is_malformed() -> None:
    with pytest.raises(UpstreamError, match="has not begun"):
        play({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}})


# Usage over snapshots (pains 15, 16, 18).


@pytest.mark.parametrize(
    ("start", "delta", "merged"),
    [
        # The same numbers again are the same tokens: never added up.
        ({"input_tokens": 25, "output_tokens": 1}, {"input_tokens": 25, "output_tokens": 15}, {"input_tokens": 25, "output_tokens": 15}),
        # What is not said again stays.
        ({"input_tokens": 25, "cache_read_input_tokens": 9, "output_tokens": 1}, {"output_tokens": 15}, {"input_tokens": 25, "cache_read_input_tokens": 9, "output_tokens": 15}),
        ({"input_tokens": 25, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 15}, {"input_tokens": 25, "output_tokens": 15}),
        # Zeros at the start, the truth at the end.
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 25, "output_tokens": 15}, {"input_tokens": 25, "output_tokens": 15}),
        # The prompt is split anew at the end: the late split counts, even where no plain input is left.
        ({"input_tokens": 900, "cache_read_input_tokens": 0, "output_tokens": 0}, {"input_tokens": 0, "cache_read_input_tokens": 900, "output_tokens": 5}, {"input_tokens": 0, "cache_read_input_tokens": 900, "output_tokens": 5}),
        # A prompt of zeros at the end is no prompt: what was said first stays.
        ({"input_tokens": 900, "cache_creation_input_tokens": 50, "output_tokens": 0}, {"input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 5}, {"input_tokens": 900, "cache_creation_input_tokens": 50, "output_tokens": 5}),
        (None, {"input_tokens": 1}, {"input_tokens": 1}),
        ({"input_tokens": 1}, None, {"input_tokens": 1}),
        (None, None, None),
    ],
)  # fmt: skip
def test_the_last_usage_counts(
    start: dict[str, Any] | None, delta: dict[str, Any] | None, merged: dict[str, Any] | None
) -> None:
    assert merged_usage(merged_usage(None, start), delta) == merged


_VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 3),
        st.text(max_size=3),
        st.sampled_from(["text", "tool_use", "thinking", "error"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["type", "text", "index", "delta", "input", "name", "usage", "message", "error", "content"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=10,
)
_EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error"])},
    optional={
        "index": _VALUE,
        "message": _VALUE,
        "content_block": st.one_of(_VALUE, st.fixed_dictionaries({"type": st.sampled_from(["text", "tool_use", "thinking", "redacted_thinking"])}, optional={"text": _VALUE, "input": _VALUE, "thinking": _VALUE, "signature": _VALUE})),
        "delta": st.one_of(_VALUE, st.fixed_dictionaries({"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "signature_delta"])}, optional={"text": _VALUE, "partial_json": _VALUE, "thinking": _VALUE, "signature": _VALUE, "stop_reason": _VALUE})),
        "usage": _VALUE,
        "error": _VALUE,
    },
)  # fmt: skip


@given(events=st.lists(_EVENT, max_size=8), body=_VALUE)
def test_whatever_a_provider_sends_only_upstream_errors_come_of_it(events: list[dict[str, Any]], body: Any) -> None:
    try:
        play(*events)
        DIALECT.reply(body if isinstance(body, dict) else {"content": body}, *SHOWN)
    except UpstreamError:
        pass
    DIALECT.failure(400, {}, json.dumps(body).encode())
