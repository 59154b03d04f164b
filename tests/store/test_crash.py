"""T1 of reliability.md at the store: kill -9 mid-load; nothing acknowledged is lost, nothing is doubled or unbalanced."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from store.test_audit import verdicts
from store.world import opened

LOAD = Path(__file__).parent / "load.py"
CREDIT = 10**15


def acknowledged(output: str) -> dict[str, int]:
    """id -> nano-USD charged (0: void), of whole lines."""
    found: dict[str, int] = {}
    for line in output.splitlines(keepends=True):
        if not line.endswith("\n"):
            continue
        kind, *rest = line.split()
        if kind == "charged":
            found[rest[0]] = int(rest[1])
        elif kind == "void":
            found[rest[0]] = 0
    return found


async def found_town(folder: Path) -> None:
    async with opened(folder) as world:
        await world.fund(CREDIT)


def test_t1_killed_mid_load(tmp_path, request) -> None:
    kills = 200 if request.config.getoption("--full", default=False) else 8
    asyncio.run(found_town(tmp_path))
    told: dict[str, int] = {}
    chance = random.Random(20_261_124)
    for kill in range(kills):
        process = subprocess.Popen([sys.executable, LOAD, tmp_path, str(kill)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.01, 0.3))
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        told.update(acknowledged(output))

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            rows = await world.ask("SELECT id, outcome, charge_nano FROM generations")
            kept = {row[0]: row for row in rows}
            assert len(kept) == len(rows)
            lost = [name for name, nano in told.items() if name not in kept or kept[name][2] != nano]
            assert lost == []
            assert world.balance.held_nano == 0
            assert world.balance.posted_nano == CREDIT - sum(row[2] for row in rows)
            # What was not acknowledged ended too, charged at most once; the rest is recovery's.
            assert {row[1] for row in rows} <= {"settled", "void", "expired"}

    asyncio.run(scenario())
    assert len(told) > kills * 20
    assert verdicts(tmp_path / "tollway.db", int(time.time())) == {}


def test_recovery_ends_what_was_open_and_frees_idempotency_keys(tmp_path) -> None:
    script = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from store.world import opened
async def main():
    async with opened(Path(sys.argv[1])) as world:
        await world.fund(1000, ref="pay2")
        await world.hold("open", 60)
        world.store.idempotency.begin(world.ws, "again", b"h", world.clock.time)
        await world.hold("done", 40)
        await world.settle("done", 15)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    asyncio.run(found_town(tmp_path))
    done = subprocess.run([sys.executable, "-c", script, tmp_path, LOAD.parents[1]])
    assert done.returncode == -9

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            recovered = world.store.recovered
            assert (recovered.holds, recovered.amount_nano, recovered.replies) == (1, 60, 1)
            assert world.ledger.gauges().leaked_nano == 60
            assert world.available == CREDIT + 1000 - 15
            kept = await world.store.generations.get(world.ws, "open")
            assert (kept.generation.status, kept.end.outcome, kept.end.hold_nano) == ("expired", "expired", 60)
            assert b"stopped" in kept.generation.receipt
            assert world.store.idempotency.begin(world.ws, "again", b"other", world.clock.time).state == "new"

    asyncio.run(scenario())
    assert verdicts(tmp_path / "tollway.db") == {}
