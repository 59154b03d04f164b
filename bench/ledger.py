"""Hold+settle pairs per second of the embedded ledger, synchronous=FULL, with its CPU and its latency.

    python bench/ledger.py [--seconds 3] [--concurrency 1,16,64] [--receipt 1200] [--wallets 1] [--loop uvloop] [--json FILE]

Each worker opens a hold and settles it in turn, as a gateway with an upstream of no delay would; a settle returns when it is on
disk. Beside it, in the same run, what the disk does alone: commits per second of one row each (`disk`), so that figures from
different machines can be read as ratios.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from tollway.ledger.transfer import credit
from tollway.metering.rating import Charge
from tollway.money.amount import NanoUSD
from tollway.ports import Generation, HoldOrder, Settlement
from tollway.store.embedded import EmbeddedStore
from tollway.store.sqlite import open_writer

CHARGE = Charge(NanoUSD(13_427_700), NanoUSD(12_207_000), NanoUSD(1_220_700), ())


class RealClock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class CountingIds:
    """UUIDv7-shaped, cheap: the id's making is not what is measured."""

    def __init__(self) -> None:
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"{int(time.time() * 1000):012x}"[:8] + f"-0000-7000-8000-{self.count:012x}"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def disk_alone(folder: Path, seconds: float) -> float:
    """Commits per second of one small row each."""
    connection = open_writer(folder / "alone.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.execute("INSERT INTO t (x) VALUES ('x')")
        count += 1
    connection.close()
    return count / seconds


async def measure(folder: Path, concurrency: int, seconds: float, receipt: int, wallets: int) -> dict[str, float]:
    ids = CountingIds()
    store = await EmbeddedStore.open(folder, clock=RealClock, ids=ids, random_bytes=os.urandom)
    organization = await store.workspaces.add_organization("bench")
    keys = []
    for number in range(wallets):
        workspace = await store.workspaces.add_workspace(organization.id, f"w{number}")
        await store.ledger.post(credit("grant", workspace.id, 10**15, external_ref=workspace.id))
        key, _ = await store.workspaces.add_key(workspace.id, name="k", budget_nano=10**15, budget_window="month")
        keys.append(key)
    story = os.urandom(receipt // 2).hex().encode()
    ledger, latencies = store.ledger, list[float]()
    end = time.perf_counter() + seconds

    async def worker(number: int) -> int:
        done, key = 0, keys[number % wallets]
        while time.perf_counter() < end:
            began = time.perf_counter()
            id_, now = ids.new(), int(time.time())
            await ledger.hold(
                HoldOrder(
                    id_, key.workspace_id, key, 71_656_200, "openai/gpt@2026-01-01", 1000, "gpt@openai", now, now + 900
                )
            )
            generation = Generation(
                id_,
                key.workspace_id,
                key.id,
                now * 1000,
                "openai/gpt-5.1",
                "openai/gpt-5.1",
                "openai",
                "gpt@openai",
                input_tokens=1234,
                output_tokens=567,
                usage_source="provider",
                latency_ms=3,
                ttft_ms=1,
                receipt=story,
            )
            await ledger.settle(Settlement(id_, CHARGE, "openai", generation))
            latencies.append(time.perf_counter() - began)
            done += 1
        return done

    commits, used, began = ledger.gauges().commits, cpu(), time.perf_counter()
    pairs = sum(await asyncio.gather(*(worker(number) for number in range(concurrency))))
    took, used = time.perf_counter() - began, cpu() - used
    commits = ledger.gauges().commits - commits
    await store.close()
    latencies.sort()
    return {
        "concurrency": concurrency,
        "pairs_per_s": round(pairs / took),
        "cpu_us_per_pair": round(used / pairs * 1e6, 1),
        "pairs_per_commit": round(pairs / commits, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1e3, 3),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1e3, 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--concurrency", default="1,16,64")
    options.add_argument("--receipt", type=int, default=1200)
    options.add_argument("--wallets", type=int, default=1)
    options.add_argument("--loop", default="uvloop")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    results = []
    for concurrency in map(int, chosen.concurrency.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="tollway-bench-"))
        try:
            alone = disk_alone(folder, min(1, chosen.seconds))
            work = measure(folder / "data", concurrency, chosen.seconds, chosen.receipt, chosen.wallets)
            if chosen.loop == "uvloop":
                import uvloop

                result = uvloop.run(work)
            else:
                result = asyncio.run(work)
            results.append({**result, "disk": round(alone)})
            print("  ".join(f"{name} {value:>8}" for name, value in results[-1].items()), flush=True)
        finally:
            shutil.rmtree(folder)
    if chosen.json:
        chosen.json.write_text(json.dumps({"sqlite": sqlite3.sqlite_version, "ledger": results}, indent=1))


if __name__ == "__main__":
    main()
