"""The official openai Python SDK against the running gateway, over three upstream dialects and two simulators."""

import asyncio
import json
from typing import Any

import openai
import pytest

from contract.bill import Bill
from contract.talk import AIMOCK, LLMOCK, PERSON, WEATHER, Person, ask, async_client, heard, helped, llmock_reports
from support.fault_answers import text_of
from support.gateway import Gateway
from support.upstreams import FaultUpstream, Upstream

pytestmark = pytest.mark.servers

HELLO = "Hello from the simulator: one plain answer, its usage fixed by the fixture."
UPSTREAMS = [("aimock", dialect) for dialect in AIMOCK] + [("llmock", dialect) for dialect in LLMOCK]
every_upstream = pytest.mark.parametrize(("simulator", "dialect"), UPSTREAMS, ids=[f"{s}-{d}" for s, d in UPSTREAMS])
every_dialect = pytest.mark.parametrize("dialect", list(AIMOCK))


def model_of(simulator: str, dialect: str) -> str:
    return (AIMOCK if simulator == "aimock" else LLMOCK)[dialect]


def hello_usage(simulator: str, dialect: str, llmock: Upstream) -> dict[str, int]:
    """What the simulator reports for `Hello`."""
    prompt, completion = (1234, 567) if simulator == "aimock" else llmock_reports(llmock, dialect, "Hello")
    return {"input": prompt, "output": completion}


@every_upstream
def test_plain(house: Gateway, sdk: openai.OpenAI, llmock: Upstream, simulator: str, dialect: str) -> None:
    reported, model = hello_usage(simulator, dialect, llmock), model_of(simulator, dialect)
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(model=model, messages=ask("Hello"))
    assert reply.object == "chat.completion"
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    assert simulator != "aimock" or reply.choices[0].message.content == HELLO
    receipt = bill.agrees(reply, **reported)
    assert (receipt["status"], receipt["streamed"], receipt["model_asked"]) == ("ok", False, model)
    assert [one["reason"] for one in receipt["receipt"]["attempts"]] == ["ok"]


@every_upstream
def test_stream(house: Gateway, sdk: openai.OpenAI, llmock: Upstream, simulator: str, dialect: str) -> None:
    """The loop of every tutorial: it reads `choices[0]` of each chunk, the one with the usage too."""
    with Bill(house) as bill:
        text, last = heard(
            sdk.chat.completions.create(model=model_of(simulator, dialect), messages=ask("Hello"), stream=True)
        )
    assert text
    assert simulator != "aimock" or text == HELLO
    assert last.choices[0].finish_reason == "stop"
    assert bill.agrees(last, **hello_usage(simulator, dialect, llmock))["streamed"]


