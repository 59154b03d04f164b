"""SQLite: how a connection is opened, and how the schema comes to its version.

WAL, so that readers never wait for the writer; synchronous=FULL, so that a committed settle survives a power cut;
foreign keys on; recursive triggers on, so that REPLACE cannot delete past an append-only trigger. Migrations are
numbered SQL files; a database that is newer than this program, or whose applied files differ from ours, is refused
(pains C-8).
"""

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from tollway.errors import ConfigurationError

Row: TypeAlias = tuple[Any, ...]
Params: TypeAlias = Sequence[int | str | bytes | None]

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  checksum   TEXT NOT NULL,
  applied_at INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema. checksum: SHA-256 of its text, hex."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write; transactions are begun and ended by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA trusted_schema = OFF",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA busy_timeout = 5000",
        "PRAGMA cache_size = -4096",  # KiB; ids ascend, so writes stay on few pages
        "PRAGMA wal_autocheckpoint = 16000",  # pages: 64 MB, if the checkpointer has not been faster
    ):
        connection.execute(pragma)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; the file must exist.

    Raises:
        ConfigurationError: there is no database.
    """
    if not path.exists():
        raise ConfigurationError(
            file=str(path),
            line=None,
            key="data folder",
            problem="there is no ledger here",
            fix="name the folder of an installation with --data, or start one with `tollway serve`",
        )
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def migrations() -> tuple[Migration, ...]:
    """The packaged migrations, ascending by version, without a gap."""
    found = list[Migration]()
    for entry in resources.files("tollway.store").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda step: step.version))


def migrate(connection: sqlite3.Connection, now: int, steps: Sequence[Migration] | None = None) -> list[str]:
    """Bring the schema to this program's version; the names of the steps applied.

    Each step is one transaction together with its row in `schema_migrations`, so a crash leaves a whole number of
    steps.

    Raises:
        ConfigurationError: the database is newer than this program, or a step that was applied has another text now.
    """
    steps = migrations() if steps is None else steps
    connection.execute(_VERSIONS)
    check_version(connection, steps)
    at = connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()[0]
    applied = list[str]()
    for step in steps:
        if step.version <= at:
            continue
        # executescript commits first, so the transaction is part of the script.
        try:
            connection.executescript("BEGIN IMMEDIATE;\n" + step.sql)
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                (step.version, step.name, step.checksum, now),
            )
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        applied.append(step.name)
    return applied


def check_version(connection: sqlite3.Connection, steps: Sequence[Migration] | None = None) -> None:
    """Refuse a database that this program does not know. Raises ConfigurationError."""
    steps = migrations() if steps is None else steps
    known = {step.version: step for step in steps}
    file = connection.execute("PRAGMA database_list").fetchone()[2] or "the database"
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version").fetchall()
    for version, name, checksum in rows:
        step = known.get(version)
        if step is None:
            raise ConfigurationError(
                file=file,
                line=None,
                key="schema version",
                problem=f"the database has step {version} ({name}), this program knows up to {max(known, default=0)}",
                fix="run the newer Tollway that made it, or restore the backup taken before the upgrade",
            )
        if step.checksum != checksum:
            raise ConfigurationError(
                file=file,
                line=None,
                key="schema version",
                problem=f"step {version} was applied with another text than this program's {step.name}",
                fix="run the Tollway release that made this database; a released step is never edited",
            )
