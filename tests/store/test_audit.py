"""The audit finds each kind of planted corruption, and nothing on a healthy store."""

import asyncio
import sqlite3

import pytest

from store.world import NOW, opened
from tollway.ledger.audit import GUARDS, INVARIANTS, audit
from tollway.ledger.transfer import between
from tollway.store.audit_view import AuditView
from tollway.store.sqlite import open_reader, open_writer


def verdicts(path, now: int = NOW) -> dict[str, list[str]]:
    connection = open_reader(path)
    view = AuditView(connection)
    found = {verdict.invariant.name: [finding.row for finding in verdict.findings] for verdict in audit(view, now)}
    view.close()
    connection.close()
    return {name: rows for name, rows in found.items() if rows}


async def lived_in(folder) -> None:
    """Every kind of end: settled, overrun, free, void with failover, late, and one hold left open (ended by recovery later)."""
    async with opened(folder, budget_nano=10_000, budget_window="month") as world:
        other = (await world.store.workspaces.add_workspace(world.key.organization_id, "other")).id
        await world.fund(1_000, ref="pay")
        await world.ledger.post(between(world.ws, other, 100, external_ref="move"))
        for name, amount in (("ok", 100), ("free", 50), ("failed", 60), ("late", 30)):
            await world.hold(name, amount)
        await world.settle("ok", 40, cost=36)
        await world.settle("free", 0)
        await world.void("failed", failover=7)
        await world.store.sweep(NOW + 10_000)
        await world.settle("late", 25, cost=20)
        await world.hold("open", 10)
        await world.hold("big", 100)
        await world.settle("big", 2_000, cost=1_900)


@pytest.fixture
def database(tmp_path):
    asyncio.run(lived_in(tmp_path))
    return tmp_path / "tollway.db"


