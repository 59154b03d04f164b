"""Sums over requests for `/v1/usage`: by time, key, model, provider, end user, status, assistant, tier, several at once.

One index holds everything that is filtered by and summed, so the cost follows the period that was asked for. A list of
sums is read page by page as of one moment: `until_seq` is the last request that counts, and rows never change after.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tollway.errors import InvalidField
from tollway.store.reader import Reader
from tollway.store.sqlite import Row

Bucket = Literal["", "minute", "hour", "day", "week", "month"]
Group = Literal["key", "model", "provider", "user", "status", "assistant", "tier"]
Order = Literal["start", "cost", "requests", "tokens", "latency", "errors"]
BUCKETS: tuple[Bucket, ...] = ("minute", "hour", "day", "week", "month")
GROUPS: tuple[Group, ...] = ("key", "model", "provider", "user", "status", "assistant", "tier")
ORDERS: tuple[Order, ...] = ("start", "cost", "requests", "tokens", "latency", "errors")
MS_MAX = 2**62
"""Unix ms after everything."""

_COLUMNS: dict[str, str] = {
    "key": "key_id",
    "model": "model",
    "provider": "provider",
    "user": "user_id",
    "status": "status",
    "assistant": "assistant_id",
    "tier": "tier",
}
# Weeks begin on Monday: three days before 1970-01-01, a Thursday.
_BUCKETS: dict[str, str] = {
    "": "0",
    "minute": "created_at_ms / 60000 * 60",
    "hour": "created_at_ms / 3600000 * 3600",
    "day": "created_at_ms / 86400000 * 86400",
    "week": "(created_at_ms + 259200000) / 604800000 * 604800 - 259200",
    "month": "CAST(strftime('%s', created_at_ms / 1000, 'unixepoch', 'start of month') AS INTEGER)",
}
_SUMS: dict[str, str] = {
    "requests": "count(*)",
    "input": "sum(input_tokens)",
    "output": "sum(output_tokens)",
    "cached": "sum(cached_tokens)",
    "reasoning": "sum(reasoning_tokens)",
    "charge": "sum(charge_nano)",
    "cost": "sum(cost_nano)",
    "failed": "sum(status <> 'ok')",
    "latency": "sum(latency_ms)",
}
_ORDERS: dict[str, str] = {
    "start": "bucket",
    "cost": "charge",
    "requests": "requests",
    "tokens": "input + output",
    "latency": "latency / requests",
    "errors": "failed",
}
# Three digits of a latency: exact below a second, and at most 1 % too low above. Few enough to count, not to sort.
_CLASS = (
    "CASE WHEN latency_ms < 1000 THEN latency_ms WHEN latency_ms < 10000 THEN latency_ms / 10 * 10 "
    "WHEN latency_ms < 100000 THEN latency_ms / 100 * 100 ELSE latency_ms / 1000 * 1000 END"
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests: created in [start_ms, end_ms), up to `until_seq`, and among the values named; () means all."""

    start_ms: int = 0
    end_ms: int = MS_MAX
    until_seq: int = MS_MAX
    keys: Sequence[str] = ()
    models: Sequence[str] = ()
    providers: Sequence[str] = ()
    users: Sequence[str] = ()
    statuses: Sequence[str] = ()
    assistants: Sequence[str] = ()
    tiers: Sequence[str] = ()

    def where(self, workspace_id: str) -> tuple[str, list[int | str]]:
        """The condition in SQL, and its parameters."""
        parts = ["workspace_id = ? AND created_at_ms >= ? AND created_at_ms < ? AND seq <= ?"]
        params: list[int | str] = [workspace_id, self.start_ms, self.end_ms, self.until_seq]
        named = (self.keys, self.models, self.providers, self.users, self.statuses, self.assistants, self.tiers)
        for column, values in zip(_COLUMNS.values(), named, strict=True):
            if values:
                parts.append(f"{column} IN ({', '.join('?' * len(values))})")
                params += values
        return " AND ".join(parts), params


class Position(NamedTuple):
    """Where a page of sums ended: what it is ordered by, its bucket and its group."""

    sort: int
    bucket: int
    group: tuple[str, ...]


class Sum(NamedTuple):
    """Usage of one bucket and group.

    bucket: unix seconds of its start, 0 when none was asked for. group: the values of the groups, in the order asked
    for. Money in nano-USD; cost_nano is what providers took and is not for customers. latency_ms: of all its requests.
    p50_ms, p95_ms: percentiles of the latency by nearest rank, at most 1 % too low; None when not asked for.
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
    p50_ms: int | None = None
    p95_ms: int | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output; cached and reasoning tokens are parts of them."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Grouping:
    """How to sum up and in which order; ties are ordered by bucket and group.

    limit: None means all. after: where the page before ended.
    """

    bucket: Bucket = ""
    groups: tuple[Group, ...] = ()
    order: Order = "start"
    is_descending: bool = False
    limit: int | None = None
    after: Position | None = None
    has_percentiles: bool = False


class Sums(NamedTuple):
    """A page of sums. next_position: where it ended, when more follow."""

    rows: list[Sum]
    next_position: Position | None


class Usage:
    """Sums of what was kept, off the event loop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def sums(self, workspace_id: str, filters: Filters, grouping: Grouping) -> Sums:
        """See `sums`."""
        return await self._reader.run(sums, workspace_id, filters, grouping)

    async def last_seq(self) -> int:
        """The newest request there is; later ones have higher numbers."""
        return await self._reader.run(last_seq)


