"""Stop 6: attempts and their order; and the road around it when the ledger fails in the middle."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gateway.road import USD, Built, Caught, built, charge
from tollway.errors import LedgerUnavailable, NoHealthyOffer, UpstreamFailed, UpstreamTimeout
from tollway.gateway.line import ClientGone
from tollway.ports import Outgoing

FAST = {"simulate": {"delay_ms": 0, "chunk_ms": 0, "chunks": 10}}
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
}


class Scripted:
    """An upstream that acts out one step per request: (status, body), or an exception; streams are lists of pieces."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.asked = list[dict[str, Any]]()

    async def fetch(self, outgoing: Outgoing, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        self.asked.append(json.loads(outgoing.body))
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        status, body = step
        return status, {}, body if isinstance(body, bytes) else json.dumps(body).encode()

    async def open(self, outgoing: Outgoing, timeout_s: float) -> "ScriptedStream":
        self.asked.append(json.loads(outgoing.body))
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return ScriptedStream(*step)


class ScriptedStream:
    def __init__(self, status: int, pieces: list[Any]) -> None:
        self.status = status
        self._pieces = list(pieces)
        self.is_closed = False

    def header(self, name: str) -> str | None:
        return None

    is_over = False

    def allow(self, timeout_s: float) -> None: ...

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        while (piece := await self.next()) is not None:
            if not take(piece):
                return True
        return False

    async def next(self) -> bytes | None:
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def read(self, limit: int) -> bytes:
        return b"".join(piece for piece in self._pieces if isinstance(piece, bytes))[:limit]

    async def close(self) -> None:
        self.is_closed = True


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: "
        + json.dumps(
            {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [choice], **more}
        ).encode()
        + b"\n\n"
    )


ROLE, HELLO, STOP = event({"role": "assistant", "content": ""}), event({"content": "hello"}), event({}, "stop")
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'


async def outcome(house: Built, passage: Any) -> tuple[str, int]:
    kept = await house.kept(passage)
    return kept.end.outcome, kept.end.charge_nano


def test_the_answer_of_the_first_good_attempt_is_charged(tmp_path) -> None:
    upstream = Scripted((503, {}), ConnectionError(), (200, ANSWER))

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream, retries=1) as house:
            passage = house.enter(models=["estimate/cheap"], max_tokens=50)
            body = await house.whole(passage)
            assert body["choices"] == ANSWER["choices"]
            assert [(one.model, one.reason) for one in passage.attempts] == [
                ("estimate/small", "overloaded"),
                ("estimate/small", "connection"),
                ("estimate/cheap", "ok"),
            ]
            assert house.told.failures == ["overloaded", "connection"]
            assert USD - house.available == charge(20, 2) // 3

    asyncio.run(scenario())


def test_no_attempt_is_made_when_the_time_is_over(tmp_path) -> None:
    upstream = Scripted(*[(503, {})] * 10)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream, retries=9, attempts_max=10) as house:
            passage = house.enter(max_tokens=50)
            passage.started -= 4.6  # of five seconds
            with pytest.raises((NoHealthyOffer, UpstreamFailed)):
                await house.whole(passage)
            assert 1 <= len(passage.attempts) < 5
            late = house.enter(max_tokens=50)
            late.started -= 10
            with pytest.raises(UpstreamTimeout):
                await house.whole(late)
            assert late.attempts == []
            assert await outcome(house, late) == ("void", 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([], "malformed"),
        ([DONE], "malformed"),
        ([b": only a comment\n\n"], "malformed"),
        ([b"<html>"], "malformed"),
        ([ERROR], "server"),
        ([ROLE + ERROR], "server"),
        ([ROLE + HELLO + b'data: {"half": \n\n'], "malformed"),
        ([ConnectionError()], "connection"),
        ([TimeoutError()], "timeout"),
    ],
)
def test_a_stream_that_fails_before_anything_went_out_is_tried_again(tmp_path, pieces: list[Any], reason: str) -> None:
    upstream = Scripted((200, pieces), (200, [ROLE + HELLO, STOP, DONE]))

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream, retries=1) as house:
            passage = house.enter(stream=True, max_tokens=50)
            sink = await house.stream(passage)
            assert [one.reason for one in passage.attempts] == [reason, "ok"]
            assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in sink.chunks) == "hello"
            assert (await outcome(house, passage))[0] == "settled"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([ROLE, HELLO, ERROR], "server"),
        ([ROLE, HELLO + ERROR], "server"),
        ([ROLE, HELLO], "malformed"),
        ([ROLE, HELLO, ConnectionError()], "connection"),
        ([ROLE, HELLO, TimeoutError()], "timeout"),
        ([ROLE, HELLO, b'data: {"half": \n\n', STOP, DONE], "malformed"),
    ],
)
def test_after_the_first_byte_a_failure_is_told_and_free(tmp_path, pieces: list[Any], reason: str) -> None:
    """What came before the failure is passed on, in whatever pieces it came; the cost is ours (R8a)."""
    upstream = Scripted((200, pieces))

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream, retries=3) as house:
            passage = house.enter(stream=True, max_tokens=50)
            sink = await house.stream(passage)
            *good, last = sink.chunks
            assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in good) == "hello"
            assert last["error"]["code"].startswith(("upstream", "no_offer"))
            assert sink.kept is None
            assert await outcome(house, passage) == ("void", 0)
            assert [one.reason for one in passage.attempts] == [reason]
            assert house.told.failures == [reason]
            # What the provider will bill for it is booked as ours.
            rows = await house.world.ask("SELECT count(*) FROM transfers WHERE kind = 'failover'")
            assert rows == [(1,)]

    asyncio.run(scenario())


