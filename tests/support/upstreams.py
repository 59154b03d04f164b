"""Real upstreams for tests, each a context manager: two simulators, a real small model, and our own that fails on demand.

    with aimock() as upstream:                       npm @copilotkit/aimock: OpenAI, Anthropic and Gemini from fixture files
    with llmock("--rpm", "5") as upstream:           PyPI llmock: rate limits, error rates, stream faults
    with real_model() as upstream:                   SmolLM2-135M in llama.cpp: real tokens, real cached_tokens
    with faulty() as upstream:                       fault_upstream.py: resets, silence, odd usage, and a journal

Each yields an `Upstream`; what a missing program or package needs is said in the error, never skipped over.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.process import NotReadyError, Process, free_port, http_get, http_post, wait_http
from tollway.providers import local_model

__all__ = [
    "MODEL_ID",
    "FaultUpstream",
    "NotReadyError",
    "Process",
    "Upstream",
    "aimock",
    "faulty",
    "free_port",
    "http_get",
    "http_post",
    "llmock",
    "npm_folder",
    "real_model",
    "wait_http",
]

MODEL_ID = local_model.MODEL_ID

_HERE = Path(__file__).parent
_TESTS = _HERE.parent
_NPM = _TESTS / "npm"
_NPM_PATIENCE_S = 300


@dataclass(frozen=True)
class Upstream:
    """A server that speaks one or more dialects.

    url: scheme, host and port. openai, anthropic, gemini: what the official SDK of each takes as its base URL; "" where the
    server does not speak it. Where Tollway wants a base URL of its own form, build it from `url`.
    """

    name: str
    url: str
    process: Process
    openai: str = ""
    anthropic: str = ""
    gemini: str = ""


class MissingProgramError(RuntimeError):
    """A program that the test suite needs is not installed; the message says which and how to get it."""


def npm_folder() -> Path:
    """The folder whose `node_modules` holds the packages of tests/npm/package.json, installed at first use.

    Raises:
        MissingProgramError: node or npm is not installed.
        RuntimeError: npm failed; with what it said.
    """
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        raise MissingProgramError(
            f"the test suite needs Node.js 20 or later and npm for the simulator aimock and the npm client; missing: "
            f"{', '.join(missing)}; on Debian: apt-get install nodejs npm"
        )
    wanted = hashlib.sha256((_NPM / "package-lock.json").read_bytes()).hexdigest()
    stamp = _NPM / "node_modules" / ".installed-from"
    # Two test runs may start at once; the second waits for the first's installation.
    with (_NPM / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=_NPM, capture_output=True, text=True, timeout=_NPM_PATIENCE_S)
            if done.returncode:
                raise RuntimeError(
                    f"{' '.join(command)} in {_NPM.name}/ failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
                )
            stamp.write_text(wanted)
    return _NPM


@contextlib.contextmanager
def aimock(*options: str, fixtures: Path = _HERE / "aimock") -> Iterator[Upstream]:
    """The simulator @copilotkit/aimock with this folder's fixtures; a request that matches none is answered 503.

    Args:
        options: more of its own, e.g. "--chaos-ratelimit", "1".
        fixtures: a folder or file of its format.
    """
    program = npm_folder() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    port = free_port()
    command = ["node", str(program), "--port", str(port), "--fixtures", str(fixtures)]
    # Its checks of the fixtures fail the start, not a test an hour later.
    with Process("aimock", [*command, "--strict", "--validate-on-load", "--log-level", "warn", *options]) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{url}/health")
        yield Upstream("aimock", url, process, openai=f"{url}/v1", anthropic=url, gemini=url)


@contextlib.contextmanager
def llmock(*options: str) -> Iterator[Upstream]:
    """The simulator llmock from PyPI.

    Args:
        options: its own, e.g. "--rpm", "5" / "--error-rate", "500=0.2" / "--stream-fault", "truncate=1".
    """
    port = free_port()
    command = [sys.executable, "-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with Process("llmock", [*command, *options]) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{url}/health")
        yield Upstream("llmock", url, process, openai=f"{url}/v1", anthropic=f"{url}/anthropic", gemini=f"{url}/gemini")


@contextlib.contextmanager
def real_model(*, threads: int = 1, parallel: int = 2) -> Iterator[Upstream]:
    """SmolLM2-135M-Instruct, model id `MODEL_ID`, as the extra `local` serves it. Always say `max_tokens`: it rambles."""
    port = free_port()
    with Process("smollm2", local_model.command(port, threads=threads, parallel=parallel)) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{url}/health")
        yield Upstream("smollm2", url, process, openai=f"{url}/v1", anthropic=url)


@dataclass(frozen=True)
class FaultUpstream(Upstream):
    """See fault_upstream.py for its behaviours; this is the test's end of it."""

    def journal(self, **wanted: Any) -> list[dict[str, Any]]:
        """Requests so far, oldest first; `wanted` selects by field, e.g. model="fault-hang"."""
        entries: list[dict[str, Any]] = json.loads(http_get(f"{self.url}/__journal")[1])
        return [one for one in entries if all(one[name] == value for name, value in wanted.items())]

    def ended(self, count: int = 1, timeout: float = 5.0, **wanted: Any) -> list[dict[str, Any]]:
        """As `journal`, once `count` such requests have ended: that a caller has gone is noticed a moment later.

        Raises:
            AssertionError: not within `timeout` seconds; with the whole journal.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self.journal(done=True, **wanted)
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} of {count} requests {wanted} ended: {self.journal()}")
            time.sleep(0.02)

    def program(self, *behaviours: str) -> None:
        """What the next requests get in turn, whatever their model: "fault-status-500", "ok chunks=3", ...

        Raises:
            AssertionError: there is no such behaviour.
        """
        status, body = http_post(f"{self.url}/__program", json.dumps(behaviours).encode())
        assert status == 200, body.decode()

    def tell_usage(self, usage: dict[str, Any]) -> None:
        """What the behaviour `usage-told` reports from now on, in the shape of whatever dialect is spoken."""
        http_post(f"{self.url}/__usage", json.dumps(usage).encode())

    def reset(self) -> None:
        """Forget the journal, the program and the usage that was told."""
        http_post(f"{self.url}/__reset")


@contextlib.contextmanager
def faulty() -> Iterator[FaultUpstream]:
    """Our own upstream that fails on demand; it also answers `ok` at zero delay with usage 1234/567."""
    port = free_port()
    command = [sys.executable, "-m", "support.fault_upstream", "--port", str(port)]
    with Process("faulty", command, cwd=_TESTS) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{url}/health")
        yield FaultUpstream("faulty", url, process, openai=f"{url}/v1", anthropic=url, gemini=url)


def host_and_port(url: str) -> tuple[str, int]:
    """Of a URL that names both, for tests that speak bytes."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None, url
    assert parts.port is not None, url
    return parts.hostname, parts.port
