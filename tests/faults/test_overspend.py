"""Overspend over HTTP: a thousand concurrent requests with money for exactly K of them; K pass, and the rest are told why.

What makes "exactly K" true: every request is the same, and its charge equals its hold to the nano. The upstream is told
(in `metadata`, which is no prompt) to report exactly the input bound and the output bound of the hold, and 1,000 tokens at
the rig's prices and margin have no fraction to round. So each admitted request takes the same amount for good, whether it is
still held or settled already, and after any K of them in any order nothing is left. A second construction needs no equal
charge: the upstream is silent until every request has been decided, so no hold returns.
"""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from faults.client import Reply, ask_all
from faults.rig import Rig, run
from support.upstreams import FaultUpstream

MANY = 1000
KS = (0, 1, 37, 500, 999)
CONNECTIONS = 250
OUTPUT = 200


@dataclass(frozen=True)
class Unit:
    """One request whose charge equals its hold. tokens: what it reserves and uses of a day."""

    body: dict[str, Any]
    usd: Decimal
    tokens: int

    def request(self, rig: Rig, key: str, number: int) -> bytes:
        return rig.request(**self.body, key=key, stream=number % 3 == 0)


@pytest.fixture(scope="module")
def unit(running: Rig) -> Unit:
    """The request, learned from one probe: its hold names the bounds, which the upstream is then told to report."""
    asked = {
        "model": "fault/fault-ok",
        "text": "Exactly this.",
        "max_tokens": OUTPUT,
        "metadata": {"fault": "((input=0 output=0))"},
    }
    probe = running.generation(run(running.chat(**asked)).generation_id)
    bound = probe["receipt"]["input_bound_tokens"]
    amount = Decimal(probe["hold"]["amount_usd"])
    body = {**asked, "metadata": {"fault": f"((input={bound} output={OUTPUT}))"}}
    checked = running.generation(run(running.chat(**body)).generation_id)
    assert Decimal(checked["charge_usd"]) == Decimal(checked["hold"]["amount_usd"]) == amount
    return Unit(body, amount, bound + OUTPUT)


def check(replies: list[Reply | None], passes: int, status: int) -> list[Reply]:
    """Exactly so many passed, all others were refused with `status`; the refused."""
    assert None not in replies
    answered = [reply for reply in replies if reply is not None]
    passed = [reply for reply in answered if reply.status == 200]
    refused = [reply for reply in answered if reply.status != 200]
    assert len(passed) == passes
    assert all("error" not in reply.last for reply in passed)
    assert {reply.status for reply in refused} <= {status}
    return refused


def crowd(rig: Rig, unit: Unit, key: str, count: int = MANY) -> list[Reply | None]:
    return run(ask_all(rig.port, [unit.request(rig, key, number) for number in range(count)], connections=CONNECTIONS))


def wallet_of_k(rig: Rig, unit: Unit, k: int) -> None:
    key = rig.new_key(rig.new_workspace(unit.usd * k))
    for reply in check(crowd(rig, unit, key), k, 402):
        error = reply.error
        assert (error["type"], error["code"]) == ("insufficient_balance", "insufficient_balance")
        assert error["limit_source"] == "wallet"
        assert Decimal(error["needed_usd"]) == unit.usd
        assert Decimal(error["available_usd"]) < unit.usd
    # K admitted requests have taken everything, to the nano.
    assert rig.wallet(key) == {"available": 0, "reserved": 0, "balance": 0}


@pytest.mark.parametrize("k", KS)
def test_a_wallet_for_k_serves_exactly_k(rig: Rig, unit: Unit, k: int) -> None:
    wallet_of_k(rig, unit, k)


def budget_of_k(rig: Rig, unit: Unit, k: int) -> None:
    workspace = rig.new_workspace(unit.usd * (k + 5))
    key = rig.new_key(workspace, budget_usd=f"{unit.usd * k:f}")
    for reply in check(crowd(rig, unit, key), k, 402):
        error = reply.error
        assert (error["type"], error["code"]) == ("insufficient_balance", "budget_exceeded")
        assert error["limit_source"] == "key"
        assert Decimal(error["needed_usd"]) == unit.usd
        assert Decimal(error["available_usd"]) < unit.usd
        assert error["window"] == "lifetime"
    # The wallet still has what the key may not spend.
    assert rig.wallet(key)["available"] == unit.usd * 5


@pytest.mark.parametrize("k", [0, 37, 999])
def test_a_key_budget_for_k_serves_exactly_k(rig: Rig, unit: Unit, k: int) -> None:
    budget_of_k(rig, unit, k)


def tokens_of_k(rig: Rig, unit: Unit, k: int) -> None:
    key = rig.new_key(rig.new_workspace(unit.usd * (k + 5)), tokens_per_day=unit.tokens * k)
    for reply in check(crowd(rig, unit, key), k, 429):
        error = reply.error
        assert (error["type"], error["code"]) == ("rate_limit_exceeded", "tokens_per_day_exceeded")
        assert error["limit"] == unit.tokens * k
        assert int(reply.headers["retry-after"]) == error["retry_after_seconds"] > 0
    assert rig.wallet(key)["available"] == unit.usd * 5


