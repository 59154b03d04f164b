"""The one connection to Valkey or Redis: calls in the order of asking, many in one packet, and outages.

Whoever asks while a packet is on its way rides in the next one, so a thousand concurrent requests share one connection.
The first failure begins an outage: nothing more is sent, everybody is told at once, and a probe that writes asks until
the store takes it. Nothing is ever sent twice: what was on its way may have been counted or not, and its owner decides.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

TIMEOUT_S = 0.25
"""For a connection, and for an answer."""
BATCH_MAX = 256
_PROBE_S = 0.05
_PROBE_MAX_S = 1.0
_log = logging.getLogger("tollway.limits")

Reply = list[Any]
Command = tuple[str | int, ...]


class StoreDown(Exception):
    """The store does not answer; what was asked may have been done only if it was on its way."""


class Script(NamedTuple):
    """A Lua script and the name that Valkey knows it by."""

    text: str
    sha: str


def script(text: str) -> Script:
    """A script, ready to be called."""
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def called(one: Script, keys: Sequence[str], *arguments: str | int) -> Command:
    """The command that runs a script."""
    return "EVALSHA", one.sha, len(keys), *keys, *arguments


@dataclass(slots=True, eq=False)
class Call:
    """A command. answer: who waits for it, None where nobody does.

    late: gets the answer when whoever asked was cancelled meanwhile. lost: told when the command failed, or was not sent
    (False), or nobody knows (True).
    """

    command: Command
    answer: asyncio.Future[Reply] | None = None
    late: Callable[[Reply], None] | None = None
    lost: Callable[[bool], None] | None = None


class Lane:
    """See the module. Build it in the loop that uses it."""

    def __init__(
        self,
        url: str,
        scripts: Sequence[Script],
        probe: Command,
        on_back: Callable[[], None],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Connects with the first call.

        Args:
            url: `valkey://`, `valkeys://` (TLS), `redis://`, `rediss://` or `unix://`; may carry a password.
            scripts: every script that is called, to be loaded where the store does not know them.
            probe: a command that writes; asked in an outage until it works.
            on_back: called when an outage has ended.
        """
        for ours, theirs in (("valkey://", "redis://"), ("valkeys://", "rediss://")):
            if url.startswith(ours):
                url = theirs + url.removeprefix(ours)
        self._client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - their keyword arguments are untyped
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),  # never twice
        )
        self._scripts = scripts
        self._probe_command = probe
        self._on_back = on_back
        self._waiting = deque[Call]()
        self._task: asyncio.Task[None] | None = None
        self._probe_task: asyncio.Task[None] | None = None
        self.is_down = False

    async def ask(self, command: Command, late: Callable[[Reply], None] | None = None) -> Reply:
        """The answer to a command.

        Raises:
            StoreDown: none came.
        """
        if self.is_down:
            raise StoreDown
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._add(Call(command, answer, late))
        try:
            return await answer
        except asyncio.CancelledError:
            # It came in the same moment in which the caller was cancelled.
            if late is not None and not answer.cancelled() and answer.exception() is None:
                late(answer.result())
            raise

    def tell(self, command: Command, lost: Callable[[bool], None]) -> None:
        """Send a command that nobody waits for, after all that were asked before."""
        if self.is_down:
            lost(False)
        else:
            self._add(Call(command, lost=lost))

    async def close(self) -> None:
        """Send what is waiting, if the store takes it; then let go."""
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.shield(self._task)
        for task in (self._task, self._probe_task):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._client.aclose()

    def _add(self, call: Call) -> None:
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        """Send what waits, packet by packet."""
        while self._waiting:
            batch = self._next()
            try:
                await self._send(batch)
            except Exception as error:  # noqa: BLE001 - whatever a client library raises, to us it is an outage
                self._fail(batch, error)

    def _next(self) -> list[Call]:
        batch, waiting = list[Call](), self._waiting
        while waiting and len(batch) < BATCH_MAX:
            call = waiting.popleft()
            if call.answer is None or not call.answer.done():
                batch.append(call)
        return batch

    async def _send(self, batch: list[Call]) -> None:
        """Run a packet and hand out its answers. Raises whatever went wrong with any of them."""
        if not batch:
            return
        replies = await self._packet([call.command for call in batch])
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # A new or emptied store. These were not run, so they may be sent again.
            await self._packet([("SCRIPT LOAD", one.text) for one in self._scripts])
            again = await self._packet([batch[at].command for at in unknown])
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        failure: Exception | None = None
        for call, reply in zip(batch, replies, strict=True):
            if isinstance(reply, Exception):
                # Out of memory, read only: refused at the first write, so nothing was written.
                failure = reply
                _lose(call, is_sent=False)
                continue
            call.lost = None
            if call.answer is not None and not call.answer.done():
                call.answer.set_result(reply)
            elif call.late is not None:
                call.late(reply)
        if failure is not None:
            raise failure

    async def _packet(self, commands: Sequence[Command]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute(raise_on_error=False)

    def _fail(self, batch: list[Call], error: Exception) -> None:
        """Begin an outage."""
        self.is_down = True
        what = str(error) if isinstance(error, RedisError | OSError) else repr(error)
        _log.error("the store of limits does not answer: %s", what or type(error).__name__)
        waiting = list(self._waiting)
        self._waiting.clear()
        for call in batch:
            _lose(call, is_sent=True)
        for call in waiting:
            _lose(call, is_sent=False)
        self._probe_task = asyncio.get_running_loop().create_task(self._probe())

    async def _probe(self) -> None:
        """Ask until the store writes again."""
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), 0.0
        while self.is_down:
            await asyncio.sleep(pause)
            try:
                await self._send([Call(self._probe_command)])
            except Exception:  # noqa: BLE001 - as in `_drain`; told once, at the beginning
                pause = min(max(2 * pause, _PROBE_S), _PROBE_MAX_S)
            else:
                self.is_down = False
        _log.warning("the store of limits answers again, after %.1f s", loop.time() - began)
        self._on_back()


def _lose(call: Call, *, is_sent: bool) -> None:
    if call.answer is not None and not call.answer.done():
        call.answer.set_exception(StoreDown())
    if call.lost is not None:
        lost, call.lost = call.lost, None
        lost(is_sent)
