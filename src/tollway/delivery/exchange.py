"""One POST to a checked address, and what came of it: never an exception, whatever the other side does.

The name is resolved once and the connection goes to the address that was judged, with the name in SNI and `Host`. One
deadline covers everything from the look-up to the last byte that is kept. Redirects are answers like any other, no proxy
of the environment is used, and a connection serves one message.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import httptools

from tollway.alerts.schedule import is_accepted
from tollway.delivery.address import Target, is_inside, target
from tollway.errors import InvalidField

TIMEOUT_S = 10
KEPT_BYTES = 1_024
_READ_MAX = 65_536
_RESOLVERS = 4
Resolve = Callable[[str, int], Sequence[str]]
"""(host, port) -> its addresses as text; raises OSError. It runs on a thread."""


class Answer(NamedTuple):
    """What came of a message. status: 0 if there was no response. error: why it failed, "" if it did not.

    body: the first bytes of the response, as text. milliseconds: of all of it.
    """

    status: int
    error: str
    milliseconds: int
    body: str


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as this machine resolves it. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Exchange:
    """Sends messages. Use it inside a running loop; close it at the end."""

    def __init__(
        self,
        *,
        allow_http: bool = False,
        allow_private: bool = False,
        timeout_s: float = TIMEOUT_S,
        resolve: Resolve = resolved,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allow_http`, `allow_private`: what `address.py` refuses by default. tls: whom to trust, the system's if None."""
        self.allow_http, self.allow_private = allow_http, allow_private
        self._timeout_s, self._resolve, self._tls = timeout_s, resolve, tls
        # A name server that does not answer must hold up no other thread of the process.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="tollway-names")

    def target(self, url: str) -> Target:
        """A URL that we would send to, taken apart. Raises InvalidField."""
        return target(url, allow_http=self.allow_http, allow_private=self.allow_private)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send `body` and tell what came of it; cancelling it cuts the connection."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = _Response()
        error = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(self.target(url), headers, body, response)
        except TimeoutError:
            error = f"no whole answer in {self._timeout_s:g} s"
        except InvalidField as refused:
            error = refused.message
        except ssl.SSLError as failed:
            error = f"TLS failed: {getattr(failed, 'verify_message', '') or failed.reason or type(failed).__name__}"
        except (OSError, ValueError, httptools.HttpParserError) as failed:
            error = getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
        milliseconds = int((loop.time() - began) * 1000)
        if not error and not is_accepted(response.status):
            moved = "; redirects are not followed" if 300 <= response.status < 400 else ""
            error = f"it answered {response.status}{moved}"
        # A status line is an answer, even when the body behind it never ended.
        status = response.status
        return Answer(status, "" if is_accepted(status) else error, milliseconds, response.text)

    async def _send(self, to: Target, headers: Mapping[str, str], body: bytes, response: "_Response") -> None:
        reader, writer = await self._connect(to)
        try:
            writer.write(_request(to, headers, body))
            await writer.drain()
            read = 0
            while not response.is_complete and read < _READ_MAX:
                piece = await reader.read(8_192)
                if not piece:
                    break
                read += len(piece)
                response.feed(piece)
            if not response.status:
                raise ConnectionError("the connection was closed without an answer")
        finally:
            with suppress(Exception):
                writer.transport.abort()

    async def _connect(self, to: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        found: Sequence[str]
        try:
            found = await loop.run_in_executor(self._resolvers, self._resolve, to.host, to.port)
        except (OSError, UnicodeError):
            found = []
        inside = [one for one in found if is_inside(ipaddress.ip_address(one.partition("%")[0]))]
        if not found or (inside and not self.allow_private):
            # The same words for both: a customer is told neither which inside names there are nor where they lead.
            raise ConnectionError(f"{to.host} has no address on the internet that we could send to")
        failed = OSError()
        for one in found:
            try:
                return await asyncio.open_connection(
                    one,
                    to.port,
                    limit=_READ_MAX,
                    ssl=self._context() if to.is_tls else None,
                    server_hostname=to.host if to.is_tls else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failed = error
        raise failed

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the certificates takes some 20 ms, which a start need not wait for.
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def close(self) -> None:
        """Let the threads go."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)


def _request(to: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {to.path} HTTP/1.1", f"host: {to.authority}", "user-agent: tollway", "accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "content-type: application/json", "connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


class _Response:
    """What is kept of a response while it arrives (httptools' callbacks)."""

    def __init__(self) -> None:
        self.status = 0
        self.is_complete = False
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, piece: bytes) -> None:
        """Take in bytes. Raises HttpParserError."""
        self._parser.feed_data(piece)

    @property
    def text(self) -> str:
        """The first bytes of the body; what is no text is shown as such."""
        return bytes(self._body[:KEPT_BYTES]).decode(errors="replace").replace("\x00", "\ufffd")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) >= KEPT_BYTES:
            self.is_complete = True

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.is_complete = True
