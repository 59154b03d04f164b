"""The speed of the gateway as ratios within one run; prints a table and writes bench/out/speed.json.

    python bench/run.py [--peers] [--seconds 2] [--rounds 3] [--connections 1,16,64] [--shapes json,sse] [--check]

Everything is on loopback. The gateways share one core and are measured one at a time (idle, none takes 1 % of it); the load
(wrk) and the zero-delay upstream (nginx) have the other. Rounds are interleaved, so that what the machine does besides hits
all alike. `--peers` adds Portkey and LiteLLM (installed below bench/out on first use); `--check` exits with 1 if a
promise of issue 2 does not hold. Figures of one machine mean little; the ratios travel.

    upstream   no gateway: what wrk and the upstream reach by themselves on their own core
    nginx      nginx as a bare reverse proxy
    bare       uvicorn and pyreqwest forwarding with no logic (bare_proxy.py)
    tollway    the gateway: key, hold, price, settle and receipt of every request, on disk
"""

import argparse
import contextlib
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nginx_site
import report
import wrk_load
from machine import busy_seconds, cores, own_seconds, pinned
from peers.litellm import litellm
from peers.portkey import portkey
from target import ROOT, SHAPES, Process, Target, free_port, installed_version
from tollway_target import tollway

OUT = ROOT / "bench" / "out"
OWN = ("upstream", "nginx", "bare", "tollway")
PEERS = ("portkey", "litellm")
QUIET_CORES = 0.1
"""What others may use of the machine before the figures are called doubtful."""
SLOW_S = 15
"""The longest run that a slow target is given."""


@contextlib.contextmanager
def bare(cores_: list[int], upstream: str) -> Iterator[Target]:
    """The bare Python proxy in front of the upstream's base URL."""
    port = free_port()
    command = [sys.executable, str(ROOT / "bench" / "bare_proxy.py"), "--port", str(port), "--upstream", upstream]
    with Process("bare", pinned(command, cores_)) as process:
        base = f"http://127.0.0.1:{port}"
        process.wait_ready(f"{base}/json/", timeout=20)
        yield Target("bare", nginx_site.requests(base), process, {"version": installed_version("pyreqwest")})


def started(stack: contextlib.ExitStack, names: list[str], folder: Path) -> list[Target]:
    """The targets, each checked by one request of each shape."""
    gateway_cores, other_cores = cores()
    upstream = stack.enter_context(nginx_site.upstream(folder, other_cores))
    base = upstream.requests["json"].url.partition("/json/")[0]
    starts = {
        "upstream": lambda: contextlib.nullcontext(upstream),
        "nginx": lambda: nginx_site.proxy(folder, gateway_cores, base),
        "bare": lambda: bare(gateway_cores, base),
        "tollway": lambda: tollway(folder, gateway_cores, base),
        "portkey": lambda: portkey(OUT / "peers", gateway_cores, base),
        "litellm": lambda: litellm(OUT / "peers", gateway_cores, base),
    }
    targets = list[Target]()
    for name in names:
        print(f"starting {name}", file=sys.stderr, flush=True)
        target = stack.enter_context(starts[name]())
        target.check()
        targets.append(target)
    return targets


def warmed(target: Target, shape: str, cores_: list[int]) -> float:
    """Past lazy imports and the first compilation: until a hundred answers, or ten runs. Answers per second by then."""
    answered, figures = 0, None
    for _ in range(10):
        figures = wrk_load.run(target, shape, 16, 1, cores_)
        answered += figures.requests
        if answered >= 100:
            break
    return figures.rps if figures else 0


def measured(targets: list[Target], options: argparse.Namespace) -> dict[report.Key, list[dict[str, float]]]:
    """Every target with every shape and number of connections, round after round."""
    _, other_cores = cores()
    runs = dict[report.Key, list[dict[str, float]]]()
    pace = {(one.name, shape): max(1.0, warmed(one, shape, other_cores)) for one in targets for shape in options.shapes}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for shape in options.shapes:
            for connections in options.connections:
                # Nobody is always the first after a pause.
                for target in targets[number % len(targets) :] + targets[: number % len(targets)]:
                    # Ten answers per connection, or what is unfinished at the end would count too much.
                    needed = math.ceil(10 * connections / pace[target.name, shape])
                    seconds = max(options.seconds, min(needed, SLOW_S))
                    figures = wrk_load.run(target, shape, connections, seconds, other_cores)
                    runs.setdefault((target.name, shape, connections), []).append(figures.plain())
    order = [(one.name, shape, c) for one in targets for shape in options.shapes for c in options.connections]
    return {key: runs[key] for key in order}


def machine() -> dict[str, Any]:
    """What kind of machine this was, without saying which."""
    return {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()}


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=2, help="of each run (2)")
    options.add_argument("--rounds", type=int, default=3, help="(3)")
    options.add_argument("--connections", default="1,16,64", help="(1,16,64)")
    options.add_argument("--shapes", default="json,sse", help="(json,sse)")
    options.add_argument("--targets", default="", help=f"some of {','.join(OWN + PEERS)}; default: the first four")
    options.add_argument("--peers", action="store_true", help="add Portkey and LiteLLM")
    options.add_argument("--check", action="store_true", help="exit with 1 if a promise does not hold")
    chosen = options.parse_args()
    chosen.connections = [int(one) for one in chosen.connections.split(",")]
    chosen.shapes = chosen.shapes.split(",")
    chosen.targets = chosen.targets.split(",") if chosen.targets else [*OWN, *(PEERS if chosen.peers else ())]
    if unknown := [one for one in chosen.targets if one not in OWN + PEERS]:
        options.error(f"no such target: {', '.join(unknown)}; there are {', '.join(OWN + PEERS)}")
    if unknown := [one for one in chosen.shapes if one not in SHAPES]:
        options.error(f"no such shape: {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    return chosen


def main() -> int:
    options = arguments()
    if missing := wrk_load.missing():
        print(f"missing: {', '.join(missing)}; run: apt-get install nginx-light wrk", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tollway-bench-") as folder, contextlib.ExitStack() as stack:
        targets = started(stack, options.targets, Path(folder))
        began, busy, own = time.monotonic(), busy_seconds(), own_seconds()
        runs = measured(targets, options)
        others = (busy_seconds() - busy - (own_seconds() - own)) / (time.monotonic() - began)
        facts = {one.name: dict(one.facts) for one in targets}
    rows = report.summary(runs)
    goals = report.goals(runs, facts.get("tollway", {}))
    print(report.table(rows))
    if goals:
        print("\n" + report.goal_lines(goals))
    if others > QUIET_CORES:
        print(f"\nnot a quiet machine: other processes kept {others:.1f} cores busy; trust cpu/req more than rps")
    told = {
        "machine": {**machine(), "busy_elsewhere_cores": round(others, 2)},
        "seconds": options.seconds,
        "rounds": options.rounds,
        "facts": facts,
    }
    raw = [{"target": key[0], "shape": key[1], "connections": key[2], "rounds": found} for key, found in runs.items()]
    (OUT / "speed.json").write_text(json.dumps({**told, "summary": rows, "goals": goals, "runs": raw}, indent=1) + "\n")
    print(f"\nwritten: {(OUT / 'speed.json').relative_to(ROOT)}")
    return 1 if options.check and not all(row["holds"] for row in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
