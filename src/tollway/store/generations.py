"""Requests as they were kept: one by id with all its receipt needs, lists, and sums for `/v1/usage`.

Every query takes the workspace (security.md: IDOR); another tenant's id is not found. Sums are made by SQL over an
index of workspace and time, so that their cost follows the period that was asked for, not the age of the installation.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tollway.errors import InvalidField, NotFound
from tollway.ledger.transfer import Posting
from tollway.ports import Generation
from tollway.store.reader import Reader
from tollway.store.rows import GENERATION_COLUMNS, End, generation, generation_end
from tollway.store.sqlite import Params

Bucket = Literal["", "hour", "day", "month"]
Group = Literal["key", "model", "provider", "user", "status"]
GROUPS: tuple[Group, ...] = ("key", "model", "provider", "user", "status")

_GROUP_COLUMNS: dict[str, str] = {
    "key": "key_id",
    "model": "model",
    "provider": "provider",
    "user": "user_id",
    "status": "status",
}
_BUCKETS: dict[str, str] = {
    "": "0",
    "hour": "created_at_ms / 3600000 * 3600",
    "day": "created_at_ms / 86400000 * 86400",
    "month": "CAST(strftime('%s', created_at_ms / 1000, 'unixepoch', 'start of month') AS INTEGER)",
}
_SUMS = (
    "count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0), "
    "coalesce(sum(reasoning_tokens), 0), coalesce(sum(charge_nano), 0), coalesce(sum(cost_nano), 0), "
    "coalesce(sum(status <> 'ok'), 0), coalesce(sum(latency_ms), 0)"
)
_ONE = ("SELECT", GENERATION_COLUMNS, ", r.story FROM generations AS g LEFT JOIN receipts AS r ON r.seq = g.seq")
_MANY = (
    *("SELECT", GENERATION_COLUMNS, ", x'7b7d', g.seq FROM generations AS g"),
    "WHERE g.workspace_id = ? AND g.created_at_ms >= ? AND g.created_at_ms < ?",
    "AND (g.created_at_ms, g.seq) < (?, ?) AND (? = '' OR g.key_id = ?)",
    "ORDER BY g.created_at_ms DESC, g.seq DESC LIMIT ?",
)
_POSTINGS = """
SELECT a.code, p.amount_nano
FROM transfers AS t JOIN postings AS p ON p.transfer_id = t.id JOIN accounts AS a ON a.id = p.account_id
WHERE t.external_ref = ? AND t.kind IN ('usage', 'failover')
ORDER BY t.id, p.line
"""
_TOKENS = """
SELECT key_id, sum(input_tokens + output_tokens) FROM generations INDEXED BY generations_of_workspace
WHERE workspace_id = ? AND created_at_ms >= ? AND created_at_ms < ? GROUP BY key_id
"""
LIMIT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A request and what its receipt needs: how its hold ended, and what moved on the ledger."""

    generation: Generation
    end: End
    postings: tuple[Posting, ...]


class Page(NamedTuple):
    """A part of a list, newest first. next_cursor: hand it in as `after` for the next part; "" at the end."""

    generations: list[Generation]
    next_cursor: str


class Sum(NamedTuple):
    """Usage of one bucket and group.

    bucket: unix seconds of its start, 0 when none was asked for. group: the values of the groups, in the order asked
    for. Money in nano-USD; cost_nano is what providers took and is not for customers. latency_ms: of all its requests.
    """

    bucket: int
    group: tuple[str, ...]
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    charge_nano: int
    cost_nano: int
    failed: int
    latency_ms: int


