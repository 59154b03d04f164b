"""THE ROAD of one chat request, top to bottom: route, estimate and hold, call, meter, settle, reply.

Stop 1 (read) and stop 2 (admit) lie before it, in api/chat.py and gateway/admit.py. Whole and streamed answers take the same
road; a stream merely says its parts as they come.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tollway.errors import TollwayError, UpstreamFailed
from tollway.gateway.admit import Caller
from tollway.gateway.call import Calls, OpenAnswer
from tollway.gateway.line import ClientGone, Line
from tollway.gateway.passage import Interruption, Passage
from tollway.gateway.relay import Relay
from tollway.gateway.reply import extension, told
from tollway.gateway.reserve import Reserve
from tollway.gateway.settle import Till
from tollway.gateway.steer import Steering
from tollway.ports import Clock
from tollway.request import ChatRequest
from tollway.routing.failure import Failure, FailureKind, UpstreamError
from tollway.routing.fallback import final_error

_DRAIN_S = 0.25


class Sink(Protocol):
    """Where a stream goes."""

    is_sending: bool
    """Something is being said and has not been taken yet."""

    async def start(self) -> None:
        """The answer begins: status and headers."""
        ...

    async def send(self, data: bytes) -> None:
        """Whole events."""
        ...

    def write(self, data: bytes) -> bool:
        """`send`, if nothing has to be waited for; False: nothing was sent."""
        ...

    def keep(self, last: bytes) -> None:
        """These will be the last events of a good answer.

        Told just before the charge goes to the ledger, so that what is kept for an Idempotency-Key is on disk with it.
        """
        ...

    def forget(self) -> None:
        """It could not be charged: what was kept is not a good answer."""
        ...

    async def finish(self, data: bytes) -> None:
        """The last events; the answer is over."""
        ...


def _nothing() -> str:
    return ""


def _unkept(body: bytes) -> None:
    """Of a request without an Idempotency-Key."""


def _unheard(passage: Passage, text: Callable[[], str]) -> None:
    """Nobody learns from answers."""


class Road:
    """The road. One object for all requests; everything about one request is in its `Passage`."""

    def __init__(
        self,
        steering: Steering,
        reserve: Reserve,
        calls: Calls,
        till: Till,
        clock: Clock,
        answered: Callable[[Passage, Callable[[], str]], None] = _unheard,
    ) -> None:
        """`answered`: told each request that was answered and charged, with what gives its text; it must not wait."""
        self._answered = answered
        self._steering = steering
        self._reserve = reserve
        self._calls = calls
        self._till = till
        self._clock = clock

    def enter(self, chat: ChatRequest, caller: Caller, request_id: str, started: float) -> Passage:
        """Stop 3, route: the offers that may answer. Raises as `Steering.steer`."""
        created = self._clock.now()
        found, caller, chat, decision, conversation = self._steering.steer(chat, caller, created)
        admitted = self._clock.monotonic()
        passage = Passage(request_id, chat, caller, created, started, found, found.candidates[0], admitted)
        passage.decision, passage.conversation = decision, conversation
        return passage

    async def whole(self, passage: Passage, line: Line, keep: Callable[[bytes], None] = _unkept) -> bytes:
        """Stops 4 to 9 of a whole answer: its body, once the ledger has the charge.

        Args:
            passage, line: the request and its caller.
            keep: told the body just before the charge goes to the ledger (see `Sink.keep`).

        Raises:
            TollwayError: as refused or failed; nothing is charged.
            ClientGone: the caller hung up; settled by the provider's policy.
        """
        await self._reserve.open(passage)
        passage.held = self._clock.monotonic()
        try:
            with line:
                answer = await self._calls.whole(passage)
        except ClientGone:
            await self._hung_up(passage, _nothing)
            raise
        except TollwayError as error:
            await self._till.void(passage, error)
            raise
        except BaseException:
            await self._till.void(passage, TollwayError())
            raise
        passage.called = self._clock.monotonic()
        passage.finish_reason, passage.usage_document = answer.finish_reason, answer.usage
        if line.is_gone:
            passage.interruption = Interruption.DRAINED
        try:
            self._till.rate(passage, answer.text)
            body = answer.spliced(*told(passage, answer.usage_raw))
        except BaseException:
            await self._till.void(passage, TollwayError())
            raise
        keep(body)
        await self._till.settle(passage)
        self._answered(passage, answer.text)
        return body

    async def stream(self, passage: Passage, line: Line, sink: Sink) -> None:
        """Stops 4 to 9 of a streamed answer. Raises as `whole` until the first byte; after it, the stream itself tells."""
        await self._reserve.open(passage)
        passage.held = self._clock.monotonic()
        try:
            with line:
                opened = await self._calls.opened(passage)
        except ClientGone:
            await self._hung_up(passage, _nothing)
            raise
        except TollwayError as error:
            await self._till.void(passage, error)
            raise
        except BaseException:
            await self._till.void(passage, TollwayError())
            raise
        passage.called = self._clock.monotonic()
        passage.ttft_s = passage.called - passage.started
        try:
            await sink.start()
            await sink.finish(await self._streamed(passage, line, sink, opened))
            await _drain(opened)
        finally:
            await opened.stream.close()

    async def _streamed(self, passage: Passage, line: Line, sink: Sink, opened: OpenAnswer) -> bytes:
        """Let a stream flow and settle it: the last bytes for the caller."""
        relay = opened.relay
        failure: Failure | None = None
        try:
            with line:
                # The provider has its own limits; this one is for a caller who stays and does not read.
                await self._flow(passage, sink, opened)
        except ClientGone:
            await self._left(passage, relay)
            raise
        except UpstreamError as error:
            failure = error.failure
        except TimeoutError:
            if sink.is_sending:
                passage.interruption = Interruption.CLIENT_GONE
                await self._left(passage, relay)
                raise ClientGone from None
            failure = Failure(FailureKind.TIMEOUT, 200, "the answer stopped coming")
        except ConnectionError:
            failure = Failure(FailureKind.CONNECTION, 200, "the connection broke")
        except TollwayError as error:
            # The ledger could not raise a rolling hold, and may not be able to end it either: recovery will (R9).
            with suppress(TollwayError):
                await self._till.void(passage, error)
            return relay.failing(error.body()["error"], extension(passage))
        except BaseException:
            await self._till.void(passage, TollwayError())
            raise
        passage.streamed = self._clock.monotonic()
        passage.usage_document, passage.finish_reason = relay.source.usage, relay.finish_reason
        cut = passage.interruption is Interruption.NO_FUNDS
        if line.is_gone and not cut:
            passage.interruption = Interruption.DRAINED
        if failure is None and not relay.is_done and not cut:
            failure = Failure(FailureKind.MALFORMED, 200, "the answer ended early")
        if failure is not None and not (relay.is_done and relay.delivered.events):
            return await self._broken(passage, opened, failure)
        if cut:
            passage.finish_reason = "length"
        try:
            self._till.rate(passage, relay.delivered.text)
            theirs = relay.usage_bytes if self._calls.dialect(passage.candidate).is_identity else b""
            last = relay.closing(*told(passage, theirs), "length" if cut else "")
        except BaseException:
            await self._till.void(passage, TollwayError())
            raise
        sink.keep(last)
        try:
            await self._till.settle(passage)
        except TollwayError as error:
            passage.charge = None
            sink.forget()
            return relay.failing(error.body()["error"], extension(passage))
        self._answered(passage, relay.delivered.text)
        return last

    async def _flow(self, passage: Passage, sink: Sink, opened: OpenAnswer) -> None:
        stream, relay, out = opened.stream, opened.relay, opened.first
        delivered = relay.delivered
        rolls = passage.output is not None and passage.output.is_rolling

        def take(data: bytes) -> bool:
            """Pass on what has come within the read itself; False if the task has something to do."""
            nonlocal out
            out = relay.feed(data)
            if out and not rolls and sink.write(out):
                out = b""
            return not (out or rolls or relay.is_over or relay.failure is not None)

        while True:
            # Also when nobody listens: the reply may be kept for an Idempotency-Key.
            if out and not sink.write(out):
                # The provider has its own limits; this one is for a caller who stays and does not read.
                async with asyncio.timeout(self._calls.time_left(passage)):
                    await sink.send(out)
            out = b""
            if relay.failure is not None:
                raise relay.failure
            if relay.is_over or (rolls and not await self._reserve.extend(passage, delivered.tokens_estimate)):
                return
            if not await stream.pump(take):
                if out := relay.end():
                    await sink.send(out)
                return

    async def _broken(self, passage: Passage, opened: OpenAnswer, failure: Failure) -> bytes:
        """A stream that broke after its first byte: nothing is charged, no other offer is tried (R8a)."""
        self._calls.broke(passage, failure)
        error: TollwayError = final_error(failure, passage.attempts)
        if not isinstance(error, UpstreamFailed):
            error = UpstreamFailed(attempts=error.details.get("attempts"))
        # The kind alone: a provider's own words in the middle of an answer are nobody's business (contract.md, Errors).
        error.message = f"The answer broke off ({failure.kind.replace('_', ' ')}). Nothing was charged."
        lost = self._till.lost(passage, opened.relay.delivered.text)
        passage.finish_reason = "error"
        try:
            await self._till.void(passage, error, lost)
        except TollwayError as unwritten:
            error = unwritten
        return opened.relay.failing(error.body()["error"], extension(passage))

    async def _left(self, passage: Passage, relay: Relay) -> None:
        """The caller has gone in the middle of a stream."""
        passage.usage_document, passage.finish_reason = relay.source.usage, "cancelled"
        await self._hung_up(passage, relay.delivered.text)

    async def _hung_up(self, passage: Passage, text: Callable[[], str]) -> None:
        """The caller has gone: pay for what the provider was asked, by its policy (R8c)."""
        policy = passage.candidate.offer.provider.wire.on_disconnect
        if not passage.has_called or policy == "no_bill":
            await self._till.void(passage, None)
        else:
            self._till.rate(passage, text)
            await self._till.settle(passage)


async def _drain(opened: OpenAnswer) -> None:
    """Read the end of a stream that has said its last event, so that its connection can be used again."""
    if opened.relay.is_over and not opened.stream.is_over:
        with suppress(OSError):
            async with asyncio.timeout(_DRAIN_S):
                await opened.stream.next()
