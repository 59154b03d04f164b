"""An installation in the current folder, and a stand-in for the server that owns it."""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from store.world import CountingIds, SystemClock
from tollway.store import EmbeddedStore
from tollway.store.folder import DataFolder

DATA = Path("tollway-data")


async def installed(workspaces: int = 1) -> list[str]:
    """An installation in the current folder with 10 USD in its first wallet; its workspaces."""
    store = await EmbeddedStore.open(DATA, clock=SystemClock(), ids=CountingIds(), random_bytes=os.urandom)
    await store.bootstrap(10_000_000_000)
    organization = next(iter(store.workspaces.organizations))
    for number in range(workspaces - 1):
        await store.workspaces.add_workspace(organization, f"more {number}")
    found = list(store.workspaces.workspaces)
    await store.close()
    return found


@pytest.fixture
def workspace(tollway) -> str:
    return asyncio.run(installed())[0]


class Operator(BaseHTTPRequestHandler):
    """A server's admin API, as far as a command asks it."""

    asked: list[tuple[str, str, str, bytes]] = []
    status, reply = 200, b"{}"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.asked.append((self.command, self.path, self.headers["authorization"], body))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.reply)))
        self.end_headers()
        self.wfile.write(self.reply)

    do_DELETE = do_PATCH = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def owned(workspace):
    """The folder belongs to a running server."""
    server = HTTPServer(("127.0.0.1", 0), Operator)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Operator.asked = []
    folder = DataFolder(DATA)
    folder.lock()
    (DATA / "server.json").write_text(
        json.dumps({"url": f"http://127.0.0.1:{server.server_port}", "token": "secret", "pid": 1})
    )
    yield workspace
    folder.unlock()
    server.shutdown()
    server.server_close()
    thread.join()
