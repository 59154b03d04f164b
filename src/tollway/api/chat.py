"""`POST /v1/chat/completions` as a plain ASGI callable: stops 1, 2 and 9 of the road, and what HTTP adds to it.

HTTP adds: the request id, rate-limit headers on every reply, idempotency, keep-alive comments on idle streams, and
noticing that the caller has gone.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Protocol

from tollway.api.asgi import CallerLeft, Receive, Scope, Send, answer, read_body
from tollway.api.connection import writer
from tollway.api.naming import Fields, Named
from tollway.api.problems import JSON_TYPE, Headers, error_response
from tollway.api.watch import Watch, Watches
from tollway.api.wire import read_chat, to_json
from tollway.errors import (
    AlreadyExists,
    Broken,
    IdempotencyMismatch,
    InvalidField,
    PayloadTooLarge,
    RequestInProgress,
    ShuttingDown,
    TollwayError,
)
from tollway.gateway.admit import Caller, Gate
from tollway.gateway.chat import Road
from tollway.gateway.line import ClientGone, Line
from tollway.gateway.passage import Passage
from tollway.metering.sse import KEEP_ALIVE
from tollway.ports import Clock, Ids, Limiter, Telemetry, Window

KEEP_ALIVE_S = 10.0
_COMMENT_S = 0.05
KEY_BYTES_MAX = 255
REPLAY_BYTES_MAX = 2 * 1024 * 1024
_TOO_LONG = AlreadyExists(
    "this request was answered and charged once, by a stream too long to be kept for its Idempotency-Key; "
    "its receipt tells the rest"
)
"""What asking again gives after a longer stream: never a second charge."""
_STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Replies(Protocol):
    """Stored replies by Idempotency-Key (store/idempotency.py)."""

    def begin(self, workspace_id: str, key: str, body_hash: bytes, now: float) -> "Begun":
        """`new`, `running`, `mismatch`, or `replay` with the stored reply."""
        ...

    def finish(self, workspace_id: str, key: str, status: int, content_type: str, body: bytes) -> None:
        """Keep the reply for 24 hours; called just before the charge goes to the ledger."""
        ...

    def forget(self, workspace_id: str, key: str) -> None:
        """The request ended without a reply worth keeping; the key may be used again."""
        ...


class Begun(Protocol):
    """What `Replies.begin` found."""

    state: str
    status: int
    content_type: str
    body: bytes


class ChatEndpoint:
    """The endpoint. bytes_max: the largest body accepted. names: of a workspace (naming.py)."""

    def __init__(
        self,
        *,
        gate: Gate,
        road: Road,
        limiter: Limiter,
        replies: Replies,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        bytes_max: int,
        is_draining: Callable[[], bool],
        names: Callable[[str, Fields], Named | None],
    ) -> None:
        self._gate = gate
        self._road = road
        self._limiter = limiter
        self._replies = replies
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._bytes_max = bytes_max
        self._is_draining = is_draining
        self._names = names
        self._watches = Watches()
        self.streams = OpenStreams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._clock.monotonic()
        request_id = self._ids.new()
        reply_headers: Headers = [(b"x-request-id", request_id.encode())]
        authorization = api_key = idempotency_key = None
        announced = 0
        caller: Caller | None = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"x-api-key":
                api_key = value
            elif name == b"idempotency-key":
                idempotency_key = value
            elif name == b"content-length":
                announced = int(value)
        try:
            if self._is_draining():
                raise ShuttingDown
            peer = scope.get("client")
            address = peer[0] if peer else ""
            caller = self._gate.admit(authorization, api_key, "chat", self._clock.now(), address)
            if announced > self._bytes_max:
                raise PayloadTooLarge(f"the body has {announced} bytes; at most {self._bytes_max} are accepted")
            body = await read_body(receive, self._bytes_max)
            names = partial(self._names, caller.key.workspace_id)
            chat = read_chat(body, self._bytes_max, names)
            passage = self._road.enter(chat, caller, request_id, started)
            if idempotency_key is not None and await self._replayed(caller, idempotency_key, body, send, reply_headers):
                return
        except CallerLeft:
            return
        except TollwayError as error:
            self._telemetry.refused(error.code, error.status, request_id)
            await self._refuse(error, caller, None, send, reply_headers)
            return
        line = Line(passage)
        watch = Watch(receive, line)
        self._watches.add(watch)
        try:
            if passage.chat.stream or idempotency_key is not None:
                await self._answer(passage, line, send, reply_headers, idempotency_key)
            else:
                await self._whole(passage, line, send, reply_headers)
        finally:
            self._watches.end(watch)

    async def _whole(self, passage: Passage, line: Line, send: Send, headers: Headers) -> None:
        """Take the road of a plain answer that nobody asked to keep: most requests."""
        try:
            body = await self._road.whole(passage, line)
        except ClientGone:
            return
        except TollwayError as error:
            await self._fail(error, passage, send, headers)
            return
        except Exception:
            await self._refuse(Broken(), passage.caller, passage.window, send, headers)
            raise
        window = passage.window
        told = () if window is None else window_headers(window)
        await answer(send, 200, (JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers, *told), body)

    async def _answer(self, passage: Passage, line: Line, send: Send, headers: Headers, key: bytes | None) -> None:
        """Take the road and send what comes of it; `headers` are those of every reply."""
        keep = _Keep(self._replies, passage.caller.key.workspace_id, key)
        sink = StreamSink(send, passage, headers, self.streams, keep)
        try:
            if passage.chat.stream:
                await self._road.stream(passage, line, sink)
            else:
                body = await self._road.whole(passage, line, keep.whole)
                keep.end()
                told = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers, *sink.window()]
                await answer(send, 200, told, body)
        except ClientGone:
            keep.forget()
        except TollwayError as error:
            keep.forget()
            if not sink.has_started:
                await self._fail(error, passage, send, headers)
        except Exception:
            keep.forget()
            if not sink.has_started:
                await self._refuse(Broken(), passage.caller, passage.window, send, headers)
            raise
        finally:
            sink.close()

    async def _fail(self, error: TollwayError, passage: Passage, send: Send, headers: Headers) -> None:
        """Answer a request that was refused on the road, or that no provider could answer."""
        if not passage.held_nano and not passage.attempts:
            self._telemetry.refused(error.code, error.status, passage.id)
        await self._refuse(error, passage.caller, passage.window, send, headers)

    async def _refuse(
        self, error: TollwayError, caller: Caller | None, window: Window | None, send: Send, headers: Headers
    ) -> None:
        """Answer an error. The window's headers are owed to everybody whom we know."""
        if caller is not None:
            headers += window_headers(window or await self._limiter.window(caller.quota, self._clock.now()))
        await answer(send, *error_response(error, headers))

    async def _replayed(self, caller: Caller, key: bytes, body: bytes, send: Send, headers: Headers) -> bool:
        """Answer from the stored replies (money.md R10); False when the request is new."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            # An empty one would be shared by every request that forgot to fill it in.
            raise InvalidField(f"`Idempotency-Key` has 1 to {KEY_BYTES_MAX} characters", param="Idempotency-Key")
        digest, now = hashlib.sha256(body).digest(), self._clock.now()
        begun = self._replies.begin(caller.key.workspace_id, key.decode("latin-1"), digest, now)
        match begun.state:
            case "new":
                return False
            case "running":
                raise RequestInProgress
            case "mismatch":
                raise IdempotencyMismatch
            case _:
                content = begun.content_type.encode()
                told = [(b"content-type", content), (b"content-length", b"%d" % len(begun.body)), *headers]
                told += window_headers(await self._limiter.window(caller.quota, now))
                await answer(send, begun.status, [*told, (b"idempotent-replayed", b"true")], begun.body)
                return True


class _Keep:
    """What is kept of a reply under its Idempotency-Key; does nothing without one."""

    __slots__ = ("_is_kept", "_key", "_parts", "_replies", "_size", "_workspace_id")

    def __init__(self, replies: Replies, workspace_id: str, key: bytes | None) -> None:
        self._replies = replies
        self._workspace_id = workspace_id
        self._key = None if key is None else key.decode("latin-1")
        self._parts = list[bytes]()
        self._size = 0
        self._is_kept = False

    def add(self, data: bytes) -> None:
        if self._key is not None and self._size <= REPLAY_BYTES_MAX:
            self._parts.append(data)
            self._size += len(data)

    def whole(self, body: bytes) -> None:
        """A good answer, about to be charged."""
        self._store(200, "application/json", body)

    def stream(self, last: bytes) -> None:
        """The last events of a good answer, about to be charged."""
        if self._key is None:
            return
        self.add(last)
        if self._size <= REPLAY_BYTES_MAX:
            self._store(200, "text/event-stream; charset=utf-8", b"".join(self._parts))
        else:
            self._store(_TOO_LONG.status, "application/json", to_json(_TOO_LONG.body()))

    def end(self) -> None:
        """The request is over: a reply that was kept stays, else the key may be used again."""
        if self._is_kept:
            self._key = None
        self.forget()

    def forget(self) -> None:
        """The request failed: nothing is kept."""
        if self._key is not None:
            self._replies.forget(self._workspace_id, self._key)
            self._key = None

    def _store(self, status: int, content_type: str, body: bytes) -> None:
        if self._key is not None:
            self._is_kept = True
            self._replies.finish(self._workspace_id, self._key, status, content_type, body)


class StreamSink:
    """See `Sink`: writes events to the caller, nothing buffered."""

    __slots__ = (
        "_headers",
        "_keep",
        "_passage",
        "_send",
        "_streams",
        "_write",
        "has_started",
        "idle_ticks",
        "is_sending",
    )

    def __init__(self, send: Send, passage: Passage, headers: Headers, streams: "OpenStreams", keep: _Keep) -> None:
        self._send = send
        self._passage = passage
        self._headers = headers
        self._streams = streams
        self._write = writer(send)
        self._keep = keep
        self.has_started = False
        self.is_sending = False
        self.idle_ticks = 0

    def window(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of the window that the request was counted in."""
        window = self._passage.window
        return () if window is None else window_headers(window)

    async def start(self) -> None:
        self.has_started = True
        self._streams.add(self)
        headers = [*_STREAM_HEADERS, *self._headers, *self.window()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, data: bytes) -> None:
        if data:
            self.idle_ticks = 0
            self._keep.add(data)
            self.is_sending = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self.is_sending = False

    def write(self, data: bytes) -> bool:
        """`send`, if nothing has to be waited for; False: nothing was sent."""
        if self._write is None or not self._write(data):
            return False
        self.idle_ticks = 0
        self._keep.add(data)
        return True

    async def tick(self) -> None:
        """A comment line when two ticks have passed in silence, so that no proxy between us closes the stream.

        Never waits for a caller who does not read: all streams share one ticker.
        """
        self.idle_ticks += 1
        if self.idle_ticks >= 2 and not self.is_sending:
            self.idle_ticks = 0
            with suppress(OSError):
                async with asyncio.timeout(_COMMENT_S):
                    await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})

    async def finish(self, data: bytes) -> None:
        self._streams.discard(self)
        self._keep.end()
        await self._send({"type": "http.response.body", "body": data})

    def keep(self, last: bytes) -> None:
        """See `Sink.keep`."""
        self._keep.stream(last)

    def forget(self) -> None:
        """See `Sink.forget`."""
        self._keep.forget()

    def close(self) -> None:
        """The stream is over, however it ended."""
        self._streams.discard(self)


class OpenStreams:
    """Every stream that is open now; one ticker keeps the idle ones alive."""

    def __init__(self) -> None:
        self._open = set[StreamSink]()
        self.add = self._open.add
        self.discard = self._open.discard

    def __len__(self) -> int:
        return len(self._open)

    async def tick(self, every_s: float = KEEP_ALIVE_S / 2) -> None:
        """Send a comment on each stream that has been idle for two ticks; runs until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            for sink in list(self._open):
                # While one comment was being sent, another stream may have ended.
                if sink in self._open:
                    await sink.tick()


def window_headers(window: Window) -> tuple[tuple[bytes, bytes], ...]:
    """`X-RateLimit-*` of a window; -1 means no limit."""
    return _window_headers(window.limit, window.remaining, window.reset)


@lru_cache(maxsize=1024)
def _window_headers(limit: int, remaining: int, reset: int) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-ratelimit-limit", b"%d" % limit),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % reset),
    )
