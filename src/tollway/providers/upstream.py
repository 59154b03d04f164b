"""The only file that talks to a provider over the network, and the list of dialects.

pyreqwest does the HTTP. `streamed_read_buffer_limit(0)` hands the first chunk over at once; leaving a stream before its end,
or cancelling the task that reads it, resets the connection, which is how an upstream learns that the caller has gone.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from tollway.ports import Outgoing, UpstreamStream
from tollway.providers.anthropic import AnthropicDialect
from tollway.providers.dialect import Dialect
from tollway.providers.gemini import GeminiDialect
from tollway.providers.openai import OpenAIDialect
from tollway.providers.simulated import SCHEME, SimulatedProvider

_READ_HEADERS = ("retry-after", "content-type")


def dialects() -> dict[str, Dialect]:
    """Every dialect by the name that data files use; the one place to add one."""
    openai = OpenAIDialect()
    return {"openai": openai, "simulated": openai, "anthropic": AnthropicDialect(), "gemini": GeminiDialect()}


class ReplyTooLarge(ConnectionError):
    """The provider's answer is larger than the configured limit."""


class HttpUpstream:
    """See `Upstream`. One pool of connections for all providers; redirects are never followed, nor proxies from the
    environment used: a credential goes to the host of its own data file and nowhere else (security.md)."""

    def __init__(
        self, *, connect_timeout_s: float, idle_timeout_s: float, reply_bytes_max: int, connections_max: int | None = None
    ) -> None:
        self._reply_bytes_max = reply_bytes_max
        builder = (
            ClientBuilder()
            .user_agent("tollway")
            .follow_redirects(False)
            .no_proxy()
            .connect_timeout(timedelta(seconds=connect_timeout_s))
            .read_timeout(timedelta(seconds=idle_timeout_s))
            .pool_max_idle_per_host(256)
        )
        if connections_max:
            builder = builder.max_connections(connections_max)
        self._client: Client = builder.build()
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
        request = (
            self._client.post(outgoing.url)
            .headers(outgoing.headers)
            .body_bytes(outgoing.body)
            .timeout(timedelta(seconds=timeout_s))
        )
        try:
            response = await request.build().send()
            body = bytes(await response.bytes())
        except PyreqwestError as error:
            raise _plain(error) from None
        if len(body) > self._reply_bytes_max:
            raise ReplyTooLarge
        return response.status, _NO_HEADERS if response.status == 200 else _headers(response), body

    async def open(self, outgoing: Outgoing, timeout_s: float) -> UpstreamStream:
        """See `Upstream.open`."""
        if outgoing.url.startswith(SCHEME):
            return await self._simulated.open(outgoing, timeout_s)
        if self._starting is not None:
            await self._started(*self._starting, outgoing.url, timeout_s)
        request = (
            self._client.post(outgoing.url)
            .headers(outgoing.headers)
            .body_bytes(outgoing.body)
            .timeout(timedelta(seconds=timeout_s))
            .streamed_read_buffer_limit(0)
            .build_streamed()
        )
        try:
            return HttpStream(request, await request.__aenter__())
        except PyreqwestError as error:
            raise _plain(error) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._starting is not None:
            self._starting[1].cancel()
        await self._client.close()

    async def _started(self, base: str, started: asyncio.Future[None], url: str, timeout_s: float) -> None:
        if url.startswith(base):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(started)
        if started.done():
            self._starting = None


class HttpStream:
    """See `UpstreamStream`."""

    __slots__ = ("_request", "_response", "status")

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self._request = request
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        return self._response.get_header(name)

    async def next(self) -> bytes | None:
        try:
            chunk = await self._response.body_reader.read_chunk()
        except PyreqwestError as error:
            raise _plain(error) from None
        return None if chunk is None else bytes(chunk)

    async def read(self, limit: int) -> bytes:
        whole = bytearray()
        while len(whole) < limit and (chunk := await self.next()) is not None:
            whole += chunk
        return bytes(whole[:limit])

    async def close(self) -> None:
        await self._request.__aexit__(None, None, None)


def _headers(response: Response) -> dict[str, str]:
    return {name: value for name in _READ_HEADERS if (value := response.get_header(name)) is not None}


_NO_HEADERS: Mapping[str, str] = {}


def _plain(error: PyreqwestError) -> OSError:
    """The standard library's exception of the same meaning, without the URL (it may carry a credential)."""
    return TimeoutError() if isinstance(error, RequestTimeoutError) else ConnectionError(type(error).__name__)
