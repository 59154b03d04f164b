"""One connection of the fault upstream: requests read from it, bytes, chunks and resets sent back, and who hung up."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

SETTLE_S = 0.05
"""Pause before a reset or an early end, so that what was sent before has been read when it arrives."""


class ClientGoneError(ConnectionError):
    """The caller closed before the answer was complete."""


@dataclass
class Entry:
    """One request, as the journal tells it."""

    number: int
    connection: int
    method: str
    path: str
    headers: dict[str, str]
    dialect: str = ""
    model: str = ""
    behaviour: str = ""
    stream: bool = False
    body: Any = None
    status: int = 0
    frames_total: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    client_closed_early: bool = False
    done: bool = False


class Connection(asyncio.StreamReaderProtocol):
    """One accepted connection; `gone` is set in the moment its peer closes or resets."""

    def __init__(self, number: int, serve: "Serve") -> None:
        """number: to tell connections apart in the journal. serve: who reads requests from it and answers."""
        self.gone = asyncio.Event()
        self.number = number
        super().__init__(asyncio.StreamReader(limit=1 << 25), lambda reader, writer: serve(self, reader, writer))

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


class Wire:
    """The way back to the caller of one request; everything raises ClientGoneError once the caller has gone."""

    def __init__(self, connection: Connection, writer: asyncio.StreamWriter, entry: Entry) -> None:
        self.entry = entry
        self._gone, self._writer = connection.gone, writer

    async def send(self, data: bytes) -> None:
        if self._gone.is_set():
            raise ClientGoneError
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            raise ClientGoneError from None
        self.entry.bytes_sent += len(data)

    async def pause(self, seconds: float | None) -> None:
        """None waits for the caller to go."""
        if seconds is not None and seconds <= 0:
            return
        try:
            await asyncio.wait_for(self._gone.wait(), seconds)
        except TimeoutError:
            return
        raise ClientGoneError

    async def head(self, status: int, content_type: str, length: int | None, **headers: str) -> None:
        """length: of the body; None announces chunks."""
        self.entry.status = status
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        lines = (
            f"HTTP/1.1 {status} {'OK' if status < 400 else 'Error'}\r\ncontent-type: {content_type}\r\n{framing}\r\n"
        )
        await self.send(f"{lines}x-request-id: req_fault_{self.entry.number}\r\n{extra}\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def reset(self) -> None:
        """RST in place of FIN."""
        await self.pause(SETTLE_S)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


Serve: TypeAlias = Callable[[Connection, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path with query, lower-case headers, body. Raises IncompleteReadError when the peer closes instead."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return method, path, headers, await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return method, path, headers, body
