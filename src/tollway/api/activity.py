"""`/v1/activity` and `/v1/usage/recent`: requests one by one, as a list or as a file.

A large answer is read and written in pieces, so that a million rows are never in memory and no read lasts long. What is
listed is as of the first page: `next_cursor` carries the last request that counted then.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import Asked, Number, cents, documented, iso, said, usd
from tollway.api.exports import Format, answered, headers, wanted
from tollway.api.periods import FilterQuery, Span, span_of
from tollway.api.rooms import Rooms
from tollway.api.tables import Cells, Column, Table, table_of
from tollway.ports import Generation
from tollway.store.activity import FIRST, OLDEST, Activity, At
from tollway.store.cursor import RowCursor, question_of, read, written
from tollway.store.usage import Filters
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]
ROWS_MAX = 100_000
ROWS_DEFAULT = 100
_PIECE = 1_000
_SLICE = 50


class ActivityEntry(msgspec.Struct):
    """One request. status: `success`, `error`, `cancelled` or `expired`. cost_usd: exact; what the wallet paid."""

    id: str
    created_at: str
    status: str
    http_status: int
    error_code: str | None
    model_asked: str
    model: str | None
    provider: str | None
    offer: str | None
    key_id: str
    user_id: str | None
    assistant_id: str | None
    tier: str | None
    streamed: bool
    finish_reason: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_tokens: int
    usage_source: str | None
    cost_usd: str
    cost_cents: Number
    latency_ms: int
    ttft_ms: int | None


class ActivityReply(msgspec.Struct):
    """Requests, newest first unless `order=asc`."""

    data: list[ActivityEntry]
    has_more: bool
    next_cursor: str | None


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


REPLIES: tuple[type[msgspec.Struct], ...] = (ActivityReply, RecentReply)
COLUMNS = (
    Column("id", "text"),
    Column("created_at", "instant"),
    Column("status", "text"),
    Column("http_status", "integer"),
    Column("error_code", "text"),
    Column("model_asked", "text"),
    Column("model", "text"),
    Column("provider", "text"),
    Column("offer", "text"),
    Column("key_id", "text"),
    Column("user_id", "text"),
    Column("assistant_id", "text"),
    Column("tier", "text"),
    Column("streamed", "flag"),
    Column("finish_reason", "text"),
    Column("input_tokens", "integer"),
    Column("output_tokens", "integer"),
    Column("cached_tokens", "integer"),
    Column("reasoning_tokens", "integer"),
    Column("total_tokens", "integer"),
    Column("usage_source", "text"),
    Column("cost_usd", "usd"),
    Column("latency_ms", "integer"),
    Column("ttft_ms", "integer"),
)
"""Of the table: the members of an `ActivityEntry`, without the cents."""


class ActivityQuery(FilterQuery):
    """Which requests, in which order, how many, and how to write them."""

    order: Annotated[Literal["desc", "asc"], Field(description="By time; `desc` is newest first.")] = "desc"
    limit: Annotated[
        int | None, Field(ge=1, le=ROWS_MAX, description="Left out: 100, of a file 100,000, which is also the most.")
    ] = None
    after: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
    format: Annotated[Format | None, Field(description="Left out: as the Accept header says, else JSON.")] = None


class RecentQuery(Asked):
    """A page of requests."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    after: Annotated[
        str | None, Field(description="`next_cursor` of the page before.", pattern=r"^[0-9]{1,18}-[0-9]{1,18}$")
    ] = None
    key: Annotated[str | None, Field(description="Only of the key with this id.", max_length=100)] = None


class Activities:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["usage"])
        add("/v1/activity", self.listed, methods=["GET"], **documented(ActivityReply, csv=True))
        add("/v1/usage/recent", self.recent, methods=["GET"], **documented(RecentReply))

    async def listed(self, actor: UsageActor, asked: Annotated[ActivityQuery, Query()], request: Request) -> Response:
        """Requests one by one, filtered, as JSON, or as a CSV or Parquet file.

        A file is made with `format=` or the Accept header; at most 100,000 rows, the next ones from `X-Next-Cursor`.
        """
        form = wanted(request, asked.format)
        limit = asked.limit or (ROWS_DEFAULT if form == "json" else ROWS_MAX)
        workspace_id, is_ascending = actor.workspace_id, asked.order == "asc"
        cursor, after = await self._start(workspace_id, asked)
        filters = asked.filters(Span(cursor.start_ms, cursor.end_ms), cursor.until_seq)
        reading = _Reading(self._rooms, workspace_id, filters, limit, is_ascending=is_ascending)
        end = await reading.begin(after)
        next_cursor = None
        if end is not None:
            next_cursor = written(msgspec.structs.replace(cursor, created_at_ms=end[0], seq=end[1]))
        pieces = reading.pieces()
        if form == "json":
            media_type, parts = "application/json", _json(pieces, next_cursor)
        else:
            table = table_of(form, COLUMNS)
            write = _csv if form == "csv" else _parquet
            media_type, parts = table.media_type, write(pieces, table)
        told = headers(form, "activity", next_cursor)
        return await answered(parts, media_type, told, is_short=limit <= _PIECE)

    async def recent(self, actor: UsageActor, asked: Annotated[RecentQuery, Query()]) -> Response:
        """Requests one by one, newest first."""
        found = await self._rooms.store.generations.recent(
            actor.workspace_id, limit=asked.limit, after=asked.after or "", key_id=asked.key or ""
        )
        rows = [_record(one) for one in found.generations]
        return said(RecentReply(rows, bool(found.next_cursor), found.next_cursor or None))

    async def _start(self, workspace_id: str, asked: ActivityQuery) -> tuple[RowCursor, At]:
        """The list that is read, and where to go on. Raises InvalidField."""
        named = asked.model_dump(exclude={"after", "limit", "format"})
        question = question_of("activity", workspace_id, sorted(named.items()))
        if asked.after is not None:
            cursor = read(asked.after, RowCursor, question)
            return cursor, (cursor.created_at_ms, cursor.seq)
        span = span_of(asked)
        last = await self._rooms.store.usage.last_seq()
        return RowCursor(question, *span, last, 0, 0), OLDEST if asked.order == "asc" else FIRST


