"""The checkpointer: moves committed pages from the write-ahead log into the database, beside the writer.

Left to the writer, every few thousand pages one commit would copy them all and take tens of milliseconds, and every
request behind it too. A passive checkpoint on a connection of its own blocks nobody. The writer still does one, far
later, when this thread cannot keep up; it then finds little left to copy.
"""

import sqlite3
import threading
from collections.abc import Callable

_PERIOD_S = 0.1
_ENTRIES = 500


class Checkpointer:
    """A thread that starts with `start` and ends with `close`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], written: Callable[[], int]) -> None:
        """One that is not started.

        Args:
            connect: opens a write connection.
            written: how many entries the writer has committed so far.
        """
        self._connect, self._written = connect, written
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tollway-checkpointer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        done = 0
        while not self._closing.wait(_PERIOD_S):
            written = self._written()
            if written - done < _ENTRIES:
                continue
            try:
                connection = connection or self._connect()
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error:
                # A full or broken disk is the writer's to report; the pages stay in the log until the next try.
                continue
            done = written
        if connection is not None:
            connection.close()