@pytest.mark.parametrize("k", [0, 37, 999])
def test_tokens_of_a_day_for_k_serve_exactly_k(rig: Rig, unit: Unit, k: int) -> None:
    tokens_of_k(rig, unit, k)


def test_a_minute_of_300_lets_exactly_300_pass(rig: Rig, unit: Unit) -> None:
    many, limit = 2_000, 300
    key = rig.new_key(rig.new_workspace(unit.usd * many), requests_per_minute=limit)
    if (left := 60 - time.time() % 60) < 25:
        time.sleep(left)  # the whole crowd in one UTC minute
    for reply in check(crowd(rig, unit, key, many), limit, 429):
        error = reply.error
        assert (error["type"], error["code"], error["limit"]) == ("rate_limit_exceeded", "rate_limit_exceeded", limit)
        assert int(reply.headers["retry-after"]) == error["retry_after_seconds"] > 0
        assert (reply.headers["x-ratelimit-limit"], reply.headers["x-ratelimit-remaining"]) == ("300", "0")
        assert int(reply.headers["x-ratelimit-reset"]) == error["reset"]
    assert rig.wallet(key)["available"] == unit.usd * (many - limit)


def test_two_keys_of_one_wallet_share_it_and_their_budgets_do_not_add_up(rig: Rig, unit: Unit) -> None:
    """Money for 30, budgets for 20 each: 30 pass in all, and neither key passes its own 20."""
    workspace = rig.new_workspace(unit.usd * 30)
    keys = [rig.new_key(workspace, budget_usd=f"{unit.usd * 20:f}") for _ in range(2)]
    requests = [unit.request(rig, keys[number % 2], number) for number in range(400)]
    replies = run(ask_all(rig.port, requests, connections=CONNECTIONS))
    by_key = [sum(reply is not None and reply.status == 200 for reply in replies[start::2]) for start in (0, 1)]
    assert sum(by_key) == 30
    assert max(by_key) <= 20
    assert rig.wallet(keys[0]) == {"available": 0, "reserved": 0, "balance": 0}


def test_while_no_hold_returns_exactly_k_are_let_in(rig: Rig, faulty: FaultUpstream) -> None:
    """The second construction: the upstream answers nobody until all have been decided. Charges are far below holds."""
    k, many = 37, 200
    asked = {
        "model": "fault/fault-ok",
        "max_tokens": OUTPUT,
        "metadata": {"fault": "((input=5 output=5 delay_ms=1200))"},
    }
    hold = Decimal(rig.generation(run(rig.chat(**asked)).generation_id)["hold"]["amount_usd"])
    money = hold * k + hold - Decimal("0.000000001")  # one nano short of one more
    key = rig.new_key(rig.new_workspace(money))
    replies = run(ask_all(rig.port, [rig.request(**asked, key=key)] * many, connections=many))
    check(replies, k, 402)
    # All that was held beyond the charges has come back.
    charged = sum(
        Decimal(reply.last["tollway"]["cost_usd"]) for reply in replies if reply is not None and reply.status == 200
    )
    assert rig.wallet(key) == {"available": money - charged, "reserved": 0, "balance": money - charged}


def test_money_that_arrives_meanwhile_is_spent_once(rig: Rig, unit: Unit) -> None:
    """Top-ups for 3 x 10 requests while 500 are asked: exactly 30 pass."""
    workspace = rig.new_workspace(unit.usd * 10)
    key = rig.new_key(workspace)

    async def scenario() -> list[Reply | None]:
        asking = asyncio.ensure_future(
            ask_all(rig.port, [unit.request(rig, key, number) for number in range(500)], connections=50)
        )
        for _ in range(2):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(rig.credit, workspace, unit.usd * 10)
        return await asking

    replies = run(scenario())
    passed = sum(reply is not None and reply.status == 200 for reply in replies)
    # The crowd may be over before the last top-up; whatever was not spent is still there.
    assert passed <= 30
    assert rig.wallet(key) == {
        "available": unit.usd * (30 - passed),
        "reserved": 0,
        "balance": unit.usd * (30 - passed),
    }


def test_the_ledger_adds_up_afterwards(rig: Rig) -> None:
    rig.assert_settled()
    assert "adds up" in rig.gateway.audit()


@pytest.mark.full
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("limit", [wallet_of_k, budget_of_k, tokens_of_k], ids=lambda one: one.__name__)
def test_a_hundred_rounds(rig: Rig, unit: Unit, limit: Any, k: int) -> None:
    """reliability.md T3."""
    for _ in range(100):
        limit(rig, unit, k)
    rig.gateway.audit()
