"""The line to the caller: notices that they hung up, and interrupts what only they were waiting for.

An upstream call is interrupted by cancelling the task that waits for it, and only while it waits for the upstream:
accounting is never interrupted.
"""

import asyncio
from types import TracebackType

from tollway.gateway.passage import Interruption, Passage


class ClientGone(Exception):
    """The caller hung up while the upstream was being asked or read."""


class Line:
    """One caller's connection. Used as a context manager around every wait for the upstream."""

    __slots__ = ("_passage", "_waiting", "is_gone")

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._waiting: asyncio.Task[object] | None = None
        self.is_gone = False

    def hang_up(self) -> None:
        """The caller has gone. Wakes the road up unless this provider's answers are read to their end (R8c, `drain`)."""
        self.is_gone = self._passage.is_caller_gone = True
        if self._waiting is not None and not self.drains:
            self._waiting.cancel()

    @property
    def drains(self) -> bool:
        """The provider has been asked and bills the whole answer anyway: it is read to its end, for its usage."""
        passage = self._passage
        return passage.has_called and passage.candidate.offer.provider.wire.on_disconnect == "drain"

    def __enter__(self) -> None:
        if self.is_gone and not self.drains:
            raise self._gone()
        # Given its loop, `current_task` is one look into a dictionary.
        self._waiting = asyncio.current_task(asyncio.get_running_loop())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._waiting = self._waiting, None
        if kind is asyncio.CancelledError and self.is_gone and task is not None:
            task.uncancel()
            raise self._gone() from None

    def _gone(self) -> ClientGone:
        self._passage.interruption = Interruption.CLIENT_GONE
        return ClientGone()
