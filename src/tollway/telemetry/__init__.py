"""Telemetry: the metrics, the log line and the trace of each request, made away from the road.

Owns: what the operator sees of requests while they happen. Does not own: the receipt (gateway), the books (store).
A request that ends costs the event loop one `append`. A thread wakes a moment later, folds what has come into counters,
writes the lines, sends the spans, and lets go of the interpreter after every small batch.
Invariants: no prompt, answer or credential is ever in a line, a label or a span; a log that nobody reads stops nobody.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO

from tollway.ports import Generation
from tollway.telemetry.logs import LogFormat, json_line, json_refusal, text_line, text_refusal
from tollway.telemetry.metrics import Metrics
from tollway.telemetry.readings import LedgerReadings, ledger_readings
from tollway.telemetry.traces import Traces

if TYPE_CHECKING:
    from tollway.telemetry.exposition import Exposition

__all__ = ["Metrics", "RequestTelemetry", "Traces"]

PENDING_MAX = 50_000
"""Ended requests that wait to be recorded, and as many that wait to be written; more are dropped and counted."""
CLOSE_S = 5.0
_GATHER_S = 0.1
_BATCH = 32
_REST_S = 0.0005
"""The pause between batches: the loop gets the interpreter before, not after, a burst has been formatted."""

_log = logging.getLogger(__name__)
_Ended = tuple[Generation, Mapping[str, int]]
_Refused = tuple[str, int, str]


class RequestTelemetry:
    """See `ports.Telemetry`. The thread starts with the first request; `close` at the end."""

    def __init__(
        self,
        log_format: LogFormat = "json",
        otlp_endpoint: str = "",
        gauges: Callable[[], LedgerReadings] | None = None,
        *,
        stream: BinaryIO | None = None,
        hosts: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            log_format: of the line per request.
            otlp_endpoint: base URL of an OTLP/HTTP collector; "" makes no spans.
            gauges: the ledger's numbers, read at each scrape.
            stream: takes the lines; standard error when not given.
            hosts: provider id -> (host, port), for spans.

        Raises:
            ConfigurationError: traces are asked for and the `otel` extra is missing.
        """
        self.metrics = Metrics()
        if gauges is not None:
            self.metrics.readings += ledger_readings(gauges)
        self._stream = sys.stderr.buffer if stream is None else stream
        self._is_heard = True
        self._exposition: Exposition | None = None
        self._traces = Traces(otlp_endpoint, hosts=hosts) if otlp_endpoint else None
        self._line, self._refusal = (json_line, json_refusal) if log_format == "json" else (text_line, text_refusal)
        self._pending = deque[_Ended | _Refused]()
        self._failed = deque[tuple[str, str]]()
        self._folded = deque[_Ended | _Refused]()
        self._folding = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # On the road: a few hundred nanoseconds each.

    def finished(self, generation: Generation, stages: Mapping[str, int]) -> None:
        """A request ended. Both are handed over: nobody may change them afterwards."""
        self._add((generation, stages))

    def refused(self, code: str, status: int, request_id: str) -> None:
        """A request was refused before it had a hold."""
        self._add((code, status, request_id))

    def upstream_failed(self, provider: str, reason: str) -> None:
        """An attempt at a provider failed."""
        self._failed.append((provider, reason))

    def _add(self, event: _Ended | _Refused) -> None:
        pending = self._pending
        if len(pending) >= PENDING_MAX:
            self.metrics.dropped += 1
            return
        pending.append(event)
        if len(pending) == 1:
            if self._thread is None:
                self._start()
            self._wake.set()

    # Beside it.

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show one more number that somebody else keeps: `tollway_` + `name`, read at each scrape."""
        self.metrics.gauge(name, meaning, read)

    def metrics_text(self) -> bytes:
        """What `GET /metrics` answers, up to this moment, in text format 0.0.4. The first call takes 100 ms more."""
        if self._exposition is None:
            # Half of that library is an HTTP server that we do not use: not worth a tenth of a second at every start.
            from tollway.telemetry.exposition import Exposition  # noqa: PLC0415

            self._exposition = Exposition(self.metrics)
        with self._folding:
            while self._fold(PENDING_MAX):
                pass
            return self._exposition.text()

    def close(self) -> None:
        """Record, write and send everything that has come; no more may come. A log that is stuck is given up on."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                return
        self._record()
        if self._traces is not None:
            self._traces.close()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            # A moment's requests are written in one go: one system call, and one wake-up, for all of them.
            self._stopping.wait(_GATHER_S)
            self._record()

    def _record(self) -> None:
        is_more = True
        while is_more:
            with self._folding:
                is_more = self._fold(_BATCH)
            is_more = self._write(_BATCH) or is_more
            self._stopping.wait(_REST_S)

    def _fold(self, most: int) -> bool:
        """Fold at most so many events into the metrics; False when there are no more. Only under `_folding`."""
        metrics, folded = self.metrics, self._folded
        while self._failed:
            metrics.upstream_failed(*self._failed.popleft())
        for _ in range(most):
            try:
                event = self._pending.popleft()
            except IndexError:
                return False
            if len(event) == 2:
                metrics.ended(*event)
            else:
                metrics.refused(event[0], event[1])
            if len(folded) < PENDING_MAX:
                folded.append(event)
            else:
                metrics.dropped += 1
        return True

    def _write(self, most: int) -> bool:
        """Write the lines and make the spans of at most so many events; False when there are no more."""
        lines = bytearray()
        for _ in range(min(most, len(self._folded))):
            lines += self._told(self._folded.popleft())
        if lines and self._is_heard:
            try:
                self._stream.write(lines)
                self._stream.flush()
            except (OSError, ValueError):
                # Whoever read the log has gone. Requests are served all the same; the metrics tell.
                self._is_heard = False
        return bool(self._folded)

    def _told(self, event: _Ended | _Refused) -> bytes:
        """The line of an event, its span on the way."""
        try:
            if len(event) == 3:
                return self._refusal(*event) + b"\n"
            if self._traces is not None:
                self._traces.ended(event[0])
            return self._line(*event) + b"\n"
        except Exception:  # noqa: BLE001 - a library's fault with one request must not silence all that follow
            self.metrics.dropped += 1
            _log.warning("a request could not be told", exc_info=True)
            return b""
