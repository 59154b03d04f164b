"""The newcomer's first minutes: start, call, read the receipt, add it up by hand, prove the ledger."""

import json
from decimal import Decimal

from support.gateway import Gateway


def test_the_first_call_is_answered_and_free(gateway: Gateway) -> None:
    status, body, headers = gateway.chat("simulated/echo", "Hello big world")
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Hello big world"
    assert body["usage"]["cost"] == 0
    assert headers["x-request-id"] == body["tollway"]["generation_id"]


def test_a_priced_call_is_charged_to_the_last_nano_and_its_receipt_adds_up(gateway: Gateway) -> None:
    before = Decimal(gateway.wallet()["available_usd"])
    status, body, _ = gateway.chat("simulated/priced", "Hello big world", max_tokens=100)
    assert status == 200
    usage, told = body["usage"], body["tollway"]
    # 3 and 15 USD per million, and 5.5 % on top, rounded once to nano-USD, half to even.
    exact = (usage["prompt_tokens"] * Decimal(3) + usage["completion_tokens"] * Decimal(15)) / 10**6 * Decimal("1.055")
    assert Decimal(told["cost_usd"]) == exact.quantize(Decimal("1e-9"))
    receipt = gateway.receipt(told["generation_id"])
    text = json.dumps(receipt)
    assert told["cost_usd"] in text
    assert before - Decimal(gateway.wallet()["available_usd"]) == Decimal(told["cost_usd"])
    assert gateway.wallet()["reserved_usd"] == "0"


def test_the_ledger_is_proven(gateway: Gateway) -> None:
    assert "ok" in gateway.audit().lower()


def test_usage_adds_the_requests_up(gateway: Gateway) -> None:
    before = gateway.ask("GET", "/v1/usage")[1]["data"]["summary"]
    gateway.chat("simulated/echo", "one two", simulate={"delay_ms": 40})
    summary = gateway.ask("GET", "/v1/usage")[1]["data"]["summary"]
    assert summary["total_requests"] == before["total_requests"] + 1
    assert summary["output_tokens"] == before["output_tokens"] + 2
    assert summary["average_latency_ms"] > 0
