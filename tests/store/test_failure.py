"""T11 of reliability.md: a disk that cannot be written fails closed, loses nothing, doubles nothing, and comes back by itself."""

import asyncio
import sqlite3
import time

import pytest

from store.world import opened
from tollway.errors import Broken, LedgerUnavailable
from tollway.ledger.transfer import credit
from tollway.ports import Settled
from tollway.store import writer as writer_module
from tollway.store.sqlite import open_writer


class Disk:
    """Opens write connections on a disk that can be full."""

    def __init__(self) -> None:
        self.is_full = False
        self.connections = []

    def __call__(self, path):
        connection = open_writer(path)
        self.connections.append(connection)
        self.limit(connection)
        return connection

    def limit(self, connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(pages, 1) if self.is_full else 1_000_000}")

    def fill(self) -> None:
        self.is_full = True
        self.limit(self.connections[-1])

    def empty(self) -> None:
        self.is_full = False


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "_RETRY_S", 0.02)


async def until_available(world, timeout: float = 5) -> None:
    end = time.monotonic() + timeout
    while not world.ledger.is_available:
        assert time.monotonic() < end, "the ledger did not come back"
        await asyncio.sleep(0.01)


async def fill_until_down(world, disk: Disk) -> int:
    """Requests until one fails; how many were acknowledged."""
    disk.fill()
    done = 0
    while True:
        try:
            await world.hold(f"fill{done}", 10)
            await world.settle(f"fill{done}", 1)
        except LedgerUnavailable:
            return done
        done += 1
        assert done < 5_000, "the disk never filled"


def test_a_full_disk_fails_closed_and_comes_back(tmp_path) -> None:
    async def scenario() -> None:
        disk = Disk()
        async with opened(tmp_path, connect=disk) as world:
            await world.fund(1_000_000)
            await world.hold("kept", 500)
            await world.ledger.execute()  # on disk
            done = await fill_until_down(world, disk)
            assert not world.ledger.is_available
            with pytest.raises(LedgerUnavailable):
                await world.hold("x", 1)
            with pytest.raises(LedgerUnavailable):
                await world.settle("kept", 400)
            with pytest.raises(LedgerUnavailable):
                await world.ledger.post(credit("topup", world.ws, 5, external_ref="late"))
            disk.empty()
            await until_available(world)
            # Acknowledged settles are there once; the hold whose settle failed was released, and settles late.
            assert world.balance.posted_nano == 1_000_000 - done
            assert world.balance.held_nano == 0
            assert world.ledger.gauges().leaked_holds == 1
            assert await world.settle("kept", 400) == Settled(400)
            assert await world.settle("kept", 400) == Settled(400, 0, is_replay=True)
            # The request whose hold never reached the disk has none: it is not charged now either.
            with pytest.raises(LedgerUnavailable):
                await world.settle(f"fill{done}", 1)
            await world.hold("again", 10)
            await world.settle("again", 10)
            assert world.balance.posted_nano == 1_000_000 - done - 400 - 10
        async with opened(tmp_path) as world:
            assert (world.balance.posted_nano, world.balance.held_nano) == (1_000_000 - done - 410, 0)

    asyncio.run(scenario())


def test_decisions_that_stood_on_a_failed_write_fail_with_it(tmp_path) -> None:
    """A settle in the failed batch had released money that a later hold took: neither may stand."""

    async def scenario() -> None:
        disk = Disk()
        async with opened(tmp_path, connect=disk) as world:
            await world.fund(100)
            await world.hold("a", 100)
            await world.ledger.execute()
            disk.fill()
            settling = asyncio.create_task(world.settle("a", 1))
            await asyncio.sleep(0)
            big = world.generation("b")
            big.receipt = b"x" * 5_000_000  # does not fit any page that is left
            await world.hold("b", 99)
            with pytest.raises(LedgerUnavailable):
                await world.ledger.void("b", big)
            with pytest.raises(LedgerUnavailable):
                await settling
            disk.empty()
            await until_available(world)
            assert (world.balance.posted_nano, world.balance.held_nano) == (100, 0)
            assert await world.settle("a", 1) == Settled(1)
            assert world.available == 99

    asyncio.run(scenario())


def test_a_request_that_runs_through_a_failure_settles_as_if_nothing_was(tmp_path) -> None:
    async def scenario() -> None:
        disk = Disk()
        async with opened(tmp_path, connect=disk) as world:
            await world.fund(1_000_000)
            await world.hold("long", 500)
            await world.ledger.execute()
            await fill_until_down(world, disk)
            disk.empty()
            await until_available(world)
            assert world.balance.held_nano == 500
            assert await world.settle("long", 400) == Settled(400)
            assert world.balance.held_nano == 0

    asyncio.run(scenario())


def test_an_entry_that_raises_does_not_stop_the_writer(tmp_path) -> None:
    """A thread that died would leave every request waiting for ever."""

    async def scenario() -> None:
        from tollway.store.entries import Statements

        class Mine(Statements):
            def write(self, batch) -> None:
                raise AttributeError("a bug")

        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 50)
            with pytest.raises(Broken, match="a bug"):
                await world.store._writer.push_now(Mine())
            await until_available(world)
            assert await world.settle("a", 50) == Settled(50)

    asyncio.run(scenario())


def test_closing_while_the_disk_is_full_ends(tmp_path) -> None:
    async def scenario() -> None:
        disk = Disk()
        async with opened(tmp_path, connect=disk) as world:
            await world.fund(1_000_000)
            await fill_until_down(world, disk)
        async with opened(tmp_path) as world:
            assert world.balance.held_nano == 0

    asyncio.run(scenario())


def test_one_bad_entry_does_not_take_the_good_ones_with_it(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 50)
            bad = world.ledger.execute(("INSERT INTO keys (id) VALUES (?)", ("x",)))
            results = await asyncio.gather(world.settle("a", 30), bad, return_exceptions=True)
            assert results[0] == Settled(30)
            assert isinstance(results[1], Broken)
            await until_available(world)
            assert (world.balance.posted_nano, world.balance.held_nano) == (70, 0)
            await world.hold("b", 70)
            assert await world.settle("b", 70) == Settled(70)

    asyncio.run(scenario())


def test_an_id_that_was_used_before_is_refused_at_its_end(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 50)
            await world.settle("a", 30)
            await world.hold("a", 50)
            with pytest.raises(Broken):
                await world.settle("a", 30)
            await until_available(world)
            assert world.balance.posted_nano == 70

    asyncio.run(scenario())


def test_a_full_queue_refuses_new_holds(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(writer_module, "QUEUE_MAX", 3)
        async with opened(tmp_path) as world:
            await world.fund(100)
            for number in range(3):
                await world.hold(f"r{number}", 1)
            with pytest.raises(LedgerUnavailable) as refused:
                await world.hold("r3", 1)
            assert refused.value.status == 503
            assert world.balance.held_nano == 3

    asyncio.run(scenario())
