"""Idempotency-Key over HTTP (R10): who asks again gets the same bytes and pays once."""

import asyncio
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from faults.client import Connection, Reply, ask
from faults.outcomes import EXACT
from faults.rig import Rig, charge_of, run, toml
from support.fault_answers import text_of
from support.gateway import Gateway
from support.upstreams import FaultUpstream


def fresh() -> dict[str, str]:
    return {"idempotency_key": str(uuid.uuid4())}


def twice(rig: Rig, model: str = "fault/fault-ok", **fields: object) -> tuple[Reply, Reply]:
    """The same request with the same key, one after the other."""
    headers = fresh()
    return tuple(run(rig.chat(model, headers=headers, max_tokens=1000, **fields)) for _ in range(2))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["fault", "fault-a", "fault-g"])
def test_the_same_key_and_body_give_the_same_bytes_and_one_charge(
    rig: Rig, faulty: FaultUpstream, provider: str, stream: bool
) -> None:
    before = rig.wallet()["balance"]
    first, second = twice(rig, f"{provider}/fault-ok", stream=stream)
    assert first.status == second.status == 200
    assert second.body == first.body
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(faulty.journal()) == 1
    assert before - rig.wallet()["balance"] == EXACT


def test_a_replay_says_its_own_request_id_and_the_limits_and_names_the_first_generation(
    rig: Rig, faulty: FaultUpstream
) -> None:
    first, second = twice(rig)
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert second.json["tollway"]["generation_id"] == first.headers["x-request-id"]
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(second.headers)


@pytest.mark.parametrize("stream", [False, True])
def test_while_it_runs_the_key_is_taken(rig: Rig, faulty: FaultUpstream, stream: bool) -> None:
    headers = fresh()
    faulty.program("ok delay_ms=500")

    async def scenario() -> tuple[Reply, list[Reply]]:
        first = asyncio.ensure_future(rig.chat("fault/fault-ok", headers=headers, stream=stream, max_tokens=1000))
        while not await asyncio.to_thread(faulty.journal):
            await asyncio.sleep(0.02)
        others = [await rig.chat("fault/fault-ok", headers=headers, stream=stream, max_tokens=1000) for _ in range(3)]
        return await first, others

    first, others = run(scenario())
    assert first.status == 200
    assert {(one.status, one.error["code"]) for one in others} == {(409, "request_in_progress")}
    assert len(faulty.journal()) == 1


def test_of_many_at_once_one_is_served(rig: Rig, faulty: FaultUpstream) -> None:
    headers = fresh()
    before = rig.wallet()["balance"]

    async def scenario() -> list[Reply]:
        return await asyncio.gather(*(rig.chat("fault/fault-ok", headers=headers, max_tokens=1000) for _ in range(40)))

    replies = run(scenario())
    assert {reply.status for reply in replies} <= {200, 409}
    bodies = {reply.body for reply in replies if reply.status == 200}
    assert len(bodies) == 1
    assert len(faulty.journal()) == 1
    assert before - rig.wallet()["balance"] == EXACT


@pytest.mark.parametrize("changed", [{"text": "Something else."}, {"stream": True}, {"max_tokens": 999}])
def test_the_same_key_with_another_body_is_refused(rig: Rig, faulty: FaultUpstream, changed: dict[str, object]) -> None:
    headers = fresh()
    asked = {"text": "One thing.", "max_tokens": 1000, "stream": False}
    assert run(rig.chat("fault/fault-ok", headers=headers, **asked)).status == 200
    refused = run(rig.chat("fault/fault-ok", headers=headers, **{**asked, **changed}))
    assert (refused.status, refused.error["type"], refused.error["code"]) == (
        422,
        "validation_error",
        "idempotency_key_reused",
    )
    assert len(faulty.journal()) == 1


def test_another_body_is_refused_while_the_first_runs(rig: Rig, faulty: FaultUpstream) -> None:
    headers = fresh()
    faulty.program("ok delay_ms=300")

    async def scenario() -> Reply:
        first = asyncio.ensure_future(rig.chat("fault/fault-ok", headers=headers, max_tokens=1000))
        while not await asyncio.to_thread(faulty.journal):
            await asyncio.sleep(0.02)
        other = await rig.chat("fault/fault-ok", "Another.", headers=headers, max_tokens=1000)
        await first
        return other

    assert run(scenario()).error["code"] == "idempotency_key_reused"


def test_another_workspace_has_keys_of_its_own(rig: Rig, faulty: FaultUpstream) -> None:
    headers = fresh()
    other = rig.new_key(rig.new_workspace("1"))
    first = run(rig.chat("fault/fault-ok", "Mine.", headers=headers, max_tokens=1000))
    second = run(rig.chat("fault/fault-ok", "Yours.", key=other, headers=headers, max_tokens=1000))
    assert first.status == second.status == 200
    assert "idempotent-replayed" not in second.headers
    assert len(faulty.journal()) == 2
    assert rig.wallet(other)["balance"] == 1 - EXACT


def test_two_keys_of_one_workspace_share_them(rig: Rig, faulty: FaultUpstream) -> None:
    """The scope is the workspace (R10): a client that rotates its API key still pays once."""
    workspace = rig.new_workspace("1")
    headers = fresh()
    replies = [
        run(rig.chat("fault/fault-ok", key=rig.new_key(workspace), headers=headers, max_tokens=1000)) for _ in range(2)
    ]
    assert replies[0].body == replies[1].body
    assert len(faulty.journal()) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "failure", ["fault-status-500", "fault-status-400", "fault-reset-0", "fault-html", "fault-hang"]
)
def test_a_failed_request_may_be_asked_again_with_its_key(
    rig: Rig, faulty: FaultUpstream, failure: str, stream: bool
) -> None:
    faulty.program(failure, "ok")
    first, second = twice(rig, stream=stream)
    assert first.status >= 400
    assert second.status == 200
    assert "idempotent-replayed" not in second.headers
    assert charge_of(rig.generation(second.generation_id)) == EXACT


