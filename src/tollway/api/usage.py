"""`/v1/usage`, `/v1/usage/daily`, `/v1/usage/recent`: what a workspace has used, in sums and one by one."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Literal, cast

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import Asked, Number, cents, documented, iso, needs, said, usd
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField
from tollway.gateway.admit import Caller
from tollway.ports import Generation
from tollway.store.generations import Bucket, Group, Sum

UsageCaller = Annotated[Caller, needs("usage")]
DAYS_DEFAULT = 30
BUCKETS: tuple[str, ...] = ("hour", "day", "month")
GROUPS: tuple[str, ...] = ("key", "model", "provider", "user")
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = (
    "requests",
    "failed_requests",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_usd",
)


class Period(msgspec.Struct):
    """Days in UTC, both included."""

    start: str
    end: str


class UsageSummary(msgspec.Struct):
    """All requests of the period. average_latency_ms: null where there was none."""

    total_requests: int
    failed_requests: int
    total_tokens: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_cost_cents: Number
    total_cost_usd: str
    average_latency_ms: int | None


class ModelUsage(msgspec.Struct):
    """One model's requests in the period."""

    model: str
    requests: int
    tokens: int
    cost_cents: Number
    cost_usd: str


class UsageBucket(msgspec.Struct, omit_defaults=True):
    """Sums of one time bucket and group; only the members that `group_by` asked for are there. start: ISO 8601, UTC."""

    requests: int
    failed_requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_cents: Number
    cost_usd: str
    start: str | None = None
    key: str | None = None
    model: str | None = None
    provider: str | None = None
    user: str | None = None


class UsageReport(msgspec.Struct):
    """Usage of a period: all of it, by model, and as `group_by` asked."""

    period: Period
    summary: UsageSummary
    by_model: list[ModelUsage]
    buckets: list[UsageBucket]


class UsageReply(msgspec.Struct):
    """Usage of a period."""

    data: UsageReport


class DayUsage(msgspec.Struct):
    """One UTC day."""

    date: str
    requests: int
    tokens: int
    cost_cents: Number
    cost_usd: str


class DailyReply(msgspec.Struct):
    """The days of a period on which anything was asked, newest first."""

    data: list[DayUsage]


class UsageRecord(msgspec.Struct):
    """One request. status: `success`, `error`, `cancelled` or `expired`."""

    id: str
    request_id: str
    model: str
    provider: str
    key_id: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    llm_cost_cents: Number
    tool_cost_cents: Number
    total_cost_cents: Number
    total_cost_usd: str
    latency_ms: int
    status: str
    error_code: str | None
    user_id: str | None
    created_at: str
    assistant_id: str | None = None
    subscription_id: str | None = None
    tools_used: list[str] = []


class RecentReply(msgspec.Struct):
    """Requests, newest first."""

    data: list[UsageRecord]
    has_more: bool
    next_cursor: str | None


REPLIES: tuple[type[msgspec.Struct], ...] = (UsageReply, DailyReply, RecentReply)
Day = Annotated[date | None, Field(description="UTC day, YYYY-MM-DD, included.", ge=_EPOCH)]


class PeriodQuery(Asked):
    """A period of whole UTC days; left out: the last 30."""

    start_date: Day = None
    end_date: Day = None


class UsageQuery(PeriodQuery):
    """A period, how to sum it up, and how to write it."""

    group_by: Annotated[
        str,
        Field(description="At most one of hour, day, month; any of key, model, provider, user; with commas between."),
    ] = "day"
    format: Literal["json", "csv"] | None = None


