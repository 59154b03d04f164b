"""The load: one run of wrk against one target, and the figures it reports."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import cpu_seconds, pinned, rss_mb
from target import Target

_SCRIPT = """\
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
{headers}
done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'RESULT {{"requests": %d, "seconds": %f, "p50": %d, "p95": %d, "p99": %d, "max": %d, "failed": %d, "broken": %d}}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(95), latency:percentile(99),
    latency.max, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Figures:
    """One run. rps: answers per second with status below 400. p50_ms ...: of a whole answer, last byte included.

    cpu_ms: of the target per answer. failed: answers with an error status. broken: connections, reads and timeouts.
    """

    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float
    rss_mb: float
    requests: int
    failed: int
    broken: int

    def plain(self) -> dict[str, float]:
        return asdict(self)


def run(target: Target, shape: str, connections: int, seconds: float, cores: list[int]) -> Figures:
    """Ask for `seconds` over so many connections, from `cores`."""
    request = target.requests[shape]
    headers = "\n".join(f'wrk.headers["{name}"] = {json.dumps(value)}' for name, value in request.headers.items())
    with tempfile.TemporaryDirectory(prefix="tollway-wrk-") as folder:
        script = Path(folder) / "chat.lua"
        script.write_text(_SCRIPT.format(body=request.body.decode(), headers=headers))
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds:g}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
            request.url,
        ]
        before = cpu_seconds(target.process.pid)
        done = subprocess.run(pinned(command, cores), capture_output=True, text=True, timeout=seconds + 60, check=False)
        used = cpu_seconds(target.process.pid) - before
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if done.returncode or line is None:
        raise RuntimeError(f"wrk failed on {target.name}:\n{done.stdout}{done.stderr}")
    said = json.loads(line.removeprefix("RESULT "))
    answers = max(1, said["requests"])
    return Figures(
        rps=round((said["requests"] - said["failed"]) / said["seconds"], 1),
        p50_ms=said["p50"] / 1000,
        p95_ms=said["p95"] / 1000,
        p99_ms=said["p99"] / 1000,
        max_ms=said["max"] / 1000,
        cpu_ms=round(used / answers * 1000, 4),
        rss_mb=round(rss_mb(target.process.pid), 1),
        requests=said["requests"],
        failed=said["failed"],
        broken=said["broken"],
    )


def missing() -> list[str]:
    """Programs that the benchmark needs and this machine lacks."""
    return [program for program in ("nginx", "wrk", "taskset") if shutil.which(program) is None]
