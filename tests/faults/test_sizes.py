"""What is too large, too deep, too slow or too quiet: refused in time, or served without anybody else noticing."""

import asyncio
import json

import pytest

from faults.client import Connection, Reply, ask, request_bytes
from faults.outcomes import EXACT
from faults.rig import Rig, attempts_of, charge_of, chat, check_error, run
from support.fault_answers import text_of
from support.upstreams import FaultUpstream

MIB = 1 << 20


# --- sizes and depths ---------------------------------------------------------------------------------------------------


def chunked(key: str, body: bytes) -> bytes:
    """A request that does not say how long it is."""
    head, _, _ = request_bytes(key, b"").partition(b"content-length")
    parts = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    return (
        head
        + b"transfer-encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        + b"0\r\n\r\n"
    )


def test_a_body_that_is_too_large_is_413_and_reaches_nobody(strict: Rig, faulty: FaultUpstream) -> None:
    key = strict.gateway.key
    large = json.dumps(chat("fault/fault-ok", "x" * (MIB + 10), max_tokens=10)).encode()
    for request in (request_bytes(key, large), chunked(key, large)):
        check_error(run(ask(strict.port, request)), 413, "payload_too_large", "payload_too_large")
    assert faulty.journal() == []
    # One byte less than the limit is served.
    fitting = json.dumps(chat("fault/fault-ok", "", max_tokens=1000)).encode()
    padded = fitting[:-1] + b" " * (MIB - len(fitting)) + b"}"
    assert len(padded) == MIB
    assert run(ask(strict.port, request_bytes(key, padded))).status == 200


def test_a_body_that_announces_too_much_is_refused_before_it_comes(strict: Rig) -> None:
    async def scenario() -> Reply:
        connection = await Connection.open(strict.port)
        head = request_bytes(strict.gateway.key, b"").replace(b"content-length: 0", b"content-length: 999999999999")
        await connection.send(head + b'{"model":')
        reply = await asyncio.wait_for(connection.reply(), 5)
        await connection.hang_up()
        return reply

    check_error(run(scenario()), 413, "payload_too_large", "payload_too_large")


DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECTS = '{"a":' * 50_000 + "1" + "}" * 50_000


@pytest.mark.parametrize("provider", ["fault", "fault-a", "fault-g"])
@pytest.mark.parametrize("deep", [DEEP, DEEP_OBJECTS], ids=["arrays", "objects"])
@pytest.mark.parametrize(
    "place",
    [
        '{{"model": "{model}", "max_tokens": 9, "messages": {deep}}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": {deep}}}]}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": [{{"type": "text", "text": "x", "y": {deep}}}]}}]}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": "x", "y": {deep}}}]}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": "x"}}], "tools": {deep}}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": "x"}}], "response_format": {deep}}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": "x"}}], "unknown": {deep}, "z": "\\u00e9"}}',
        '{{"model": "{model}", "max_tokens": 9, "messages": [{{"role": "user", "content": "x"}}], "stop": {deep}}}',
        "{deep}",
    ],
)
def test_json_without_a_bottom_is_refused_or_passed_on_and_never_breaks_us(
    rig: Rig, provider: str, deep: str, place: str
) -> None:
    body = place.format(model=f"{provider}/fault-ok", deep=deep).encode()
    reply = run(ask(rig.port, request_bytes(rig.gateway.key, body)))
    assert reply.status in {200, 400}, reply.body[:500]
    if reply.status == 400:
        assert reply.error["type"] == "invalid_request_error"
    rig.assert_settled()


def test_an_answer_without_a_bottom_is_a_failure_of_the_provider(rig: Rig, faulty: FaultUpstream) -> None:
    """Covered byte by byte in tests/gateway; here: nothing of it leaves a hold behind."""
    faulty.program("fault-malformed", "fault-malformed")
    assert run(rig.chat("fault/fault-ok", max_tokens=9)).status == 502
    assert run(rig.chat("fault-a/fault-ok", max_tokens=9)).status == 502
    rig.assert_settled()


def test_half_a_request_from_many_does_not_keep_others_out(rig: Rig) -> None:
    """Slow lorises: three hundred connections that never finish their headers or their bodies."""

    async def scenario() -> list[int]:
        whole = rig.request("fault/fault-ok", max_tokens=1000)
        lorises = [await Connection.open(rig.port) for _ in range(300)]
        for number, loris in enumerate(lorises):
            await loris.send(whole[: 20 if number % 2 else len(whole) - 5])
        replies = [await ask(rig.port, whole) for _ in range(5)]
        for loris in lorises:
            await loris.hang_up()
        return [reply.status for reply in replies]

    assert run(scenario()) == [200] * 5


# --- idle streams -------------------------------------------------------------------------------------------------------


def comments_of(reply: Reply) -> int:
    return reply.body.count(b": keep-alive\n\n")


def test_an_idle_stream_gets_comments_and_nothing_else_changes(strict: Rig, faulty: FaultUpstream) -> None:
    faulty.program("ok chunks=1 chunk_ms=1150")
    reply = run(strict.chat("fault/fault-ok", stream=True, max_tokens=1000))
    assert comments_of(reply) >= 2
    assert reply.text == text_of(1)
    assert charge_of(strict.generation(reply.generation_id)) == EXACT
    assert attempts_of(strict.generation(reply.generation_id)) == [("fault/fault-ok", "ok")]


def test_the_comments_go_on_whatever_other_streams_do(strict: Rig, faulty: FaultUpstream) -> None:
    """Streams that end at the tick, callers who leave, and one who stays and never reads: one ticker serves them all."""

    async def ends(number: int) -> None:
        told = {"fault": f"((chunks=2 chunk_ms={300 + number * 7}))"}
        await strict.chat("fault/fault-ok", stream=True, max_tokens=1000, metadata=told)

    async def leaves() -> None:
        connection = await Connection.open(strict.port)
        await connection.send(strict.request("fault/fault-hang-mid", stream=True, max_tokens=1000))
        await connection.events(1) if await connection.head() == 200 else None
        await asyncio.sleep(0.4)
        await connection.hang_up(reset=True)

    async def never_reads() -> None:
        connection = await Connection.open(strict.port, is_deaf=True)
        told = {"fault": "((chunks=60000))"}
        await connection.send(strict.request("fault/fault-ok", stream=True, max_tokens=1000, metadata=told))
        await asyncio.sleep(4)
        await connection.hang_up(reset=True)

    async def scenario() -> Reply:
        others = [
            asyncio.ensure_future(one) for one in (never_reads(), *(leaves() for _ in range(20)), *map(ends, range(60)))
        ]
        await asyncio.sleep(1.0)
        idle = await strict.chat(
            "fault/fault-ok", stream=True, max_tokens=1000, metadata={"fault": "((chunks=2 chunk_ms=800))"}
        )
        await asyncio.gather(*others)
        return idle

    assert comments_of(run(scenario())) >= 1
