"""Stop 1: what a body becomes, and what a typo gives."""

import json

import pytest

from tollway.api.wire import read_chat
from tollway.errors import InvalidField, InvalidJSON, PayloadTooLarge

MESSAGES = [{"role": "user", "content": "Hi"}]


def read(**body: object):
    return read_chat(json.dumps({"model": "m", "messages": MESSAGES, **body}).encode(), 1_000_000)


def test_the_least_request() -> None:
    chat = read()
    assert (chat.model, chat.stream, chat.max_tokens, chat.choices) == ("m", False, None, 1)
    assert chat.messages[0].content == "Hi"
    assert set(chat.fields) == {"messages"}


def test_unknown_fields_travel_in_the_caller_s_bytes() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"top_k":  40.0,"new_thing":{"a":[1, 2]}}'
    chat = read_chat(body, 1000)
    assert bytes(chat.fields["top_k"]) == b"40.0"
    assert bytes(chat.fields["new_thing"]) == b'{"a":[1, 2]}'


def test_our_own_fields_do_not_travel() -> None:
    chat = read(models=["b"], provider={"order": ["x"]}, user_id="u1", max_price="0.05", stream=True)
    assert not {"models", "provider", "user_id", "max_price", "stream", "model"} & set(chat.fields)
    assert chat.models == ("b",)
    assert chat.routing == {"provider": {"order": ["x"]}}
    assert chat.max_price_nano == 50_000_000


def test_both_names_of_the_output_bound() -> None:
    assert read(max_tokens=5).max_tokens == 5
    chat = read(max_completion_tokens=7)
    assert (chat.max_tokens, chat.max_tokens_field) == (7, "max_completion_tokens")
    with pytest.raises(InvalidField, match="differ"):
        read(max_tokens=5, max_completion_tokens=6)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"model": 5}, "model"),
        ({"n": 0}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"max_price": "free"}, "max_price"),
        ({"api_base": "http://evil"}, "api_base"),
        ({"assistant_id": "a"}, "assistant_id"),
    ],
)
def test_a_wrong_field_is_named(change: dict, param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read(**change)
    assert caught.value.param == param
    assert caught.value.status == 400
    assert param.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0] in caught.value.message


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = {"model": "m", "messages": MESSAGES}
    del body[missing]
    with pytest.raises(InvalidField) as caught:
        read_chat(json.dumps(body).encode(), 1000)
    assert caught.value.param == missing
    assert "missing" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}',
        b"[" * 100_000,
    ],
)
def test_not_json(body: bytes) -> None:
    with pytest.raises((InvalidJSON, InvalidField)):
        read_chat(body, 1_000_000)


def test_too_large() -> None:
    with pytest.raises(PayloadTooLarge, match="at most 10"):
        read_chat(b"{" + b" " * 20, 10)
