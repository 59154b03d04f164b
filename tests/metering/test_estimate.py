"""Worst cases by hand: what goes in, what may come out, and who is refused."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.catalogue.offers import Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import CACHE_WRITE_1H, INPUT, INPUT_AUDIO, INPUT_IMAGE, OUTPUT, OUTPUT_AUDIO, OUTPUT_IMAGE
from tollway.errors import ContextLengthExceeded
from tollway.metering.estimate import InputBound, OutputBound, bound_input, bound_output
from tollway.metering.rating import worst_case
from tollway.metering.tokens import count, utf8_length
from tollway.metering.usage import UsageSource
from tollway.request import ChatRequest, Message

PROVIDER = Provider("acme", "Acme", WireSpec("openai", "https://api.acme.test/v1"), is_usable=True)


def ask(messages, *, ensure_ascii=False, model="acme/one", **fields) -> ChatRequest:
    raw = msgspec.json.decode(
        json.dumps({"messages": messages, **fields}, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass"),
        type=dict[str, msgspec.Raw],
    )
    known = Message.__struct_fields__
    read = tuple(Message(**{name: value for name, value in one.items() if name in known}) for one in messages)
    return ChatRequest(model=model, messages=read, fields=raw)


def user(content):
    return [{"role": "user", "content": content}]


def offer(context=0, most=0, tokenizer="o200k"):
    return Offer(
        "acme/one", "acme/one", PROVIDER, "one", context_tokens=context, max_output_tokens=most, tokenizer=tokenizer
    )


# -- input ------------------------------------------------------------------------------------------------------------


def test_one_message_exactly():
    # 7 tokens of text ("2 + 2 = 4"), 4 for the message, 3 to prime the reply.
    assert bound_input(ask(user("2 + 2 = 4")), "o200k") == InputBound(14, UsageSource.TOKENIZER, (), 7)


def test_two_messages_and_a_name():
    messages = [
        {"role": "system", "content": "お誕生日おめでとう"},  # 8 in o200k, 9 in cl100k
        {"role": "user", "name": "ann", "content": "antidisestablishmentarianism"},  # 6 in both, and 1 + 1 for the name
    ]
    name = count("ann", "o200k")[0]
    assert name == 1
    assert bound_input(ask(messages), "o200k").tokens == 8 + 6 + name + 1 + 2 * 4 + 3
    assert bound_input(ask(messages), "cl100k").tokens == 9 + 6 + name + 1 + 2 * 4 + 3


def test_without_a_vocabulary_the_estimate_is_1_35_times():
    bound = bound_input(ask(user("antidisestablishmentarianism, " * 10)), "")
    exact = count("antidisestablishmentarianism, " * 10, "o200k")[0]
    assert bound == InputBound(-(-exact * 135 // 100) + 4 + 3, UsageSource.HEURISTIC, (), exact)


def test_never_above_bytes_and_eight_per_message():
    # One byte of text: 1 token + 7 overhead would be 8, the hard bound is 1 + 8.
    assert bound_input(ask(user("a")), "o200k").tokens == 8
    # No text at all: overhead alone is 7, the hard bound 8.
    assert bound_input(ask(user("")), "o200k").tokens == 7
    many = [{"role": "user", "content": "\ue000"}] * 3  # private use: 3 bytes, one token per byte
    assert bound_input(ask(many), "").tokens <= 3 * 3 + 3 * 8


ROLES = st.sampled_from(["system", "user", "assistant"])
TURNS = st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=200)}), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(TURNS, st.sampled_from(["o200k", "cl100k", ""]), st.booleans())
def test_the_bound_lies_between_the_published_count_and_the_hard_bound(messages, tokenizer, ensure_ascii):
    bound = bound_input(ask(messages, ensure_ascii=ensure_ascii), tokenizer)
    vocabulary = tokenizer or "o200k"
    # num_tokens_from_messages of the cookbook: 3 per message, its role, its content, 3 at the end.
    published = sum(3 + 1 + count(one["content"], vocabulary)[0] for one in messages) + 3
    hard = sum(utf8_length(one["content"]) + 8 for one in messages)
    assert bound.least <= published - 3
    assert published <= bound.tokens or bound.tokens == hard
    # JSON escapes of control characters may look like members that nobody read; what they say is counted at most twice.
    assert bound.tokens <= hard


def test_tools_and_schemas_count():
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    plain = bound_input(ask(user("hello there, friend")), "o200k")
    tooled = bound_input(ask(user("hello there, friend"), tools=[tool, tool]), "o200k")
    raw = json.dumps([tool, tool], ensure_ascii=False)
    assert tooled.tokens == plain.tokens + count(raw, "o200k")[0] + 12 + 2 * 12
    assert tooled.least == plain.least
    schema = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "description": "long " * 50}},
    }
    assert bound_input(ask(user("hello"), response_format=schema), "o200k").tokens > 50


def test_escaped_tools_do_not_count_six_times():
    tool = [{"type": "function", "function": {"name": "f", "description": "字" * 200}}]
    plain = bound_input(ask(user("x"), tools=tool), "o200k").tokens
    escaped = bound_input(ask(user("x"), tools=tool, ensure_ascii=True), "o200k").tokens
    assert abs(plain - escaped) < 20


def test_tool_calls_and_results_count():
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"San Francisco"}'},
    }
    messages = [
        *user("weather?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    parts = ["weather?", "call_1", "function", "get_weather", '{"city":"San Francisco"}', "call_1", "sunny"]
    assert bound_input(ask(messages), "o200k").tokens == sum(count(one, "o200k")[0] for one in parts) + 8 + 3 * 4 + 3


def test_sampling_parameters_are_free_and_unknown_fields_are_not():
    plain = bound_input(ask(user("hello")), "o200k")
    assert (
        bound_input(ask(user("hello"), temperature=0.5, logit_bias={"1": 1} | {str(n): 5 for n in range(500)}), "o200k")
        == plain
    )
    assert bound_input(ask(user("hello"), documents=["word " * 100]), "o200k").tokens >= plain.tokens + 100


def test_members_that_we_do_not_read_count():
    thinking = "first I think about it, " * 40
    messages = [*user("hi"), {"role": "assistant", "content": "yes", "reasoning_content": thinking}]
    assert bound_input(ask(messages), "o200k").tokens >= count(thinking, "o200k")[0]
    assert bound_input(ask(messages), "o200k").least < 10


# -- media ------------------------------------------------------------------------------------------------------------


def image(detail=None):
    inner = {"url": "https://pictures.test/cat.png"} | ({"detail": detail} if detail else {})
    return {"type": "image_url", "image_url": inner}


@pytest.mark.parametrize(
    ("detail", "tokenizer", "model", "tokens"),
    [
        ("low", "o200k", "acme/one", 700),
        ("high", "o200k", "acme/one", 4_096),
        ("auto", "o200k", "acme/one", 16_384),
        (None, "o200k", "acme/one", 16_384),
        ("low", "", "acme/one", 4_800),
        (None, "", "acme/one", 4_800),
        ("low", "o200k", "openai/gpt-4o-mini", 2_833),
        ("high", "o200k", "openai/gpt-4o-mini", 48_169),
    ],
)
def test_an_image_has_a_fixed_bound(detail, tokenizer, model, tokens):
    messages = user([{"type": "text", "text": "2 + 2 = 4"}, image(detail), image(detail)])
    bound = bound_input(ask(messages, model=model), tokenizer)
    text = 7 if tokenizer else 10
    assert bound.tokens == min(text + 4 + 3 + 3, len("2 + 2 = 4") + 8) + 2 * tokens
    assert bound.extra_units == (INPUT_IMAGE,)
    assert bound.least == 7


def test_audio_is_bounded_by_its_bytes():
    # 30 kB of base64 are 22,500 bytes: at 1 kB/s 22.5 s x 32, at 8 kB/s (wav) 2.8 s x 32; one second more either way.
    part = {"type": "input_audio", "input_audio": {"data": "A" * 30_000, "format": "mp3"}}
    assert bound_input(ask(user([part])), "o200k").tokens == 8 + 720 + 32
    part["input_audio"]["format"] = "wav"
    bound = bound_input(ask(user([part])), "o200k")
    assert bound.tokens == 8 + 90 + 32
    assert bound.extra_units == (INPUT_AUDIO,)


def test_a_file_is_bounded_by_its_bytes():
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 39_972, "filename": "a.pdf"}}
    assert bound_input(ask(user([part])), "").tokens == 8 + 8_192 + 30_000
    held = {"type": "file", "file": {"file_id": "file-1"}}
    assert bound_input(ask(user([held])), "").tokens == 8 + 100_000


def test_media_do_not_look_like_text_that_nobody_read():
    part = {"type": "input_audio", "input_audio": {"data": "QUJD" * 40_000, "format": "wav"}}
    assert bound_input(ask(user([part])), "o200k").tokens < 1_000


def test_an_unknown_part_counts_as_text():
    part = {"type": "hologram", "hologram": {"notes": "word " * 100}}
    assert bound_input(ask(user([part])), "o200k").tokens >= 100


def test_extra_units_follow_from_the_request():
    cached = user([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
    assert bound_input(ask(cached), "").extra_units == (CACHE_WRITE_1H,)
    five = user([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "5m"}}])
    assert bound_input(ask(five), "").extra_units == ()
    assert bound_input(ask(user('say "1h" and "cache_control"')), "").extra_units == ()
    assert bound_input(ask(user("x"), tools=[{"cache_control": {"ttl": "1h"}}]), "").extra_units == (CACHE_WRITE_1H,)
    assert bound_input(ask(user("x"), modalities=["text", "audio"]), "").extra_units == (OUTPUT_AUDIO,)
    assert bound_input(ask(user("x"), modalities=["image"]), "").extra_units == (OUTPUT_IMAGE,)


def test_a_provider_takes_no_more_than_its_context():
    held = {"type": "file", "file": {"file_id": "file-1"}}
    assert bound_input(ask(user([held])), "", 32_000).tokens == 32_000
    assert bound_input(ask(user("2 + 2 = 4")), "o200k", 5).tokens == 7  # what is certain stays, to be refused


def test_a_long_prompt_is_not_tokenized_whole():
    text = "The gateway meters every call against a catalogue. " * 4_000
    bound = bound_input(ask(user(text)), "o200k")
    exact = count(text, "o200k")[0]
    assert bound.source is UsageSource.HEURISTIC
    assert bound.least <= exact <= bound.tokens < exact * 1.5


# -- output -----------------------------------------------------------------------------------------------------------


def out(max_tokens, where, tokens, *, stream=False, **more):
    return bound_output(max_tokens, where, tokens, default_max_output=4_096, rolling_step=2_048, stream=stream, **more)


def test_the_vector_of_r6():
    # 1234 in, at most 4096 out, $3 / $15 per million, +10 %: held 71,656,200 nano-USD.
    prices = PriceList("acme/one@2026-01-01", 0, {INPUT: 3_000_000, OUTPUT: 15_000_000})
    bound = out(4_096, offer(context=200_000, most=64_000), 1_234)
    assert bound == OutputBound(4_096, 4_096, is_rolling=False)
    assert worst_case(prices, 1_000, input_tokens=1_234, output_tokens=bound.hold_tokens) == 71_656_200


@pytest.mark.parametrize("stream", [False, True])
def test_a_named_bound_is_held_and_sent(stream):
    assert out(100, offer(), 10, stream=stream) == OutputBound(100, 100, is_rolling=False)
    assert out(100, offer(), 10, stream=stream, choices=3) == OutputBound(300, 100, is_rolling=False)
    assert out(99_999, offer(most=8_000), 10, stream=stream) == OutputBound(8_000, 8_000, is_rolling=False)
    assert out(8_000, offer(context=10_000), 4_000, stream=stream, least_input=4_000) == OutputBound(
        6_000, 6_000, is_rolling=False
    )


def test_a_stream_without_a_bound_rolls():
    assert out(None, offer(context=128_000, most=64_000), 500, stream=True) == OutputBound(2_048, None, is_rolling=True)
    assert out(None, offer(), 500, stream=True, choices=2) == OutputBound(4_096, None, is_rolling=True)
    # A model that cannot write more than one step needs no rolling: it is held and bounded at once.
    assert out(None, offer(most=1_024), 500, stream=True) == OutputBound(1_024, 1_024, is_rolling=False)
    assert out(None, offer(most=2_048), 500, stream=True) == OutputBound(2_048, 2_048, is_rolling=False)


def test_a_whole_answer_without_a_bound_gets_the_default():
    assert out(None, offer(most=64_000), 500) == OutputBound(4_096, 4_096, is_rolling=False)
    assert out(None, offer(most=1_000), 500) == OutputBound(1_000, 1_000, is_rolling=False)
    assert out(None, offer(), 500, choices=2) == OutputBound(8_192, 4_096, is_rolling=False)
    # The default fits beside the longest input it may be; 8,000 - 6,750 = 1,250.
    assert out(None, offer(context=8_000), 6_750) == OutputBound(1_250, 1_250, is_rolling=False)


def test_context_exceeded_only_by_what_is_certain():
    with pytest.raises(ContextLengthExceeded) as refused:
        out(100, offer(context=1_000), 1_000, least_input=1_000)
    assert refused.value.details == {"context_tokens": 1_000, "prompt_tokens": 1_000}
    assert refused.value.param == "messages"
    # An estimate of 1,349 says 999 at least: one token fits. One of 1,350 says 1,000.
    assert out(100, offer(context=1_000), 1_349) == OutputBound(1, 1, is_rolling=False)
    with pytest.raises(ContextLengthExceeded):
        out(100, offer(context=1_000), 1_350)
    # Media and overhead refuse nobody: the least is text alone.
    assert out(100, offer(context=1_000), 20_000, least_input=7) == OutputBound(100, 100, is_rolling=False)


def test_no_context_known_refuses_nobody():
    assert out(None, offer(), 10_000_000).hold_tokens == 4_096


def test_cut_to_what_a_wallet_affords():
    rolling = out(None, offer(), 500, stream=True, choices=2)
    assert rolling.cut_to(600, 300) == OutputBound(600, 300, is_rolling=False)