class Generations:
    """Reads of what was kept."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, workspace_id: str, generation_id: str) -> Kept:
        """One request. Raises NotFound, for another tenant's too."""
        kept = await self._reader.run(_get, workspace_id, generation_id)
        if kept is None:
            raise NotFound(f"there is no generation {generation_id}")
        return kept

    async def recent(
        self,
        workspace_id: str,
        *,
        limit: int = 50,
        after: str = "",
        key_id: str = "",
        start_ms: int = 0,
        end_ms: int = 2**62,
    ) -> Page:
        """The newest requests, without their stories.

        Args:
            workspace_id: the tenant.
            limit: 1..1000.
            after: a `next_cursor`.
            key_id: only this key's.
            start_ms: unix ms, inclusive.
            end_ms: unix ms, exclusive.

        Raises:
            InvalidField: `limit` or `after` is not what it should be.
        """
        check_limit(limit)
        return await self._reader.run(_recent, workspace_id, limit, _cursor(after), key_id, start_ms, end_ms)

    async def usage(
        self, workspace_id: str, *, start_ms: int, end_ms: int, bucket: Bucket = "", groups: Sequence[Group] = ()
    ) -> list[Sum]:
        """Sums over [start_ms, end_ms), ascending by bucket.

        Raises:
            InvalidField: an unknown bucket or group.
        """
        if bucket not in _BUCKETS:
            raise InvalidField("A bucket is hour, day or month.", param="bucket")
        if any(group not in _GROUP_COLUMNS for group in groups):
            raise InvalidField(f"Groups are among {', '.join(GROUPS)}.", param="group_by")
        return await self._reader.run(_usage, workspace_id, start_ms, end_ms, bucket, tuple(groups))

    async def tokens_by_key(self, day: int) -> dict[str, int]:
        """Tokens used per key on a UTC day (unix days), for the limiter after a start."""
        return await self._reader.run(_tokens, day)


def check_limit(limit: int) -> None:
    """Raises InvalidField unless 1..1000."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidField(f"limit is 1 to {LIMIT_MAX}.", param="limit")


def _cursor(after: str) -> tuple[int, int]:
    if not after:
        return (2**62, 2**62)
    ms, _, seq = after.partition("-")
    if not (ms.isdecimal() and seq.isdecimal() and len(after) < 40):
        raise InvalidField("This cursor is not one of ours. Hand in `next_cursor` as it came.", param="after")
    return (int(ms), int(seq))


def _get(connection: sqlite3.Connection, workspace_id: str, generation_id: str) -> Kept | None:
    text = " ".join((*_ONE, "WHERE g.id = ? AND g.workspace_id = ?"))
    row = connection.execute(text, (generation_id, workspace_id)).fetchone()
    if row is None:
        return None
    postings = tuple(Posting(*found) for found in connection.execute(_POSTINGS, (generation_id,)))
    return Kept(generation(row), generation_end(row), postings)


def _recent(
    connection: sqlite3.Connection,
    workspace_id: str,
    limit: int,
    after: tuple[int, int],
    key_id: str,
    start_ms: int,
    end_ms: int,
) -> Page:
    text = " ".join(_MANY)
    params: Params = (workspace_id, start_ms, end_ms, *after, key_id, key_id, limit + 1)
    rows = connection.execute(text, params).fetchall()
    found = [generation(row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return Page(found, f"{found[-1].created_at}-{rows[limit - 1][-1]}" if has_more else "")


def _usage(
    connection: sqlite3.Connection, workspace_id: str, start_ms: int, end_ms: int, bucket: str, groups: tuple[str, ...]
) -> list[Sum]:
    columns = [_GROUP_COLUMNS[group] for group in groups]
    numbers = ", ".join(str(at + 1) for at in range(1 + len(columns)))
    text = " ".join(
        (
            "SELECT",
            ", ".join((_BUCKETS[bucket], *columns, _SUMS)),
            "FROM generations WHERE workspace_id = ? AND created_at_ms >= ? AND created_at_ms < ? GROUP BY",
            numbers,
            "ORDER BY",
            numbers,
        )
    )
    width = 1 + len(columns)
    return [
        Sum(row[0], tuple(row[1:width]), *row[width:])
        for row in connection.execute(text, (workspace_id, start_ms, end_ms))
    ]


def _tokens(connection: sqlite3.Connection, day: int) -> dict[str, int]:
    start = day * 86_400_000
    found = dict[str, int]()
    # Workspace by workspace: each is a range of the index, so a start does not read the whole table.
    for (workspace_id,) in connection.execute("SELECT id FROM workspaces").fetchall():
        found.update(connection.execute(_TOKENS, (workspace_id, start, start + 86_400_000)).fetchall())
    return found
