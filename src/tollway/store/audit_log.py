"""What was done in an organization, by whom: append-only rows, written with the change they tell of."""

import sqlite3
from typing import NamedTuple

import msgspec

from tollway.jsontypes import JSONObject
from tollway.store.sqlite import Params
from tollway.workspaces.actor import By

_ADD = """
INSERT INTO audit_log (organization_id, at_ms, actor_kind, actor_id, action, target, details)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_PAGE = """
SELECT seq, at_ms, actor_kind, actor_id, action, target, details FROM audit_log
WHERE organization_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?
"""
_DETAILS = msgspec.json.Decoder(dict[str, msgspec.Raw])
SEQ_MAX = 2**63 - 1


class Event(NamedTuple):
    """One thing that was done. at_ms: unix ms. action: `noun.verb`. details: JSON values by name."""

    seq: int
    at_ms: int
    by: By
    action: str
    target: str
    details: dict[str, msgspec.Raw]


def audit_statement(
    organization_id: str, by: By, action: str, target: str, details: JSONObject | None, at_ms: int
) -> tuple[str, Params]:
    """The statement that adds an event; write it together with what it tells of. `details` without secrets."""
    text = msgspec.json.encode(details or {}).decode()
    return _ADD, (organization_id, at_ms, by.kind, by.id, action, target, text)


def events(connection: sqlite3.Connection, organization_id: str, limit: int, before: int = SEQ_MAX) -> list[Event]:
    """At most `limit` events of an organization, newest first, older than the one numbered `before`."""
    rows = connection.execute(_PAGE, (organization_id, before, limit))
    return [
        Event(seq, at_ms, By(kind, actor), action, target, _DETAILS.decode(details))
        for seq, at_ms, kind, actor, action, target, details in rows
    ]
