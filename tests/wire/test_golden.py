"""Every dialect over its golden files: request, whole answer, stream, usage, errors; whole and cut at random places.

A case is a JSON file with what a client `asked`, what is `sent` for it, the provider's whole `reply`, the `choices` and
`usage` that come of it; a `.sse` file of the same name is the same answer, streamed. The upstream shapes are checked against the
vendors' own SDKs, ours against the official OpenAI SDK.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types as genai
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from tollway.jsontypes import JSONObject
from tollway.metering.extract import extract
from tollway.metering.sse import EventReader
from tollway.providers.anthropic import AnthropicDialect
from tollway.providers.dialect import Dialect, Translator
from tollway.providers.gemini import GeminiDialect
from tollway.providers.openai import OpenAIDialect
from tollway.routing.failure import FailureKind, UpstreamError
from wire import golden

DIALECTS: dict[str, Dialect] = {"anthropic": AnthropicDialect(), "gemini": GeminiDialect(), "openai": OpenAIDialect()}
SPECS = {"anthropic": golden.ANTHROPIC, "gemini": golden.GEMINI, "openai": golden.OPENAI}
TRANSLATING = ("anthropic", "gemini")
MESSAGES_REQUEST = TypeAdapter[MessageCreateParamsNonStreaming](MessageCreateParamsNonStreaming)
MESSAGES_EVENT = TypeAdapter[RawMessageStreamEvent](RawMessageStreamEvent)
ANSWER_ID = "01997f3a-5c1e-7b44-9d2e-8a6f0c1b2d3e"
SHOWN = ("acme/model", ANSWER_ID, 1_763_942_400)

FILES = sorted(golden.HERE.glob("*/*.json"))
CASES: dict[str, dict[str, Any]] = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in FILES}
STREAMS = {f"{path.parent.name}/{path.stem}": path.read_bytes() for path in sorted(golden.HERE.glob("*/*.sse"))}


def having(*names: str, dialects: Iterable[str] = DIALECTS) -> list[str]:
    return [
        name for name, case in CASES.items() if name.split("/")[0] in dialects and all(part in case for part in names)
    ]


def dialect_of(name: str) -> Dialect:
    return DIALECTS[name.split("/", maxsplit=1)[0]]


def counts(name: str, document: JSONObject | None) -> dict[str, int] | None:
    usage = None if document is None else extract(SPECS[name.split("/", maxsplit=1)[0]], document)
    if usage is None:
        return None
    assert usage.warnings == ()
    return {unit: number for unit, number in usage.counts.items() if number}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *edges], [*edges, len(data)], strict=True)]


def played(name: str, pieces: Iterable[bytes]) -> tuple[list[JSONObject], Translator]:
    translator, reader, chunks = dialect_of(name).stream(*SHOWN), EventReader(), list[JSONObject]()
    for piece in pieces:
        for event in reader.feed(piece):
            chunks += translator.event(event)
    for event in reader.finish():
        chunks += translator.event(event)
    return chunks, translator


def collected(chunks: list[JSONObject]) -> list[dict[str, Any]]:
    """The choices that a client puts together from chunks, fields nobody said left out."""
    found = dict[int, dict[str, Any]]()
    for chunk in chunks:
        for said in json.loads(json.dumps(chunk))["choices"]:
            choice = found.setdefault(said["index"], {"index": said["index"], "message": {}})
            choice["finish_reason"] = said.get("finish_reason") or choice.get("finish_reason")
            if said.get("logprobs"):
                choice.setdefault("logprobs", []).extend(said["logprobs"]["content"])
            message = choice["message"]
            for name, value in said["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        calls = message.setdefault(name, [])
                        if call["index"] == len(calls):
                            calls.append({"function": {"arguments": ""}})
                        mine = calls[call["index"]]
                        function = call.get("function", {})
                        mine["function"] |= {"name": function["name"]} if "name" in function else {}
                        mine["function"]["arguments"] += function.get("arguments", "")
                        mine |= {key: call[key] for key in ("id", "type", "extra_content") if key in call}
                elif name in {"content", "reasoning_content", "refusal"}:
                    message[name] = message.get(name, "") + (value or "")
                elif isinstance(value, list):
                    message.setdefault(name, []).extend(value)
                else:
                    message[name] = value
    return [plain(choice) for _, choice in sorted(found.items())]


def plain(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice without empty fields, its arguments parsed and log probabilities as a list."""
    message = {
        name: value for name, value in choice["message"].items() if value and name not in {"annotations", "audio"}
    }
    for call in (calls := [dict(call) for call in message.get("tool_calls", [])]):
        call["function"] = {**call["function"], "arguments": json.loads(call["function"]["arguments"])}
    if calls:
        message["tool_calls"] = calls
    logprobs = choice.get("logprobs")
    logprobs = logprobs["content"] if isinstance(logprobs, dict) else logprobs
    found = {"index": choice["index"], "message": message, "finish_reason": choice["finish_reason"]}
    return {**found, "logprobs": logprobs} if logprobs else found


