"""What the official SDK asks arrives at each provider in its own words; what it cannot say there is refused by name.

The upstream is ours, which keeps every request that it got.
"""

from typing import Any

import openai
import pytest

from contract.bill import Bill
from contract.talk import PERSON, PIXEL, WEATHER, ask
from support.gateway import Gateway
from support.upstreams import FaultUpstream

pytestmark = pytest.mark.servers

OPENAI, ANTHROPIC, GEMINI = "fault-openai/ok", "fault-anthropic/claude-sonnet-4-5", "fault-gemini/gemini-2.5-flash"


def sent(sdk: openai.OpenAI, faulty: FaultUpstream, model: str, **fields: Any) -> Any:
    """The body that the provider got for a request of the SDK."""
    faulty.reset()
    asked = {"messages": ask("hi"), "max_tokens": 100, **fields}
    sdk.chat.completions.create(model=model, **asked)
    return faulty.ended()[0]["body"]


def unsupported(sdk: openai.OpenAI, faulty: FaultUpstream, model: str, param: str, **fields: Any) -> None:
    """The request is refused by the name of its field before anybody is asked."""
    faulty.reset()
    asked = {"messages": ask("hi"), "max_tokens": 100, **fields}
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model=model, **asked)
    assert (raised.value.code, raised.value.param) == ("unsupported_field", param)
    assert faulty.journal() == []


IMAGE: Any = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ],
    }
]


def test_an_image(house: Gateway, sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    data = PIXEL.partition(",")[2]
    assert sent(sdk, faulty, OPENAI, messages=IMAGE)["messages"] == IMAGE
    parts = sent(sdk, faulty, ANTHROPIC, messages=IMAGE)["messages"][0]["content"]
    assert parts[1] == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    parts = sent(sdk, faulty, GEMINI, messages=IMAGE)["contents"][0]["parts"]
    assert parts[1] == {"inlineData": {"mimeType": "image/png", "data": data}}
    for model in (OPENAI, ANTHROPIC, GEMINI):
        with Bill(house) as bill:
            reply = sdk.chat.completions.create(model=model, messages=IMAGE)
        bill.agrees(reply, input=1234, output=567)


def test_an_image_by_link_is_fetched_by_the_provider_only(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    link = "https://pictures.test/cat.png"
    messages: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": link}}]}]
    assert sent(sdk, faulty, OPENAI, messages=messages)["messages"] == messages
    blocks = sent(sdk, faulty, ANTHROPIC, messages=messages)["messages"][0]["content"]
    assert blocks == [{"type": "image", "source": {"type": "url", "url": link}}]
    parts = sent(sdk, faulty, GEMINI, messages=messages)["contents"][0]["parts"]
    assert parts == [{"fileData": {"fileUri": link, "mimeType": "image/png"}}]


def test_system_and_developer_messages(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    for role in ("system", "developer"):
        messages: Any = [{"role": role, "content": "Be kind."}, *ask("hi")]
        assert sent(sdk, faulty, OPENAI, messages=messages)["messages"] == messages
        body = sent(sdk, faulty, ANTHROPIC, messages=messages)
        assert body["system"] == [{"type": "text", "text": "Be kind."}]
        assert [one["role"] for one in body["messages"]] == ["user"]
        body = sent(sdk, faulty, GEMINI, messages=messages)
        assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}]}


