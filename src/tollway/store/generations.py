"""Requests as they were kept: one by id with all its receipt needs, and lists; `usage.py` sums them.

Every query takes the workspace (security.md: IDOR); another tenant's id is not found.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tollway.errors import InvalidField, NotFound
from tollway.ledger.transfer import Posting
from tollway.ports import Generation
from tollway.store.reader import Reader
from tollway.store.rows import GENERATION_COLUMNS, End, generation, generation_end
from tollway.store.sqlite import Params
from tollway.store.usage import Bucket, Filters, Group, Grouping, Sum, sums

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
_COUNTED = """
SELECT workspace_id, key_id, sum(input_tokens + output_tokens), count(*)
FROM generations INDEXED BY generations_of_workspace
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
        filters = Filters(start_ms=start_ms, end_ms=end_ms)
        found = await self._reader.run(sums, workspace_id, filters, Grouping(bucket=bucket, groups=tuple(groups)))
        return found.rows

    async def counted(self, day: int) -> tuple[dict[str, int], dict[str, int]]:
        """(tokens, requests) of a UTC day (unix days) by the id of workspace and key: the limiter's after a start."""
        return await self._reader.run(_counted, day)


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
    # The index is entered at the position: SQLite would read from the period's own end to it.
    params: Params = (workspace_id, start_ms, min(end_ms, after[0] + 1), *after, key_id, key_id, limit + 1)
    rows = connection.execute(text, params).fetchall()
    found = [generation(row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return Page(found, f"{found[-1].created_at}-{rows[limit - 1][-1]}" if has_more else "")


def _counted(connection: sqlite3.Connection, day: int) -> tuple[dict[str, int], dict[str, int]]:
    tokens, requests = dict[str, int](), dict[str, int]()
    start_ms = day * 86_400_000
    for (workspace_id,) in connection.execute("SELECT id FROM workspaces").fetchall():
        for *ids, used, asked in connection.execute(_COUNTED, (workspace_id, start_ms, start_ms + 86_400_000)):
            for one in ids:
                tokens[one] = tokens.get(one, 0) + used
                requests[one] = requests.get(one, 0) + asked
    return tokens, requests
