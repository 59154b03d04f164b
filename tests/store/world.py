"""A store in a temporary folder with one organization, one workspace and one key, and short ways to say what tests say."""

import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tollway.ledger.budget import Budget
from tollway.ledger.hold import Hold
from tollway.ledger.transfer import credit
from tollway.metering.rating import Charge
from tollway.money.amount import NanoUSD
from tollway.ports import Balance, Generation, Settled, Settlement
from tollway.store import EmbeddedStore
from tollway.store.sqlite import open_writer
from tollway.workspaces.key import Key

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC, a Friday
DAY = NOW // 86_400
PEPPER = b"p" * 32


class FakeClock:
    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class SystemClock:
    @property
    def time(self) -> float:
        return time.time()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class CountingIds:
    def __init__(self, prefix: int = 0) -> None:
        self.count = 0
        self.prefix = prefix

    def new(self) -> str:
        self.count += 1
        return f"0190c3f0-{self.prefix:04x}-7000-8000-{self.count:012x}"


def charge_of(nano: int, cost: int | None = None) -> Charge:
    cost = nano if cost is None else cost
    return Charge(NanoUSD(nano), NanoUSD(cost), NanoUSD(nano - cost), ())


class World:
    """`ws` and `key` are the first workspace and key."""

    def __init__(self, store: EmbeddedStore, clock: FakeClock) -> None:
        self.store, self.clock, self.ledger = store, clock, store.ledger
        self.ws, self.key = "", None

    async def fund(self, nano: int, ws: str = "", ref: str = "") -> None:
        ws = ws or self.ws
        await self.ledger.post(credit("topup", ws, nano, external_ref=ref or self.store.ids.new()))

    def order(self, hold_id: str, nano: int, key: Key | None = None, lasts: int = 900) -> Hold:
        key = key or self.key
        now = int(self.clock.time)
        budget = None if key.budget_nano is None else Budget(key.budget_nano, key.budget_window)
        return Hold(
            hold_id,
            key.workspace_id,
            key.id,
            nano,
            now,
            now + lasts,
            now // 86_400,
            budget,
            "openai/gpt@2026-01-01",
            1000,
            "gpt@openai",
        )

    def generation(self, hold_id: str, key: Key | None = None, **fields: object) -> Generation:
        key = key or self.key
        fields = {"model_asked": "openai/gpt", "model": "openai/gpt", "provider": "openai", **fields}
        return Generation(hold_id, key.workspace_id, key.id, int(self.clock.time * 1000), **fields)

    async def hold(self, hold_id: str, nano: int, key: Key | None = None, lasts: int = 900) -> None:
        await self.ledger.hold(self.order(hold_id, nano, key, lasts))

    async def settle(
        self, hold_id: str, nano: int, key: Key | None = None, cost: int | None = None, failover: int = 0
    ) -> Settled:
        generation = self.generation(hold_id, key)
        return await self.ledger.settle(Settlement(hold_id, charge_of(nano, cost), "openai", generation, failover))

    async def void(self, hold_id: str, key: Key | None = None, failover: int = 0) -> None:
        await self.ledger.void(hold_id, self.generation(hold_id, key, status="error", http_status=502), failover)

    @property
    def balance(self) -> Balance:
        return self.ledger.balance(self.ws)

    @property
    def available(self) -> int:
        return self.balance.available_nano

    async def ask(self, text: str, *params: object) -> list[tuple]:
        """Rows of a query on the disk as it is now."""
        return await self.store.reader.run(lambda connection: connection.execute(text, params).fetchall())


@asynccontextmanager
async def opened(
    folder: Path,
    clock: FakeClock | None = None,
    connect: Callable[[Path], sqlite3.Connection] = open_writer,
    prefix: int = 0,
    **key_fields: object,
) -> AsyncIterator[World]:
    clock = clock or FakeClock()
    store = await EmbeddedStore.open(
        folder, clock=clock, ids=CountingIds(prefix), random_bytes=os.urandom, pepper=PEPPER, connect=connect
    )
    try:
        world = World(store, clock)
        if store.workspaces.workspaces:
            world.ws = next(iter(store.workspaces.workspaces))
            world.key = store.workspaces.keys_of(world.ws)[0]
        else:
            organization = await store.workspaces.add_organization("Acme")
            world.ws = (await store.workspaces.add_workspace(organization.id, "main")).id
            world.key, _ = await store.workspaces.add_key(world.ws, name="first", **key_fields)
        yield world
    finally:
        await store.close()
