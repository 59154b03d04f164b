"""The providers as `ports.Upstream`: real ones over HTTP, the built-in simulated one, and the list of dialects.

Leaving an answer before its end, or cancelling the task that waits for it, cuts the connection at once: that is how an
upstream learns that the caller has gone.
"""

import asyncio
from collections.abc import Coroutine, Mapping

from tollway.ports import Outgoing, UpstreamStream
from tollway.providers.anthropic import AnthropicDialect
from tollway.providers.connection import Connection
from tollway.providers.dialect import Dialect
from tollway.providers.gemini import GeminiDialect
from tollway.providers.openai import OpenAIDialect
from tollway.providers.pool import Pool, Target
from tollway.providers.simulated import SCHEME, SimulatedProvider

_READ_HEADERS = ("retry-after", "content-type")


def dialects() -> dict[str, Dialect]:
    """Every dialect by the name that data files use; the one place to add one."""
    openai = OpenAIDialect()
    return {"openai": openai, "simulated": openai, "anthropic": AnthropicDialect(), "gemini": GeminiDialect()}


class HttpUpstream:
    """See `Upstream`. One pool of connections for all providers.

    Redirects are never followed, nor proxies from the environment used: a credential goes to the host of its own data
    file and nowhere else (security.md).
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        idle_timeout_s: float,
        reply_bytes_max: int,
        connections_max: int | None = None,
    ) -> None:
        self._reply_bytes_max = reply_bytes_max
        self._idle_timeout_s = idle_timeout_s
        self._pool = Pool(connect_timeout_s, connections_max)
        self._simulated = SimulatedProvider()
        self._starting: tuple[str, asyncio.Future[None]] | None = None

    def await_start(self, url: str, started: Coroutine[None, None, None]) -> None:
        """Let requests to this base URL wait for the end of `started`: a server of our own is loading."""
        self._starting = url, asyncio.ensure_future(started)

    async def fetch(self, outgoing: Outgoing, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        """See `Upstream.fetch`. Raises ReplyTooLarge too."""
        if outgoing.url.startswith(SCHEME):
            return await self._simulated.fetch(outgoing, timeout_s)
        if self._starting is not None:
            await self._started(*self._starting, outgoing.url, timeout_s)
        pool = self._pool
        target, head = pool.request_head(outgoing.url, outgoing.headers)
        connection = pool.at_hand(target)
        if connection is None:
            connection, timeout_s = await self._taken(target, timeout_s)
        connection.send(head, outgoing.body, timeout_s=timeout_s, idle_s=None, bytes_max=self._reply_bytes_max)
        try:
            body = await connection.whole()
            status = connection.status
            return status, _NO_HEADERS if status == 200 else _headers(connection), body
        finally:
            pool.give(target, connection)

    async def open(self, outgoing: Outgoing, timeout_s: float) -> UpstreamStream:
        """See `Upstream.open`."""
        if outgoing.url.startswith(SCHEME):
            return await self._simulated.open(outgoing, timeout_s)
        if self._starting is not None:
            await self._started(*self._starting, outgoing.url, timeout_s)
        pool = self._pool
        target, head = pool.request_head(outgoing.url, outgoing.headers)
        connection = pool.at_hand(target)
        if connection is None:
            connection, timeout_s = await self._taken(target, timeout_s)
        connection.send(head, outgoing.body, timeout_s=timeout_s, idle_s=self._idle_timeout_s, bytes_max=None)
        try:
            await connection.started()
        except BaseException:
            pool.give(target, connection)
            raise
        return HttpStream(pool, target, connection)

    async def close(self) -> None:
        """Close every connection."""
        if self._starting is not None:
            self._starting[1].cancel()
        self._pool.close()

    async def _taken(self, target: Target, timeout_s: float) -> tuple[Connection, float]:
        """A connection that has to be opened or waited for, and the seconds that are left then."""
        clock = asyncio.get_running_loop().time
        began = clock()
        connection = await self._pool.take(target, timeout_s)
        return connection, timeout_s - (clock() - began)

    async def _started(self, base: str, started: asyncio.Future[None], url: str, timeout_s: float) -> None:
        if url.startswith(base):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(started)
        if started.done():
            self._starting = None


class HttpStream:
    """See `UpstreamStream`."""

    __slots__ = ("_connection", "_pool", "_target", "allow", "next", "pump", "status")

    def __init__(self, pool: Pool, target: Target, connection: Connection) -> None:
        self._pool = pool
        self._target = target
        self._connection: Connection | None = connection
        self.next = connection.next
        self.pump = connection.pump
        self.allow = connection.allow
        self.status = connection.status

    @property
    def is_over(self) -> bool:
        """The answer has been read to its end, and `next` would not wait."""
        return self._connection is None or self._connection.is_over

    def header(self, name: str) -> str | None:
        return None if self._connection is None else self._connection.header(name)

    async def read(self, limit: int) -> bytes:
        whole = bytearray()
        while len(whole) < limit and (chunk := await self.next()) is not None:
            whole += chunk
        return bytes(whole[:limit])

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(self._target, connection)


def _headers(connection: Connection) -> dict[str, str]:
    return {name: value for name in _READ_HEADERS if (value := connection.header(name)) is not None}


_NO_HEADERS: Mapping[str, str] = {}
