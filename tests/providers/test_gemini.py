"""The gemini dialect beyond its golden files: what is refused, thinking, tool results, usage, bad streams."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.catalogue.offers import WireSpec
from tollway.errors import InvalidField, UnsupportedField
from tollway.metering.extract import extract
from tollway.metering.sse import ServerEvent
from tollway.providers.gemini import GeminiDialect
from tollway.providers.gemini_reply import GeminiTranslator
from tollway.routing.failure import FailureKind, UpstreamError
from wire import golden

DIALECT = GeminiDialect()
BUDGET, LEVELED, PRO = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.1-pro-preview"
HELLO: list[object] = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
STRICT = {"type": "function", "function": {"name": "f", "strict": True}}


def sent(model: str = BUDGET, /, *, max_tokens: int | None = None, **fields: object) -> dict[str, Any]:
    chat = golden.chat({"messages": HELLO, **fields})
    return json.loads(DIALECT.request(chat, golden.offer(model), max_tokens).body)


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (BUDGET, {"logit_bias": {"50256": -100}}, "logit_bias"),
        (BUDGET, {"modalities": ["text", "audio"]}, "modalities"),
        (BUDGET, {"audio": {"voice": "alloy"}}, "audio"),
        (BUDGET, {"prediction": {"type": "content"}}, "prediction"),
        (BUDGET, {"web_search_options": {}}, "web_search_options"),
        (BUDGET, {"store": True}, "store"),
        (BUDGET, {"service_tier": "flex"}, "service_tier"),
        (BUDGET, {"functions": [{"name": "f"}]}, "functions"),
        (BUDGET, {"something_new": 1}, "something_new"),
        (BUDGET, {"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        (BUDGET, {"tools": [{"google_search": {}}]}, "tools[0]"),
        (LEVELED, {"reasoning_effort": "none"}, "reasoning_effort"),
        (BUDGET, {"reasoning_effort": "low", "thinking": {"type": "disabled"}}, "reasoning_effort"),
        (BUDGET, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}]}]}, "messages[0].content[0].image_url.detail"),
        (BUDGET, {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-abc"}}]}]}, "messages[0].content[0].file"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused_by_name(model: str, fields: dict[str, object], param: str) -> None:
    with pytest.raises(UnsupportedField) as raised:
        sent(model, **fields)
    assert raised.value.param == param
    assert f"`{param}`" in raised.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "logit_bias": {}, "tool_choice": "none", "user": "u"},
        {"store": False, "modalities": ["text"], "parallel_tool_calls": True, "service_tier": "auto", "seed": None},
        {
            "tools": [],
            "response_format": {"type": "text"},
            "stream_options": {"include_usage": True},
            "metadata": {"job": "7"},
        },
    ],
)
def test_what_asks_for_nothing_is_let_go(fields: dict[str, object]) -> None:
    assert sent(**fields) == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@pytest.mark.parametrize(
    ("model", "fields", "thinking"),
    [
        (BUDGET, {"reasoning_effort": "none"}, {"includeThoughts": False, "thinkingBudget": 0}),
        (BUDGET, {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingBudget": 1_024}),
        (BUDGET, {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingBudget": 1_024}),
        (BUDGET, {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingBudget": 8_192}),
        (BUDGET, {"reasoning_effort": "high"}, {"includeThoughts": True, "thinkingBudget": 24_576}),
        (BUDGET, {"reasoning_effort": "xhigh"}, {"includeThoughts": True, "thinkingBudget": 24_576}),
        (LEVELED, {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        (PRO, {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        (PRO, {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        (PRO, {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        (PRO, {"reasoning_effort": "high"}, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-flash-latest", {"reasoning_effort": "max"}, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        (LEVELED, {"reasoning": {"max_tokens": 500, "exclude": True}}, {"includeThoughts": False, "thinkingBudget": 500}),
        (LEVELED, {"reasoning": {"enabled": True}}, {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        (BUDGET, {"thinking": {"type": "enabled", "budget_tokens": 777}}, {"includeThoughts": True, "thinkingBudget": 777}),
        (BUDGET, {"thinking": {"type": "disabled"}}, {"includeThoughts": False, "thinkingBudget": 0}),
        (BUDGET, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True, "thinkingBudget": -1}),
        (BUDGET, {}, None),
    ],
)  # fmt: skip
def test_thinking(model: str, fields: dict[str, object], thinking: object) -> None:
    assert sent(model, **fields).get("generationConfig", {}).get("thinkingConfig") == thinking


def test_a_thinking_object_of_no_known_type_is_named() -> None:
    with pytest.raises(InvalidField, match="`thinking` needs"):
        sent(thinking={"type": "enabled"})


@pytest.mark.parametrize(
    ("choice", "tools", "config"),
    [
        (None, [TOOL], None),
        ("auto", [TOOL], {"mode": "AUTO"}),
        ("none", [TOOL], {"mode": "NONE"}),
        ("required", [TOOL], {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, [TOOL], {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (None, [STRICT], {"mode": "VALIDATED"}),
        ("auto", [TOOL, STRICT], {"mode": "VALIDATED"}),
        ("required", [STRICT], {"mode": "ANY"}),
    ],
)
def test_tool_choice(choice: object, tools: list[object], config: object) -> None:
    body = sent(tools=tools, tool_choice=choice)
    assert body.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})


def call(identifier: str, **more: object) -> dict[str, object]:
    return {"id": identifier, "type": "function", "function": {"name": f"f_{identifier}", "arguments": "{}"}, **more}


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("sunny", {"output": "sunny"}),
        ('{"sky": "blue"}', {"sky": "blue"}),
        ("[1, 2]", {"output": "[1, 2]"}),
        ("", {"output": ""}),
        ([{"type": "text", "text": '{"sky":'}, {"type": "text", "text": ' "blue"}'}], {"sky": "blue"}),
    ],
)
def test_tool_results(content: object, response: object) -> None:
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": content},
    ]
    result = sent(messages=messages)["contents"][2]
    assert result == {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f_a", "response": response}}]}


def test_a_tool_result_needs_its_call_or_a_name() -> None:
    result = {"role": "tool", "tool_call_id": "x", "content": "1"}
    with pytest.raises(InvalidField) as raised:
        sent(messages=[*HELLO, result])
    assert raised.value.param == "messages[1].tool_call_id"
    parts = sent(messages=[*HELLO, {**result, "name": "g"}])["contents"][0]["parts"]
    assert parts[1]["functionResponse"]["name"] == "g"


def test_signatures_go_back_where_they_came_from() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call("a", **signed), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "assistant", "content": "", **signed},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "tool_calls": [call("c"), call("d")]},
    ]
    contents = sent(LEVELED, messages=messages)["contents"]
    assert [part.get("thoughtSignature") for part in contents[1]["parts"]] == ["c2ln", None]
    assert contents[3]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]
    # A call that was never signed: Gemini 3 would refuse it without the documented stand-in; older models do not ask.
    assert [part.get("thoughtSignature") for part in contents[5]["parts"]] == ["skip_thought_signature_validator", None]
    old = sent(BUDGET, messages=messages)["contents"]
    assert [part.get("thoughtSignature") for part in old[5]["parts"]] == [None, None]


def test_where_and_how_it_is_sent() -> None:
    chat = golden.chat({"messages": HELLO, "stream": True})
    wire = WireSpec("gemini", "https://upstream.test/v1beta", auth="header", auth_name="X-Goog-Api-Key")
    outgoing = DIALECT.request(chat, golden.offer(BUDGET, wire=wire), 99)
    assert outgoing.url == "https://upstream.test/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert outgoing.headers == {"content-type": "application/json", "x-goog-api-key": "key-of-ours"}
    assert json.loads(outgoing.body)["generationConfig"] == {"maxOutputTokens": 99}
    wire = WireSpec(
        "gemini", "https://upstream.test", "/publishers/google/models/{model}", auth="query", auth_name="key"
    )
    outgoing = DIALECT.request(golden.chat({"messages": HELLO}), golden.offer(BUDGET, wire=wire), None)
    assert (
        outgoing.url
        == "https://upstream.test/publishers/google/models/gemini-2.5-flash:generateContent?key=key-of-ours"
    )


# Answers.

SHOWN = ("m", "01997f3a-5c1e-7b44-9d2e-8a6f0c1b2d3e", 1)


def play(*documents: object) -> tuple[list[dict[str, Any]], GeminiTranslator]:
    translator = DIALECT.stream(*SHOWN)
    chunks = [chunk for document in documents for chunk in translator.event(ServerEvent(json.dumps(document).encode()))]
    return json.loads(json.dumps(chunks)), translator


def said(parts: list[object], reason: str = "", **more: object) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, **more}
    return {"candidates": [{**candidate, "finishReason": reason} if reason else candidate]}


def test_call_ids_are_the_same_each_time_and_short() -> None:
    calls: list[object] = [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}}]
    ids = [
        chunk["id"]
        for chunk in play(said(calls[:1]), said(calls[1:], "STOP"))[0][0]["choices"][0]["delta"]["tool_calls"]
    ]
    whole = DIALECT.reply(said(calls, "STOP"), *SHOWN)["choices"][0]["message"]["tool_calls"]
    assert [call["id"] for call in whole] == ["call_5c1e7b449d2e8a6f0c1b2d3e_0", "call_5c1e7b449d2e8a6f0c1b2d3e_1"]
    assert ids == [whole[0]["id"]]
    second = DIALECT.reply(said(calls, "STOP", index=1), *SHOWN)["choices"][0]["message"]["tool_calls"]
    assert second[0]["id"] == "call_5c1e7b449d2e8a6f0c1b2d3e_1_0"
    assert max(len(call["id"]) for call in second) <= 40


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "OTHER", "NO_IMAGE", "NEW_REASON"],
)
def test_a_model_that_failed_to_answer_is_an_attempt_to_repeat(reason: str) -> None:
    for ask in (lambda: DIALECT.reply(said([], reason), *SHOWN), lambda: play(said([], reason))):
        with pytest.raises(UpstreamError) as raised:
            ask()
        assert raised.value.failure.kind is FailureKind.MALFORMED
        assert reason in raised.value.failure.message


@pytest.mark.parametrize("reason", ["OTHER", "NEW_REASON"])
def test_an_answer_that_ends_for_a_reason_new_to_us_is_an_answer(reason: str) -> None:
    chunks, translator = play(said([{"text": "a"}]), said([], reason))
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert translator.is_done
    assert DIALECT.reply(said([{"text": "a"}], reason), *SHOWN)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("SAFETY", "content_filter"), ("RECITATION", "content_filter"), ("PROHIBITED_CONTENT", "content_filter"), ("MAX_TOKENS", "length"), ("STOP", "stop")],
)  # fmt: skip
def test_finish_reasons(reason: str, expected: str) -> None:
    assert play(said([], reason))[0] == [
        {"id": SHOWN[1], "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": expected}]}
    ]  # fmt: skip


def test_an_answer_without_candidates_is_malformed() -> None:
    for body in ({}, {"candidates": []}, {"usageMetadata": {}}):
        with pytest.raises(UpstreamError, match="no candidates"):
            DIALECT.reply(body, *SHOWN)
    with pytest.raises(UpstreamError, match="overloaded"):
        DIALECT.reply({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, *SHOWN)


def test_one_of_two_answers_is_not_all() -> None:
    _, translator = play(
        said([{"text": "a"}], "STOP"), {"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}]}
    )
    assert not translator.is_done
    translator.event(ServerEvent(b'{"candidates":[{"index":1,"finishReason":"STOP"}]}'))
    assert translator.is_done
    # Nothing but usage after the end changes neither.
    assert translator.event(ServerEvent(b'{"usageMetadata":{"promptTokenCount":1}}')) == []
    assert translator.is_done


def test_logprobs_without_alternatives() -> None:
    result = {"chosenCandidates": [{"token": "é", "logProbability": -0.5}]}
    choice = DIALECT.reply(said([{"text": "é"}], "STOP", logprobsResult=result), *SHOWN)["choices"][0]
    token = {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []}
    assert choice["logprobs"] == {"content": [token], "refusal": None}


def test_usage_fills_in_what_proto3_leaves_out_and_adds_tool_results_to_the_prompt() -> None:
    usage = {"promptTokenCount": 100, "toolUsePromptTokenCount": 40, "thoughtsTokenCount": 9, "totalTokenCount": 149}
    document = DIALECT.usage({"usageMetadata": usage})
    counted = extract(golden.GEMINI, document)
    assert counted is not None
    assert dict(counted.counts) == {"input": 140, "output": 0, "reasoning": 9}
    assert DIALECT.usage({}) is None
    assert extract(golden.GEMINI, DIALECT.usage({"usageMetadata": {"totalTokenCount": 3}})) is None


def test_the_last_usage_counts() -> None:
    first = {**said([{"text": "a"}]), "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1}}
    last = {**said([{"text": "b"}], "STOP"), "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2}}
    _, translator = play(first, last)
    assert translator.usage == {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2}}
    _, translator = play(first, said([{"text": "b"}], "STOP"))
    assert translator.usage == {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1}}


@pytest.mark.parametrize("data", [b"[DONE]", b"{", b"[]", b"3", b'"\xff"', b"[" * 100_000])
def test_what_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        DIALECT.stream(*SHOWN).event(ServerEvent(data))
    assert raised.value.failure.kind is FailureKind.MALFORMED
    assert DIALECT.failure(500, {}, data).kind is FailureKind.SERVER
    assert DIALECT.stream(*SHOWN).event(ServerEvent(b"")) == []


_VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.text(max_size=3), st.sampled_from(["STOP", "SAFETY", "3.5s"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["candidates", "content", "parts", "text", "functionCall", "args", "inlineData", "finishReason", "index", "usageMetadata", "promptFeedback", "logprobsResult", "chosenCandidates", "topCandidates", "error", "details", "retryDelay"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


@given(events=st.lists(_VALUE, max_size=4))
def test_whatever_a_provider_sends_only_upstream_errors_come_of_it(events: list[Any]) -> None:
    for event in events:
        try:
            play(event if isinstance(event, dict) else {"candidates": event})
        except UpstreamError:
            pass
        try:
            DIALECT.reply(event if isinstance(event, dict) else {"candidates": event}, *SHOWN)
        except UpstreamError:
            pass
        DIALECT.usage(event if isinstance(event, dict) else {"usageMetadata": event})
        DIALECT.failure(400, {}, json.dumps(event).encode())
