"""All that is kept about a workspace, for its owner to take along: read in pieces, each a short query of a reader.

What a provider took and the operator's margin are not the customer's, and secrets are not kept at all.
"""

import sqlite3
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from tollway.errors import NotFound
from tollway.store.keys import KEYS
from tollway.store.rows import key as key_of_row
from tollway.workspaces.key import Key
from tollway.workspaces.workspace import Workspace

Section = Literal["keys", "transactions", "usage"]
SECTIONS: tuple[Section, ...] = ("keys", "transactions", "usage")
PIECE = 500
"""Rows of one piece."""

_WORKSPACE = """
SELECT w.id, w.organization_id, w.name, w.created_at, w.deleted_at, w.purge_at, w.purged_at, o.name,
       x.posted_nano, x.held_nano, x.frozen_nano
FROM workspaces AS w JOIN organizations AS o ON o.id = w.organization_id JOIN wallets AS x ON x.workspace_id = w.id
WHERE w.id = ?
"""
_TRANSACTIONS = """
SELECT p.transfer_id, t.kind, p.amount_nano, p.balance_after_nano, t.description, t.created_at_ms, t.external_ref
FROM postings AS p INDEXED BY postings_of_wallet JOIN transfers AS t ON t.id = p.transfer_id
WHERE p.account_id = (SELECT account_id FROM wallets WHERE workspace_id = ?) AND p.balance_after_nano IS NOT NULL
  AND p.transfer_id > ?
ORDER BY p.transfer_id LIMIT ?
"""
_USAGE = """
SELECT seq, id, created_at_ms, key_id, user_id, model_asked, model, provider, status, http_status, error_code,
       is_streamed, finish_reason, input_tokens, output_tokens, cached_tokens, reasoning_tokens, usage_source,
       charge_nano, latency_ms, ttft_ms
FROM generations WHERE workspace_id = ? AND (created_at_ms, seq) > (?, ?) ORDER BY created_at_ms, seq LIMIT ?
"""


class Kept(NamedTuple):
    """A workspace, the name of its organization, and its wallet in nano-USD."""

    workspace: Workspace
    organization_name: str
    posted_nano: int
    held_nano: int
    frozen_nano: int


class Moved(NamedTuple):
    """A movement of the wallet. Nano-USD; negative takes."""

    number: int
    type: str
    amount_nano: int
    balance_after_nano: int
    description: str
    created_at_ms: int
    external_ref: str


class Asked(NamedTuple):
    """A request, without its story: that is its receipt."""

    seq: int
    id: str
    created_at_ms: int
    key_id: str
    user_id: str
    model_asked: str
    model: str
    provider: str
    status: str
    http_status: int
    error_code: str
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


class Piece(NamedTuple):
    """Rows of a section, oldest first. after: hand it in for the next piece; None at the end."""

    rows: list[Key] | list[Moved] | list[Asked]
    after: tuple[int, int] | None


START = (-1, -1)


def kept(connection: sqlite3.Connection, workspace_id: str) -> Kept:
    """The workspace itself. Raises NotFound."""
    row = connection.execute(_WORKSPACE, (workspace_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no workspace {workspace_id}")
    return Kept(Workspace(*row[:7]), *row[7:])


def piece(
    connection: sqlite3.Connection,
    section: Section,
    workspace_id: str,
    after: tuple[int, int] = START,
    limit: int = PIECE,
) -> Piece:
    """The rows of a section after a place; keys come in one piece."""
    match section:
        case "keys":
            found = (key_of_row(row)[1] for row in connection.execute(KEYS))
            return Piece([key for key in found if key.workspace_id == workspace_id], None)
        case "transactions":
            moved = [Moved(*row) for row in connection.execute(_TRANSACTIONS, (workspace_id, after[1], limit))]
            return Piece(moved, (0, moved[-1].number) if len(moved) == limit else None)
        case "usage":
            asked = [Asked(*row) for row in connection.execute(_USAGE, (workspace_id, *after, limit))]
            return Piece(asked, (asked[-1].created_at_ms, asked[-1].seq) if len(asked) == limit else None)


class Writing:
    """The bytes of an export as they are written: one JSON document, or one line per row."""

    def __init__(self, *, lines: bool) -> None:
        """lines: NDJSON, `{"type": section, "data": row}` a line."""
        self._lines = lines
        self._encode = msgspec.json.Encoder().encode

    def head(self, workspace: msgspec.Struct) -> bytes:
        """What stands first: the workspace."""
        data = self._encode(workspace)
        return b'{"type":"workspace","data":' + data + b"}\n" if self._lines else b'{"data":{"workspace":' + data

    def rows(self, section: Section, rows: Iterator[msgspec.Struct], *, is_first: bool) -> bytes:
        """A piece of a section; `is_first`: its first one."""
        written = [self._encode(row) for row in rows]
        if self._lines:
            head = b'{"type":"' + section.encode() + b'","data":'
            return b"".join(head + row + b"}\n" for row in written)
        start = b',"' + section.encode() + b'":[' if is_first else b"," if written else b""
        return start + b",".join(written)

    def close(self, section: Section) -> bytes:
        """The end of a section."""
        del section
        return b"" if self._lines else b"]"

    def tail(self) -> bytes:
        """What stands last."""
        return b"" if self._lines else b"}}\n"