def test_a_stream_that_broke_is_not_kept(rig: Rig, faulty: FaultUpstream) -> None:
    faulty.program("fault-reset-mid", "ok")
    first, second = twice(rig, stream=True)
    assert "error" in first.chunks[-1]
    assert second.text == text_of()
    assert "idempotent-replayed" not in second.headers
    assert second.body.endswith(b"[DONE]\n\n")


def test_a_refused_request_may_be_asked_again_with_its_key(rig: Rig, faulty: FaultUpstream) -> None:
    workspace = rig.new_workspace(0)
    key, headers = rig.new_key(workspace), fresh()
    assert run(rig.chat("fault/fault-ok", key=key, headers=headers, max_tokens=1000)).status == 402
    rig.credit(workspace, "1")
    assert run(rig.chat("fault/fault-ok", key=key, headers=headers, max_tokens=1000)).status == 200


def test_a_request_refused_by_the_minute_keeps_its_key_free(rig: Rig, faulty: FaultUpstream) -> None:
    workspace = rig.new_workspace("1")
    narrow, wide, headers = rig.new_key(workspace, requests_per_minute=0), rig.new_key(workspace), fresh()
    assert run(rig.chat("fault/fault-ok", key=narrow, headers=headers, max_tokens=1000)).status == 429
    assert run(rig.chat("fault/fault-ok", key=wide, headers=headers, max_tokens=1000)).status == 200


def test_a_replay_takes_no_request_of_the_minute(rig: Rig, faulty: FaultUpstream) -> None:
    key, headers = rig.new_key(rig.new_workspace("1"), requests_per_minute=1), fresh()
    replies = [run(rig.chat("fault/fault-ok", key=key, headers=headers, max_tokens=1000)) for _ in range(5)]
    assert [reply.status for reply in replies] == [200] * 5
    assert run(rig.chat("fault/fault-ok", key=key, max_tokens=1000)).status == 429


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_cannot_name_one_request_is_refused(rig: Rig, faulty: FaultUpstream, key: str) -> None:
    """An empty one would be shared by everybody who forgot to fill it in."""
    reply = run(rig.chat("fault/fault-ok", headers={"idempotency_key": key}, max_tokens=1000))
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_field", "Idempotency-Key")
    assert faulty.journal() == []


def test_a_stream_too_long_to_keep_is_never_charged_twice(rig: Rig, faulty: FaultUpstream) -> None:
    faulty.program("ok chunks=12000")
    before = rig.wallet()["balance"]
    first, second = twice(rig, stream=True)
    assert first.status == 200
    assert len(first.body) > 2 << 20
    assert second.status == 409
    assert "charged once" in second.error["message"]
    assert before - rig.wallet()["balance"] == EXACT


# --- over a restart -----------------------------------------------------------------------------------------------------


@pytest.fixture
def restarted(
    fault_server: FaultUpstream, faulty: FaultUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """A gateway of its own, to be stopped and started."""
    with Gateway(tmp_path_factory.mktemp("restarted"), toml(fault_server)) as gateway:
        yield Rig(gateway, faulty)


def test_after_a_restart_replies_are_there_and_a_dead_request_frees_its_key(
    restarted: Rig, faulty: FaultUpstream
) -> None:
    rig, kept, dead = restarted, [fresh(), fresh()], fresh()
    first = [
        run(rig.chat("fault/fault-ok", headers=headers, stream=stream, max_tokens=1000))
        for headers, stream in zip(kept, (False, True), strict=True)
    ]

    async def die() -> None:
        connection = await Connection.open(rig.port)
        await connection.send(rig.request("fault/fault-hang", headers=dead, max_tokens=1000))
        while len(await asyncio.to_thread(faulty.journal)) < 3:
            await asyncio.sleep(0.02)
        # What was claimed in the last two milliseconds may be lost with the process; this one was not.
        await asyncio.sleep(0.1)
        await asyncio.to_thread(rig.gateway.kill)
        await connection.hang_up()

    run(die())
    rig.gateway.process.stop()
    rig.gateway.start()
    before = rig.wallet()
    again = [
        run(rig.chat("fault/fault-ok", headers=headers, stream=stream, max_tokens=1000))
        for headers, stream in zip(kept, (False, True), strict=True)
    ]
    assert [reply.body for reply in again] == [reply.body for reply in first]
    assert rig.wallet() == before
    # The key of the request that died is free: also for another body, since nothing was answered under it.
    reply = run(rig.chat("fault/fault-ok", "Something new.", headers=dead, max_tokens=1000))
    assert reply.status == 200
    assert rig.wallet()["balance"] == before["balance"] - EXACT
    assert "adds up" in rig.gateway.audit()


def test_the_key_of_one_who_left_before_the_answer_is_free(rig: Rig, faulty: FaultUpstream) -> None:
    headers, user = fresh(), str(uuid.uuid4())

    async def leave() -> None:
        connection = await Connection.open(rig.port)
        await connection.send(rig.request("fault/fault-hang", headers=headers, user_id=user, max_tokens=1000))
        while not await asyncio.to_thread(faulty.journal):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        await connection.hang_up()

    run(leave())
    rig.wait_generation(user)
    faulty.program("ok")
    reply = run(ask(rig.port, rig.request("fault/fault-hang", headers=headers, user_id=user, max_tokens=1000)))
    assert reply.status == 200
    assert Decimal(reply.json["tollway"]["cost_usd"]) == EXACT
