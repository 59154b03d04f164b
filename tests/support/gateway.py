"""Tollway itself, as a user runs it: `tollway serve` in a process of its own, on a data folder of its own."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from support.process import Process, free_port

_KEY = re.compile(r"first API key\s+(tw_\w+)")
_ADMIN = re.compile(r"admin login\s+(twa_\w+)")
_CLEAN = ("_API_KEY", "_BASE_URL", "TOLLWAY_")


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anybody's provider keys, and with no real model unless the test brings one."""
    kept = {name: value for name, value in os.environ.items() if not any(mark in name for mark in _CLEAN)}
    return {**kept, "TOLLWAY_LOCAL_URL": "http://127.0.0.1:9/v1", **extra}


class Gateway:
    """A running gateway. `key` and `admin` are what its first start printed.

    toml: text of a tollway.toml. environment: e.g. OPENAI_API_KEY and OPENAI_BASE_URL of a simulator.
    """

    def __init__(self, folder: Path, toml: str = "", **environment: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        self.environment = clean_environment(**environment)
        self.key = self.admin = ""
        (folder / "tollway.toml").write_text(toml)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    def start(self) -> None:
        """Start, or start again after `stop` or `kill`; returns when it answers."""
        # `env -i`, since a Process only adds to the environment it inherits.
        clean = ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]
        self._process = Process("tollway", [*clean, *self._command("serve", "--port", str(self.port))], cwd=self.folder)
        self._process.wait_ready(f"{self.url}/readyz")
        if not self.key:
            self.key, self.admin = _KEY.search(self.log)[1], _ADMIN.search(self.log)[1]

    def stop(self) -> int:
        """Ask it to drain and end; the exit code."""
        assert self._process is not None
        return self._process.stop(40)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.signal(9)
        self._process.wait(10)

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return self.process.log()

    def cli(self, *words: str, check: bool = True) -> str:
        """Run a `tollway` command on this installation; its output."""
        done = subprocess.run(
            self._command(*words), env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        if check and done.returncode:
            raise AssertionError(f"tollway {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def audit(self) -> str:
        """Prove the ledger; raises when it does not hold."""
        return self.cli("audit")

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """(status, decoded body, lower-case headers) of one HTTP request. `key` "" sends none."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        secret = self.key if key is None else key
        if secret:
            request.add_header("Authorization", f"Bearer {secret}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, _decoded(reply.read()), {k.lower(): v for k, v in reply.headers.items()}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read()), {k.lower(): v for k, v in error.headers.items()}

    def chat(
        self, model: str = "simulated/echo", text: str = "Hello there", **fields: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """One plain chat completion."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.ask("POST", "/v1/chat/completions", body)

    def receipt(self, generation_id: str) -> Any:
        """The receipt of a request."""
        status, body, _ = self.ask("GET", f"/v1/generations/{generation_id}")
        assert status == 200, body
        return body

    def wallet(self) -> dict[str, Any]:
        """The first wallet: `available_usd` and the rest."""
        return self.ask("GET", "/v1/wallet")[1]["data"]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tollway", *words, "--data", str(self.data)]


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
