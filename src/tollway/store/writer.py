"""The writer: one thread, the only write connection, and group commit.

The event loop appends entries to a queue and goes on. The thread takes all that is queued, writes it as one
transaction, commits (fsync), and tells the loop once for all of them; meanwhile the next entries gather, so the size of
a group follows the load and no request waits for company. Entries that nobody waits for (a hold) may linger two
milliseconds, so that a fast request is written once, as one row that is opened and ended.

When a write fails - disk full, I/O error - everything queued fails with it: later decisions stood on earlier ones. The
ledger is down until a probe write succeeds and the book has been read again from disk; the thread tries once a second.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from tollway.errors import Broken, LedgerUnavailable
from tollway.store.batch import Batch
from tollway.store.entries import Entry

Snapshot = TypeVar("Snapshot")

_LINGER_S = 0.002
_GROUP_S = 0.001
_RETRY_S = 1.0
_GROUP_MAX = 4_096
QUEUE_MAX = 50_000

_OF_ENTRY = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
_PROBE = "INSERT INTO probes (id, filler) VALUES (1, zeroblob(131072))"
_UNPROBE = "DELETE FROM probes"


class Writer(Generic[Snapshot]):
    """Owns the write connection. `push` and the callbacks run on the loop; everything else on its own thread."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        load: Callable[[sqlite3.Connection], Snapshot],
        *,
        loop: asyncio.AbstractEventLoop,
        on_down: Callable[[str], None],
        on_up: Callable[[Snapshot], None],
    ) -> None:
        """A writer that is not started.

        Args:
            connect: opens a write connection; called again after each failure.
            load: reads the book back after a failure; runs on the thread.
            loop: where entries come from and futures live.
            on_down: told on the loop when writing failed, with the reason.
            on_up: told on the loop when it works again, with what `load` read.
        """
        self._connect, self._load = connect, load
        self._loop, self._on_down, self._on_up = loop, on_down, on_up
        self._queue: deque[Entry] = deque()
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._closing = threading.Event()
        self._resumed = threading.Event()
        self._is_waking = False
        self._woken_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="tollway-writer", daemon=True)
        self._is_over = False
        """Closed while the disk could not be written: what was queued has failed, and the thread ends."""
        self.is_down = False
        self.reason = ""
        self.commits = 0
        self.written = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def queued(self) -> int:
        """Entries not yet taken."""
        return len(self._queue)

    def refuse_if_down(self) -> None:
        """Raises LedgerUnavailable when writing does not work, or the store has been closed."""
        if self.is_down:
            raise LedgerUnavailable(reason=self.reason)

    def refuse_if_busy(self) -> None:
        """As `refuse_if_down`, and when the queue is full: for what begins something, never for what ends it."""
        if self.is_down or len(self._queue) >= QUEUE_MAX:
            raise LedgerUnavailable(reason=self.reason or "the write queue is full")

    def push(self, entry: Entry) -> None:
        """Queue an entry that nobody waits for yet; it goes out within two milliseconds."""
        self._queue.append(entry)
        if self._timer is None and not self._is_waking:
            self._timer = self._loop.call_later(_LINGER_S, self._wake)

    def push_now(self, entry: Entry, *, is_alone: bool = False) -> "asyncio.Future[None]":
        """Queue an entry and everything before it; the future ends when it is on disk.

        `is_alone`: nobody else will want a write soon, so do not wait for company.
        """
        future = self._loop.create_future()
        entry.waiters.append(future)
        self._queue.append(entry)
        if not self._is_waking:
            # At the end of this turn of the loop, so that all settles of the turn make one group; on a busy server not
            # more often than every millisecond, since each wake takes the interpreter away from the requests.
            self._is_waking = True
            wait = 0.0 if is_alone else self._woken_at + _GROUP_S - self._loop.time()
            if wait <= 0:
                self._loop.call_soon(self._wake)
            else:
                self._loop.call_later(wait, self._wake)
        return future

    async def close(self) -> None:
        """Write what is queued, stop the thread, close the connection; later calls are refused."""
        self.is_down, self.reason = True, self.reason or "the store is closed"
        self._closing.set()
        self._tokens.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._is_waking = False
        self._woken_at = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tokens.put(None)

    def _done(self, entries: list[Entry]) -> None:
        for entry in entries:
            entry.committed()

    def _fail(self, entries: list[Entry], broken: list[tuple[Entry, Exception]], reason: str) -> None:
        self.is_down, self.reason = True, reason
        for entry, error in broken:
            entry.failed(Broken(f"the ledger refused this entry: {error}"))
        while self._queue:
            entries.append(self._queue.popleft())
        self._on_down(reason)
        for entry in entries:
            entry.failed(LedgerUnavailable(reason=reason))

    def _up(self, snapshot: Snapshot) -> None:
        self._on_up(snapshot)
        if not self._closing.is_set():
            self.is_down, self.reason = False, ""
        self._resumed.set()

    # --- on the thread ---

    def _run(self) -> None:
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            self._recover([], [], str(error))
        while not self._is_over:
            self._tokens.get()
            while self._queue and not self._is_over:
                self._group()
            if self._closing.is_set():
                break
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            # Readers may still be open, and then closing alone would leave everything in the write-ahead log.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._connection = None

    def _group(self) -> None:
        entries = list[Entry]()
        while self._queue and len(entries) < _GROUP_MAX:
            entries.append(self._queue.popleft())
        try:
            self._write(entries)
        except Exception as error:  # noqa: BLE001 - a thread that dies would leave every request waiting
            if _is_of_disk(error):
                self._recover(entries, [], str(error))
            else:
                self._one_by_one(entries, error)
        else:
            self._loop.call_soon_threadsafe(self._done, entries)

    def _write(self, entries: list[Entry]) -> None:
        connection = self._connection
        assert connection is not None, "the thread ends when there is no connection"
        batch = Batch()
        for entry in entries:
            entry.write(batch)
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            batch.write(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            # Some errors (disk full) have rolled back already; the connection is reopened anyway.
            if connection.in_transaction:
                connection.rollback()
            raise
        self.commits += 1
        self.written += len(entries)

    def _one_by_one(self, entries: list[Entry], error: Exception) -> None:
        """A row broke a rule of the schema, which is a bug: find its entry, so that the others need not fail too."""
        good, broken = list[Entry](), list[tuple[Entry, Exception]]()
        reason = f"an entry broke a rule of the schema: {error}"
        for at, entry in enumerate(entries):
            try:
                self._write([entry])
            except Exception as failure:  # noqa: BLE001 - as above
                if _is_of_disk(failure):
                    self._loop.call_soon_threadsafe(self._done, good)
                    self._recover(entries[at:], broken, str(failure))
                    return
                broken.append((entry, failure))
            else:
                good.append(entry)
        self._loop.call_soon_threadsafe(self._done, good)
        self._recover([], broken, reason)

    def _recover(self, entries: list[Entry], broken: list[tuple[Entry, Exception]], reason: str) -> None:
        self._loop.call_soon_threadsafe(self._fail, entries, broken, reason)
        while not self._closing.is_set():
            try:
                self._disconnect()
                self._connection = self._connect()
                self._connection.execute(_PROBE)
                self._connection.execute(_UNPROBE)
                snapshot = self._load(self._connection)
            except (sqlite3.Error, Broken):
                self._closing.wait(_RETRY_S)
            else:
                # What was queued before the loop heard of the failure stands on the old book: wait for the new one.
                self._resumed.clear()
                self._loop.call_soon_threadsafe(self._up, snapshot)
                self._resumed.wait()
                return
        self._is_over = True


def _is_of_disk(error: Exception) -> bool:
    """The database could not be written; anything else is the fault of one entry."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, _OF_ENTRY)