class _Reading:
    """One answer's requests, piece by piece."""

    def __init__(self, rooms: Rooms, workspace_id: str, filters: Filters, limit: int, *, is_ascending: bool) -> None:
        store = rooms.store.activity
        self._rows = partial(store.rows, workspace_id, filters, is_ascending=is_ascending)
        self._end_of = partial(store.end_of, workspace_id, filters, is_ascending=is_ascending)
        self._limit = limit
        self._first: Sequence[Activity] = ()

    async def begin(self, after: At) -> At | None:
        """Read the first piece; where the answer will end if more follow it, else None."""
        size = min(self._limit, _PIECE)
        found = await self._rows(after=after, limit=size + 1)
        self._first = found[:size]
        if len(found) <= size:
            return None
        last = self._first[-1].at
        return last if size == self._limit else await self._end_of(after=last, count=self._limit - size)

    async def pieces(self) -> AsyncIterator[Sequence[Activity]]:
        """At most `limit` requests in pieces of 1,000."""
        left, piece = self._limit, self._first
        while piece:
            yield piece
            left -= len(piece)
            if not left or len(piece) < _PIECE:
                return
            piece = await self._rows(after=piece[-1].at, limit=min(left, _PIECE))


async def _json(pieces: AsyncIterator[Sequence[Activity]], next_cursor: str | None) -> AsyncIterator[bytes]:
    yield b'{"data":['
    is_first = True
    async for rows in _slices(pieces):
        text = msgspec.json.encode([entry(one) for one in rows])[1:-1]
        yield text if is_first else b"," + text
        is_first = False
    tail = {"has_more": next_cursor is not None, "next_cursor": next_cursor}
    yield b"]," + msgspec.json.encode(tail)[1:]


async def _csv(pieces: AsyncIterator[Sequence[Activity]], table: Table) -> AsyncIterator[bytes]:
    async for rows in _slices(pieces):
        yield table.rows([cells(one) for one in rows])
    yield table.end()


async def _parquet(pieces: AsyncIterator[Sequence[Activity]], table: Table) -> AsyncIterator[bytes]:
    """On a thread: most of the work is done without the interpreter's lock."""
    async for rows in pieces:
        yield await asyncio.to_thread(table.rows, [cells(one) for one in rows])
    yield await asyncio.to_thread(table.end)


async def _slices(pieces: AsyncIterator[Sequence[Activity]]) -> AsyncIterator[Sequence[Activity]]:
    """So few rows at a time that chats hardly wait for an export; a thread would hold the interpreter's lock longer."""
    async for piece in pieces:
        for at in range(0, len(piece), _SLICE):
            yield piece[at : at + _SLICE]
            await asyncio.sleep(0)


def cells(one: Activity) -> Cells:
    """A line of the table, in the order of `COLUMNS`."""
    return (
        one.id,
        one.created_at_ms,
        _status(one.status),
        one.http_status,
        one.error_code or None,
        one.model_asked,
        one.model or None,
        one.provider or None,
        one.offer or None,
        one.key_id,
        one.user_id or None,
        one.assistant_id or None,
        one.tier or None,
        one.is_streamed,
        one.finish_reason or None,
        one.input_tokens,
        one.output_tokens,
        one.cached_tokens,
        one.reasoning_tokens,
        one.input_tokens + one.output_tokens,
        one.usage_source or None,
        one.charge_nano,
        one.latency_ms,
        one.ttft_ms or None,
    )


def entry(one: Activity) -> ActivityEntry:
    """The same as a member of the list."""
    return ActivityEntry(
        id=one.id,
        created_at=iso(one.created_at_ms),
        status=_status(one.status),
        http_status=one.http_status,
        error_code=one.error_code or None,
        model_asked=one.model_asked,
        model=one.model or None,
        provider=one.provider or None,
        offer=one.offer or None,
        key_id=one.key_id,
        user_id=one.user_id or None,
        assistant_id=one.assistant_id or None,
        tier=one.tier or None,
        streamed=bool(one.is_streamed),
        finish_reason=one.finish_reason or None,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        cached_tokens=one.cached_tokens,
        reasoning_tokens=one.reasoning_tokens,
        total_tokens=one.input_tokens + one.output_tokens,
        usage_source=one.usage_source or None,
        cost_usd=usd(one.charge_nano),
        cost_cents=cents(one.charge_nano),
        latency_ms=one.latency_ms,
        ttft_ms=one.ttft_ms or None,
    )


def _status(kept: str) -> str:
    return "success" if kept == "ok" else kept


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
        status=_status(one.status),
        error_code=one.error_code or None,
        user_id=one.user_id or None,
        created_at=iso(one.created_at),
    )
