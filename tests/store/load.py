"""A process to be killed: requests on a store, and one line on stdout for each end that was acknowledged.

    python load.py FOLDER START

`charged ID NANO`, `void ID`: told after `settle` or `void` returned, so it must be on disk whatever happens next.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store.world import CountingIds, SystemClock, World  # noqa: E402
from tollway.store import EmbeddedStore  # noqa: E402


async def main(folder: Path, start: int) -> None:
    store = await EmbeddedStore.open(
        folder, clock=SystemClock(), ids=CountingIds(start + 1), random_bytes=os.urandom, pepper=b"p" * 32
    )
    world = World(store, SystemClock())
    world.ws = next(iter(store.workspaces.workspaces))
    world.key = store.workspaces.keys_of(world.ws)[0]
    print(f"recovered {store.recovered.holds}", flush=True)

    async def worker(number: int) -> None:
        count = 0
        while True:
            count += 1
            name = f"{start}-{number}-{count}"
            await world.hold(name, 100)
            if count % 7 == 0:
                await world.ledger.raise_hold(name, 50)
            if count % 3 == 0:
                await asyncio.sleep(0.003)
            if count % 5 == 0:
                await world.void(name)
                sys.stdout.write(f"void {name}\n")
            else:
                await world.settle(name, count % 90 + 1)
                sys.stdout.write(f"charged {name} {count % 90 + 1}\n")
            # One write per line: a line that is half out when the process dies was not an acknowledgement.
            sys.stdout.flush()

    await asyncio.gather(*(worker(number) for number in range(16)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