@pytest.mark.parametrize("name", having("sent"))
def test_the_request(name: str) -> None:
    case = CASES[name]
    outgoing = dialect_of(name).request(golden.chat(case["asked"]), golden.offer(case["upstream_id"]), None)
    assert outgoing.url == case["sent"]["url"]
    assert json.loads(outgoing.body) == case["sent"]["body"]
    assert outgoing.headers["x-api-key"] == "key-of-ours"
    assert outgoing.headers["content-type"] == "application/json"
    assert "key-of-ours" not in outgoing.url + repr(outgoing)


@pytest.mark.parametrize("name", having("asked", "sent", dialects=["anthropic"]))
def test_a_streamed_request(name: str) -> None:
    case = CASES[name]
    outgoing = dialect_of(name).request(
        golden.chat({**case["asked"], "stream": True}), golden.offer(case["upstream_id"]), 1500
    )
    assert json.loads(outgoing.body)["stream"] is True
    assert json.loads(outgoing.body)["max_tokens"] == 1500


@pytest.mark.parametrize("name", having("reply", "choices", dialects=TRANSLATING))
def test_the_whole_answer(name: str) -> None:
    answer = dialect_of(name).reply(CASES[name]["reply"], *SHOWN)
    assert answer["choices"] == CASES[name]["choices"]
    assert (answer["model"], answer["id"], answer["created"], answer["object"]) == (*SHOWN, "chat.completion")
    assert "usage" not in answer
    ChatCompletion.model_validate(answer, strict=False)


@pytest.mark.parametrize("name", having("reply", dialects=["openai"]))
def test_the_identity_answer(name: str) -> None:
    body = CASES[name]["reply"]
    assert DIALECTS["openai"].reply(dict(body), *SHOWN) == body
    ChatCompletion.model_validate(body)


@pytest.mark.parametrize("name", having("reply", "usage"))
def test_the_usage_of_the_whole_answer(name: str) -> None:
    assert counts(name, dialect_of(name).usage(CASES[name]["reply"])) == CASES[name]["usage"]


