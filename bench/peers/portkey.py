"""Portkey's gateway from npm: routing and caching, no ledger.

package.json holds @hono/node-server back: with versions from 1.19 on, every stream of Portkey 1.15.2 ends in status 500.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import answers
from machine import pinned
from target import SHAPES, Process, Request, Target, free_port

_HERE = Path(__file__).parent
_INSTALL_S = 600


def install(folder: Path) -> Path:
    """Install the packages of package-lock.json here below `folder`; the program to run."""
    home = folder / "portkey"
    lock = (_HERE / "package-lock.json").read_bytes()
    stamp = home / "installed-from"
    if not stamp.exists() or stamp.read_text() != hashlib.sha256(lock).hexdigest():
        if shutil.which("npm") is None:
            raise RuntimeError("Portkey needs node and npm: apt-get install nodejs npm")
        home.mkdir(parents=True, exist_ok=True)
        (home / "package-lock.json").write_bytes(lock)
        (home / "package.json").write_bytes((_HERE / "package.json").read_bytes())
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=_INSTALL_S)
        stamp.write_text(hashlib.sha256(lock).hexdigest())
    return home / "node_modules" / "@portkey-ai" / "gateway"


@contextlib.contextmanager
def portkey(folder: Path, cores: list[int], upstream: str) -> Iterator[Target]:
    """In front of the upstream's base URL. `folder`: where installations are kept."""
    package = install(folder)
    port = free_port()
    command = ["node", str(package / "build" / "start-server.js"), f"--port={port}", "--headless"]
    with Process("portkey", pinned(command, cores), env={"NODE_ENV": "production"}) as process:
        base = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{base}/")
        requests = {
            shape: Request(
                f"{base}/v1/chat/completions",
                answers.question("bench", streams=shape == "sse"),
                {
                    "authorization": "Bearer sk-bench",
                    "x-portkey-provider": "openai",
                    "x-portkey-custom-host": f"{upstream}/{shape}/v1",
                },
            )
            for shape in SHAPES
        }
        version = json.loads((package / "package.json").read_text())["version"]
        yield Target("portkey", requests, process, {"version": version})
