"""A whole answer in the provider's own bytes: usage and our object go in, everything else stays as it came."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.gateway.whole import WholeAnswer, read_whole
from tollway.providers.openai import OpenAIDialect
from tollway.routing.failure import FailureKind, UpstreamError

DIALECT = OpenAIDialect()
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
OURS, TOLD = b'{"prompt_tokens":1}', b'{"cost_usd":"1"}'


def read(body: bytes) -> WholeAnswer:
    return read_whole(DIALECT, body, "m", "id", 1)


def answer(**members: Any) -> bytes:
    return json.dumps({"id": "x", "choices": CHOICES, **members}).encode()


def test_bytes_stay_as_they_are() -> None:
    body = (
        b'{ "id" : "x",\n "odd": 1.0, "big": 123456789012345678901234567890, "choices": %s, "usage": %s, "z": [] }\n'
        % (
            json.dumps(CHOICES).encode(),
            json.dumps(USAGE).encode(),
        )
    )
    spliced = read(body).spliced(OURS, TOLD)
    assert spliced == body.strip()[:-1].replace(json.dumps(USAGE).encode(), OURS) + b',"tollway":' + TOLD + b"}"


@pytest.mark.parametrize(
    "members",
    [
        {"usage": None, "system_fingerprint": None},
        {"usage": USAGE, "x_groq": {"usage": USAGE}},
        {"x_groq": {"usage": USAGE}, "usage": USAGE, "zzz": USAGE},
        {"usage": {}, "other": {}},
        {"other": None},
    ],
)
def test_only_the_member_of_that_name_is_replaced(members: dict[str, Any]) -> None:
    """Providers say `null` elsewhere, and some say their usage twice."""
    body = answer(**members)
    got = json.loads(read(body).spliced(OURS, TOLD))
    assert got == {**json.loads(body), "usage": json.loads(OURS), "tollway": json.loads(TOLD)}


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.none() | st.integers() | st.text(max_size=8) | st.lists(st.none(), max_size=2),
        max_size=4,
    ),
    st.sampled_from([USAGE, None, {}, {"prompt_tokens": 0}]),
    st.booleans(),
)
def test_splicing_changes_nothing_else_in_any_answer(others: dict[str, Any], usage: Any, has_usage: bool) -> None:
    members = {**others, "choices": CHOICES, **({"usage": usage} if has_usage else {})}
    members.pop("error", None)
    members.pop("tollway", None)
    if not has_usage:
        members.pop("usage", None)
    got = json.loads(read(json.dumps(members).encode()).spliced(OURS, TOLD))
    assert got == {**members, "usage": json.loads(OURS), "tollway": json.loads(TOLD)}


def test_usage_and_finish_reason_are_read() -> None:
    found = read(answer(usage=USAGE))
    assert (found.usage, found.finish_reason) == ({"usage": USAGE}, "stop")
    assert read(answer()).usage is None
    assert read(answer(usage=None)).usage is None


def test_the_text_is_everything_that_the_model_wrote() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "hm", "refusal": "no", "tool_calls": calls}
    body = answer(choices=[{"index": 0, "message": message}, {"index": 1, "message": {"content": "Ho"}}])
    text = read(body).text()
    assert all(part in text for part in ("Hi", "hm", "no", "look", '{"at": 1}', "Ho"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.MALFORMED),
        (b"<html>", FailureKind.MALFORMED),
        (b"[]", FailureKind.MALFORMED),
        (b'{"choices": []}', FailureKind.MALFORMED),
        (b'{"choices": null}', FailureKind.MALFORMED),
        (b'{"id": "x"}', FailureKind.MALFORMED),
        (answer()[:-1], FailureKind.MALFORMED),
        (
            answer(usage=USAGE).replace(b'"usage": {', b'"usage": {"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b","),
            FailureKind.MALFORMED,
        ),
        (b"[" * 100_000, FailureKind.MALFORMED),
        (b'\xff{"choices": []}', FailureKind.MALFORMED),
        (b'{"error": {"message": "no", "code": "rate_limit_exceeded"}}', FailureKind.RATE_LIMITED),
        (b'{"error": "no", "choices": []}', FailureKind.SERVER),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_answer_is_a_failure(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(body)
    assert caught.value.failure.kind is kind


def test_an_error_member_that_says_nothing_is_no_error() -> None:
    assert read(answer(error=None)).finish_reason == "stop"