@pytest.mark.parametrize("name", sorted(STREAMS.keys() - having("failure")))
def test_the_stream_says_what_the_whole_answer_says(name: str) -> None:
    chunks, translator = played(name, [STREAMS[name]])
    case = CASES[name]
    choices = case["choices"] if "choices" in case else case["reply"]["choices"]
    assert collected(chunks) == [plain(choice) for choice in choices]
    assert translator.is_done
    assert counts(name, translator.usage) == case["usage"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert not chunk.get("usage")


@pytest.mark.parametrize("name", sorted(STREAMS.keys() - having("failure")))
def test_the_official_sdk_puts_the_stream_together(name: str) -> None:
    state = ChatCompletionStreamState()
    for chunk in played(name, [STREAMS[name]])[0]:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    case = CASES[name]
    choices = case["choices"] if "choices" in case else case["reply"]["choices"]
    for seen, choice in zip(state.current_completion_snapshot.choices, choices, strict=True):
        expected = plain(choice)["message"]
        assert (seen.message.content or None) == expected.get("content")
        assert (seen.message.refusal or None) == expected.get("refusal")
        assert seen.finish_reason == choice["finish_reason"]
        calls = [
            (call.id, call.function.name, json.loads(call.function.arguments)) for call in seen.message.tool_calls or []
        ]
        assert calls == [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in expected.get("tool_calls", [])
        ]


_WHOLE = {name: played(name, [data])[0] for name, data in STREAMS.items() if name not in having("failure")}


@pytest.mark.parametrize("name", sorted(_WHOLE))
@settings(max_examples=15)
@given(places=st.lists(st.integers(min_value=0, max_value=100_000), max_size=8))
def test_cut_anywhere_the_chunks_are_the_same(name: str, places: list[int]) -> None:
    assert played(name, cut(STREAMS[name], places))[0] == _WHOLE[name]


@pytest.mark.parametrize("name", sorted(_WHOLE))
@settings(max_examples=15)
@given(place=st.integers(min_value=0, max_value=100_000))
def test_a_stream_that_breaks_off_is_not_done_or_has_said_it_all(name: str, place: int) -> None:
    data = STREAMS[name]
    try:
        chunks, translator = played(name, [data[: place % len(data)]])
    except UpstreamError as error:
        if error.failure.kind != FailureKind.MALFORMED:
            raise
        return
    assert chunks == _WHOLE[name][: len(chunks)]
    if translator.is_done:
        assert len(chunks) == len(_WHOLE[name])


@pytest.mark.parametrize("name", sorted(STREAMS.keys() & having("failure")))
def test_an_error_frame(name: str) -> None:
    case, translator, chunks = CASES[name], dialect_of(name).stream(*SHOWN), list[JSONObject]()
    *before, last = EventReader().feed(STREAMS[name])
    for event in before:
        chunks += translator.event(event)
    with pytest.raises(UpstreamError) as raised:
        translator.event(last)
    assert (raised.value.failure.kind, raised.value.failure.message) == (
        case["failure"]["kind"],
        case["failure"]["message"],
    )
    # Before the first chunk nothing has reached the caller, so that another offer may still answer.
    assert len(chunks) == case["chunks"]
    assert not translator.is_done
    if "usage" in case:
        assert counts(name, translator.usage) == case["usage"]
    if "reply" in case:
        with pytest.raises(UpstreamError):
            dialect_of(name).reply(case["reply"], *SHOWN)


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name in having("failures") for number in range(len(CASES[name]["failures"]))],
)
def test_a_failure(name: str, number: int) -> None:
    case = CASES[name]["failures"][number]
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    failure = dialect_of(name).failure(case["status"], case["headers"], body.encode())
    assert (failure.kind, failure.status) == (case["kind"], case["status"])
    assert failure.retry_after_s == case.get("retry_after_s")
    if isinstance(case["body"], dict) and isinstance(case["body"]["error"], dict):
        assert failure.message == case["body"]["error"]["message"]


# Both ways the golden files have the shapes that the vendors' SDKs know.


@pytest.mark.parametrize("name", having("sent", dialects=["anthropic"]))
def test_anthropic_requests_have_the_sdk_shape(name: str) -> None:
    body = CASES[name]["sent"]["body"]
    validated = MESSAGES_REQUEST.validate_python(body)
    # Iterables are validated as they are read; what the SDK does not know is dropped.
    assert json.loads(json.dumps(validated, default=list)) == {
        name: value for name, value in body.items() if name not in {"temperature", "top_p", "top_k"}
    }


@pytest.mark.parametrize("name", having("sent", dialects=["gemini"]))
def test_gemini_requests_have_the_sdk_shape(name: str) -> None:
    body = CASES[name]["sent"]["body"]
    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        checked = json.loads(json.dumps(content).replace("skip_thought_signature_validator", "c2tpcA=="))
        genai.Content.model_validate(checked)
    for tool in body.get("tools", []):
        genai.Tool.model_validate(tool)
    genai.ToolConfig.model_validate(body.get("toolConfig", {}))
    genai.GenerationConfig.model_validate(body.get("generationConfig", {}))


@pytest.mark.parametrize("name", having("reply", dialects=["anthropic"]))
def test_anthropic_bodies_have_the_sdk_shape(name: str) -> None:
    Message.model_validate(CASES[name]["reply"])


@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("anthropic/")])
def test_anthropic_streams_have_the_sdk_shape(name: str) -> None:
    for event in EventReader().feed(STREAMS[name]):
        document = json.loads(event.data)
        assert event.name == document["type"]
        if event.name not in {"ping", "error"}:
            MESSAGES_EVENT.validate_python(document)


@pytest.mark.parametrize("name", having("reply", dialects=["gemini"]))
def test_gemini_bodies_have_the_sdk_shape(name: str) -> None:
    genai.GenerateContentResponse.model_validate(CASES[name]["reply"])


@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("gemini/")])
def test_gemini_streams_have_the_sdk_shape(name: str) -> None:
    for event in EventReader().feed(STREAMS[name]):
        document = json.loads(event.data)
        if "error" not in document:
            genai.GenerateContentResponse.model_validate(document)


def test_every_stream_has_its_case() -> None:
    assert STREAMS.keys() <= CASES.keys()
    assert golden.HERE == pathlib.Path(__file__).parent
