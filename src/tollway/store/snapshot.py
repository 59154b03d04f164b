"""The book as it is on disk: read once at start, and again after a failed write."""

import sqlite3
from dataclasses import dataclass, field

from tollway.ledger.book import Book, Wallet
from tollway.ledger.budget import Budget, Spend
from tollway.ledger.hold import Hold

_WALLETS = "SELECT workspace_id, posted_nano, held_nano, frozen_nano FROM wallets"
_ACCOUNTS = "SELECT code, id FROM accounts"
_SPENDS = "SELECT key_id, sum(spent_nano), sum(held_nano) FROM key_days GROUP BY key_id"
_DAYS = "SELECT key_id, day, spent_nano, held_nano FROM key_days WHERE day >= ? OR held_nano > 0"
_HOLDS = """
SELECT h.id, h.workspace_id, h.key_id, h.amount_nano, h.opened_at, h.expires_at, h.price_list_id, h.margin_bps,
       h.offer_id, k.budget_nano, k.budget_window
FROM holds AS h JOIN keys AS k ON k.id = h.key_id
"""
_DAYS_READ = 40


@dataclass(slots=True)
class Snapshot:
    """accounts: code -> id. next_transfer, next_generation: the next free numbers."""

    book: Book
    accounts: dict[str, int] = field(default_factory=dict[str, int])
    next_transfer: int = 1
    next_generation: int = 1


def open_holds(connection: sqlite3.Connection) -> list[Hold]:
    """Holds that have not ended."""
    holds = list[Hold]()
    for id_, workspace, key, amount, opened, expires, prices, margin, offer, limit, window in connection.execute(
        _HOLDS
    ):
        holds.append(
            Hold(
                id_,
                workspace_id=workspace,
                key_id=key,
                amount_nano=amount,
                opened_at=opened,
                expires_at=expires,
                day=opened // 86_400,
                budget=None if limit is None else Budget(limit, window),
                price_list_id=prices,
                margin_bps=margin,
                offer_id=offer,
            )
        )
    return holds


def load(connection: sqlite3.Connection, day: int) -> Snapshot:
    """Read everything the ledger keeps in memory. `day`: today, unix days; older days of keys come as sums."""
    book = Book()
    for workspace_id, posted, held, frozen in connection.execute(_WALLETS):
        book.wallets[workspace_id] = Wallet(workspace_id, posted, held, frozen)
    for key_id, spent, held in connection.execute(_SPENDS):
        book.spends[key_id] = Spend(spent, held)
    for key_id, at, spent, held in connection.execute(_DAYS, (day - _DAYS_READ,)):
        book.spends[key_id].load(at, spent, held)
    for hold in open_holds(connection):
        book.holds[hold.id] = hold
    book.check()
    return Snapshot(
        book,
        dict(connection.execute(_ACCOUNTS).fetchall()),
        connection.execute("SELECT coalesce(max(id), 0) + 1 FROM transfers").fetchone()[0],
        connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM generations").fetchone()[0],
    )
