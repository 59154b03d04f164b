"""`/v1/usage` and `/v1/usage/daily`: what a workspace has used, in sums by time, key, model and more, several at once."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple, cast

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import Number, cents, documented, encoded, iso, said, usd
from tollway.api.exports import Format, headers, wanted
from tollway.api.periods import FilterQuery, PeriodQuery, Span, recent_span_of
from tollway.api.rooms import Rooms
from tollway.api.sums import UsageBucket, bucket_of, cells, columns, grouping_of
from tollway.api.tables import table_of
from tollway.store.cursor import SumCursor, question_of, read, written
from tollway.store.usage import BUCKETS, GROUPS, Filters, Grouping, Order, Position, Sum
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]
SUMS_MAX = 10_000
SUMS_DEFAULT = 1_000


class Period(msgspec.Struct):
    """UTC days, both included, and the instants: `from` is included, `to` is not."""

    start: str
    end: str
    from_: str = msgspec.field(name="from")
    to: str


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


class UsageReport(msgspec.Struct):
    """Usage of a period: all of it, by model, and as `group_by` asked."""

    period: Period
    summary: UsageSummary
    by_model: list[ModelUsage]
    buckets: list[UsageBucket]


class UsageReply(msgspec.Struct):
    """Usage of a period. has_more: there are more buckets than these."""

    data: UsageReport
    has_more: bool
    next_cursor: str | None


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


REPLIES: tuple[type[msgspec.Struct], ...] = (UsageReply, DailyReply)


class UsageQuery(FilterQuery):
    """Which requests, how to sum them up, and how to write that."""

    group_by: Annotated[
        str,
        Field(
            description=f"At most one of {', '.join(BUCKETS)}; any of {', '.join(GROUPS)}; with commas between.",
            max_length=200,
        ),
    ] = "day"
    order_by: Annotated[
        Literal[
            "start", "cost", "requests", "tokens", "latency", "errors",
            "-start", "-cost", "-requests", "-tokens", "-latency", "-errors",
        ],
        Field(description="What buckets are ordered by, then by group; a minus in front turns it round."),
    ] = "start"  # fmt: skip
    percentiles: Annotated[bool, Field(description="Add p50 and p95 of the latency; takes about twice as long.")] = (
        False
    )
    limit: Annotated[
        int | None, Field(ge=1, le=SUMS_MAX, description="Left out: 1,000, of a file 10,000, which is also the most.")
    ] = None
    after: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
    format: Annotated[Format | None, Field(description="Left out: as the Accept header says, else JSON.")] = None


class _Question(NamedTuple):
    """A list of sums, and which page of it. cursor: of its beginning, or of the page before."""

    workspace_id: str
    cursor: SumCursor
    filters: Filters
    grouping: Grouping

    def next_cursor(self, position: Position | None) -> str | None:
        if position is None:
            return None
        sort, bucket, group = position
        return written(msgspec.structs.replace(self.cursor, sort=sort, bucket=bucket, group=list(group)))


class UsageReports:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["usage"])
        add("/v1/usage", self.report, methods=["GET"], **documented(UsageReply, csv=True))
        add("/v1/usage/daily", self.daily, methods=["GET"], **documented(DailyReply))

    async def report(self, actor: UsageActor, asked: Annotated[UsageQuery, Query()], request: Request) -> Response:
        """Usage of a period, summed by time, key, model, provider, end user, status, assistant, tier.

        A file for spreadsheets and data tools with `format=csv` or `format=parquet`, or by the Accept header.
        """
        form = wanted(request, asked.format)
        question = await self._question(actor.workspace_id, asked, form)
        usage = self._rooms.store.usage
        found = await usage.sums(actor.workspace_id, question.filters, question.grouping)
        next_cursor = question.next_cursor(found.next_position)
        period = _period(question.cursor)
        told = headers(form, f"usage-{period.start}-{period.end}", next_cursor)
        names = self._key_names(actor.workspace_id) if "key" in question.grouping.groups else {}
        if form != "json":
            table = table_of(form, columns(question.grouping))
            body = table.rows([cells(row, question.grouping, names) for row in found.rows]) + table.end()
            return Response(body, headers=told, media_type=table.media_type)
        by_model, _ = await usage.sums(actor.workspace_id, question.filters, Grouping(groups=("model",)))
        by_model.sort(key=lambda row: (-row.charge_nano, row.group))
        report = UsageReport(
            period,
            _summary(by_model),
            [_model(row) for row in by_model],
            [bucket_of(row, question.grouping, names) for row in found.rows],
        )
        reply = UsageReply(report, next_cursor is not None, next_cursor)
        return encoded(msgspec.json.encode(reply), headers=told)

    async def daily(self, actor: UsageActor, asked: Annotated[PeriodQuery, Query()]) -> Response:
        """Requests, tokens and cost of each UTC day, newest first."""
        span = recent_span_of(asked, self._rooms.clock.now())
        found = await self._rooms.store.usage.sums(actor.workspace_id, Filters(*span), Grouping(bucket="day"))
        days = [
            DayUsage(
                iso(row.bucket * 1000)[:10],
                row.requests,
                row.total_tokens,
                cents(row.charge_nano),
                usd(row.charge_nano),
            )
            for row in reversed(found.rows)
        ]
        return said(DailyReply(days))

    async def _question(self, workspace_id: str, asked: UsageQuery, form: Format) -> _Question:
        """What is asked, and where to go on. Raises InvalidField."""
        bucket, groups = grouping_of(asked.group_by)
        named = asked.model_dump(exclude={"after", "limit", "format"})
        question = question_of("usage", workspace_id, sorted(named.items()))
        after: Position | None = None
        if asked.after is None:
            span = recent_span_of(asked, self._rooms.clock.now())
            last = await self._rooms.store.usage.last_seq()
            cursor = SumCursor(question, *span, last, 0, 0, [])
        else:
            cursor = read(asked.after, SumCursor, question)
            after = Position(cursor.sort, cursor.bucket, tuple(cursor.group))
        grouping = Grouping(
            bucket,
            groups,
            cast("Order", asked.order_by.removeprefix("-")),
            asked.order_by.startswith("-"),
            asked.limit or (SUMS_DEFAULT if form == "json" else SUMS_MAX),
            after,
            asked.percentiles,
        )
        filters = asked.filters(Span(cursor.start_ms, cursor.end_ms), cursor.until_seq)
        return _Question(workspace_id, cursor, filters, grouping)

    def _key_names(self, workspace_id: str) -> dict[str, str]:
        return {key.id: key.name for key in self._rooms.store.workspaces.keys_of(workspace_id)}


def _period(cursor: SumCursor) -> Period:
    start, end = Span(cursor.start_ms, cursor.end_ms).days
    return Period(start, end, iso(cursor.start_ms), iso(cursor.end_ms))


def _summary(rows: Sequence[Sum]) -> UsageSummary:
    charged, requests = sum(row.charge_nano for row in rows), sum(row.requests for row in rows)
    return UsageSummary(
        total_requests=requests,
        failed_requests=sum(row.failed for row in rows),
        total_tokens=sum(row.total_tokens for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        reasoning_tokens=sum(row.reasoning_tokens for row in rows),
        total_cost_cents=cents(charged),
        total_cost_usd=usd(charged),
        average_latency_ms=round(sum(row.latency_ms for row in rows) / requests) if requests else None,
    )


def _model(row: Sum) -> ModelUsage:
    return ModelUsage(row.group[0], row.requests, row.total_tokens, cents(row.charge_nano), usd(row.charge_nano))
