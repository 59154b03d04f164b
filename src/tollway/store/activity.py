"""Requests one by one for `/v1/activity`: filtered, in order of time, read in short pieces by position.

A position is (unix ms, seq), so a piece costs what it has, however deep it lies; each is its own short transaction, so
an export of a million rows holds up neither the writer nor a checkpoint. `Filters.until_seq` leaves out what came in
since the first piece.
"""

import sqlite3
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tollway.store.reader import Reader
from tollway.store.usage import MS_MAX, Filters

At: TypeAlias = tuple[int, int]
"""Where a request stands in the list: unix ms, seq."""
FIRST: At = (MS_MAX, MS_MAX)
"""Before the newest."""
OLDEST: At = (-1, -1)
"""Before the oldest."""


class Activity(NamedTuple):
    """A request as it is listed; its story is on its receipt. charge_nano: what the wallet paid. '' and 0 ttft: none."""

    seq: int
    created_at_ms: int
    id: str
    status: str
    http_status: int
    error_code: str
    model_asked: str
    model: str
    provider: str
    offer: str
    key_id: str
    user_id: str
    assistant_id: str
    tier: str
    is_streamed: int
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_source: str
    charge_nano: int
    latency_ms: int
    ttft_ms: int

    @property
    def at(self) -> At:
        """Its position."""
        return self.created_at_ms, self.seq


_COLUMNS = ", ".join("offer_id" if name == "offer" else name for name in Activity._fields)


class Activities:
    """The list, off the event loop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def rows(
        self, workspace_id: str, filters: Filters, after: At, limit: int, *, is_ascending: bool = False
    ) -> list[Activity]:
        """At most `limit` requests that follow `after`; newest first unless ascending."""
        return await self._reader.run(rows, workspace_id, filters, after, limit, is_ascending=is_ascending)

    async def end_of(
        self, workspace_id: str, filters: Filters, after: At, count: int, *, is_ascending: bool = False
    ) -> At | None:
        """The position of the `count`-th request that follows `after`, None unless yet another follows it."""
        return await self._reader.run(beyond, workspace_id, filters, after, count, is_ascending=is_ascending)


def rows(
    connection: sqlite3.Connection,
    workspace_id: str,
    filters: Filters,
    after: At,
    limit: int,
    *,
    is_ascending: bool = False,
) -> list[Activity]:
    """See `Activities.rows`."""
    text, params = _query(_COLUMNS, workspace_id, filters, after, is_ascending=is_ascending)
    return list(map(Activity._make, connection.execute(f"{text} LIMIT ?", (*params, limit))))


def beyond(
    connection: sqlite3.Connection,
    workspace_id: str,
    filters: Filters,
    after: At,
    count: int,
    *,
    is_ascending: bool = False,
) -> At | None:
    """See `Activities.end_of`."""
    text, params = _query("created_at_ms, seq", workspace_id, filters, after, is_ascending=is_ascending)
    found = connection.execute(f"{text} LIMIT 2 OFFSET ?", (*params, count - 1)).fetchall()
    return found[0] if len(found) == 2 else None


def _query(
    columns: str, workspace_id: str, filters: Filters, after: At, *, is_ascending: bool
) -> tuple[str, list[int | str]]:
    # The index is entered at the position: SQLite would read from the period's own end to it.
    if is_ascending:
        filters = replace(filters, start_ms=max(filters.start_ms, after[0]))
    else:
        filters = replace(filters, end_ms=min(filters.end_ms, after[0] + 1))
    where, params = filters.where(workspace_id)
    sign, direction = (">", "ASC") if is_ascending else ("<", "DESC")
    order = f"ORDER BY created_at_ms {direction}, seq {direction}"
    text = ("SELECT", columns, "FROM generations WHERE", where, f"AND (created_at_ms, seq) {sign} (?, ?)", order)
    return " ".join(text), [*params, *after]
