"""The upstreams answer the official SDKs, so that a failing test elsewhere is the gateway's fault."""

import json
import os
import subprocess

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from support import upstreams
from support.fault_answers import text_of
from support.upstreams import MODEL_ID, FaultUpstream, Upstream, npm_folder

pytestmark = pytest.mark.servers

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def openai_client(upstream: Upstream, **more) -> openai.OpenAI:
    return openai.OpenAI(base_url=upstream.openai, api_key="sk-test", max_retries=0, timeout=30, **more)


def anthropic_client(upstream: Upstream) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=upstream.anthropic, api_key="sk-ant-test", max_retries=0, timeout=30)


def gemini_client(upstream: Upstream) -> genai.Client:
    http = types.HttpOptions(base_url=upstream.gemini, api_version="v1beta", timeout=30_000)
    return genai.Client(api_key="test", http_options=http)


@pytest.fixture(params=["aimock", "llmock"])
def simulator(request: pytest.FixtureRequest) -> Upstream:
    return request.getfixturevalue(request.param)


# Both simulators.


def test_openai_sdk(simulator: Upstream) -> None:
    with openai_client(simulator) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert reply.choices[0].message.content
        assert reply.usage.prompt_tokens > 0
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )
        assert len(chunks) > 2
        assert chunks[-1].usage.completion_tokens > 0


def test_anthropic_sdk(simulator: Upstream) -> None:
    with anthropic_client(simulator) as client:
        reply = client.messages.create(model="claude-of-the-simulator", max_tokens=50, messages=HELLO)
        assert reply.content[0].text
        assert reply.usage.input_tokens > 0
        with client.messages.stream(model="claude-of-the-simulator", max_tokens=50, messages=HELLO) as stream:
            assert stream.get_final_message().usage.output_tokens > 0


def test_gemini_sdk(simulator: Upstream) -> None:
    with gemini_client(simulator) as client:
        reply = client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
        assert reply.text
        assert reply.usage_metadata.prompt_token_count > 0
        chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello"))
        assert chunks[-1].usage_metadata.candidates_token_count > 0


# aimock: what its fixture files promise.


def test_aimock_reports_the_usage_of_the_fixture(aimock: Upstream) -> None:
    with openai_client(aimock) as client:
        usage = client.chat.completions.create(model="gpt-4o", messages=HELLO).usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (1234, 567)
    with anthropic_client(aimock) as client:
        usage = client.messages.create(model="claude-of-the-simulator", max_tokens=50, messages=HELLO).usage
        assert (usage.input_tokens, usage.output_tokens) == (1234, 567)
    with gemini_client(aimock) as client:
        usage = client.models.generate_content(model="gemini-2.5-flash", contents="Hello").usage_metadata
        assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (1234, 567, 1801)


def test_aimock_calls_tools(aimock: Upstream) -> None:
    with openai_client(aimock) as client:
        for question, cities in (("weather in Paris", ["Paris"]), ("weather in two cities", ["Paris", "Oslo"])):
            choice = client.chat.completions.create(model="gpt-4o", messages=ask(question), tools=[WEATHER]).choices[0]
            assert choice.finish_reason == "tool_calls"
            assert [json.loads(call.function.arguments)["city"] for call in choice.message.tool_calls] == cities
            chunks = list(
                client.chat.completions.create(model="gpt-4o", messages=ask(question), tools=[WEATHER], stream=True)
            )
            seen = {call.index for chunk in chunks for c in chunk.choices for call in c.delta.tool_calls or ()}
            assert len(seen) == len(cities)


def test_aimock_finishes_after_the_tool_result(aimock: Upstream) -> None:
    called = {
        "id": "call_paris",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
    }
    history = [
        *ask("weather in Paris"),
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_paris", "content": "21"},
    ]
    with openai_client(aimock) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=history, tools=[WEATHER])
        assert reply.choices[0].message.content == "It is 21 degrees in Paris."


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_aimock_fails_as_told(aimock: Upstream, status: int, kind: type[openai.APIStatusError]) -> None:
    with openai_client(aimock) as client, pytest.raises(kind) as raised:
        client.chat.completions.create(model="gpt-4o", messages=ask(f"fail with {status}"))
    assert raised.value.status_code == status
    assert status != 429 or raised.value.response.headers["retry-after"] == "2"


def test_aimock_streams_slowly_and_breaks_off(aimock: Upstream) -> None:
    with openai_client(aimock) as client:
        slow = list(client.chat.completions.create(model="gpt-4o", messages=ask("stream slowly"), stream=True))
        assert len(slow) > 8
        small = list(client.chat.completions.create(model="gpt-4o", messages=ask("stream in chunks"), stream=True))
        text = "".join(choice.delta.content or "" for chunk in small for choice in chunk.choices)
        assert text.endswith("öäü and 日本語 included.")
        broken = client.chat.completions.create(model="gpt-4o", messages=ask("stream and break off"), stream=True)
        with pytest.raises(openai.APIConnectionError):
            list(broken)


