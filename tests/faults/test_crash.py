"""kill -9 of the server under load, again and again on the same data: nothing lost, doubled or left open (R9, T1).

Each round starts the server, lets two dozen callers ask - plain and streamed, with and without an Idempotency-Key - and kills
it in the middle. Whoever had a key and no answer asks again in the next round, as a client would. At the end, every answer that
a caller received whole was charged exactly once, no key was charged twice, and the wallet is short of exactly those charges.
"""

import asyncio
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from faults.client import Connection, request_bytes
from faults.outcomes import EXACT
from faults.rig import Rig, chat, run, toml, total
from support.fault_answers import text_of
from support.gateway import Gateway
from support.upstreams import FaultUpstream

CALLERS = 24
CRASHED = re.compile(r"a crash had left (\d+) open holds")


@dataclass
class Question:
    """One request of one caller. user: names it in the ledger. key: its Idempotency-Key, "" for none."""

    stream: bool
    key: str
    user: str = field(default_factory=lambda: str(uuid.uuid4()))

    def request(self, rig: Rig) -> bytes:
        # The pauses spread requests over every stage at the moment of the kill.
        told = {"fault": "((delay_ms=4 chunk_ms=2))"}
        body = chat("fault/fault-ok", stream=self.stream, max_tokens=1000, user_id=self.user, metadata=told)
        headers = {"idempotency_key": self.key} if self.key else {}
        return request_bytes(rig.gateway.key, body, **headers)


@dataclass
class Tally:
    """What the callers have seen. answers: user -> generation id; unanswered: keyed questions to ask again."""

    answers: dict[str, str] = field(default_factory=dict)
    keyed: set[str] = field(default_factory=set)
    unanswered: list[Question] = field(default_factory=list)
    asked: int = 0
    replays: int = 0
    refused: int = 0
    kills: int = 0
    leaked: int = 0


@pytest.fixture(scope="module")
def crashing(fault_server: FaultUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A gateway of its own, to be killed."""
    fault_server.reset()
    with Gateway(tmp_path_factory.mktemp("crash"), toml(fault_server, grant="100000")) as gateway:
        yield Rig(gateway, fault_server)


async def caller(rig: Rig, tally: Tally, draw: random.Random) -> None:
    """Ask until the server is gone."""
    try:
        connection = await Connection.open(rig.port)
    except ConnectionError:
        return
    while True:
        question = tally.unanswered.pop() if tally.unanswered else Question(draw.random() < 0.5, _key(draw))
        tally.asked += 1
        try:
            await connection.send(question.request(rig))
            reply = await connection.reply()
        except (ConnectionError, asyncio.IncompleteReadError):
            reply = None
        if reply is not None and reply.status == 409:
            # The key is running still, in the moment before the kill is noticed.
            tally.refused += 1
            tally.unanswered.append(question)
            continue
        if reply is None or not reply.is_whole:
            if question.key:
                tally.unanswered.append(question)
                tally.keyed.add(question.user)
            await connection.hang_up()
            return
        assert reply.status == 200, reply.body
        assert reply.text == text_of()
        assert Decimal(reply.last["tollway"]["cost_usd"]) == EXACT
        tally.replays += "idempotent-replayed" in reply.headers
        tally.answers[question.user] = reply.last["tollway"]["generation_id"]


def _key(draw: random.Random) -> str:
    return str(uuid.uuid4()) if draw.random() < 0.4 else ""


def crash(rig: Rig, tally: Tally, draw: random.Random) -> None:
    """One round: load, kill, start again; what was open has ended by then."""

    async def scenario() -> None:
        callers = [asyncio.ensure_future(caller(rig, tally, draw)) for _ in range(CALLERS)]
        await asyncio.sleep(0.1 + 0.25 * draw.random())
        await asyncio.to_thread(rig.gateway.kill)
        await asyncio.wait_for(asyncio.gather(*callers), 20)

    run(scenario())
    tally.kills += 1
    rig.gateway.process.stop()
    rig.gateway.start()
    if left := CRASHED.search(rig.gateway.log):
        tally.leaked += int(left[1])
    assert not rig.wallet()["reserved"], "a hold outlived the crash"


def everything(rig: Rig) -> list[dict[str, Any]]:
    """Every request that the workspace has ever had."""
    found, after = list[dict[str, Any]](), ""
    while True:
        _, page, _ = rig.gateway.ask("GET", f"/v1/usage/recent?limit=1000{after and f'&after={after}'}")
        found += page["data"]
        if not page["has_more"]:
            return found
        after = page["next_cursor"]


def check(rig: Rig, tally: Tally) -> None:
    """Ask what is left unanswered, and prove it all."""

    async def rest() -> None:
        async def one(question: Question) -> None:
            connection = await Connection.open(rig.port)
            await connection.send(question.request(rig))
            reply = await connection.reply()
            assert reply.status == 200
            tally.replays += "idempotent-replayed" in reply.headers
            tally.answers[question.user] = reply.last["tollway"]["generation_id"]
            await connection.hang_up()

        await asyncio.gather(*(one(question) for question in tally.unanswered))

    run(rest())
    tally.unanswered.clear()
    rows = everything(rig)
    charged = {row["id"]: Decimal(row["total_cost_usd"]) for row in rows}
    assert len(charged) == len(rows), "a request is in the ledger twice"
    lost = {user: one for user, one in tally.answers.items() if charged.get(one) != EXACT}
    assert lost == {}, "an answer was received and is not charged"
    by_user = Counter(row["user_id"] for row in rows if Decimal(row["total_cost_usd"]))
    doubled = {user: count for user, count in by_user.items() if count > 1}
    assert doubled == {}, "one question was charged twice"
    assert all(by_user[user] == 1 for user in tally.keyed), "a question with a key was answered for nothing"
    assert set(charged.values()) <= {EXACT, Decimal(0)}
    assert {row["status"] for row in rows if not Decimal(row["total_cost_usd"])} <= {"expired"}
    wallet = rig.wallet()
    assert Decimal(100_000) - wallet["balance"] == total(charged.values())
    assert not wallet["reserved"]
    assert "adds up" in rig.gateway.audit()
    expired = sum(row["status"] == "expired" for row in rows)
    assert expired == tally.leaked, "what recovery told is what the ledger shows"
    print(
        f"{tally.kills} kills, {tally.asked} asked, {len(tally.answers)} answered whole, {len(by_user)} charged once, "
        f"0 lost, 0 doubled, {tally.leaked} holds released by recovery, {tally.replays} replays"
    )


def crashes(rig: Rig, count: int, seed: int) -> None:
    tally, draw = Tally(), random.Random(seed)  # noqa: S311 - the same load each time
    for _ in range(count):
        crash(rig, tally, draw)
    assert len(tally.answers) > count, "the load never got through"
    check(rig, tally)


@pytest.mark.timeout(280)
def test_twenty_five_kills_lose_nothing_and_double_nothing(crashing: Rig) -> None:
    crashes(crashing, 25, 1)


@pytest.mark.full
@pytest.mark.timeout(14_400)
def test_a_thousand_kills(fault_server: FaultUpstream, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Gateway(tmp_path_factory.mktemp("crashes"), toml(fault_server, grant="100000")) as gateway:
        crashes(Rig(gateway, fault_server), 1000, 2)
