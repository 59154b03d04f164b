"""Stop 6, call: attempts at offers, one after another, until one answers - or none can.

Retries and fallbacks happen before the first byte only and inside the same hold. Every attempt is written down; the caller
pays for the one that was delivered (money.md R8f).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tollway.errors import NoHealthyOffer, Refused
from tollway.gateway.health import OfferHealthBook
from tollway.gateway.line import ClientGone
from tollway.gateway.passage import Attempt, Interruption, Passage
from tollway.gateway.relay import Relay
from tollway.gateway.reserve import Reserve
from tollway.gateway.whole import WholeAnswer, read_whole
from tollway.jsontypes import JSON
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
        health: OfferHealthBook,
    ) -> None:
        self._upstream = upstream
        self._dialects = dialects
        self._reserve = reserve
        self._policy = policy
        self._clock = clock
        self._telemetry = telemetry
        self._jitter = jitter
        self._health = health

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
        stream = await self._upstream.open(outgoing, timeout_s)
        try:
            opened = await self._begin(passage, dialect, stream)
        except BaseException:
            await stream.close()
            raise
        stream.allow(max(self.time_left(passage), 0.001))
        return opened

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
        for candidate in self._admitted(passage):
            if failure and not may_follow(failure.kind, passage.candidate.offer.model, candidate.offer.model):
                self._health.released(candidate.offer.id)
                continue
            try:
                if candidate is not passage.candidate:
                    await self._reserve.cover(passage, candidate)
                    passage.candidate = candidate
                dialect = self.dialect(candidate)
                bound = None if passage.output is None else passage.output.send_max_tokens
                outgoing = dialect.request(passage.chat, candidate.offer, bound)
            except Refused as error:
                # Another candidate may be cheaper or take the field: what this one cannot do is told only if none can.
                refusal = refusal or error
                self._health.released(candidate.offer.id)
                continue
            for turn in range(1 + self._policy.retries):
                if turn and not self._health.admits(candidate.offer.id, self._now(passage)):
                    break
                started = self._clock.monotonic()
                timeout_s = self._policy.total_timeout_s - (started - passage.started)
                timeout_s = min(timeout_s, self._policy.attempt_timeout_s)
                if timeout_s <= 0 or len(passage.attempts) >= self._policy.attempts_max:
                    raise final_error(failure or Failure(FailureKind.TIMEOUT), passage.attempts)
                passage.has_called = True
                try:
                    answer = await once(passage, dialect, outgoing, timeout_s)
                except asyncio.CancelledError:
                    self._write_down(passage, started, None, CANCELLED)
                    raise
                except (UpstreamError, TimeoutError, ConnectionError) as error:
                    failure = _failure(error)
                else:
                    self._write_down(passage, started, None)
                    return answer
                # What has failed was not delivered: a caller who leaves before the next try pays nothing for it (R8a).
                passage.has_called = False
                self._write_down(passage, started, failure)
                if passage.is_caller_gone:
                    # Nobody waits for another try.
                    passage.interruption = Interruption.CLIENT_GONE
                    raise ClientGone
                if turn == self._policy.retries or not may_retry(failure):
                    break
                await asyncio.sleep(backoff_s(turn, failure.retry_after_s, self._jitter()))
        if failure is None:
            raise refusal or self._all_out(passage)
        raise final_error(failure, passage.attempts)

    def _admitted(self, passage: Passage) -> Iterator[Candidate]:
        """The candidates whose offers are well, in order; then, of those that are out, the one that may be tried."""
        out = dict[str, Candidate]()
        for candidate in passage.route.candidates:
            if self._health.admits(candidate.offer.id, self._now(passage)):
                yield candidate
            else:
                out[candidate.offer.id] = candidate
        if out and (chosen := self._health.last_resort(out, self._now(passage))):
            yield out[chosen]

    def _all_out(self, passage: Passage) -> NoHealthyOffer:
        offers = [one.offer.id for one in passage.route.candidates]
        return NoHealthyOffer(
            retry_after_seconds=self._health.retry_after_s(offers, self._now(passage)), attempts=list[JSON]()
        )

    def _now(self, passage: Passage) -> float:
        """Unix seconds; a wall clock that is set while a request is on the road does not disturb it."""
        return passage.created + self._clock.monotonic() - passage.admitted

    def broke(self, passage: Passage, failure: Failure) -> None:
        """Write down that the attempt which had begun to answer has failed after all."""
        last = passage.attempts.pop()
        self._write_down(passage, passage.started + last.started_ms / 1000, failure, has_begun=True)

    def time_left(self, passage: Passage) -> float:
        """Seconds until the request has taken as long as it may."""
        return self._policy.total_timeout_s - (self._clock.monotonic() - passage.started)

    def _write_down(
        self, passage: Passage, started: float, failure: Failure | None, reason: str = "ok", *, has_begun: bool = False
    ) -> None:
        offer = passage.candidate.offer
        status, message = 200 if reason == "ok" else 0, ""
        if failure is not None:
            self._telemetry.upstream_failed(offer.provider.id, failure.kind)
            status, reason, message = failure.status, failure.kind, failure.message
        moment = self._clock.monotonic()
        began, ended = started - passage.started, moment - passage.started
        ms, now = (moment - started) * 1000, passage.created + moment - passage.admitted
        if has_begun:
            self._health.broke(offer.id, kind=reason, latency_ms=ms, now=now)
        elif reason == "ok" and passage.chat.stream:
            self._health.record(offer.id, is_ok=True, ttft_ms=ms, now=now)
        else:
            self._health.record(offer.id, is_ok=reason == "ok", kind=reason, latency_ms=ms, now=now)
        passage.attempts.append(
            Attempt(
                offer.id, offer.provider.id, offer.model, status, reason, message, int(began * 1000), int(ended * 1000)
            )
        )


def _failure(error: UpstreamError | TimeoutError | ConnectionError) -> Failure:
    if isinstance(error, UpstreamError):
        return error.failure
    return Failure(FailureKind.TIMEOUT if isinstance(error, TimeoutError) else FailureKind.CONNECTION)
