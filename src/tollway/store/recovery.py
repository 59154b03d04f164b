"""Recovery: what a crash left is ended, in the customer's favour, before the first request is served.

The lock file proves that no other process owns the folder, so every open hold belongs to a process that is dead. Each
ends as `expired`: released, charged nothing, counted as leakage, and given a generation so that a receipt exists
(money.md R9).
"""

import sqlite3
from typing import NamedTuple

import msgspec

from tollway.ledger.hold import Hold
from tollway.ports import Generation
from tollway.store.batch import Batch
from tollway.store.entries import Ended
from tollway.store.snapshot import open_holds


class Leakage(NamedTuple):
    """Holds that ended without an answer: how many, and nano-USD reserved by them (the bound of what was lost)."""

    holds: int
    amount_nano: int
    replies: int = 0
    """Idempotency keys whose request died with the process; they may be used again."""


def expired(hold: Hold, seq: int, reason: str) -> Ended:
    """The end of a hold that nobody settled. `reason` is told in its receipt."""
    # Only what the hold knows; the request's own story died with it.
    story = {"status": "expired", "reason": reason, "hold_nano": hold.amount_nano, "price_list_id": hold.price_list_id}
    generation = Generation(
        id=hold.id,
        workspace_id=hold.workspace_id,
        key_id=hold.key_id,
        created_at=hold.opened_at * 1000,
        model_asked=hold.offer_id,
        offer_id=hold.offer_id,
        status="expired",
        http_status=0,
        error_code="hold_expired",
        outcome="expired",
        hold_nano=hold.amount_nano,
        price_list_id=hold.price_list_id,
        margin_bps=hold.margin_bps,
        opened_at=hold.opened_at,
        seq=seq,
        receipt=msgspec.json.encode(story),
    )
    return Ended(generation)


def recover(connection: sqlite3.Connection) -> Leakage:
    """End every open hold and forget every running Idempotency-Key, in one transaction."""
    holds = open_holds(connection)
    seq = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM generations").fetchone()[0]
    batch = Batch()
    for at, hold in enumerate(holds):
        expired(hold, seq + at, "the server stopped before this request ended").write(batch)
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        batch.write(cursor)
        replies = cursor.execute("DELETE FROM replies WHERE state = 'running'").rowcount
        cursor.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    return Leakage(len(holds), sum(hold.amount_nano for hold in holds), replies)