def tamper(path, *statements: str) -> None:
    connection = open_writer(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute("DROP TRIGGER " + name)
    for statement in statements:
        assert connection.execute(statement).rowcount > 0, statement
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def test_a_healthy_store_passes(database) -> None:
    assert verdicts(database) == {}


def test_a_recovered_store_passes(database, tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            assert world.store.recovered.holds == 1

    asyncio.run(scenario())
    assert verdicts(database) == {}


PLANTED = {
    "I1 a changed amount": (
        "I1",
        "UPDATE postings SET amount_nano = amount_nano + 1 WHERE transfer_id = 3 AND line = 1",
    ),
    "I1 a lost line": ("I1", "DELETE FROM postings WHERE transfer_id = 3 AND line = 2"),
    "I1 a transfer without lines": ("I1", "INSERT INTO transfers VALUES (99, 'topup', 'ghost', '', 0)"),
    "I2 a wallet that was given money": ("I2", "UPDATE wallets SET posted_nano = posted_nano + 5"),
    "I3 a wallet that holds more": ("I3", "UPDATE wallets SET held_nano = held_nano + 1"),
    "I3 a hold that was dropped": ("I3", "DELETE FROM holds WHERE id = 'open'"),
    "I4 a negative wallet": ("I4", "UPDATE wallets SET held_nano = posted_nano + 1"),
    "I4 a negative part": ("I4", "UPDATE wallets SET frozen_nano = -1"),
    "I5 usage that nobody asked for": (
        "I5",
        "UPDATE transfers SET external_ref = 'nobody' WHERE kind = 'usage' AND id = 3",
    ),
    "I6 bad debt though the hold was not used up": ("I6", "UPDATE generations SET hold_nano = 5000 WHERE id = 'big'"),
    "I6 a void that was charged": ("I6", "UPDATE generations SET charge_nano = 3 WHERE id = 'failed'"),
    "I7 money out of nothing": ("I7", "UPDATE wallets SET posted_nano = posted_nano + 5"),
    "I10 a key that spent less": ("I10", "UPDATE key_days SET spent_nano = spent_nano - 1"),
    "I10 a key that holds more": ("I10", "UPDATE key_days SET held_nano = held_nano + 1"),
    "I10 a day that is gone": ("I10", "DELETE FROM key_days"),
    "a receipt that says less": ("receipts", "UPDATE generations SET charge_nano = 39 WHERE id = 'ok'"),
    "a receipt that hides bad debt": ("receipts", "UPDATE generations SET bad_debt_nano = 0 WHERE id = 'big'"),
    "a charge on a stranger's wallet": (
        "receipts",
        "UPDATE postings SET account_id = (SELECT max(account_id) FROM wallets) WHERE transfer_id = 3 AND line = 0",
    ),
    "a balance that was told wrong": (
        "balances",
        "UPDATE postings SET balance_after_nano = balance_after_nano + 1 WHERE transfer_id = 3 AND line = 0",
    ),
    "a hold of an ended request": ("holds", "UPDATE holds SET id = 'ok'"),
    "a hold that nobody ends": ("holds", "UPDATE holds SET expires_at = 1"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_corruption_is_found(database, name) -> None:
    invariant, statement = PLANTED[name]
    tamper(database, statement)
    assert invariant in verdicts(database)


def test_i5_two_usage_transfers_of_one_request(database) -> None:
    """UNIQUE (kind, external_ref) makes this impossible, so the index has to go first."""
    connection = open_writer(database)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_transfers_1'")
    connection.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'UNIQUE (external_ref, kind)', 'CHECK (1)') WHERE name = 'transfers'"
    )
    connection.close()
    tamper(
        database,
        "INSERT INTO transfers SELECT 99, kind, external_ref, '', 0 FROM transfers WHERE id = 3",
        "INSERT INTO postings SELECT 99, line, account_id, amount_nano, balance_after_nano FROM postings WHERE transfer_id = 3",
    )
    found = verdicts(database)
    assert found["I5"] == ["request ok"]


@pytest.mark.parametrize("trigger", sorted(GUARDS))
def test_a_missing_guard_is_found(database, trigger) -> None:
    connection = open_writer(database)
    connection.execute("DROP TRIGGER " + trigger)
    connection.close()
    assert verdicts(database) == {"guards": [f"trigger {trigger}"]}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET kind = 'grant'",
        "DELETE FROM transfers",
        "UPDATE postings SET amount_nano = 1",
        "DELETE FROM postings",
        "UPDATE generations SET charge_nano = 0",
        "DELETE FROM generations",
        "REPLACE INTO postings SELECT transfer_id, line, account_id, amount_nano + 1, NULL FROM postings",
        "REPLACE INTO transfers SELECT id, kind, external_ref, 'x', 0 FROM transfers",
    ],
)
def test_r4_rows_of_the_ledger_cannot_be_changed(database, statement) -> None:
    connection = open_writer(database)
    connection.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallets SET held_nano = posted_nano + 1",
        "UPDATE wallets SET held_nano = -1",
        "UPDATE wallets SET frozen_nano = -1",
        "UPDATE key_days SET spent_nano = -1",
        "UPDATE holds SET amount_nano = -1",
    ],
)
def test_r5_the_tables_refuse_what_is_negative(database, statement) -> None:
    connection = open_writer(database)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        connection.execute(statement)
    connection.close()


def test_the_audit_sees_one_snapshot_of_a_running_store(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(1_000_000)
            stop = asyncio.Event()

            async def load(number: int) -> None:
                count = 0
                while not stop.is_set():
                    await world.hold(f"{number}-{count}", 10)
                    await world.settle(f"{number}-{count}", 3)
                    count += 1

            workers = [asyncio.create_task(load(number)) for number in range(8)]
            for _ in range(10):
                await asyncio.sleep(0.01)
                assert await asyncio.to_thread(verdicts, tmp_path / "tollway.db") == {}
            stop.set()
            await asyncio.gather(*workers)

    asyncio.run(scenario())


def test_every_invariant_says_what_it_means() -> None:
    assert [invariant.name for invariant in INVARIANTS][:8] == ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I10"]
    assert all(len(invariant.meaning) > 20 for invariant in INVARIANTS)
