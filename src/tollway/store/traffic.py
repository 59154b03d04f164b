"""Charged requests as learning reads them: what they used, from their receipts while these are kept."""

import sqlite3
from collections.abc import Iterator
from heapq import merge

import msgspec

from tollway.catalogue.units import REQUEST, Unit
from tollway.learning.traffic import Request
from tollway.metering.quote import token_counts
from tollway.store.sqlite import Row

_CHARGED = """
SELECT g.id, g.workspace_id, g.created_at_ms, g.model_asked, g.model, g.offer_id, g.tier, g.price_list_id, g.margin_bps,
       g.charge_nano + g.bad_debt_nano, g.input_tokens, g.output_tokens, g.cached_tokens, g.reasoning_tokens, r.story
FROM generations AS g LEFT JOIN receipts AS r ON r.seq = g.seq
WHERE g.workspace_id = ? AND g.created_at_ms >= ? AND g.created_at_ms < ? AND g.outcome = 'settled'
ORDER BY g.created_at_ms, g.seq
"""
_WORKSPACES = "SELECT id FROM workspaces ORDER BY created_at, id"
_ANSWERING = """
SELECT DISTINCT model FROM generations
WHERE workspace_id = ? AND created_at_ms >= ? AND created_at_ms < ? AND outcome = 'settled' AND model <> ''
"""


class _Lines(msgspec.Struct, frozen=True, gc=False):
    """What of a story (`gateway/receipt.py`) is read: unit, count, pico-USD per unit."""

    lines: tuple[tuple[Unit, int, int], ...] = ()


_decode = msgspec.json.Decoder(_Lines).decode


def charged(connection: sqlite3.Connection, workspace_id: str, start_ms: int, end_ms: int) -> Iterator[Request]:
    """What was charged in [start_ms, end_ms), unix ms, oldest first; workspace_id "": of all."""
    each = [
        map(_request, connection.execute(_CHARGED, (one, start_ms, end_ms)))
        for one in _workspaces(connection, workspace_id)
    ]
    # One index per workspace, merged: sorting all of them would hold them all.
    return merge(*each, key=lambda request: request.at)


def answering(connection: sqlite3.Connection, workspace_id: str, start_ms: int, end_ms: int) -> list[str]:
    """The models that answered in the period, by id; workspace_id "": in all workspaces."""
    found = set[str]()
    for one in _workspaces(connection, workspace_id):
        found |= {row[0] for row in connection.execute(_ANSWERING, (one, start_ms, end_ms))}
    return sorted(found)


def _workspaces(connection: sqlite3.Connection, workspace_id: str) -> list[str]:
    # One after the other: the index of requests begins with the workspace.
    return [workspace_id] if workspace_id else [row[0] for row in connection.execute(_WORKSPACES).fetchall()]


def _request(row: Row) -> Request:
    name, workspace, at_ms, asked, model, offer, tier, prices, margin, charge, *tokens, story = row
    counts, cost = _used(story)
    if counts is None:
        input_tokens, output_tokens, cached, reasoning = tokens
        counts = token_counts(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=min(cached, input_tokens),
            reasoning_tokens=min(reasoning, output_tokens),
        )
    return Request(name, workspace, at_ms // 1000, asked, model, offer, tier, prices, margin, charge, counts, cost)


def _used(story: bytes | None) -> tuple[dict[Unit, int] | None, int | None]:
    """(counts, exact cost) of a kept story; (None, None) where it is dropped or tells nothing."""
    try:
        lines = () if story is None else _decode(story).lines
    except msgspec.DecodeError:
        lines = ()
    if not lines:
        return None, None
    # The price per request is the price list's own affair: `rate` adds it where there is one.
    counts = {unit: count for unit, count, _ in lines if (unit, count) != (REQUEST, 1)}
    return counts, sum(count * price for _, count, price in lines)
