"""Tollway as a target: its settings file, its start, its first key, and how long its import takes.

What this needs of Tollway, all in this file:

- `python -m tollway serve --host H --port N --data DIR --config FILE` answers GET /healthz once it is ready, and prints the
  first key (`tw_...`) on its first start;
- the settings `[money] opening_grant_usd` (the first wallet is rich enough for every request) and `[providers.<id>]` with a
  custom OpenAI-compatible provider, at prices that make every request a charge: holds, rating, settling are all on;
- a model of a custom provider is called `<provider>/<model>`.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import answers
from machine import pinned
from target import ROOT, SHAPES, Process, Request, Target, free_port, installed_version

# Two providers, because the upstream tells the shape of its answer by its path.
_SETTINGS = """\
[money]
opening_grant_usd = "1000000"
"""
_PROVIDER = """
[providers.bench-{shape}]
url = "{upstream}/{shape}/v1"
dialect = "openai"
key = "sk-bench"

[[providers.bench-{shape}.models]]
id = "bench"
context_tokens = 128000
max_output_tokens = 4096
prices = {{ input = "3", output = "15" }}
"""
_KEY = re.compile(r"\btw_[0-9A-Za-z]{40,}\b")


@contextlib.contextmanager
def tollway(folder: Path, cores: list[int], upstream: str) -> Iterator[Target]:
    """The gateway with billing on, its ledger in `folder`, in front of the upstream's base URL."""
    settings = folder / "tollway.toml"
    settings.write_text(_SETTINGS + "".join(_PROVIDER.format(shape=shape, upstream=upstream) for shape in SHAPES))
    port = free_port()
    command = [sys.executable, "-m", "tollway", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--data", str(folder / "data"), "--config", str(settings)]
    # The development environment has the extra `local`: without this the gateway would start its model beside itself.
    environment = {"TOLLWAY_LOCAL_URL": "http://127.0.0.1:9/v1"}
    began = time.perf_counter()
    with Process("tollway", pinned(command, cores), env=environment) as process:
        base = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{base}/healthz")
        ready_s = time.perf_counter() - began
        key = _first_key(process)
        requests = {
            shape: Request(
                f"{base}/v1/chat/completions",
                answers.question(f"bench-{shape}/bench", streams=shape == "sse"),
                {"authorization": f"Bearer {key}"},
            )
            for shape in SHAPES
        }
        facts = {"version": installed_version("tollway"), "ready_s": round(ready_s, 2), "import_s": import_seconds()}
        yield Target("tollway", requests, process, facts)


def import_seconds() -> float:
    """The best of five fresh processes: how long `import tollway.app` takes."""
    script = "import time; began = time.perf_counter(); import tollway.app; print(time.perf_counter() - began)"
    best = 1e9
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=os.environ)
        if done.returncode:
            raise RuntimeError(done.stderr)
        best = min(best, float(done.stdout))
    return round(best, 3)


def _first_key(process: Process) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := _KEY.search(process.log()):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"the first start printed no key\n{process.tail()}")
