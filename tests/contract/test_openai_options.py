"""What the official SDK can say and hear beside the answer: raw headers, our own fields in `extra_body`, idempotency."""

import uuid
from decimal import Decimal
from typing import Any

import openai
import pytest

from contract.bill import Bill, by_hand, offer_prices
from contract.talk import AIMOCK, ask, heal, heard
from support.gateway import Gateway
from support.upstreams import FaultUpstream

pytestmark = pytest.mark.servers


def test_raw_response_headers(house: Gateway, sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model=AIMOCK["openai"], messages=ask("Hello"))
    reply = raw.parse()
    assert raw.headers["x-request-id"] == reply._request_id == reply.tollway["generation_id"]
    # Nobody limits this key: -1, as everywhere.
    assert (raw.headers["x-ratelimit-limit"], raw.headers["x-ratelimit-remaining"]) == ("-1", "-1")
    assert int(raw.headers["x-ratelimit-reset"]) % 60 == 0
    assert house.receipt(raw.headers["x-request-id"])["data"]["id"] == raw.headers["x-request-id"]


def test_streaming_response_headers(sdk: openai.OpenAI) -> None:
    ask_it: Any = {"model": AIMOCK["openai"], "messages": ask("Hello"), "stream": True}
    with sdk.chat.completions.with_streaming_response.create(**ask_it) as raw:
        lines = [line for line in raw.iter_lines() if line.startswith("data: ")]
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["x-request-id"] in lines[-2]
        assert "x-ratelimit-reset" in raw.headers
    assert lines[-1] == "data: [DONE]"


def test_models_answers_when_the_first_fails(house: Gateway, sdk: openai.OpenAI) -> None:
    """A fallback is charged at its own price, and the receipt tells what went before."""
    names = ["fault-anthropic/fault-status-401", AIMOCK["gemini"]]
    for stream in (False, True):
        heal(house)
        with Bill(house) as bill:
            answer: Any = sdk.chat.completions.create(
                model="fault-openai/fault-status-401",
                messages=ask("Hello"),
                stream=stream,
                extra_body={"models": names},
            )
            last = heard(answer)[1] if stream else answer
        assert last.tollway["fallback_used"] is True
        assert last.tollway["model"] == AIMOCK["gemini"]
        receipt = bill.agrees(last, input=1234, output=567)
        attempts = [(one["provider"], one["reason"]) for one in receipt["receipt"]["attempts"]]
        assert attempts[:2] == [("fault-openai", "no_auth"), ("fault-anthropic", "no_auth")]
        # Two providers sell it at one price, and share the load.
        assert attempts[2] in [("google", "ok"), ("openrouter", "ok")]
        assert receipt["model_asked"] == "fault-openai/fault-status-401"