@every_upstream
def test_stream_with_include_usage(
    house: Gateway, sdk: openai.OpenAI, llmock: Upstream, simulator: str, dialect: str
) -> None:
    """OpenAI's shape when asked for: one more chunk, without choices, has the usage; no other has any."""
    with Bill(house) as bill:
        chunks = list(
            sdk.chat.completions.create(
                model=model_of(simulator, dialect),
                messages=ask("Hello"),
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    *before, last = chunks
    assert last.choices == []
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in before)
    assert len({chunk.id for chunk in chunks}) == 1
    assert before[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in before if c.choices[0].finish_reason] == ["stop"]
    bill.agrees(last, **hello_usage(simulator, dialect, llmock))


@every_dialect
def test_stream_helper(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    """`client.chat.completions.stream` puts the chunks together itself."""
    with Bill(house) as bill:
        whole, last = helped(sdk.chat.completions.stream(model=AIMOCK[dialect], messages=ask("Hello")))
    assert whole.choices[0].message.content == HELLO
    assert whole.usage.total_tokens == 1801
    bill.agrees(last, input=1234, output=567)


@every_dialect
def test_small_chunks_of_many_languages_arrive_whole(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        text, last = heard(
            sdk.chat.completions.create(model=AIMOCK[dialect], messages=ask("stream in chunks"), stream=True)
        )
    assert text == "Many small chunks make one answer, öäü and 日本語 included."
    bill.agrees(last, input=16, output=24)


@every_dialect
@pytest.mark.parametrize("shape", ["crlf", "comments", "coalesced", "split-7", "split-1"])
def test_a_stream_of_any_shape(
    house: Gateway, sdk: openai.OpenAI, faulty: FaultUpstream, dialect: str, shape: str
) -> None:
    """Line ends, comments, many events in a packet or one in many: the SDK hears the same."""
    faulty.program(f"fault-{shape}")
    with Bill(house) as bill:
        text, last = heard(sdk.chat.completions.create(model=f"fault-{dialect}/ok", messages=ask("hi"), stream=True))
    assert text == text_of()
    bill.agrees(last, input=1234, output=567)


def test_async(house: Gateway) -> None:
    """Plain and streamed calls of all dialects at once, on one connection pool."""

    async def scenario() -> None:
        async with async_client(house) as client:

            async def plain(model: str) -> int:
                reply = await client.chat.completions.create(model=model, messages=ask("Hello"))
                assert reply.choices[0].message.content == HELLO
                return reply.usage.total_tokens

            async def streamed(model: str) -> int:
                text, last = "", None
                async for chunk in await client.chat.completions.create(
                    model=model, messages=ask("Hello"), stream=True
                ):
                    text, last = text + (chunk.choices[0].delta.content or ""), chunk
                assert text == HELLO
                return last.usage.total_tokens

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(model)) for one in (plain, streamed) for model in AIMOCK.values()]
            assert [task.result() for task in tasks] == [1801] * 6
            async with client.chat.completions.stream(model=AIMOCK["gemini"], messages=ask("Hello")) as stream:
                assert (await stream.get_final_completion()).choices[0].message.content == HELLO

    asyncio.run(scenario())


# Tools.


def loop(sdk: openai.OpenAI, model: str, question: str, *, stream: bool) -> tuple[list[Any], Any]:
    """(the tool calls, the answer after them) of one round of a tool loop, as an application runs it."""
    messages: list[Any] = ask(question)
    calls: list[Any]
    if stream:
        first, _ = helped(sdk.chat.completions.stream(model=model, messages=messages, tools=[WEATHER]))
    else:
        first = sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    calls = list(first.choices[0].message.tool_calls)
    # `parsed` and the like are the helper's own; the wire takes what the model said.
    said = first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in said["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    messages.append(said)
    messages += [{"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'} for call in calls]
    return calls, sdk.chat.completions.create(model=model, messages=messages, tools=[WEATHER])


@every_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_loop_to_its_end(house: Gateway, sdk: openai.OpenAI, dialect: str, stream: bool) -> None:
    calls, answer = loop(sdk, AIMOCK[dialect], "weather in Paris", stream=stream)
    assert [(call.type, call.function.name) for call in calls] == [("function", "get_weather")]
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}
    assert answer.choices[0].message.content == "It is 21 degrees in Paris."
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (120, 11)


@every_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parallel_tool_calls(house: Gateway, sdk: openai.OpenAI, dialect: str, stream: bool) -> None:
    ask_it = {"model": AIMOCK[dialect], "messages": ask("weather in two cities"), "tools": [WEATHER]}
    with Bill(house) as bill:
        if stream:
            reply, last = helped(sdk.chat.completions.stream(**ask_it))
        else:
            reply = last = sdk.chat.completions.create(**ask_it)
    calls = reply.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    assert len({call.id for call in calls}) == 2
    assert reply.choices[0].finish_reason == "tool_calls"
    bill.agrees(last, input=82, output=34)


@every_dialect
def test_text_beside_a_tool_call(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=AIMOCK[dialect], messages=ask("say it and look it up"), tools=[WEATHER]
        )
    assert reply.choices[0].message.content == "Let me look."
    assert json.loads(reply.choices[0].message.tool_calls[0].function.arguments) == {"city": "Rome"}
    bill.agrees(reply, input=81, output=22)


@pytest.mark.parametrize("dialect", list(LLMOCK))
def test_a_tool_loop_at_the_other_simulator(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        calls, answer = loop(sdk, LLMOCK[dialect], "weather in Paris", stream=dialect == "openai")
    assert json.loads(calls[0].function.arguments) == {"city": "mock-city"}
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls
    assert bill.spent() > 0


# Structured output.


@every_dialect
def test_structured_output(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=AIMOCK[dialect], messages=ask("Answer as JSON"), response_format=PERSON
        )
    assert json.loads(reply.choices[0].message.content) == {"name": "John", "age": 30}
    bill.agrees(reply, input=40, output=12)


@every_dialect
def test_parse_with_a_pydantic_model(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.parse(
            model=AIMOCK[dialect], messages=ask("Answer as JSON"), response_format=Person
        )
    assert reply.choices[0].message.parsed == Person(name="John", age=30)
    bill.agrees(reply, input=40, output=12)
    with sdk.chat.completions.stream(
        model=AIMOCK[dialect], messages=ask("Answer as JSON"), response_format=Person
    ) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="John", age=30)


def test_parse_at_the_other_simulator(sdk: openai.OpenAI) -> None:
    for dialect in ("openai", "gemini"):
        reply = sdk.chat.completions.parse(model=LLMOCK[dialect], messages=ask("Who?"), response_format=Person)
        assert isinstance(reply.choices[0].message.parsed, Person)


# What else an answer can be.


@every_dialect
def test_thinking_is_shown_beside_the_answer(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(model=AIMOCK[dialect], messages=ask("Think first"))
    assert reply.choices[0].message.content == "Thought through."
    if dialect != "openai":
        # OpenAI itself shows no thinking, and neither does the simulator in its name.
        thought = "The caller wants to see some thinking before the answer."
        assert reply.choices[0].message.reasoning_content == thought
    bill.agrees(reply, input=20, output=30)


@every_dialect
def test_an_answer_that_hits_its_limit(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=AIMOCK[dialect], messages=ask("Cut short by the token limit"), max_completion_tokens=5
        )
    assert reply.choices[0].finish_reason == "length"
    bill.agrees(reply, input=9, output=5)
