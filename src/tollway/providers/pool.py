"""The pool: connections to providers, opened when needed, kept for the next request, never shared between two.

A connection goes to the host of its own URL and nowhere else: redirects are not followed and no proxy of the environment is
used, because a request carries a credential (security.md).
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from tollway.providers.connection import Connection

IDLE_S = 55.0
"""Most servers close an idle connection after 60 seconds or more; one that closes sooner is noticed when it does."""
IDLE_MAX = 256
_TARGETS_MAX = 4_096


class Target(NamedTuple):
    """Where a URL leads: what a connection is opened to, and the first lines of a request."""

    host: str
    port: int
    is_tls: bool
    head: bytes
    idle: list[Connection]
    """Its connections that wait for a request; the same list for every path of a host."""


class Pool:
    """Connections by host. `connections_max`: at once, None for no limit."""

    def __init__(self, connect_timeout_s: float, connections_max: int | None = None) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._limit = None if connections_max is None else asyncio.Semaphore(connections_max)
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}
        self._open = set[Connection]()
        self._targets: dict[str, Target] = {}
        self._heads: dict[str, tuple[Target, bytes, dict[str, str]]] = {}
        self._tls: ssl.SSLContext | None = None

    async def take(self, target: Target, timeout_s: float) -> Connection:
        """A connection that nobody else uses; end it with `give` or `drop`.

        Raises:
            ConnectionError: the host is unknown, refuses, or its certificate does not prove that it is the host.
            TimeoutError: not within `timeout_s`.
        """
        if self._limit is not None:
            async with asyncio.timeout(timeout_s):
                await self._limit.acquire()
        try:
            return self._kept(target) or await self._opened(target, timeout_s)
        except BaseException:
            if self._limit is not None:
                self._limit.release()
            raise

    def at_hand(self, target: Target) -> Connection | None:
        """A connection as `take` gives it, if there is one now and nobody has to wait for it."""
        return self._kept(target) if self._limit is None else None

    def give(self, target: Target, connection: Connection) -> None:
        """Its exchange is over: keep it if it can carry another, else cut it."""
        if not connection.finish():
            self._open.discard(connection)
        elif len(target.idle) < IDLE_MAX:
            target.idle.append(connection)
        else:
            connection.abort()
            self._open.discard(connection)
        if self._limit is not None:
            self._limit.release()

    def request_head(self, url: str, headers: Mapping[str, str]) -> tuple[Target, bytes]:
        """Where a URL leads, and `request_head` of these headers. Raises as it does.

        Headers are made once per offer, and nearly always the same for a URL.
        """
        known = self._heads.get(url)
        if known is not None and known[2] == headers:
            return known[0], known[1]
        target = self.target(url)
        head = request_head(target, headers)
        if len(self._heads) >= _TARGETS_MAX:
            self._heads.clear()
        self._heads[url] = target, head, dict(headers)
        return target, head

    def target(self, url: str) -> Target:
        """Where a URL leads."""
        found = self._targets.get(url)
        if found is None:
            if len(self._targets) >= _TARGETS_MAX:
                self._targets.clear()
            host, port, is_tls, head = _target(url)
            idle = self._idle.setdefault((host, port, is_tls), [])
            found = self._targets[url] = Target(host, port, is_tls, head, idle)
        return found

    def close(self) -> None:
        """Cut every connection."""
        for connection in self._open:
            connection.abort()
        self._open.clear()
        for idle in self._idle.values():
            idle.clear()

    def _kept(self, target: Target) -> Connection | None:
        idle = target.idle
        while idle:
            # The one that was used last is the one most likely to be open still.
            connection = idle.pop()
            if connection.is_fresh(IDLE_S):
                return connection
            connection.abort()
            self._open.discard(connection)
        return None

    async def _opened(self, target: Target, timeout_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        tls = self._context() if target.is_tls else None
        try:
            async with asyncio.timeout(min(self._connect_timeout_s, timeout_s)):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    target.host,
                    target.port,
                    ssl=tls,
                    server_hostname=target.host if target.is_tls else None,
                )
        except (TimeoutError, ConnectionError):
            raise
        except OSError as error:
            # An unknown host, no route, a certificate of somebody else.
            raise ConnectionError(type(error).__name__) from None
        self._open.add(connection)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the certificates takes some 20 ms, which the start need not wait for.
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def request_head(target: Target, headers: Mapping[str, str]) -> bytes:
    """The head of a POST up to the value of its content-length. Raises ValueError for a header that would be two."""
    lines = [target.head]
    for name, value in headers.items():
        line = f"{name}: {value}\r\n"
        if line.count("\n") > 1 or line.count("\r") > 1:
            raise ValueError(f"the header {name} has a line break")
        lines.append(line.encode("latin-1"))
    lines.append(b"content-length: ")
    return b"".join(lines)


def _target(url: str) -> tuple[str, int, bool, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named = parts.netloc.rpartition("@")[2]
    head = f"POST {path} HTTP/1.1\r\nhost: {named}\r\nuser-agent: tollway\r\naccept: */*\r\n"
    if head.count("\n") != 4 or " " in path:
        raise ConnectionError("the URL of the provider has a space or a line break")
    return host, parts.port or (443 if is_tls else 80), is_tls, head.encode("ascii", "strict")