def test_npm_openai_sdk(aimock: Upstream) -> None:
    script = """
    import OpenAI from 'openai';
    const client = new OpenAI({ baseURL: process.env.BASE, apiKey: 'sk-test', maxRetries: 0 });
    const reply = await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello' }] });
    console.log(reply.usage.prompt_tokens);
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        cwd=npm_folder(),
        env={**os.environ, "BASE": aimock.openai},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "1234"


# llmock: its options.


def test_llmock_limits_requests_per_minute() -> None:
    with upstreams.llmock("--rpm", "2") as upstream, openai_client(upstream) as client:
        for _ in range(2):
            client.chat.completions.create(model="gpt-4o", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert int(raised.value.response.headers["retry-after"]) > 0


def test_llmock_truncates_streams() -> None:
    with upstreams.llmock("--stream-fault", "truncate=1") as upstream, openai_client(upstream) as client:
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
        assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)


# The real model.


def test_real_model_answers_and_counts(real_model: Upstream) -> None:
    with openai_client(real_model) as client:
        question = ask("Name three fruits, please, and nothing else at all.")
        # Not sampled, or an answer may end before its limit.
        first = client.chat.completions.create(model=MODEL_ID, messages=question, max_tokens=8, temperature=0)
        assert first.usage.completion_tokens == 8
        again = client.chat.completions.create(model=MODEL_ID, messages=question, max_tokens=8, temperature=0)
        assert again.usage.prompt_tokens_details.cached_tokens > 0
        chunks = list(
            client.chat.completions.create(
                model=MODEL_ID,
                messages=question,
                max_tokens=8,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert chunks[-1].usage.completion_tokens == 8
    with anthropic_client(real_model) as client:
        greedy = {"temperature": 0}
        reply = client.messages.create(model=MODEL_ID, max_tokens=4, messages=HELLO, extra_body=greedy)
        assert reply.usage.output_tokens == 4


# Our own, asked by the SDKs.


def test_faulty_answers_the_sdks(faulty: FaultUpstream) -> None:
    with openai_client(faulty) as client:
        reply = client.chat.completions.create(model="ok", messages=HELLO)
        assert (reply.choices[0].message.content, reply.usage.prompt_tokens) == (text_of(), 1234)
        told = ask("((chunks=30 input=10 output=7))")
        chunks = list(
            client.chat.completions.create(
                model="ok", messages=told, stream=True, stream_options={"include_usage": True}
            )
        )
        assert len(chunks) == 33
        assert chunks[-1].usage.total_tokens == 17
        reply = client.chat.completions.create(model="fault-usage-reasoning", messages=HELLO)
        assert reply.usage.completion_tokens_details.reasoning_tokens == 1024
    with anthropic_client(faulty) as client:
        usage = client.messages.create(model="fault-usage-cache-write", max_tokens=9, messages=HELLO).usage
        assert (usage.cache_creation.ephemeral_5m_input_tokens, usage.cache_creation.ephemeral_1h_input_tokens) == (
            148,
            100,
        )
        with client.messages.stream(model="fault-usage-cached", max_tokens=9, messages=HELLO) as stream:
            last = stream.get_final_message()
        assert (last.content[0].text, last.usage.cache_read_input_tokens) == (text_of(), 1920)
    with gemini_client(faulty) as client:
        usage = client.models.generate_content(model="fault-usage-reasoning", contents="Hello").usage_metadata
        assert (usage.thoughts_token_count, usage.total_token_count) == (1024, 1261)
        chunks = list(client.models.generate_content_stream(model="fault-usage-cached", contents="Hello"))
        assert "".join(chunk.text for chunk in chunks) == text_of()
        assert chunks[-1].usage_metadata.cached_content_token_count == 1920


def test_faulty_fails_with_the_sdks_own_errors(faulty: FaultUpstream) -> None:
    with openai_client(faulty) as client:
        with pytest.raises(openai.RateLimitError) as limited:
            client.chat.completions.create(model="fault-status-429", messages=HELLO)
        assert limited.value.response.headers["retry-after"] == "1"
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="fault-reset-0", messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="no such behaviour"):
            client.chat.completions.create(model="fault-nonsense", messages=HELLO)
        with pytest.raises(openai.APIError, match="mid-stream"):
            list(client.chat.completions.create(model="fault-error-frame-mid", messages=HELLO, stream=True))
    with anthropic_client(faulty) as client, pytest.raises(anthropic.InternalServerError):
        client.messages.create(model="fault-status-529", max_tokens=9, messages=HELLO)


def test_faulty_follows_a_program(faulty: FaultUpstream) -> None:
    faulty.program("fault-status-500", "ok chunks=2")
    with openai_client(faulty) as client:
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="gpt-5.1", messages=HELLO)
        assert client.chat.completions.create(model="gpt-5.1", messages=HELLO).choices[0].message.content == text_of(2)
        assert client.chat.completions.create(model="gpt-5.1", messages=HELLO).choices[0].message.content == text_of()
    assert [entry["behaviour"] for entry in faulty.ended(3)] == ["status-500", "ok", "ok"]


@pytest.mark.parametrize("model", ["fault-hang-mid", "ok"])
def test_faulty_sees_the_caller_go(faulty: FaultUpstream, model: str) -> None:
    """The stream stands still, or goes on slowly: closing it is seen at once."""
    with openai_client(faulty) as client:
        stream = client.chat.completions.create(model=model, messages=ask("((chunk_ms=100 chunks=50))"), stream=True)
        next(iter(stream))
        stream.close()
    entry = faulty.ended(model=model)[0]
    assert entry["client_closed_early"]
    assert entry["frames_sent"] < entry["frames_total"]


def test_faulty_sees_an_impatient_caller(faulty: FaultUpstream) -> None:
    with openai_client(faulty) as client, pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="fault-hang", messages=HELLO)
    assert faulty.ended(model="fault-hang")[0]["client_closed_early"]
