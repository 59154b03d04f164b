"""The ASGI application: the hot endpoint first, the probes next, everything else an application built when first used.

`POST /v1/chat/completions` goes straight to its callable: one comparison. The rest is a FastAPI application, whose
import takes longer than the whole start may; `warm()` builds it beforehand, on a thread. Every reply carries
`X-Request-ID`, and `X-RateLimit-*` once the caller is known; nothing unexpected leaks beyond the request id.
"""

import asyncio
import logging
import threading

from tollway.api.asgi import Application, CallerLeft, Message, Receive, Scope, Send, answer, read_body
from tollway.api.chat import window_headers
from tollway.api.health import Health
from tollway.api.problems import Headers
from tollway.api.rooms import Rooms
from tollway.api.trace import Trace, refusal
from tollway.errors import Broken, PayloadTooLarge, TollwayError

CHAT_PATH = "/v1/chat/completions"

_log = logging.getLogger("tollway.api")
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class Server:
    """The application. `chat` answers `POST /v1/chat/completions`."""

    def __init__(self, chat: Application, rooms: Rooms) -> None:
        self._chat = chat
        self._rooms = rooms
        self._health = Health(rooms)
        self._cold: Application | None = None
        self._building = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            if scope["path"] == CHAT_PATH and scope["method"] == "POST":
                await self._chat(scope, receive, send)
            else:
                await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await _live(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def warm(self) -> Application:
        """Build the application behind the hot path; safe to call from any thread, and more than once."""
        with self._building:
            if self._cold is None:
                # Half a second of imports that the start must not pay for.
                from tollway.api.cold import build  # noqa: PLC0415

                self._cold = build(self._rooms)
            return self._cold

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything but the hot endpoint."""
        trace = Trace(self._rooms.ids.new())
        method: str = scope["method"]
        reply = _Reply(send, trace, self._rooms, has_body=method != "HEAD")
        # HEAD is GET without the body; the application need not know.
        asked = trace.inside(scope, "GET" if method == "HEAD" else method)
        try:
            probed = self._health.answer(asked)
            if probed is not None:
                await answer(reply, *probed)
                return
            body = b"" if method in _WITHOUT_BODY else await self._body(receive)
            cold = self._cold or await asyncio.to_thread(self.warm)
            await cold(asked, _Replay(body, receive), reply)
        except CallerLeft:
            return
        except TollwayError as error:
            await _refuse(reply, error, self._rooms, trace)
        except Exception:  # noqa: BLE001 - logged with its traceback; told without it
            _log.exception("unexpected error at %s %s, request %s", method, asked["path"], trace.request_id)
            await _refuse(reply, Broken(), self._rooms, trace)

    async def _body(self, receive: Receive) -> bytes:
        limit = self._rooms.bytes_max
        body = await read_body(receive, limit)
        if len(body) > limit:
            raise PayloadTooLarge(f"the body has {len(body)} bytes; at most {limit} are accepted")
        return body


class _Reply:
    """`send` that adds the headers of every reply, and leaves the body out of an answer to HEAD."""

    __slots__ = ("_has_body", "_rooms", "_send", "_trace", "has_started")

    def __init__(self, send: Send, trace: Trace, rooms: Rooms, *, has_body: bool) -> None:
        self._send = send
        self._trace = trace
        self._rooms = rooms
        self._has_body = has_body
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            message = {**message, "headers": [*message["headers"], *self._headers()]}
        elif not self._has_body:
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self) -> Headers:
        headers = [(b"x-request-id", self._trace.request_id.encode())]
        if self._trace.window is not None:
            headers += window_headers(self._trace.window)
        return headers


class _Replay:
    """`receive` of a body that has been read already."""

    __slots__ = ("_body", "_receive")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _refuse(reply: _Reply, error: TollwayError, rooms: Rooms, trace: Trace) -> None:
    told = refusal(error, rooms, trace)
    if not reply.has_started:
        await answer(reply, *told)


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol; what starts and stops belongs to `process.py`."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
