"""A receiver of webhooks on loopback: keeps what came, and answers as it was told."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Received:
    """One POST. headers: lower-case names. at: unix seconds."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str):
        """The event, once the library of the specification has accepted its signature."""
        return Webhook(secret).verify(self.body, self.headers)

    def is_signed(self, secret: str) -> bool:
        """As `verified`, whenever it was sent: for tests whose clock is not the real one."""
        sent = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return Webhook(secret).sign(self.id, sent, self.body.decode()) in self.headers["webhook-signature"].split(" ")


class Receiver:
    """A context manager. answers: statuses to answer next with, then `status`. delay_s: before each answer."""

    def __init__(self, status: int = 200, body: bytes = b"thanks", delay_s: float = 0.0) -> None:
        self.status, self.body, self.delay_s = status, body, delay_s
        self.answers: deque[int] = deque()
        self.received: list[Received] = []
        self.location = ""
        self._came = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer._came:
                    outer.received.append(Received(self.path, headers, body))
                    status = outer.answers.popleft() if outer.answers else outer.status
                    outer._came.notify_all()
                time.sleep(outer.delay_s)
                try:
                    self.send_response(status)
                    if outer.location:
                        self.send_header("location", outer.location)
                    self.send_header("content-length", str(len(outer.body)))
                    self.end_headers()
                    self.wfile.write(outer.body)
                except OSError:
                    pass  # whoever asked has gone

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, count: int, timeout_s: float = 20.0) -> list[Received]:
        """What came, once it is `count` messages."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.received) >= count, timeout_s), (
                f"{len(self.received)} of {count} messages came within {timeout_s:g} s"
            )
            return list(self.received)
