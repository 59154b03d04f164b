"""Sums as they are told: a member of `buckets` in JSON, a line of a table, and how `group_by` is read.

The command line tells sums with the same names, so a file from it and one from the API are alike.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from tollway.api.edge import Number, cents, iso, usd
from tollway.api.tables import Cells, Column
from tollway.errors import InvalidField
from tollway.store.usage import BUCKETS, GROUPS, Bucket, Group, Grouping, Sum

_NUMBERS = (
    Column("requests", "integer"),
    Column("failed_requests", "integer"),
    Column("input_tokens", "integer"),
    Column("output_tokens", "integer"),
    Column("cached_tokens", "integer"),
    Column("reasoning_tokens", "integer"),
    Column("total_tokens", "integer"),
    Column("cost_usd", "usd"),
    Column("average_latency_ms", "integer"),
)
_PERCENTILES = (Column("p50_latency_ms", "integer"), Column("p95_latency_ms", "integer"))


class UsageBucket(msgspec.Struct, omit_defaults=True):
    """Sums of one time bucket and group; only the members that `group_by` asked for are there. start: ISO 8601, UTC.

    p50_latency_ms, p95_latency_ms: by nearest rank, exact below a second and at most 1 % too low above.
    """

    requests: int
    failed_requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_cents: Number
    cost_usd: str
    average_latency_ms: int
    p50_latency_ms: int | None = None
    p95_latency_ms: int | None = None
    start: str | None = None
    key: str | None = None
    key_name: str | None = None
    model: str | None = None
    provider: str | None = None
    user: str | None = None
    status: str | None = None
    assistant: str | None = None
    tier: str | None = None


def grouping_of(text: str) -> tuple[Bucket, tuple[Group, ...]]:
    """The bucket and the groups that `group_by` names. Raises InvalidField."""
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    buckets = [name for name in names if name in BUCKETS]
    known = {*BUCKETS, *GROUPS}
    if not known.issuperset(names) or len(buckets) > 1 or len(set(names)) < len(names):
        text = f"`group_by` takes at most one of {', '.join(BUCKETS)}, and each of {', '.join(GROUPS)} once"
        raise InvalidField(text, param="group_by")
    groups = tuple(name for name in names if name in GROUPS)
    return cast("Bucket", buckets[0] if buckets else ""), cast("tuple[Group, ...]", groups)


def columns(grouping: Grouping) -> tuple[Column, ...]:
    """The columns of a table of sums."""
    start = [Column("start", "instant")] if grouping.bucket else []
    groups = [Column(group, "text") for group in grouping.groups]
    names = [Column("key_name", "text")] if "key" in grouping.groups else []
    return (*start, *groups, *names, *_NUMBERS, *(_PERCENTILES if grouping.has_percentiles else ()))


def cells(row: Sum, grouping: Grouping, key_names: Mapping[str, str]) -> Cells:
    """A line of that table."""
    groups = dict(zip(grouping.groups, row.group, strict=True))
    return (
        *([row.bucket * 1000] if grouping.bucket else []),
        *_told(groups).values(),
        *([key_names.get(groups["key"])] if "key" in groups else []),
        row.requests,
        row.failed,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.reasoning_tokens,
        row.total_tokens,
        row.charge_nano,
        _average(row),
        *((row.p50_ms, row.p95_ms) if grouping.has_percentiles else ()),
    )


def bucket_of(row: Sum, grouping: Grouping, key_names: Mapping[str, str]) -> UsageBucket:
    """The same as a member of `buckets`."""
    groups = _told(dict(zip(grouping.groups, row.group, strict=True)))
    return UsageBucket(
        row.requests,
        row.failed,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.reasoning_tokens,
        row.total_tokens,
        cents(row.charge_nano),
        usd(row.charge_nano),
        _average(row),
        row.p50_ms,
        row.p95_ms,
        start=iso(row.bucket * 1000) if grouping.bucket else None,
        key_name=key_names.get(groups["key"]) if "key" in groups else None,
        **groups,
    )


def _told(groups: dict[Group, str]) -> dict[Group, str]:
    if groups.get("status") == "ok":
        groups["status"] = "success"
    return groups


def _average(row: Sum) -> int:
    return round(row.latency_ms / row.requests) if row.requests else 0
