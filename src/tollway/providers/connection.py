"""One HTTP/1.1 connection to a provider: a request goes out, its answer is read as it comes, and either can be cut off at once.

Our own, on asyncio and httptools, because a caller who hangs up must stop the provider at any moment: clients that run their
requests on a thread of their own go on until the answer is there, which the provider bills (pain 51). It costs a fifth of them.
"""

import asyncio
from typing import cast

import httptools

HEADER_BYTES_MAX = 64 * 1024
_BUFFER_BYTES_MAX = 256 * 1024
"""Read ahead of a slow caller; beyond it the provider has to wait."""


class ReplyTooLarge(ConnectionError):
    """The provider's answer is larger than the configured limit."""


class Connection(asyncio.Protocol):
    """A connection for one request after another. After any exception it is dead; see `is_reusable`.

    status: of the answer, 0 before its headers are here. idle_since: loop time, for the pool.
    """

    __slots__ = (
        "_bytes_max",
        "_deadline",
        "_failure",
        "_header_bytes",
        "_headers",
        "_idle_s",
        "_is_framed",
        "_is_kept",
        "_is_over",
        "_is_paused",
        "_is_running",
        "_loop",
        "_parser",
        "_pieces",
        "_size",
        "_timer",
        "_transport",
        "_waiter",
        "_waits_since",
        "idle_since",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self.status = 0
        self._is_running = False
        self._begin(0.0, None, None)

    def send(self, head: bytes, body: bytes, *, timeout_s: float, idle_s: float | None, bytes_max: int | None) -> None:
        """Send a request; its answer is read with `whole`, or with `started` and `next`.

        Args:
            head, body: as they go on the wire.
            timeout_s: for the whole exchange, from now.
            idle_s: the longest wait for a next piece, None for no such limit.
            bytes_max: the largest body that is read, None for one that is read in pieces.
        """
        self._is_running = True
        self._begin(self._loop.time() + timeout_s, idle_s, bytes_max)
        self._timer = self._loop.call_at(self._deadline, self._tick) if idle_s is None else self._next_tick()
        if self._transport is None or self._transport.is_closing():
            self._fail(ConnectionError("closed"))
        elif len(body) < _BUFFER_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    async def whole(self) -> bytes:
        """The whole body, once it is here. Raises ConnectionError, TimeoutError or ReplyTooLarge."""
        while not self._is_over:
            if self._failure is not None:
                raise self._failure
            await self._event()
        return self._taken()

    async def started(self) -> None:
        """Return when status and headers are here. Raises ConnectionError or TimeoutError."""
        while not self.status:
            if self._failure is not None:
                raise self._failure
            await self._event()

    async def next(self) -> bytes | None:
        """What has come of the body since the last call, None at its end. Raises ConnectionError or TimeoutError."""
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                return None
            await self._event()
        return self._taken()

    def header(self, name: str) -> str | None:
        """The first header of that name, lower case."""
        wanted = name.encode()
        return next((value.decode("latin-1") for found, value in self._headers if found.lower() == wanted), None)

    def finish(self) -> bool:
        """The exchange is over for us. True if the connection can carry another; else it has been cut."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_running = False
        if self._is_over and self._is_kept and self.is_open:
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Cut the connection at once: the provider learns that nobody wants its answer."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a stream connection; uvloop's classes do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_running:
            # Nobody asked: whatever it is, the next answer could not be told from it.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_kept = False
            if not self._is_over:
                self._fail(ConnectionError("the answer is not HTTP"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._is_running and not self._is_over:
            if self.status and exc is None and not self._is_framed:
                # An answer without a length ends with its connection.
                self._is_over = True
                self._wake()
            else:
                self._fail(ConnectionError("the connection broke"))

    # --- httptools ---

    def on_message_begin(self) -> None:
        if self._is_over:
            raise ConnectionError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            raise ConnectionError("the headers are too large")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
            return
        self.status = status
        names = {name.lower() for name, _ in self._headers}
        self._is_framed = b"content-length" in names or b"transfer-encoding" in names
        if self._bytes_max is None:
            self._wake()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._bytes_max is None:
            self._pieces.append(body)
            if self._size > _BUFFER_BYTES_MAX and self._transport is not None and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake()
        elif self._size > self._bytes_max:
            self._failure = ReplyTooLarge()
            raise self._failure
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self.status:
            self._is_over = True
            self._is_kept = self._parser.should_keep_alive()
            self._wake()

    # --- inside ---

    def _begin(self, deadline: float, idle_s: float | None, bytes_max: int | None) -> None:
        self.status = 0
        self._deadline, self._idle_s, self._bytes_max = deadline, idle_s, bytes_max
        self._waits_since = self._loop.time()
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._failure: OSError | None = None
        self._is_over = self._is_kept = self._is_framed = self._is_paused = False

    async def _event(self) -> None:
        self._waits_since = self._loop.time()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: OSError) -> None:
        # The first one is the cause, what follows from it is not.
        self._failure = self._failure or failure
        self._wake()

    def _taken(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._bytes_max is None:
            self._size = 0
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
        return data

    def _next_tick(self) -> asyncio.TimerHandle:
        return self._loop.call_at(min(self._deadline, self._loop.time() + (self._idle_s or 0)), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        is_late = now >= self._deadline
        is_silent = self._idle_s is not None and self._waiter is not None and now >= self._waits_since + self._idle_s
        if is_late or is_silent:
            self._fail(TimeoutError())
            self.abort()
        elif self._waiter is None or self._idle_s is None:
            self._timer = self._next_tick()
        else:
            self._timer = self._loop.call_at(min(self._deadline, self._waits_since + self._idle_s), self._tick)
