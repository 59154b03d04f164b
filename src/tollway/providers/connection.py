"""One HTTP/1.1 connection to a provider: a request goes out, its answer is read as it comes, and either can be cut off at once.

Our own, on asyncio and httptools, because a caller who hangs up must stop the provider at any moment: clients that run their
requests on a thread of their own go on until the answer is there, which the provider bills (pain 51). It costs a tenth of them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import httptools

HEADER_BYTES_MAX = 64 * 1024
_BUFFER_BYTES_MAX = 256 * 1024
"""Read ahead of a slow caller; beyond it the provider has to wait."""
_STOPPED = b"stopped"


class ReplyTooLarge(ConnectionError):
    """The provider's answer is larger than the configured limit."""


class Connection(asyncio.Protocol):
    """A connection for one request after another. After any exception it is dead.

    status: of the answer, 0 before its headers are here.
    """

    __slots__ = (
        "_bytes_max",
        "_deadline",
        "_failure",
        "_head",
        "_head_bytes",
        "_idle_s",
        "_idle_since",
        "_is_kept",
        "_is_over",
        "_is_paused",
        "_is_running",
        "_loop",
        "_parser",
        "_pieces",
        "_size",
        "_take",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "_waits_since",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._take: Callable[[bytes], bool] | None = None
        self._deadline = self._waits_since = 0.0
        self._idle_s: float | None = None
        self._bytes_max: int | None = None
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._failure: OSError | None = None
        self._is_running = self._is_over = self._is_kept = self._is_paused = False
        self._idle_since = 0.0
        self.status = 0

    def send(self, head: bytes, body: bytes, *, timeout_s: float, idle_s: float | None, bytes_max: int | None) -> None:
        """Send a request; its answer is read with `whole`, or with `started` and `next`.

        Args:
            head: up to the value of its last header, the content-length. body: as it goes on the wire.
            timeout_s: for the whole exchange, from now.
            idle_s: the longest wait for a next piece, None for no such limit.
            bytes_max: the largest body that is read, None for one that is read in pieces.
        """
        self._is_running = True
        self.status = self._size = self._head_bytes = 0
        self._idle_s, self._bytes_max = idle_s, bytes_max
        now = self._waits_since = self._loop.time()
        due = self._deadline = now + timeout_s
        if idle_s is not None and idle_s < timeout_s:
            due = now + idle_s
        if self._timer is None or due < self._timer_at:
            self._wait_until(due)
        if self._transport is None or self._transport.is_closing():
            self._fail(ConnectionError("closed"))
        elif len(body) < _BUFFER_BYTES_MAX:
            self._transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        else:
            self._transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))

    def whole(self) -> asyncio.Future[bytes]:
        """The whole body, once it is here. Raises ConnectionError, TimeoutError or ReplyTooLarge."""
        waiter = self._waiter = self._loop.create_future()
        if self._is_over:
            waiter.set_result(self._taken())
        elif self._failure is not None:
            waiter.set_exception(self._failure)
        return waiter

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

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Hand what comes of the body to `take`, each read at once and within itself, until it gives False.

        Waking a task costs more than passing on what has come. True: `take` said so. False: the body has ended.
        Raises ConnectionError or TimeoutError, and what `take` raises.
        """
        while True:
            if self._pieces and not take(self._taken()):
                return True
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                return False
            self._take = take
            try:
                if await self._event() is _STOPPED:
                    return True
            finally:
                self._take = None

    def allow(self, timeout_s: float) -> None:
        """The exchange may take so long from now, instead of what `send` said."""
        self._deadline = self._loop.time() + timeout_s
        if self._timer is None or self._deadline < self._timer_at:
            self._wait_until(self._deadline)

    @property
    def is_over(self) -> bool:
        """The answer is here and has been read to its end."""
        return self._is_over and not self._pieces

    def header(self, name: str) -> str | None:
        """The first header of that name, lower case."""
        wanted = name.encode()
        return next((value.decode("latin-1") for found, value in self._headers() if found == wanted), None)

    def finish(self) -> bool:
        """The exchange is over for us. True if the connection can carry another; else it has been cut."""
        self._is_running = False
        transport = self._transport
        if (
            self._is_over
            and self._is_kept
            and not self._is_paused
            and transport is not None
            and not transport.is_closing()
        ):
            # Its timer stays: it is not made again by the next request, but looks when it is due.
            self._is_over = self._is_kept = False
            self._waiter = None
            self._head.clear()
            self._pieces.clear()
            self._idle_since = self._loop.time()
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Cut the connection at once: the provider learns that nobody wants its answer."""
        if self._transport is not None:
            self._transport.abort()

    def is_fresh(self, idle_s: float) -> bool:
        """It is open, and has waited for less than `idle_s` since its last exchange."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._idle_since > self._loop.time() - idle_s

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a stream connection; uvloop's classes do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_running:
            # Nobody asked: whatever it is, the next answer could not be told from it.
            self.abort()
            return
        if not self.status:
            self._head.append(data)
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_kept = False
            if not self._is_over:
                self._fail(ConnectionError("the answer is not HTTP"))
            self.abort()
        else:
            if not self.status and self._head_bytes > HEADER_BYTES_MAX:
                self._fail(ConnectionError("the headers are too large"))
                self.abort()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            # Once for all that has come together.
            if self._take is not None and self._pieces:
                self._hand_over(self._take, waiter)
            elif self._bytes_max is None:
                waiter.set_result(b"")
            elif self._is_over:
                waiter.set_result(self._taken())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_running and not self._is_over:
            if self.status and exc is None and not self._is_framed():
                # An answer without a length ends with its connection.
                self._is_over = True
                self._wake()
            else:
                self._fail(ConnectionError("the connection broke"))

    # --- httptools; it takes the methods that are there, and each costs: headers are read only if somebody asks ---

    def on_message_begin(self) -> None:
        if self._is_over:
            raise ConnectionError("an answer that nobody asked for")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._head_bytes > HEADER_BYTES_MAX and b"\r\n\r\n" not in b"".join(self._head)[:HEADER_BYTES_MAX]:
            raise ConnectionError("the headers are too large")
        if status >= 200:
            self.status = status

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._size += len(body)
        if self._bytes_max is None:
            if self._size > _BUFFER_BYTES_MAX and self._transport is not None and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
        elif self._size > self._bytes_max:
            self._fail(ReplyTooLarge())
            raise ReplyTooLarge

    def on_message_complete(self) -> None:
        if self.status:
            self._is_over = True
            self._is_kept = self._parser.should_keep_alive()

    # --- inside ---

    def _event(self) -> asyncio.Future[bytes]:
        self._waits_since = self._loop.time()
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _hand_over(self, take: Callable[[bytes], bool], waiter: asyncio.Future[bytes]) -> None:
        self._waits_since = self._loop.time()
        try:
            goes_on = take(self._taken())
        except Exception as error:  # noqa: BLE001 - it is whose task waits that has to know
            waiter.set_exception(error)
        else:
            if not goes_on:
                waiter.set_result(_STOPPED)
            elif self._is_over:
                waiter.set_result(b"")

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(b"" if self._bytes_max is None else self._taken())

    def _fail(self, failure: OSError) -> None:
        # The first one is the cause, what follows from it is not.
        failure = self._failure = self._failure or failure
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._bytes_max is None:
                # What came before it is read first.
                waiter.set_result(b"")
            else:
                waiter.set_exception(failure)

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

    def _headers(self) -> list[tuple[bytes, bytes]]:
        """Name in lower case and value of every header of the answer."""
        read = _Headers()
        read.feed(b"".join(self._head))
        return read.found

    def _is_framed(self) -> bool:
        """The answer has said where it ends."""
        return any(name in _FRAMING for name, _ in self._headers())

    def _wait_until(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._is_running or self._is_over:
            return
        now, due = self._loop.time(), self._deadline
        if self._idle_s is not None:
            waits = self._waiter is not None and not self._waiter.done()
            due = min(due, (self._waits_since if waits else now) + self._idle_s)
        if now < due:
            self._wait_until(due)
        else:
            self._fail(TimeoutError())
            self.abort()


_FRAMING = (b"content-length", b"transfer-encoding")


class _Headers:
    """The headers of an answer, read once more by the parser that has accepted them; those of interim answers are left out."""

    def __init__(self) -> None:
        self.found = list[tuple[bytes, bytes]]()
        self._is_read = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        # What follows the headers is not ours to judge.
        with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._parser.feed_data(data)
        # The parser holds our methods: nobody should have to look for this circle.
        del self._parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_read:
            self.found.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._is_read = True
        elif not self._is_read:
            self.found.clear()
