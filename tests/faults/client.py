"""An HTTP/1.1 client that speaks byte by byte: it can stop anywhere, read slowly, hang up or reset, and ask a thousand times."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

CHAT = "/v1/chat/completions"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Reply:
    """A whole answer. headers: lower case. is_whole: it ended as its framing promised, not by a lost connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The documented error object."""
        return self.json["error"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The JSON events of a stream."""
        return [json.loads(line[6:]) for line in self.body.decode().split("\n\n") if line.startswith("data: {")]

    @property
    def text(self) -> str:
        """What the model said, whole or streamed."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return "".join(
                choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk.get("choices", [])
            )
        return self.json["choices"][0]["message"]["content"]

    @property
    def last(self) -> dict[str, Any]:
        """The document with `usage` and `tollway`: the whole body, or the last chunk."""
        is_stream = self.headers.get("content-type", "").startswith("text/event-stream")
        return self.chunks[-1] if is_stream else self.json

    @property
    def generation_id(self) -> str:
        return self.headers["x-request-id"]


@dataclass
class Connection:
    """One TCP connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _rest: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def open(cls, port: int, *, is_deaf: bool = False) -> Self:
        """is_deaf: it takes nothing in, not even what the system would keep for it."""
        sock = socket.socket()
        if is_deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 24)
        if is_deaf:
            writer.transport.pause_reading()
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> int:
        """Status of the answer; its headers go to `headers`. Raises IncompleteReadError or ConnectionError."""
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        return int(first.split(" ")[1])

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, chunk by chunk. Raises IncompleteReadError when it ends before its end."""
        if "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
        elif self.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)

    async def events(self, count: int) -> list[bytes]:
        """The next events of a stream, comments included; fewer when it ends."""
        found = list[bytes]()
        while len(found) < count:
            while b"\n\n" not in self._rest:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                piece = await self.reader.readexactly(size + 2)
                if not size:
                    return found
                self._rest += piece[:-2]
            event, _, self._rest = self._rest.partition(b"\n\n")
            found.append(event)
        return found

    async def reply(self) -> Reply:
        """The whole answer."""
        status = await self.head()
        body, is_whole = bytearray(), True
        try:
            async for piece in self.pieces():
                body += piece
        except (asyncio.IncompleteReadError, ConnectionError):
            is_whole = False
        return Reply(status, self.headers, bytes(body), is_whole)

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close, or reset."""
        if reset:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


def request_bytes(
    key: str, body: bytes | dict[str, Any] | None = None, *, path: str = CHAT, method: str = "POST", **headers: str
) -> bytes:
    """A request as it goes on the wire; `_` in header names is `-`."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: tollway", f"authorization: Bearer {key}"]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def ask(port: int, request: bytes) -> Reply:
    """One request on a connection of its own.

    Raises:
        TimeoutError: no answer within PATIENCE_S.
    """
    async with asyncio.timeout(PATIENCE_S):
        connection = await Connection.open(port)
        try:
            await connection.send(request)
            return await connection.reply()
        finally:
            await connection.hang_up()


async def ask_all(port: int, requests: Sequence[bytes], *, connections: int = 64) -> list[Reply | None]:
    """Many requests over so many kept connections, each with one at a time; in the order given. None: no whole answer came."""
    replies: list[Reply | None] = [None] * len(requests)
    waiting = iter(enumerate(requests))

    async def work() -> None:
        connection = None
        for at, request in waiting:
            if connection is None:
                connection = await Connection.open(port)
            try:
                await connection.send(request)
                reply = await connection.reply()
            except (asyncio.IncompleteReadError, ConnectionError):
                reply = None
            if reply is None or not reply.is_whole:
                connection = None
            else:
                replies[at] = reply
        if connection is not None:
            await connection.hang_up()

    async with asyncio.timeout(PATIENCE_S * 2):
        await asyncio.gather(*(work() for _ in range(min(connections, len(requests)))))
    return replies