def test_limits_stop_and_sampling(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    fields: Any = {"stop": ["END", "\n\n"], "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 64}
    fields["max_tokens"] = openai.omit
    body = sent(sdk, faulty, OPENAI, **fields)
    assert (body["stop"], body["max_completion_tokens"], body["temperature"]) == (["END", "\n\n"], 64, 0.5)
    assert "max_tokens" not in body
    body = sent(sdk, faulty, ANTHROPIC, **fields)
    assert (body["stop_sequences"], body["max_tokens"], body["temperature"]) == (["END", "\n\n"], 64, 0.5)
    config = sent(sdk, faulty, GEMINI, **fields)["generationConfig"]
    assert (config["stopSequences"], config["maxOutputTokens"], config["topP"]) == (["END", "\n\n"], 64, 0.9)


def test_a_bound_is_always_sent_for_a_whole_answer(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    """Nobody named one: what the hold covers is what the provider may use (money.md R6b)."""
    assert sent(sdk, faulty, OPENAI, max_tokens=openai.omit)["max_tokens"] == 4096
    assert sent(sdk, faulty, ANTHROPIC, max_tokens=openai.omit)["max_tokens"] == 4096
    assert sent(sdk, faulty, GEMINI, max_tokens=openai.omit)["generationConfig"]["maxOutputTokens"] == 4096


def test_reasoning_effort(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    fields: Any = {"reasoning_effort": "medium", "max_tokens": 20_000}
    assert sent(sdk, faulty, OPENAI, **fields)["reasoning_effort"] == "medium"
    body = sent(sdk, faulty, ANTHROPIC, **fields)
    assert (body["thinking"], body["max_tokens"]) == ({"type": "enabled", "budget_tokens": 8192}, 20_000)
    config = sent(sdk, faulty, GEMINI, **fields)["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True, "thinkingBudget": 8192}
    assert sent(sdk, faulty, GEMINI, reasoning_effort="none")["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": False,
        "thinkingBudget": 0,
    }


def test_tools_and_tool_choice(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    schema = WEATHER["function"]["parameters"]
    named: Any = {"type": "function", "function": {"name": "get_weather"}}
    fields: Any = {"tools": [WEATHER], "tool_choice": named}
    body = sent(sdk, faulty, OPENAI, **fields)
    assert (body["tools"], body["tool_choice"]) == ([WEATHER], named)
    body = sent(sdk, faulty, ANTHROPIC, **fields, parallel_tool_calls=False)
    assert body["tools"] == [{"name": "get_weather", "description": "The weather of a city.", "input_schema": schema}]
    assert body["tool_choice"] == {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    body = sent(sdk, faulty, GEMINI, **fields)
    declared = body["tools"][0]["functionDeclarations"][0]
    assert (declared["name"], declared["parametersJsonSchema"]) == ("get_weather", schema)
    how = body["toolConfig"]["functionCallingConfig"]
    assert how == {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}


def test_the_history_of_a_tool_loop(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    history: Any = [
        *ask("Weather in Oslo?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 3}'},
    ]
    assert sent(sdk, faulty, OPENAI, messages=history, tools=[WEATHER])["messages"] == history
    said = sent(sdk, faulty, ANTHROPIC, messages=history, tools=[WEATHER])["messages"]
    assert said[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Oslo"}}
    ]
    assert said[2]["content"][0]["tool_use_id"] == "call_1"
    said = sent(sdk, faulty, GEMINI, messages=history, tools=[WEATHER])["contents"]
    assert said[1]["parts"][0]["functionCall"]["args"] == {"city": "Oslo"}
    assert said[2]["parts"][0]["functionResponse"]["response"] == {"degrees": 3}


def test_structured_output(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    schema = PERSON["json_schema"]["schema"]
    assert sent(sdk, faulty, OPENAI, response_format=PERSON)["response_format"] == PERSON
    body = sent(sdk, faulty, ANTHROPIC, response_format=PERSON)
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    # A model that has no structured output is made to call a tool with the answer.
    body = sent(sdk, faulty, "fault-anthropic/claude-opus-4-1", response_format=PERSON)
    assert body["tools"][0]["input_schema"] == schema
    assert body["tool_choice"]["type"] == "tool"
    config = sent(sdk, faulty, GEMINI, response_format=PERSON)["generationConfig"]
    assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", schema)


def test_n_and_logprobs_where_they_exist(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    fields: Any = {"n": 2, "logprobs": True, "top_logprobs": 3}
    body = sent(sdk, faulty, OPENAI, **fields)
    assert {name: body[name] for name in fields} == fields
    config = sent(sdk, faulty, GEMINI, **fields)["generationConfig"]
    assert (config["candidateCount"], config["responseLogprobs"], config["logprobs"]) == (2, True, 3)
    unsupported(sdk, faulty, ANTHROPIC, "n", n=2)
    unsupported(sdk, faulty, ANTHROPIC, "logprobs", logprobs=True)


def test_fields_that_would_be_lost_are_refused(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    for model in (ANTHROPIC, GEMINI):
        unsupported(sdk, faulty, model, "logit_bias", logit_bias={"50256": -100})
        unsupported(sdk, faulty, model, "web_search_options", web_search_options={})
    # What asks for nothing is let go.
    sent(sdk, faulty, ANTHROPIC, n=1, logprobs=False, logit_bias={}, presence_penalty=0, user="u", store=False)


def test_credentials_travel_as_each_provider_wants_them(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    for model, header, value in (
        (OPENAI, "authorization", "Bearer not-a-secret"),
        (ANTHROPIC, "x-api-key", "not-a-secret"),
        (GEMINI, "x-goog-api-key", "not-a-secret"),
    ):
        faulty.reset()
        sdk.chat.completions.create(model=model, messages=ask("hi"))
        headers = faulty.ended()[0]["headers"]
        assert headers[header] == value
        assert not any("tw_" in text for text in headers.values())
        assert sum(name in headers for name in ("authorization", "x-api-key", "x-goog-api-key")) == 1
