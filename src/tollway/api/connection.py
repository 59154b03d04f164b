"""One HTTP/1.1 connection as uvicorn serves it, made lean where every request of the hot path passes.

uvicorn parses, keeps order, drains and shuts down; what differs here is how an answer leaves. uvicorn sends head and
body in two system calls, looks through every header with two regular expressions, and makes and cancels one timer per
request. Here the head waits for the first bytes of the body and is checked as a whole, and a connection has one timer.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tollway.api.asgi import Message, Send

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

HOT_PATH = b"/v1/chat/completions"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with `Exchange` in place of its own for `POST` to the hot path."""

    _idle_since = 0.0
    """When the last answer ended, in the loop's seconds; 0.0 while a request is being read or answered."""

    def on_headers_complete(self) -> None:
        # uvicorn leaves these partly untyped.
        parser, scope, app = cast("Any", self.parser), self.scope, cast("Any", self.app)  # pyright: ignore[reportUnknownMemberType]
        if (
            self.url != HOT_PATH
            or self.root_path
            or self.limit_concurrency is not None
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
        ):
            super().on_headers_complete()
            return
        scope["method"] = "POST"
        scope["path"] = HOT_PATH.decode()
        scope["raw_path"] = HOT_PATH
        scope["query_string"] = b""
        earlier = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:
            # Pipelined: the answers leave in the order of the requests.
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        if timer is not None:
            timer.cancel()

    # The keep-alive timer is not cancelled by a request and made again by its answer: it looks when it is due.

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = 0.0

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self.transport.is_closing() or not self._idle_since:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        else:
            self.transport.close()

    def _look_again(self, after_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(after_s, self.timeout_keep_alive_handler)


def writer(send: Send) -> Callable[[bytes], bool] | None:
    """`Exchange.write` of the exchange that `send` belongs to, None if it is another server's."""
    exchange = getattr(send, "__self__", None)
    return exchange.write if isinstance(exchange, Exchange) else None


class Exchange(RequestResponseCycle):
    """One request and its answer. The head is kept until there is something to send behind it."""

    _head = b""

    async def receive(self) -> "ASGIReceiveEvent":
        if self.more_body or self.disconnected or self.response_complete or not self.message_event.is_set():
            return await super().receive()
        # The whole body came with the head, as nearly always: there is nothing to wait for.
        self.message_event.clear()
        self.flow.resume_reading()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: "ASGISendEvent") -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.response_started:
            self._head = self._start(message)  # pyright: ignore[reportArgumentType]
        elif kind == "http.response.body" and self.response_started and not self.response_complete:
            self._continue(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is out of order")

    def write(self, data: bytes) -> bool:
        """`send` of a piece of a body that goes on, when nothing has to be waited for. False: nothing was sent."""
        if self.disconnected:
            return True
        if self.flow.write_paused:
            return False
        if not self.response_started or self.response_complete:
            raise RuntimeError("a piece of a body is out of order")
        self._continue(data, is_last=False)
        return True

    def _start(self, message: Message) -> bytes:
        self.response_started = True
        self.waiting_for_100_continue = False
        status: int = message["status"]
        headers: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
        lines = [STATUS_LINE[status]]
        count = 2
        self.chunked_encoding = True
        for header in (*self.default_headers, *headers):
            name, value = header
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            lines += (name, b": ", value, b"\r\n")
            count += 1
        if self.chunked_encoding:
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
            count += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise RuntimeError("a header of the answer would break its head")
        return head

    def _continue(self, body: Any, *, is_last: bool) -> None:
        head, self._head = self._head, b""
        if self.chunked_encoding:
            chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            data = b"".join((head, *chunk, b"0\r\n\r\n" if is_last else b""))
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (is_last and self.expected_content_length):
                raise RuntimeError("the body of the answer is not as long as its content-length")
            data = head + body
        if data:
            self.transport.write(data)
        if is_last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
