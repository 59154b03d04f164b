"""Processes of the test suite: started on loopback, awaited by polling, their log kept, ended with their whole group."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_S = 60.0
"""Patience with a server's start: seconds in practice, more on a machine that runs other things too."""
_POLL_S = 0.02
_TAIL_LINES = 40
_KEPT_BYTES = 1 << 20

# The environment may name a proxy for the internet; it has no business on loopback.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotReadyError(RuntimeError):
    """A server did not answer in time, or ended before it did; the message carries the end of its log."""


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def http_get(url: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Status and body, whatever the status.

    Raises:
        OSError: nobody answered.
    """
    try:
        with _DIRECT.open(url, timeout=timeout_s) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def http_post(url: str, body: bytes = b"", timeout_s: float = 5.0) -> tuple[int, bytes]:
    """As `http_get`."""
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"}, method="POST")  # noqa: S310 - loopback
    try:
        with _DIRECT.open(request, timeout=timeout_s) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_http(url: str, timeout: float = READY_S, process: "Process | None" = None) -> None:
    """Return when `url` answers with a status below 400.

    Args:
        url: something cheap to ask, as /health.
        timeout: seconds.
        process: who should answer; its end ends the waiting, and its log explains.

    Raises:
        NotReadyError: it did not.
    """
    deadline, last = time.monotonic() + timeout, "no answer"
    while time.monotonic() < deadline:
        if process is not None and process.exit_code is not None:
            raise NotReadyError(f"{process.name} ended with {process.exit_code} before it was ready\n{process.tail()}")
        try:
            status, _ = http_get(url, timeout_s=2.0)
            if status < 400:
                return
            last = f"status {status}"
        except OSError as error:
            last = str(error)
        time.sleep(_POLL_S)
    tail = f"\n{process.tail()}" if process is not None else ""
    raise NotReadyError(f"{url} was not ready within {timeout:g} s ({last}){tail}")


class Process:
    """A child process in a group of its own, with its output in a file. A context manager: the end of the block ends it.

    A failing test shows the end of the log: `with Process(...)` notes it on the exception that leaves the block.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        """Starts at once.

        Args:
            name: for messages.
            command: program and arguments.
            env: variables on top of this process's.
            cwd: working directory.
        """
        self.name = name
        self._kept = ""
        self._log = tempfile.TemporaryFile(prefix=f"tollway-test-{name}-")  # noqa: SIM115 - closed by `stop`
        try:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and not isinstance(error, NotReadyError | GeneratorExit):
            error.add_note(self.tail())
        self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if one ended it."""
        return self._child.poll()

    def log(self, limit: int | None = None) -> str:
        """What it has written so far, or the last `limit` bytes of it; once stopped, the last mebibyte."""
        if self._log.closed:
            return self._kept
        size = os.fstat(self._log.fileno()).st_size
        start = 0 if limit is None else max(0, size - limit)
        return os.pread(self._log.fileno(), size - start, start).decode(errors="replace")

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The end of the log, with a headline."""
        return "\n".join([f"--- end of the log of {self.name} ---", *self.log(_KEPT_BYTES).splitlines()[-lines:]])

    def wait_ready(self, url: str, timeout: float = READY_S) -> None:
        """See `wait_http`; on failure the process is stopped."""
        try:
            wait_http(url, timeout, self)
        except BaseException:
            self.stop()
            raise

    def wait(self, timeout: float) -> int:
        """Exit code, once it has ended by itself; subprocess.TimeoutExpired if it does not."""
        return self._child.wait(timeout)

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, e.g. SIGKILL for a crash test."""
        self._child.send_signal(number)

    def stop(self, grace_s: float = 5.0) -> int:
        """End the whole group: politely first, then not; returns the exit code. May be called again."""
        self._to_group(signal.SIGTERM)
        try:
            self._child.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass
        # Also when the leader has ended: its children may still hold a port.
        self._to_group(signal.SIGKILL)
        code = self._child.wait()
        self._kept = self.log(_KEPT_BYTES)
        self._log.close()
        return code

    def _to_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)
