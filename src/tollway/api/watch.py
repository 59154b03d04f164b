"""Watching callers: who hangs up while an answer is on its way is noticed, and their line told."""

import asyncio

from tollway.api.asgi import Receive
from tollway.gateway.line import Line

WATCH_AFTER_S = 0.05
"""A caller is watched from one to two of these into the request."""


class Watch:
    """Notices that one caller has hung up, once it has begun."""

    __slots__ = ("_line", "_receive", "_task")

    def __init__(self, receive: Receive, line: Line) -> None:
        self._receive = receive
        self._line = line
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """The answer is over."""
        if self._task is not None:
            self._task.cancel()

    def begin(self) -> None:
        """Listen for the end of the connection, beside the road."""
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._line.hang_up()


class Watches:
    """Every request that is open. Watching begins some milliseconds late, by one timer for all.

    Most answers of a busy gateway need none before, and the cheapest task is the one that was never made.
    """

    __slots__ = ("_is_ticking", "_new", "_waiting")

    def __init__(self) -> None:
        self._new = set[Watch]()
        self._waiting = set[Watch]()
        self._is_ticking = False

    def add(self, watch: Watch) -> None:
        """A request began."""
        self._new.add(watch)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._tick)

    def end(self, watch: Watch) -> None:
        """Its answer is over."""
        self._new.discard(watch)
        self._waiting.discard(watch)
        watch.stop()

    def _tick(self) -> None:
        for watch in self._waiting:
            watch.begin()
        self._waiting, self._new = self._new, set[Watch]()
        self._is_ticking = bool(self._waiting)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._tick)
