"""A real model behind the gateway: real tokens, a real cache, real streaming; llama.cpp's own timings check the usage."""

import json
import time
from typing import Any

import openai
import pytest

from contract.bill import Bill
from contract.talk import LOCAL, PERSON, Person, ask, heard
from support.gateway import Gateway

pytestmark = pytest.mark.servers


def counted(reply: Any) -> dict[str, int]:
    """What llama.cpp itself says that it read and wrote: it is beside the usage, and travels through untouched."""
    timings = reply.timings
    return {"input": timings["prompt_n"], "cache_read": timings["cache_n"], "output": timings["predicted_n"]}


def test_real_tokens_and_a_real_cache(house: Gateway, sdk: openai.OpenAI) -> None:
    """The same prompt again comes from the model's cache, and costs a quarter."""
    question = ask("Which of these fruits is yellow: an apple, a banana, or a plum? Answer in one word, please.")
    costs = []
    for _ in range(2):
        with Bill(house) as bill:
            reply = sdk.chat.completions.create(model=LOCAL, messages=question, max_tokens=8, temperature=0)
        receipt = bill.agrees(reply, **counted(reply))
        costs.append(receipt["charge_usd"])
    assert reply.usage.completion_tokens <= 8
    assert reply.choices[0].message.content
    assert reply.usage.prompt_tokens_details.cached_tokens > 20
    assert receipt["usage"]["cached_tokens"] == reply.usage.prompt_tokens_details.cached_tokens
    assert float(costs[1]) < float(costs[0])


@pytest.mark.parametrize("include_usage", [False, True])
def test_real_streaming(house: Gateway, sdk: openai.OpenAI, include_usage: bool) -> None:
    """Tokens arrive one by one as they are made: the first long before the last."""
    more: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    arrivals, text, last = [], "", None
    with Bill(house) as bill:
        for chunk in sdk.chat.completions.create(
            model=LOCAL, messages=ask("Count to ten."), max_tokens=24, temperature=0, stream=True, **more
        ):
            arrivals.append(time.monotonic())
            for choice in chunk.choices:
                text += choice.delta.content or ""
            last = chunk
    assert text
    assert len(arrivals) > 10
    assert arrivals[-2] - arrivals[1] > 0.05
    usage = last.usage
    cached = usage.prompt_tokens_details.cached_tokens
    receipt = bill.agrees(last, input=usage.prompt_tokens - cached, cache_read=cached, output=usage.completion_tokens)
    assert receipt["finish_reason"] in {"stop", "length"}
    assert receipt["ttft_ms"] < receipt["latency_ms"]


def test_a_schema_binds_the_real_model(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=LOCAL,
            messages=ask("John is thirty years old. Who is he?"),
            response_format=PERSON,
            max_tokens=60,
            temperature=0,
        )
    assert set(json.loads(reply.choices[0].message.content)) == {"name", "age"}
    bill.agrees(reply, **counted(reply))
    parsed = sdk.chat.completions.parse(
        model=LOCAL, messages=ask("Mary is forty."), response_format=Person, max_tokens=60, temperature=0
    )
    assert isinstance(parsed.choices[0].message.parsed, Person)


def test_logprobs(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=LOCAL, messages=ask("Say yes."), logprobs=True, top_logprobs=2, max_tokens=3, temperature=0
        )
    content = reply.choices[0].logprobs.content
    assert len(content) == reply.usage.completion_tokens
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in content)
    assert "".join(token.token for token in content).startswith(reply.choices[0].message.content[:2])
    bill.agrees(reply, **counted(reply))


def test_two_answers_of_one_prompt(house: Gateway, sdk: openai.OpenAI) -> None:
    """`n`: the hold covers both; what is charged is what was reported, and llama.cpp counts only one of them."""
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(model=LOCAL, messages=ask("Name a fruit."), n=2, max_tokens=4)
    assert [choice.index for choice in sorted(reply.choices, key=lambda one: one.index)] == [0, 1]
    cached = reply.usage.prompt_tokens_details.cached_tokens
    receipt = bill.agrees(
        reply,
        input=reply.usage.prompt_tokens - cached,
        cache_read=cached,
        output=reply.usage.completion_tokens,
    )
    assert receipt["receipt"]["output_bound_tokens"] == 8


def test_stop_and_max_tokens(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model=LOCAL, messages=ask("Count: one, two, three, four, five"), stop=[" "], max_tokens=20, temperature=0
        )
    assert " " not in reply.choices[0].message.content.strip()
    assert reply.choices[0].finish_reason == "stop"
    bill.agrees(reply, **counted(reply))
    cut = sdk.chat.completions.create(
        model=LOCAL, messages=ask("Tell me a long story."), max_completion_tokens=5, temperature=0
    )
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 5)


def test_a_conversation(house: Gateway, sdk: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "system", "content": "You are terse."}, *ask("Say hello.")]
    for _ in range(2):
        with Bill(house) as bill:
            text, last = heard(
                sdk.chat.completions.create(model=LOCAL, messages=messages, max_tokens=6, temperature=0, stream=True)
            )
        cached = last.usage.prompt_tokens_details.cached_tokens
        bill.agrees(
            last,
            input=last.usage.prompt_tokens - cached,
            cache_read=cached,
            output=last.usage.completion_tokens,
        )
        messages += [{"role": "assistant", "content": text}, *ask("And again.")]
    assert cached > 10


def test_a_prompt_beyond_the_context_is_refused_before_it_costs(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill, pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model=LOCAL, messages=ask("word " * 20_000))
    assert raised.value.code == "context_length_exceeded"
    assert bill.spent() == 0
