"""The outbox: sends mails after the answer that asked for them, tries again when a server is busy, and says what it lost.

It lives in memory: a mail that a crash loses is asked for again by the person who waits for it.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from tollway.mail.port import Mailer, MailFailed

PENDING_MAX = 1_000
_AT_ONCE = 4
_log = logging.getLogger("tollway.mail")


class Outbox:
    """Mails on their way. Use it inside a running loop."""

    def __init__(self, mailer: Mailer, waits_s: Sequence[int] = (2, 15, 60)) -> None:
        """`waits_s`: seconds before each further try."""
        self._mailer, self._waits_s = mailer, tuple(waits_s)
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @property
    def waiting(self) -> int:
        """How many are on their way."""
        return len(self._running)

    def post(self, to: str, subject: str, text: str) -> None:
        """Send a mail soon. A failure is logged, without what the mail says."""
        self.later(self._deliver(to, subject, text))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that ends in a mail after the answer, so that its time tells a caller nothing."""
        if len(self._running) >= PENDING_MAX:
            work.close()
            _log.error("%d mails wait already; one was dropped", PENDING_MAX)
            return
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a mail was not written: %s", error)

    async def _deliver(self, to: str, subject: str, text: str) -> None:
        for wait_s in (*self._waits_s, None):
            try:
                async with self._turn:
                    await self._mailer.send(to, subject, text)
            except MailFailed as error:
                if wait_s is None:
                    _log.error("a mail to %s (%s) was not sent: %s", to, subject, error)
                    return
                _log.warning("a mail to %s (%s) waits %d s: %s", to, subject, wait_s, error)
                await asyncio.sleep(wait_s)
            else:
                return

    async def close(self, timeout_s: int = 5) -> None:
        """Give mails on their way a moment, then stop."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=timeout_s)
            for task in late:
                task.cancel()
