"""Stop 6, call: attempts at offers, one after another, until one answers - or none can.

Retries and fallbacks happen before the first byte only and inside the same hold. Every attempt is written down; the caller
pays for the one that was delivered (money.md R8f).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tollway.errors import Refused
from tollway.gateway.line import ClientGone
from tollway.gateway.passage import Attempt, Interruption, Passage
from tollway.gateway.relay import Relay
from tollway.gateway.reserve import Reserve
from tollway.gateway.whole import WholeAnswer, read_whole
from tollway.ports import Clock, Dialect, Outgoing, Telemetry, Upstream, UpstreamStream
from tollway.routing.failure import Failure, FailureKind, UpstreamError
from tollway.routing.fallback import backoff_s, final_error, may_follow, may_retry
from tollway.routing.policy import Candidate

Answer = TypeVar("Answer")
_Once: TypeAlias = Callable[[Passage, Dialect, Outgoing, float], Awaitable[Answer]]
ERROR_BODY_BYTES_MAX = 64 * 1024
CANCELLED = "cancelled"
"""The reason of an attempt that ended because the caller hung up, or because we are told to stop."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """The operator's choices. Seconds; `retries` per offer, `attempts_max` over all offers."""

    attempt_timeout_s: float
    total_timeout_s: float
    retries: int
    attempts_max: int


@dataclass(slots=True)
class OpenAnswer:
    """A stream that has begun: `first` are bytes for the caller that are there already."""

    stream: UpstreamStream
    relay: Relay
    first: bytes