def last_seq(connection: sqlite3.Connection) -> int:
    """The newest request there is; 0 for none."""
    found: int = connection.execute("SELECT coalesce(max(seq), 0) FROM generations").fetchone()[0]
    return found


def sums(connection: sqlite3.Connection, workspace_id: str, filters: Filters, grouping: Grouping) -> Sums:
    """A page of sums of a workspace.

    Raises:
        InvalidField: an unknown bucket, group or order, or `after` has another number of groups.
    """
    _check(grouping)
    text, params = _query(workspace_id, filters, grouping)
    rows = connection.execute(text, params).fetchall()
    limit = grouping.limit
    has_more = limit is not None and len(rows) > limit
    shown = rows[:limit]
    found = [_sum(row, len(grouping.groups)) for row in shown]
    if not has_more:
        return Sums(found, None)
    return Sums(found, Position(shown[-1][-1], found[-1].bucket, found[-1].group))


def _check(grouping: Grouping) -> None:
    if grouping.bucket not in _BUCKETS:
        raise InvalidField(f"A bucket is one of {', '.join(BUCKETS)}.", param="bucket")
    if any(group not in _COLUMNS for group in grouping.groups):
        raise InvalidField(f"Groups are among {', '.join(GROUPS)}.", param="group_by")
    if grouping.order not in _ORDERS:
        raise InvalidField(f"Sums are ordered by one of {', '.join(ORDERS)}.", param="order_by")
    if grouping.after is not None and len(grouping.after.group) != len(grouping.groups):
        raise InvalidField("This cursor belongs to another `group_by`.", param="after")


def _query(workspace_id: str, filters: Filters, grouping: Grouping) -> tuple[str, list[int | str]]:
    """The statement and its parameters. A row: bucket, groups, sums, two percentiles, what it is ordered by."""
    where, params = filters.where(workspace_id)
    # Names of our own: an alias that is also a column's name would be read as the column.
    names = ["bucket", *(f"group{at}" for at in range(len(grouping.groups)))]
    by = ", ".join(names)
    values = (_BUCKETS[grouping.bucket], *(_COLUMNS[group] for group in grouping.groups))
    keyed = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    counted = ", ".join(f"{value} AS {name}" for name, value in _SUMS.items())
    told = ", ".join((by, *_SUMS, "p50, p95"))
    sort, direction, sign = _ORDERS[grouping.order], *(("DESC", "<") if grouping.is_descending else ("ASC", ">"))
    parts = ["WITH", _with_percentiles(keyed, counted, where, by)]
    if not grouping.has_percentiles:
        parts = ["WITH sums AS (SELECT", keyed, ",", counted, ", NULL AS p50, NULL AS p95 FROM generations WHERE"]
        parts += [where, "GROUP BY", by, ")"]
    parts += ["SELECT", told, ",", sort, "FROM sums"]
    if grouping.after is not None:
        after = grouping.after
        marks = ", ".join("?" * len(names))
        parts.append(f"WHERE {sort} {sign} ? OR ({sort} = ? AND ({by}) > ({marks}))")
        params += [after.sort, after.sort, after.bucket, *after.group]
    parts += ["ORDER BY", sort, direction, ",", by, "LIMIT ?"]
    params.append(-1 if grouping.limit is None else grouping.limit + 1)
    return " ".join(parts), params


def _with_percentiles(keyed: str, counted: str, where: str, by: str) -> str:
    """The table `sums` with percentiles: counted by class of latency first, so that classes are ranked, not requests."""
    whole = ", ".join(f"sum({name}) AS {name}" for name in _SUMS)
    classes = ("classes AS (SELECT", keyed, ",", _CLASS, "AS class,", counted, "FROM generations WHERE", where)
    ranks = (
        f"ranks AS (SELECT *, sum(requests) OVER (PARTITION BY {by} ORDER BY class) AS upto,",
        f"sum(requests) OVER (PARTITION BY {by}) AS total FROM classes)",
    )
    sums_ = (
        f"sums AS (SELECT {by}, {whole}, min(CASE WHEN upto * 2 >= total THEN class END) AS p50,",
        f"min(CASE WHEN upto * 20 >= total * 19 THEN class END) AS p95 FROM ranks GROUP BY {by})",
    )
    return " ".join((*classes, f"GROUP BY {by}, class),", *ranks, ",", *sums_))


def _sum(row: Row, groups: int) -> Sum:
    return Sum(row[0], tuple(row[1 : 1 + groups]), *row[1 + groups : -1])