def test_a_finish_for_one_of_two_choices_is_not_the_end(tmp_path) -> None:
    upstream = Scripted(
        (200, [ROLE, HELLO, STOP]), (200, [ROLE, HELLO, STOP, event({}, "stop").replace(b'"index": 0', b'"index": 1')])
    )

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            passage = house.enter(stream=True, max_tokens=50, n=2)
            assert "error" in (await house.stream(passage)).chunks[-1]
            both = house.enter(stream=True, max_tokens=50, n=2)
            assert (await house.stream(both)).body.endswith(DONE)
            assert (await outcome(house, both))[0] == "settled"

    asyncio.run(scenario())


def test_every_stream_is_closed_however_it_ends(tmp_path) -> None:
    streams = [ScriptedStream(200, pieces) for pieces in ([ROLE, HELLO, STOP, DONE], [ERROR], [ROLE, HELLO, ERROR], [])]
    streams.append(ScriptedStream(500, [b"{}"]))

    class Given(Scripted):
        async def open(self, outgoing: Outgoing, timeout_s: float) -> ScriptedStream:
            return self.steps.pop(0)

    async def scenario() -> None:
        async with built(tmp_path, upstream=Given(*streams)) as house:
            for _ in streams:
                try:
                    await house.stream(house.enter(stream=True, max_tokens=50))
                except UpstreamFailed:
                    continue
            assert all(one.is_closed for one in streams)
            assert house.held == 0

    asyncio.run(scenario())


# --- the ledger fails ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_final_is_said_when_the_charge_cannot_be_written(tmp_path, stream: bool) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            house.ledger.fails["settle"] = LedgerUnavailable()
            passage = house.enter(stream=stream, max_tokens=50, **FAST)
            if not stream:
                with pytest.raises(LedgerUnavailable):
                    await house.whole(passage)
                return
            sink = await house.stream(passage)
            last = sink.chunks[-1]
            assert last["error"]["code"] == "ledger_unavailable"
            assert last["tollway"]["cost_usd"] == "0"
            assert b"[DONE]" not in sink.body
            # It had been put by for its Idempotency-Key, and is taken back.
            assert sink.kept is not None
            assert sink.forgotten

    asyncio.run(scenario())


def test_the_reply_is_put_by_before_the_charge_is_written(tmp_path) -> None:
    """R10: were it put by after, a crash in between would let the same key be charged twice."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            order = list[str]()
            house.ledger.before["settle"] = lambda: order.append("settle")
            body = await house.whole(
                house.enter(max_tokens=50, **FAST), keep=lambda kept: order.append(f"keep {len(kept)}")
            )
            assert order == [f"keep {len(json.dumps(body, separators=(',', ':')).encode())}", "settle"]

            class Noting(Caught):
                def keep(self, last: bytes) -> None:
                    super().keep(last)
                    order.append("keep")

            order.clear()
            sink = Noting()
            await house.stream(house.enter(stream=True, max_tokens=50, **FAST), sink)
            assert order == ["keep", "settle"]
            assert sink.kept == sink.body

    asyncio.run(scenario())


def test_a_rolling_hold_that_the_ledger_cannot_raise_ends_the_stream_with_an_error(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            house.ledger.fails["raise_hold"] = LedgerUnavailable()
            house.ledger.fails["void"] = LedgerUnavailable()
            passage = house.enter(stream=True, simulate={"chunks": 300, "delay_ms": 0, "chunk_ms": 0})
            sink = await house.stream(passage)
            assert sink.chunks[-1]["error"]["code"] == "ledger_unavailable"
            assert sink.is_finished

    asyncio.run(scenario())


def test_a_broken_stream_is_told_even_if_its_void_cannot_be_written(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            house.ledger.fails["void"] = LedgerUnavailable()
            passage = house.enter(
                stream=True,
                max_tokens=50,
                simulate={"chunks": 9, "delay_ms": 0, "chunk_ms": 0, "error_after_chunks": 3},
            )
            sink = await house.stream(passage)
            assert sink.chunks[-1]["error"]["code"] == "ledger_unavailable"

    asyncio.run(scenario())


def test_a_hold_that_could_not_be_ended_is_ended_by_the_sweep(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            house.ledger.fails["settle"] = house.ledger.fails["void"] = LedgerUnavailable()
            with pytest.raises(LedgerUnavailable):
                await house.whole(house.enter(max_tokens=50, **FAST))
            assert house.held > 0
            await house.world.store.sweep(int(house.world.clock.now()) + 10_000)
            assert (house.held, house.available) == (0, USD)

    asyncio.run(scenario())


def test_a_caller_who_does_not_read_is_cut_off_at_the_end_of_the_time(tmp_path) -> None:
    """Stuck in saying, not in listening: the caller has left, for all we know, and pays for what was read."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(stream=True, max_tokens=50, simulate={"chunks": 20, "delay_ms": 0, "chunk_ms": 1})
            passage.started -= 4.7
            sink = Caught(lambda pieces: asyncio.sleep(60) if pieces == 5 else None)
            with pytest.raises(ClientGone):
                await house.stream(passage, sink)
            kept = await house.kept(passage)
            assert kept.generation.status == "cancelled"
            assert USD - house.available == kept.end.charge_nano > 0

    asyncio.run(scenario())