class Calls:
    """Asks offers in order. `jitter` gives a number in [0, 1) for the backoff."""

    def __init__(
        self,
        upstream: Upstream,
        dialects: Mapping[str, Dialect],
        reserve: Reserve,
        policy: CallPolicy,
        clock: Clock,
        telemetry: Telemetry,
        jitter: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._dialects = dialects
        self._reserve = reserve
        self._policy = policy
        self._clock = clock
        self._telemetry = telemetry
        self._jitter = jitter

    def dialect(self, candidate: Candidate) -> Dialect:
        """The dialect that a candidate speaks."""
        return self._dialects[candidate.offer.provider.wire.dialect]

    async def whole(self, passage: Passage) -> WholeAnswer:
        """The whole answer of the first offer that gives one.

        Raises:
            UpstreamFailed and its kinds, UpstreamRefused, ContextLengthExceeded, UnsupportedField: nothing to charge.
        """
        return await self._attempts(passage, self._whole_once)

    async def opened(self, passage: Passage) -> OpenAnswer:
        """The stream of the first offer that has begun to answer. Raises as `whole`."""
        return await self._attempts(passage, self._open_once)

    async def _whole_once(
        self, passage: Passage, dialect: Dialect, outgoing: Outgoing, timeout_s: float
    ) -> WholeAnswer:
        status, headers, body = await self._upstream.fetch(outgoing, timeout_s)
        if not 200 <= status < 300:
            raise UpstreamError(dialect.failure(status, headers, body))
        return read_whole(dialect, body, passage.candidate.offer.model, passage.id, int(passage.created))

    async def _open_once(self, passage: Passage, dialect: Dialect, outgoing: Outgoing, timeout_s: float) -> OpenAnswer:
        # The timeout of a stream covers it to its end; the first byte has the attempt's own.
        async with asyncio.timeout(timeout_s):
            stream = await self._upstream.open(outgoing, max(self.time_left(passage), 0.001))
            try:
                return await self._begin(passage, dialect, stream)
            except BaseException:
                await stream.close()
                raise

    async def _begin(self, passage: Passage, dialect: Dialect, stream: UpstreamStream) -> OpenAnswer:
        if not 200 <= stream.status < 300:
            headers = {} if (after := stream.header("retry-after")) is None else {"retry-after": after}
            raise UpstreamError(dialect.failure(stream.status, headers, await stream.read(ERROR_BODY_BYTES_MAX)))
        source = dialect.stream(passage.candidate.offer.model, passage.id, int(passage.created))
        chat = passage.chat
        relay = Relay(source, is_identity=dialect.is_identity, include_usage=chat.include_usage, choices=chat.choices)
        while not relay.is_over and (data := await stream.next()) is not None:
            first = relay.feed(data)
            if relay.failure is not None:
                # Nothing has gone out yet: another try may do better.
                raise relay.failure
            if first or (relay.is_done and relay.has_begun):
                return OpenAnswer(stream, relay, first)
        first = relay.end()
        if not relay.is_done or not relay.has_begun:
            raise UpstreamError(Failure(FailureKind.MALFORMED, stream.status, "the stream ended before it began"))
        return OpenAnswer(stream, relay, first)

    async def _attempts(self, passage: Passage, once: _Once[Answer]) -> Answer:
        """The first answer that any candidate gives, or the error that all of them add up to."""
        failure: Failure | None = None
        refusal: Refused | None = None
        for candidate in passage.route.candidates:
            if failure is not None and not may_follow(
                failure.kind, passage.candidate.offer.model, candidate.offer.model
            ):
                continue
            try:
                outgoing = await self._prepared(passage, candidate)
            except Refused as error:
                # Another candidate may be cheaper or take the field: what this one cannot do is told only if none can.
                refusal = refusal or error
                continue
            for turn in range(1 + self._policy.retries):
                timeout_s = min(self._policy.attempt_timeout_s, self.time_left(passage))
                if timeout_s <= 0 or len(passage.attempts) >= self._policy.attempts_max:
                    raise final_error(failure or Failure(FailureKind.TIMEOUT), passage.attempts)
                answer = await self._once(passage, once, outgoing, timeout_s)
                if not isinstance(answer, Failure):
                    return answer
                failure = answer
                if passage.is_caller_gone:
                    # Nobody waits for another try.
                    passage.interruption = Interruption.CLIENT_GONE
                    raise ClientGone
                if turn == self._policy.retries or not may_retry(failure):
                    break
                await asyncio.sleep(backoff_s(turn, failure.retry_after_s, self._jitter()))
        if failure is None and refusal is not None:
            raise refusal
        raise final_error(failure or Failure(FailureKind.TIMEOUT), passage.attempts)

    async def _prepared(self, passage: Passage, candidate: Candidate) -> Outgoing:
        """The request for a candidate, covered by the hold. Raises Refused: it cannot be asked this, or not be paid."""
        if candidate is not passage.candidate:
            await self._reserve.cover(passage, candidate)
            passage.candidate = candidate
        bound = None if passage.output is None else passage.output.send_max_tokens
        return self.dialect(candidate).request(passage.chat, candidate.offer, bound)

    async def _once(
        self, passage: Passage, once: _Once[Answer], outgoing: Outgoing, timeout_s: float
    ) -> Answer | Failure:
        started = self._clock.monotonic()
        passage.has_called = True
        answer: Answer | Failure
        try:
            answer = await once(passage, self.dialect(passage.candidate), outgoing, timeout_s)
        except UpstreamError as error:
            answer = error.failure
        except TimeoutError:
            answer = Failure(FailureKind.TIMEOUT)
        except ConnectionError:
            answer = Failure(FailureKind.CONNECTION)
        except asyncio.CancelledError:
            self._write_down(passage, started, None, CANCELLED)
            raise
        failure = answer if isinstance(answer, Failure) else None
        # What has failed was not delivered: a caller who leaves before the next try pays nothing for it (R8a).
        passage.has_called = failure is None
        self._write_down(passage, started, failure)
        return answer

    def broke(self, passage: Passage, failure: Failure) -> None:
        """Write down that the attempt which had begun to answer has failed after all."""
        last = passage.attempts.pop()
        started = passage.started + last.started_ms / 1000
        self._write_down(passage, started, failure)

    def time_left(self, passage: Passage) -> float:
        """Seconds until the request has taken as long as it may."""
        return self._policy.total_timeout_s - (self._clock.monotonic() - passage.started)

    def _write_down(self, passage: Passage, started: float, failure: Failure | None, reason: str = "ok") -> None:
        offer = passage.candidate.offer
        if failure is not None:
            self._telemetry.upstream_failed(offer.provider.id, failure.kind)
        passage.attempts.append(
            Attempt(
                offer.id,
                offer.provider.id,
                offer.model,
                failure.status if failure is not None else 200 if reason == "ok" else 0,
                reason if failure is None else failure.kind,
                "" if failure is None else failure.message,
                round((started - passage.started) * 1000),
                round((self._clock.monotonic() - passage.started) * 1000),
            )
        )
