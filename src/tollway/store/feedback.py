"""Feedback on answers: append-only rows; of one actor's ratings of a request, the newest counts."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from tollway.errors import NotFound
from tollway.ports import Clock
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader
from tollway.workspaces.actor import By

SEQ_MAX = 2**63 - 1
_THERE = "SELECT 1 FROM generations WHERE id = ? AND workspace_id = ?"
_ADD = """
INSERT INTO feedback (generation_id, workspace_id, actor_kind, actor_id, score, label, comment, created_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_LATER = """
SELECT 1 FROM feedback AS l WHERE l.generation_id = f.generation_id AND l.actor_kind = f.actor_kind
  AND l.actor_id = f.actor_id AND l.seq > f.seq
"""
_LIST = (
    f"SELECT f.seq, f.actor_kind, f.actor_id, f.score, f.label, f.comment, f.created_at_ms, EXISTS ({_LATER}) AS replaced "  # noqa: S608 - constants
    "FROM feedback AS f WHERE f.generation_id = ? AND f.seq < ? AND (? OR NOT replaced) ORDER BY f.seq DESC LIMIT ?"
)
_OWN = """
SELECT seq, actor_kind, actor_id, score, label, comment, created_at_ms, 0 FROM feedback
WHERE generation_id = ? AND actor_kind = ? AND actor_id = ? ORDER BY seq DESC LIMIT 1
"""
# By workspace from feedback to requests: there are fewer ratings than requests.
_SCORES = (
    "SELECT f.generation_id, f.score FROM feedback AS f JOIN generations AS g ON g.id = f.generation_id "  # noqa: S608 - constants
    "WHERE (? = '' OR f.workspace_id = ?) AND g.created_at_ms >= ? AND g.created_at_ms < ? AND g.outcome = 'settled' "
    f"AND NOT EXISTS ({_LATER}) ORDER BY f.seq"
)


class Rating(NamedTuple):
    """What one actor said of one answer. score: 0..100. at_ms: unix ms. is_replaced: the actor said more later."""

    seq: int
    by: By
    score: int
    label: str
    comment: str
    at_ms: int
    is_replaced: bool


class Feedback:
    """Ratings of requests that have ended; every query takes the workspace."""

    def __init__(self, ledger: EmbeddedLedger, reader: Reader, clock: Clock) -> None:
        self._ledger, self._reader, self._clock = ledger, reader, clock

    async def rate(
        self, workspace_id: str, generation_id: str, by: By, *, score: int, label: str = "", comment: str = ""
    ) -> Rating:
        """What `by` thinks of an answer, in place of what it said before; the same again adds nothing.

        Args:
            workspace_id: the tenant.
            generation_id: the request, which has ended.
            by: a key or a member.
            score: 0..100.
            label, comment: "" for none.

        Raises:
            NotFound: no such request, another tenant's, or one that still runs.
        """
        told = await self._reader.run(_own, workspace_id, generation_id, by)
        if told is not None and (told.score, told.label, told.comment) == (score, label, comment):
            return told
        at_ms = int(self._clock.now() * 1000)
        row = (generation_id, workspace_id, by.kind, by.id, score, label, comment, at_ms)
        await self._ledger.execute((_ADD, row))
        added = await self._reader.run(_own, workspace_id, generation_id, by)
        assert added is not None
        return added

    async def of_generation(
        self,
        workspace_id: str,
        generation_id: str,
        *,
        limit: int = 20,
        before: int = SEQ_MAX,
        has_history: bool = False,
    ) -> list[Rating]:
        """At most `limit` ratings of a request, newest first, older than `before`; `has_history`: replaced ones too.

        Raises:
            NotFound: no such request, or another tenant's.
        """
        return await self._reader.run(_listed, workspace_id, generation_id, limit, before, has_history)


def scores(connection: sqlite3.Connection, workspace_id: str, start_ms: int, end_ms: int) -> dict[str, list[int]]:
    """Request -> the scores that count, of what was charged in [start_ms, end_ms), unix ms. workspace_id "": of all."""
    found = dict[str, list[int]]()
    for generation_id, score in connection.execute(_SCORES, (workspace_id, workspace_id, start_ms, end_ms)):
        found.setdefault(generation_id, []).append(score)
    return found


def _check(connection: sqlite3.Connection, workspace_id: str, generation_id: str) -> None:
    if connection.execute(_THERE, (generation_id, workspace_id)).fetchone() is None:
        raise NotFound(f"there is no generation {generation_id}; one that still runs cannot be rated yet")


def _own(connection: sqlite3.Connection, workspace_id: str, generation_id: str, by: By) -> Rating | None:
    _check(connection, workspace_id, generation_id)
    row = connection.execute(_OWN, (generation_id, by.kind, by.id)).fetchone()
    return None if row is None else _rating(row)


def _listed(
    connection: sqlite3.Connection,
    workspace_id: str,
    generation_id: str,
    limit: int,
    before: int,
    has_history: bool,  # noqa: FBT001 - a reader hands its arguments on by place
) -> list[Rating]:
    _check(connection, workspace_id, generation_id)
    rows = connection.execute(_LIST, (generation_id, before, has_history, limit))
    return [_rating(row) for row in rows]


def _rating(row: Sequence[int | str]) -> Rating:
    seq, kind, actor, score, label, comment, at_ms, is_replaced = row
    assert kind in {"key", "member"}
    by = By("key" if kind == "key" else "member", str(actor))
    return Rating(int(seq), by, int(score), str(label), str(comment), int(at_ms), bool(is_replaced))