class RecentQuery(Asked):
    """A page of requests."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    after: Annotated[
        str | None, Field(description="`next_cursor` of the page before.", pattern=r"^[0-9]{1,18}-[0-9]{1,18}$")
    ] = None
    key: Annotated[str | None, Field(description="Only of the key with this id.", max_length=100)] = None


class UsageReports:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["usage"])
        add("/v1/usage", self.report, methods=["GET"], **documented(UsageReply, csv=True))
        add("/v1/usage/daily", self.daily, methods=["GET"], **documented(DailyReply))
        add("/v1/usage/recent", self.recent, methods=["GET"], **documented(RecentReply))

    async def report(self, caller: UsageCaller, asked: Annotated[UsageQuery, Query()], request: Request) -> Response:
        """Usage of a period, summed by time, key, model, provider or end user.

        A table for spreadsheets with `format=csv` or `Accept: text/csv`.
        """
        bucket, groups = _grouping(asked.group_by)
        start, end, start_ms, end_ms = self._period(asked)
        workspace_id, generations = caller.key.workspace_id, self._rooms.store.generations
        rows = await generations.usage(workspace_id, start_ms=start_ms, end_ms=end_ms, bucket=bucket, groups=groups)
        if (asked.format or _wanted(request)) == "csv":
            return _table(bucket, groups, rows, f"usage-{start}-{end}.csv")
        by_model = await generations.usage(workspace_id, start_ms=start_ms, end_ms=end_ms, groups=("model",))
        by_model.sort(key=lambda row: (-row.charge_nano, row.group))
        report = UsageReport(
            Period(start.isoformat(), end.isoformat()),
            _summary(by_model),
            [_model(row) for row in by_model],
            [_bucket(row, bucket, groups) for row in rows],
        )
        return said(UsageReply(report))

    async def daily(self, caller: UsageCaller, asked: Annotated[PeriodQuery, Query()]) -> Response:
        """Requests, tokens and cost of each UTC day, newest first."""
        _, _, start_ms, end_ms = self._period(asked)
        rows = await self._rooms.store.generations.usage(
            caller.key.workspace_id, start_ms=start_ms, end_ms=end_ms, bucket="day"
        )
        days = [
            DayUsage(_day(row.bucket), row.requests, _tokens(row), cents(row.charge_nano), usd(row.charge_nano))
            for row in reversed(rows)
        ]
        return said(DailyReply(days))

    async def recent(self, caller: UsageCaller, asked: Annotated[RecentQuery, Query()]) -> Response:
        """Requests one by one, newest first."""
        found = await self._rooms.store.generations.recent(
            caller.key.workspace_id, limit=asked.limit, after=asked.after or "", key_id=asked.key or ""
        )
        rows = [_record(one) for one in found.generations]
        return said(RecentReply(rows, bool(found.next_cursor), found.next_cursor or None))

    def _period(self, asked: PeriodQuery) -> tuple[date, date, int, int]:
        """(first day, last day, first ms, ms after the last)."""
        today = datetime.fromtimestamp(self._rooms.clock.now(), UTC).date()
        end = asked.end_date or max(today, asked.start_date or today)
        start = asked.start_date or end - timedelta(days=DAYS_DEFAULT - 1)
        if start > end:
            raise InvalidField("`start_date` is after `end_date`", param="start_date")
        return start, end, _day_ms(start), _day_ms(end) + _DAY_MS


def _grouping(text: str) -> tuple[Bucket, tuple[Group, ...]]:
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    unknown = [name for name in names if name not in BUCKETS and name not in GROUPS]
    buckets = [name for name in names if name in BUCKETS]
    if unknown or len(buckets) > 1 or len(set(names)) < len(names):
        text = f"`group_by` takes at most one of {', '.join(BUCKETS)}, and each of {', '.join(GROUPS)} once"
        raise InvalidField(text, param="group_by")
    groups = tuple(group for group in names if group in GROUPS)
    return cast("Bucket", buckets[0] if buckets else ""), cast("tuple[Group, ...]", groups)


def _wanted(request: Request) -> str:
    return "csv" if "text/csv" in request.headers.get("accept", "") else "json"


def _day_ms(day: date) -> int:
    return (day - _EPOCH).days * _DAY_MS


def _day(unix_s: int) -> str:
    return iso(unix_s * 1000)[:10]


def _tokens(row: Sum) -> int:
    return row.input_tokens + row.output_tokens


def _summary(rows: Sequence[Sum]) -> UsageSummary:
    charged, requests = sum(row.charge_nano for row in rows), sum(row.requests for row in rows)
    return UsageSummary(
        total_requests=requests,
        failed_requests=sum(row.failed for row in rows),
        total_tokens=sum(_tokens(row) for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        reasoning_tokens=sum(row.reasoning_tokens for row in rows),
        total_cost_cents=cents(charged),
        total_cost_usd=usd(charged),
        average_latency_ms=round(sum(row.latency_ms for row in rows) / requests) if requests else None,
    )


def _model(row: Sum) -> ModelUsage:
    return ModelUsage(row.group[0], row.requests, _tokens(row), cents(row.charge_nano), usd(row.charge_nano))


def _bucket(row: Sum, bucket: Bucket, groups: Iterable[Group]) -> UsageBucket:
    named = dict(zip(groups, row.group, strict=True))
    return UsageBucket(
        row.requests,
        row.failed,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.reasoning_tokens,
        _tokens(row),
        cents(row.charge_nano),
        usd(row.charge_nano),
        start=iso(row.bucket * 1000) if bucket else None,
        key=named.get("key"),
        model=named.get("model"),
        provider=named.get("provider"),
        user=named.get("user"),
    )


def _table(bucket: Bucket, groups: Sequence[Group], rows: Iterable[Sum], name: str) -> Response:
    """The sums as CSV (RFC 4180), one line per bucket and group."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*(["start"] if bucket else []), *groups, *_NUMBERS])
    for row in rows:
        numbers = (
            row.requests,
            row.failed,
            row.input_tokens,
            row.output_tokens,
            row.cached_tokens,
            row.reasoning_tokens,
            _tokens(row),
            usd(row.charge_nano),
        )
        start = [iso(row.bucket * 1000)] if bucket else []
        writer.writerow([*start, *(_harmless(value) for value in row.group), *numbers])
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def _harmless(text: str) -> str:
    """A name that no spreadsheet runs as a formula: end users' ids are whatever a caller's customer typed."""
    return "'" + text if text.startswith(_FORMULA) else text


def _record(one: Generation) -> UsageRecord:
    return UsageRecord(
        id=one.id,
        request_id=one.id,
        model=one.model or one.model_asked,
        provider=one.provider,
        key_id=one.key_id,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        total_tokens=one.input_tokens + one.output_tokens,
        llm_cost_cents=cents(one.charge_nano),
        tool_cost_cents=cents(0),
        total_cost_cents=cents(one.charge_nano),
        total_cost_usd=usd(one.charge_nano),
        latency_ms=one.latency_ms,
        status="success" if one.status == "ok" else one.status,
        error_code=one.error_code or None,
        user_id=one.user_id or None,
        created_at=iso(one.created_at),
    )
