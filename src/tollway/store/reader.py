"""The reader: queries on read-only connections in two threads; none runs on the event loop or waits for the writer."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tollway.store.sqlite import open_reader

Result = TypeVar("Result")
Args = ParamSpec("Args")

_THREADS = 2


class Reader:
    """Runs functions of a read-only connection. A committed write is seen by the next call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tollway-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def run(
        self, query: Callable[Concatenate[sqlite3.Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """`query(connection, *args)` on a reader thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: query(self._connection(), *args, **kwargs))

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self._path)
            self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Wait for running queries and close the connections."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()
