"""Limits over HTTP: rates and days, wallets too small for a long answer, and the caller's own `max_price`."""

import asyncio
import time
from decimal import Decimal

import pytest

from faults.client import Reply, ask, request_bytes
from faults.rig import SPOKEN, Rig, check_error, run, tokens, usd
from support.fault_answers import text_of
from support.upstreams import FaultUpstream

THIRD = Decimal(1) / 3


# --- rates and days -----------------------------------------------------------------------------------------------------


def in_one_minute(seconds: float = 5) -> None:
    """Wait until a UTC minute has so many seconds left, so that one window sees the whole test."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left + 0.1)


@pytest.mark.parametrize("stream", [False, True])
def test_requests_per_minute_and_what_the_headers_say_of_them(rig: Rig, faulty: FaultUpstream, stream: bool) -> None:
    in_one_minute()
    key = rig.new_key(rig.new_workspace("1"), requests_per_minute=3)
    minute = int(time.time()) // 60
    replies = [run(rig.chat("fault/fault-ok", key=key, stream=stream, max_tokens=1000)) for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["2", "1", "0", "0", "0"]
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"3"}
    assert {reply.headers["x-ratelimit-reset"] for reply in replies} == {str((minute + 1) * 60)}
    for reply in replies[3:]:
        error = check_error(reply, 429, "rate_limit_exceeded", "rate_limit_exceeded")
        assert (error["limit"], error["reset"]) == (3, (minute + 1) * 60)
        assert int(reply.headers["retry-after"]) == error["retry_after_seconds"]
        assert abs((minute + 1) * 60 - time.time() - error["retry_after_seconds"]) <= 2
    # Refused requests were neither held nor sent; other endpoints have a window of their own.
    assert len(faulty.journal()) == 3
    _, facts, headers = rig.gateway.ask("GET", "/v1/key", key=key)
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("600", "599")
    assert facts["data"]["rate_limit"]["requests"] == 3


def test_a_refusal_says_the_limits_too(rig: Rig) -> None:
    key = rig.new_key(rig.new_workspace(0), requests_per_minute=100)
    for reply in (
        run(rig.chat("fault/fault-ok", key=key, max_tokens=1000)),
        run(rig.chat("no/such-model", key=key, max_tokens=1000)),
        run(ask(rig.port, request_bytes(key, b"{"))),
    ):
        assert reply.status in {400, 402}
        assert reply.headers["x-ratelimit-limit"] == "100"
        assert reply.headers["x-request-id"]


def test_tokens_of_a_day_are_reserved_and_then_corrected(rig: Rig, faulty: FaultUpstream) -> None:
    bound = tokens(SPOKEN) + 7
    key = rig.new_key(rig.new_workspace("1"), tokens_per_day=bound + 1000)
    told = {"metadata": {"fault": "((input=5 output=5))"}}
    # Each reserves nearly the whole day and uses ten tokens of it.
    for _ in range(2):
        reply = run(rig.chat("fault/fault-ok", key=key, max_tokens=980, **told))
        assert reply.status == 200, reply.body
    error = check_error(
        run(rig.chat("fault/fault-ok", key=key, max_tokens=1000, **told)),
        429,
        "rate_limit_exceeded",
        "tokens_per_day_exceeded",
    )
    assert error["used"] == 20
    assert error["reset"] % 86_400 == 0
    # What failed at the provider gives everything back.
    assert run(rig.chat("fault/fault-status-500", key=key, max_tokens=980)).status == 502
    assert run(rig.chat("fault/fault-ok", key=key, max_tokens=980, **told)).status == 200


# --- wallets too small for a long answer --------------------------------------------------------------------------------


def test_r6a_a_named_bound_is_never_clamped(strict: Rig, faulty: FaultUpstream) -> None:
    key = strict.new_key(strict.new_workspace("0.001"))
    for stream in (False, True):
        error = check_error(
            run(strict.chat("fault/fault-ok", key=key, max_tokens=1000, stream=stream)),
            402,
            "insufficient_balance",
            "insufficient_balance",
        )
        assert Decimal(error["needed_usd"]) == usd(input=tokens(SPOKEN) + 7, output=1000)
        assert error["available_usd"] == "0.001"
    assert faulty.journal() == []


def test_r6b_a_whole_answer_gets_what_the_wallet_affords(strict: Rig, faulty: FaultUpstream) -> None:
    key = strict.new_key(strict.new_workspace("0.001"))
    faulty.program("ok input=10 output=20")
    reply = run(strict.chat("fault/fault-ok", key=key))
    (entry,) = faulty.journal()
    sent = entry["body"]["max_tokens"]
    bound = tokens(SPOKEN) + 7
    assert usd(input=bound, output=sent) <= Decimal("0.001") < usd(input=bound, output=sent + 1)
    assert reply.json["tollway"]["warnings"] == [f"the wallet affords {sent} output tokens"]
    assert strict.wallet(key)["available"] == Decimal("0.001") - usd(input=10, output=20)


def test_r6b_too_little_for_any_answer_is_402(strict: Rig, faulty: FaultUpstream) -> None:
    key = strict.new_key(strict.new_workspace("0.0002"))
    assert run(strict.chat("fault/fault-ok", key=key)).status == 402
    assert run(strict.chat("fault/fault-ok", key=key, stream=True)).status == 402
    assert faulty.journal() == []


@pytest.mark.parametrize("provider", ["fault", "fault-a", "fault-g"])
def test_r6b_a_long_stream_ends_with_the_money(strict: Rig, faulty: FaultUpstream, provider: str) -> None:
    """A rolling hold that cannot grow: the upstream is cancelled, the answer ends properly, the wallet never goes below zero."""
    money = Decimal("0.01")
    key = strict.new_key(strict.new_workspace(money))
    faulty.program("fault-no-usage chunks=3000 chunk_ms=1")
    reply = run(strict.chat(f"{provider}/fault-ok", key=key, stream=True))
    assert reply.status == 200
    last = reply.last
    assert last["choices"][0]["finish_reason"] == "length"
    (warning,) = last["tollway"]["warnings"]
    assert "ended early" in warning
    assert "wallet" in warning
    assert reply.body.endswith(b"[DONE]\n\n")
    charge = usd(input=tokens(SPOKEN), output=tokens(reply.text))
    assert Decimal(last["tollway"]["cost_usd"]) == charge
    assert strict.wallet(key) == {"available": money - charge, "reserved": 0, "balance": money - charge}
    # It used most of what there was: the cut is not a panic at the first step.
    assert charge > money / 3
    (entry,) = faulty.ended(1)
    assert entry["client_closed_early"]
    assert entry["frames_sent"] < 2000
    assert "max_tokens" not in entry["body"] or provider == "fault-a"


def test_a_top_up_in_time_lets_the_stream_go_on(strict: Rig, faulty: FaultUpstream) -> None:
    workspace = strict.new_workspace("0.003")
    key = strict.new_key(workspace)
    faulty.program("fault-no-usage chunks=400 chunk_ms=4")

    async def scenario() -> Reply:
        asking = asyncio.ensure_future(strict.chat("fault/fault-ok", key=key, stream=True))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(strict.credit, workspace, "1")
        return await asking

    reply = run(scenario())
    assert reply.last["choices"][0]["finish_reason"] == "stop"
    assert reply.text == text_of(400)
    charge = usd(input=tokens(SPOKEN), output=tokens(text_of(400)))
    assert strict.wallet(key)["available"] == Decimal("1.003") - charge


def test_a_budget_of_the_key_ends_a_long_stream_too(strict: Rig, faulty: FaultUpstream) -> None:
    key = strict.new_key(strict.new_workspace("1"), budget_usd="0.01")
    faulty.program("fault-no-usage chunks=3000 chunk_ms=1")
    reply = run(strict.chat("fault/fault-ok", key=key, stream=True))
    assert reply.last["choices"][0]["finish_reason"] == "length"
    assert Decimal(reply.last["tollway"]["cost_usd"]) <= Decimal("0.01")
    assert "budget" in reply.last["tollway"]["warnings"][0]


def test_tokens_of_the_day_end_a_long_stream_too_and_only_used_ones_are_gone(
    strict: Rig, faulty: FaultUpstream
) -> None:
    key = strict.new_key(strict.new_workspace("1"), tokens_per_day=600)
    faulty.program("fault-no-usage chunks=3000 chunk_ms=1")
    reply = run(strict.chat("fault/fault-ok", key=key, stream=True))
    assert reply.last["choices"][0]["finish_reason"] == "length"
    used = tokens(SPOKEN) + tokens(reply.text)
    assert used <= 600
    # Asking for a step and being refused many times over must not have eaten the rest of the day.
    error = run(strict.chat("fault/fault-ok", key=key, max_tokens=600)).error
    assert error["used"] == used


# --- max_price ----------------------------------------------------------------------------------------------------------


def test_max_price_refuses_what_could_cost_more(rig: Rig, faulty: FaultUpstream) -> None:
    needed = usd(input=tokens(SPOKEN) + 7, output=1000)
    below = needed - Decimal("0.000000001")
    error = check_error(
        run(rig.chat("fault/fault-ok", max_tokens=1000, max_price=f"{below:f}")),
        400,
        "invalid_request_error",
        "invalid_field",
    )
    assert error["param"] == "max_price"
    assert Decimal(error["needed_usd"]) == needed
    assert faulty.journal() == []
    assert run(rig.chat("fault/fault-ok", max_tokens=1000, max_price=f"{needed:f}")).status == 200


def test_max_price_holds_for_a_fallback(rig: Rig, faulty: FaultUpstream) -> None:
    """The cheap model fails; the dear one could cost more than the caller allows, and is not asked."""
    limit = usd(input=tokens(SPOKEN) + 7, output=1000, scale=THIRD)
    faulty.program("fault-status-500")
    reply = run(rig.chat("fault/cheap", models=["fault/fault-ok"], max_tokens=1000, max_price=f"{limit:f}"))
    assert reply.status == 502
    assert [one["model"] for one in reply.error["attempts"]] == ["fault/cheap"]
    assert len(faulty.journal()) == 1


def test_max_price_ends_a_long_stream(strict: Rig, faulty: FaultUpstream) -> None:
    limit = Decimal("0.005")
    faulty.program("fault-no-usage chunks=3000 chunk_ms=1")
    reply = run(strict.chat("fault/fault-ok", stream=True, max_price=str(limit)))
    assert reply.status == 200
    assert reply.last["choices"][0]["finish_reason"] == "length"
    assert Decimal("0.002") < Decimal(reply.last["tollway"]["cost_usd"]) <= limit
    assert "max_price" in reply.last["tollway"]["warnings"][0]
