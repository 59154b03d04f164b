"""All that is kept about a workspace, as its owner takes it along: one JSON document, or one line per row.

Both are written in pieces, so that an export is as long as it is and holds up nothing.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import msgspec

from tollway.api.edge import iso, usd
from tollway.store.export import SECTIONS, START, Asked, Kept, Moved, Writing, kept, piece
from tollway.store.reader import Reader
from tollway.workspaces.key import Key

Format = Literal["json", "ndjson"]
MEDIA: dict[Format, str] = {"json": "application/json", "ndjson": "application/x-ndjson"}


class ExportedWorkspace(msgspec.Struct):
    """A workspace and its wallet, exact USD."""

    id: str
    name: str
    organization_id: str
    organization_name: str
    created_at: str
    deleted_at: str | None
    purge_at: str | None
    balance_usd: str
    reserved_usd: str
    frozen_usd: str


class ExportedKey(msgspec.Struct):
    """An API key, without its text, which is not kept."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    allowed_models: list[str] | None
    budget_usd: str | None
    budget_window: str
    requests_per_minute: int
    tokens_per_day: int
    expires_at: str | None
    ip_allow: list[str]
    status: str
    created_by: str | None
    created_at: str


class ExportedTransaction(msgspec.Struct):
    """A movement of the wallet, exact USD; negative takes."""

    id: str
    type: str
    amount_usd: str
    balance_after_usd: str
    description: str
    external_ref: str
    created_at: str


class ExportedRequest(msgspec.Struct):
    """A request and what it cost. Its story is `GET /v1/generations/{generation_id}`."""

    id: str
    created_at: str
    key_id: str
    user_id: str | None
    model_asked: str
    model: str
    provider: str
    status: str
    http_status: int
    error_code: str | None
    streamed: bool
    finish_reason: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_source: str
    charge_usd: str
    latency_ms: int
    ttft_ms: int | None


class Exported(msgspec.Struct):
    """All that is kept about a workspace, oldest first. As NDJSON: one `{"type", "data"}` a line."""

    workspace: ExportedWorkspace
    keys: list[ExportedKey]
    transactions: list[ExportedTransaction]
    usage: list[ExportedRequest]


class ExportReply(msgspec.Struct):
    """An export."""

    data: Exported


async def written(reader: Reader, workspace_id: str, form: Format) -> AsyncIterator[bytes]:
    """An export, piece by piece. Raises NotFound before the first one."""
    writing = Writing(lines=form == "ndjson")
    yield writing.head(_workspace(await reader.run(kept, workspace_id)))
    for section in SECTIONS:
        after: tuple[int, int] | None = START
        while after is not None:
            found = await reader.run(piece, section, workspace_id, after)
            yield writing.rows(section, _told(found.rows), is_first=after == START)
            after = found.after
        yield writing.close(section)
    yield writing.tail()


def written_by(connection: sqlite3.Connection, workspace_id: str, form: Format) -> Iterator[bytes]:
    """The same by a connection of the caller's. Raises NotFound."""
    writing = Writing(lines=form == "ndjson")
    yield writing.head(_workspace(kept(connection, workspace_id)))
    for section in SECTIONS:
        after: tuple[int, int] | None = START
        while after is not None:
            found = piece(connection, section, workspace_id, after)
            yield writing.rows(section, _told(found.rows), is_first=after == START)
            after = found.after
        yield writing.close(section)
    yield writing.tail()


def _told(rows: list[Key] | list[Moved] | list[Asked]) -> Iterator[msgspec.Struct]:
    for row in rows:
        if isinstance(row, Key):
            yield _key(row)
        elif isinstance(row, Moved):
            yield _transaction(row)
        else:
            yield _request(row)


def _instant(at: int | None) -> str | None:
    return None if at is None else iso(at * 1000)


def _workspace(found: Kept) -> ExportedWorkspace:
    one = found.workspace
    return ExportedWorkspace(
        one.id,
        one.name,
        one.organization_id,
        found.organization_name,
        iso(one.created_at * 1000),
        _instant(one.deleted_at),
        _instant(one.purge_at),
        usd(found.posted_nano),
        usd(found.held_nano),
        usd(found.frozen_nano),
    )


def _key(key: Key) -> ExportedKey:
    return ExportedKey(
        key.id,
        key.name,
        key.prefix,
        sorted(key.scopes),
        None if key.allowed_models is None else sorted(key.allowed_models),
        None if key.budget_nano is None else usd(key.budget_nano),
        key.budget_window,
        key.requests_per_minute,
        key.tokens_per_day,
        _instant(key.expires_at),
        list(key.ip_allow),
        key.state,
        key.created_by or None,
        iso(key.created_at * 1000),
    )


def _transaction(one: Moved) -> ExportedTransaction:
    return ExportedTransaction(
        f"txn_{one.number}",
        one.type,
        usd(one.amount_nano),
        usd(one.balance_after_nano),
        one.description,
        one.external_ref,
        iso(one.created_at_ms),
    )


def _request(one: Asked) -> ExportedRequest:
    return ExportedRequest(
        one.id,
        iso(one.created_at_ms),
        one.key_id,
        one.user_id or None,
        one.model_asked,
        one.model,
        one.provider,
        one.status,
        one.http_status,
        one.error_code or None,
        bool(one.is_streamed),
        one.finish_reason or None,
        one.input_tokens,
        one.output_tokens,
        one.cached_tokens,
        one.reasoning_tokens,
        one.usage_source,
        usd(one.charge_nano),
        one.latency_ms,
        one.ttft_ms or None,
    )
