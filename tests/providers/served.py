"""A provider of bytes for the tests of our HTTP client: it answers each request with what it was given, or acts it out."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

from tollway.ports import Outgoing
from tollway.providers.upstream import HttpUpstream

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SPLIT = CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\ntrailer: x\r\n\r\n"


class Server:
    """Answers each request with the next of `answers`: bytes to send, or a function to act with the writer."""

    def __init__(self, *answers: "bytes | Callable[[asyncio.StreamWriter], object]") -> None:
        self.answers = list(answers)
        self.requests = list[bytes]()
        self.connections = 0
        self.lost = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if self.answers else OK
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    result = answer(writer)
                    if asyncio.iscoroutine(result):
                        await result
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def served(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


@contextlib.asynccontextmanager
async def client(
    idle_timeout_s: float = 5, reply_bytes_max: int = 1 << 20, connections_max: int | None = None
) -> AsyncIterator[HttpUpstream]:
    upstream = HttpUpstream(
        connect_timeout_s=2,
        idle_timeout_s=idle_timeout_s,
        reply_bytes_max=reply_bytes_max,
        connections_max=connections_max,
    )
    try:
        yield upstream
    finally:
        await upstream.close()


def asked(port: int, body: bytes = b"{}", scheme: str = "http", host: str = "127.0.0.1") -> Outgoing:
    return Outgoing(
        f"{scheme}://{host}:{port}/v1/chat?key=k", {"content-type": "application/json", "x-key": "secret"}, body
    )


async def streamed(upstream: HttpUpstream, port: int, timeout_s: float = 5) -> bytes:
    stream = await upstream.open(asked(port), timeout_s)
    try:
        pieces = list[bytes]()
        while (piece := await stream.next()) is not None:
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        await stream.close()
