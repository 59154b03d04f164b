"""Opening and migrating: refused loudly, never half done (pains C-8)."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from store.world import NOW, PEPPER, CountingIds, FakeClock, opened
from tollway.errors import ConfigurationError
from tollway.store import EmbeddedStore
from tollway.store.folder import DataFolder, FolderInUse
from tollway.store.sqlite import Migration, check_version, migrate, migrations, open_reader, open_writer

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE a (x INTEGER) STRICT;")
SECOND = Migration(2, "0002_second.sql", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b VALUES (1);")
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE oops (")


def tables(connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_steps_are_applied_once_in_order(tmp_path) -> None:
    connection = open_writer(tmp_path / "x.db")
    assert migrate(connection, NOW, [FIRST]) == ["0001_first.sql"]
    assert migrate(connection, NOW, [FIRST, SECOND]) == ["0002_second.sql"]
    assert migrate(connection, NOW, [FIRST, SECOND]) == []
    assert connection.execute("SELECT version, applied_at FROM schema_migrations").fetchall() == [(1, NOW), (2, NOW)]


def test_a_step_that_fails_leaves_nothing(tmp_path) -> None:
    connection = open_writer(tmp_path / "x.db")
    with pytest.raises(sqlite3.Error):
        migrate(connection, NOW, [FIRST, BROKEN])
    assert tables(connection) == {"a", "schema_migrations"}
    assert migrate(connection, NOW, [FIRST, SECOND]) == ["0002_second.sql"]


def test_a_newer_database_is_refused(tmp_path) -> None:
    connection = open_writer(tmp_path / "x.db")
    migrate(connection, NOW, [FIRST, SECOND])
    with pytest.raises(ConfigurationError, match="step 2 .*knows up to 1") as refused:
        migrate(connection, NOW, [FIRST])
    assert "newer Tollway" in str(refused.value)


def test_an_edited_step_is_refused(tmp_path) -> None:
    connection = open_writer(tmp_path / "x.db")
    migrate(connection, NOW, [FIRST])
    edited = Migration(1, "0001_first.sql", FIRST.sql + " -- changed")
    with pytest.raises(ConfigurationError, match="another text"):
        migrate(connection, NOW, [edited, SECOND])
    assert "b" not in tables(connection)


def test_the_packaged_steps_have_no_gap() -> None:
    assert [step.version for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_connections_are_opened_as_they_must_be(tmp_path) -> None:
    writer = open_writer(tmp_path / "x.db")
    migrate(writer, NOW)
    pragmas = {
        name: writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
    reader = open_reader(tmp_path / "x.db")
    check_version(reader)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM wallets")


def test_looking_at_nothing_makes_nothing(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="no ledger here"):
        open_reader(tmp_path / "none" / "tollway.db")
    assert not (tmp_path / "none").exists()


def test_every_table_is_strict(tmp_path) -> None:
    connection = open_writer(tmp_path / "x.db")
    migrate(connection, NOW)
    loose = [
        row[1]
        for row in connection.execute("PRAGMA table_list")
        if row[2] == "table" and not row[5] and not row[1].startswith("sqlite_")
    ]
    assert loose == []


def test_a_lost_pepper_is_not_replaced_behind_the_keys_back(tmp_path) -> None:
    """Under a fresh one every key that was ever given out would be unknown."""
    folder = DataFolder(tmp_path / "data")
    folder.pepper(os.urandom)
    folder.database.write_bytes(b"something")
    (tmp_path / "data" / "pepper").unlink()
    with pytest.raises(ConfigurationError, match="restore the file") as raised:
        folder.pepper(os.urandom)
    assert raised.value.key == "pepper"
    assert not (tmp_path / "data" / "pepper").exists()


def test_the_pepper_is_made_once_and_is_private(tmp_path) -> None:
    folder = DataFolder(tmp_path / "data")
    first = folder.pepper(os.urandom)
    assert len(first) == 32
    assert folder.pepper(os.urandom) == first
    assert stat.S_IMODE((tmp_path / "data" / "pepper").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    (tmp_path / "data" / "pepper").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="5 bytes instead of 32"):
        folder.pepper(os.urandom)


def test_one_process_owns_a_folder(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path):
            with pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
                await EmbeddedStore.open(tmp_path, clock=FakeClock(), ids=CountingIds(), random_bytes=os.urandom)
            code = "import sys; from pathlib import Path; from tollway.store.folder import DataFolder; DataFolder(Path(sys.argv[1])).lock()"
            other = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
            assert "FolderInUse" in other.stderr
        async with opened(tmp_path):
            pass

    asyncio.run(scenario())


def test_a_start_that_fails_gives_the_folder_back(tmp_path) -> None:
    async def scenario() -> None:
        (tmp_path / "pepper").write_bytes(b"short")
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="pepper"):
                await EmbeddedStore.open(tmp_path, clock=FakeClock(), ids=CountingIds(), random_bytes=os.urandom)
        async with opened(tmp_path):  # the environment's pepper needs no file
            assert PEPPER

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_made_says_so(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        DataFolder(tmp_path / "file" / "data")


def test_first_start_is_made_once(tmp_path) -> None:
    async def scenario() -> None:
        async def start(prefix: int):
            store = await EmbeddedStore.open(
                tmp_path, clock=FakeClock(), ids=CountingIds(prefix), random_bytes=os.urandom
            )
            first = await store.bootstrap(10_000_000_000)
            return store, first

        store, first = await start(0)
        assert first is not None
        from tollway.workspaces.key import digest

        key = store.workspaces.key(digest(first.key, store.workspaces.pepper))
        assert key is not None
        assert key.workspace_id == first.workspace_id
        assert store.workspaces.operator(digest(first.operator_token, store.workspaces.pepper)) is not None
        assert store.workspaces.operator(digest(first.key, store.workspaces.pepper)) is None
        assert store.wallets.balance(first.workspace_id).available_nano == 10_000_000_000
        assert (await store.wallets.history(first.workspace_id)).transactions[0].type == "grant"
        await store.close()
        store, again = await start(1)
        assert again is None
        assert len(store.workspaces.organizations) == len(store.workspaces.workspaces) == 1
        await store.close()
        # The secrets themselves are nowhere in the folder.
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert first.key.encode() not in content
        assert first.operator_token.encode() not in content

    asyncio.run(scenario())


def test_a_first_start_that_died_half_way_is_finished(tmp_path) -> None:
    async def scenario() -> None:
        store = await EmbeddedStore.open(tmp_path, clock=FakeClock(), ids=CountingIds(), random_bytes=os.urandom)
        organization = await store.workspaces.add_organization("First organization")
        await store.workspaces.add_workspace(organization.id, "Default")
        await store.close()
        store = await EmbeddedStore.open(tmp_path, clock=FakeClock(), ids=CountingIds(1), random_bytes=os.urandom)
        first = await store.bootstrap(5)
        assert first is not None
        assert len(store.workspaces.workspaces) == 1
        assert store.wallets.balance(first.workspace_id).available_nano == 5
        await store.close()

    asyncio.run(scenario())