def test_a_request_that_one_model_refuses_goes_to_the_next(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill:
        reply = sdk.chat.completions.create(
            model="fault-openai/fault-status-400",
            messages=ask("Hello"),
            extra_body={"models": [AIMOCK["anthropic"]]},
        )
    bill.agrees(reply, input=1234, output=567)


def test_provider_preferences(house: Gateway, sdk: openai.OpenAI) -> None:
    wishes = [
        # Two providers at one price share the load.
        ({}, "openai openrouter"),
        ({"only": ["openrouter"]}, "openrouter"),
        ({"ignore": ["openai"]}, "openrouter"),
        ({"order": ["openrouter", "openai"]}, "openrouter"),
        ({"order": ["openai"], "allow_fallbacks": False}, "openai"),
        ({"sort": "price"}, "openai"),
    ]
    for wish, provider in wishes:
        with Bill(house) as bill:
            reply = sdk.chat.completions.create(
                model="openai/gpt-4o", messages=ask("Hello"), extra_body={"provider": wish}
            )
        assert reply.tollway["provider"] in provider.split(), wish
        bill.agrees(reply, input=1234, output=567)
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(
            model="openai/gpt-4o", messages=ask("Hello"), extra_body={"provider": {"only": ["azure"]}}
        )
    assert raised.value.param == "provider"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openrouter_reports_its_cache_and_its_own_cost(house: Gateway, sdk: openai.OpenAI, stream: bool) -> None:
    """Cached tokens are charged as such; what the provider took is not the customer's to see."""
    with Bill(house) as bill:
        answer: Any = sdk.chat.completions.create(
            model="openai/gpt-4o",
            messages=ask("Most of this is cached"),
            stream=stream,
            extra_body={"provider": {"only": ["openrouter"]}},
        )
        last = heard(answer)[1] if stream else answer
    assert last.usage.prompt_tokens_details.cached_tokens == 1920
    assert last.usage.cost != 0.0123
    bill.agrees(last, input=86, cache_read=1920, output=300)


def test_user_id_and_metadata_are_kept_and_stay_here(house: Gateway, sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    user = f"user-{uuid.uuid4()}"
    reply = sdk.chat.completions.create(
        model="fault-openai/ok",
        messages=ask("hi"),
        metadata={"ticket": "T-1"},
        extra_body={"user_id": user, "max_price": "1.00", "provider": {"order": ["fault-openai"]}, "models": []},
    )
    receipt = house.receipt(reply.tollway["generation_id"])["data"]
    assert receipt["user_id"] == user
    assert receipt["receipt"]["metadata"] == {"ticket": "T-1"}
    sent = faulty.ended()[0]["body"]
    assert not {"user_id", "max_price", "provider", "models", "tollway"} & sent.keys()
    assert user not in str(sent)


def test_unknown_fields_travel_to_a_provider_of_our_own_shape(sdk: openai.OpenAI, faulty: FaultUpstream) -> None:
    sdk.chat.completions.create(
        model="fault-openai/ok", messages=ask("hi"), extra_body={"min_p": 0.05, "a_new_field": {"deep": [1, "é"]}}
    )
    sent = faulty.ended()[0]["body"]
    assert (sent["min_p"], sent["a_new_field"]) == (0.05, {"deep": [1, "é"]})


def test_another_service_tier_has_another_price_and_is_refused(sdk: openai.OpenAI) -> None:
    """Our price list is the standard tier's. What asks for the standard is let go."""
    ask_it: Any = {"model": "openai/gpt-4o", "messages": ask("Hello"), "extra_body": {"provider": {"only": ["openai"]}}}
    for tier in ("auto", "default"):
        sdk.chat.completions.create(**ask_it, service_tier=tier)
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(**ask_it, service_tier="priority")
    assert (raised.value.code, raised.value.param) == ("unsupported_field", "service_tier")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_idempotency_key_answers_again_and_charges_once(house: Gateway, sdk: openai.OpenAI, stream: bool) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}

    def again(text: str = "Hello") -> Any:
        answer: Any = sdk.chat.completions.create(
            model=AIMOCK["openai"], messages=ask(text), stream=stream, extra_headers=key
        )
        return heard(answer)[1] if stream else answer

    with Bill(house) as bill:
        first, second = again(), again()
    assert first.tollway == second.tollway
    bill.agrees(second, input=1234, output=567)
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        again("Think first")
    assert raised.value.code == "idempotency_key_reused"


def test_a_bare_name_and_an_alias_reach_the_model(house: Gateway, sdk: openai.OpenAI) -> None:
    for name in ("gpt-4o", "claude-sonnet-4.5", "anthropic/claude-sonnet-4-5", "gemini-2.5-flash"):
        reply = sdk.chat.completions.create(model=name, messages=ask("Hello"))
        told = reply.tollway
        assert told["model"].rpartition("/")[2] == name.rpartition("/")[2].replace("4.5", "4-5")
        prices = offer_prices(house, told["model"], told["provider"])
        assert Decimal(told["cost_usd"]) == by_hand(prices, {"input": 1234, "output": 567})
