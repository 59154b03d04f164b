"""One transaction's worth of rows: what many requests decided, folded and written with few statements.

Rows of the same table go out in statements of 64, 32, ... 1 rows. `executemany` would give up and take back the
interpreter's lock once per row, which starves on a busy event loop; a statement of 64 rows does it once. A hold that
was opened and ended within the same batch leaves no row but its end. Wallets and key days are written as sums of their
changes.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tollway.ledger.hold import Hold
from tollway.store.sqlite import Params

HoldRow: TypeAlias = tuple[int, Hold]
"""nano-USD, and the hold whose row it is: its own amount may be ahead of what this batch writes."""

_SIZES = (64, 32, 16, 8, 4, 2, 1)
_THREES = (192, 96, 48, 24, 12, 6, 3, 1)
"""For postings: an ordinary charge has three."""


@dataclass(frozen=True, slots=True)
class ManyRows:
    """A statement over a list of rows: `head (?, ...), (?, ...) tail`."""

    head: str
    columns: int
    tail: str = ""
    sizes: tuple[int, ...] = _SIZES
    is_exact: bool = True
    """Every row must be inserted or found; otherwise the disk does not match the book, and the batch fails."""
    texts: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        row = "(" + ", ".join("?" * self.columns) + ")"
        for size in self.sizes:
            self.texts[size] = " ".join((self.head, ", ".join([row] * size), self.tail))

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Params]) -> None:
        """Execute over all rows, in order."""
        start, left = 0, len(rows)
        for size in self.sizes:
            while left >= size:
                flat = list[int | str | bytes | None]()
                for row in rows[start : start + size]:
                    flat += row
                cursor.execute(self.texts[size], flat)
                if self.is_exact and cursor.rowcount != size:
                    raise sqlite3.IntegrityError(f"{cursor.rowcount} of {size} rows were there for: {self.head}")
                start += size
                left -= size


_ACCOUNT = ManyRows("INSERT INTO accounts (id, code, currency) VALUES", 3)
_DAY = ManyRows("INSERT INTO key_days (key_id, day) VALUES", 2, "ON CONFLICT DO NOTHING", is_exact=False)
_OPEN = ManyRows(
    "INSERT INTO holds (id, workspace_id, key_id, amount_nano, price_list_id, margin_bps, offer_id, opened_at, "
    "expires_at) VALUES",
    9,
)
_RAISE = ManyRows("UPDATE holds SET amount_nano = column2 FROM (VALUES", 2, ") WHERE id = column1")
_CLOSE = ManyRows("DELETE FROM holds WHERE id IN (VALUES", 1, ")")
_TRANSFER = ManyRows("INSERT INTO transfers (id, kind, external_ref, description, created_at_ms) VALUES", 5)
_POSTING = ManyRows(
    "INSERT INTO postings (transfer_id, line, account_id, amount_nano, balance_after_nano) VALUES", 5, sizes=_THREES
)
_GENERATION = ManyRows(
    "INSERT INTO generations (id, workspace_id, key_id, created_at_ms, model_asked, model, provider, offer_id, status, "
    "http_status, error_code, is_streamed, finish_reason, input_tokens, output_tokens, cached_tokens, "
    "reasoning_tokens, usage_source, cost_nano, charge_nano, latency_ms, ttft_ms, user_id, outcome, hold_nano, "
    "price_list_id, margin_bps, opened_at, bad_debt_nano, assistant_id, tier, seq) VALUES",
    32,
)
"""In the order of `ports.Generation`, whose fields are the row."""
_RECEIPT = ManyRows("INSERT INTO receipts (seq, story) VALUES", 2)
_WALLET = ManyRows(
    "UPDATE wallets SET posted_nano = posted_nano + column2, held_nano = held_nano + column3 FROM (VALUES",
    3,
    ") WHERE workspace_id = column1",
)
_SPEND = ManyRows(
    "UPDATE key_days SET spent_nano = spent_nano + column3, held_nano = held_nano + column4 FROM (VALUES",
    4,
    ") WHERE key_id = column1 AND day = column2",
)


class Batch:
    """Rows to be written in one transaction."""

    __slots__ = (
        "accounts",
        "closed",
        "days",
        "generations",
        "opened",
        "postings",
        "raised",
        "receipts",
        "spends",
        "statements",
        "transfers",
        "wallets",
    )

    def __init__(self) -> None:
        self.statements: list[tuple[str, Params]] = []
        self.accounts: list[Params] = []
        self.days: list[Params] = []
        self.opened: dict[str, HoldRow] = {}
        self.raised: dict[str, int] = {}
        self.closed: list[Params] = []
        self.transfers: list[Params] = []
        self.postings: list[Params] = []
        self.generations: list[Params] = []
        self.receipts: list[Params] = []
        self.wallets: dict[str, list[int]] = {}
        self.spends: dict[tuple[str, int], list[int]] = {}

    def open(self, amount_nano: int, hold: Hold) -> None:
        """A hold of `amount_nano` was opened."""
        self.opened[hold.id] = amount_nano, hold

    def enlarge(self, hold_id: str, amount_nano: int) -> None:
        """A hold was raised to `amount_nano`."""
        row = self.opened.get(hold_id)
        if row is None:
            self.raised[hold_id] = amount_nano
        else:
            self.opened[hold_id] = amount_nano, row[1]

    def close(self, hold_id: str) -> None:
        """A hold ended: its row goes. One that was opened in this batch needs none."""
        if self.opened.pop(hold_id, None) is None:
            self.raised.pop(hold_id, None)
            self.closed.append((hold_id,))

    def move(self, workspace_id: str, posted_nano: int, held_nano: int) -> None:
        """A wallet changed by these amounts."""
        sums = self.wallets.get(workspace_id)
        if sums is None:
            self.wallets[workspace_id] = [posted_nano, held_nano]
        else:
            sums[0] += posted_nano
            sums[1] += held_nano

    def spend(self, key_id: str, day: int, spent_nano: int, held_nano: int) -> None:
        """A key's day changed by these amounts."""
        sums = self.spends.get((key_id, day))
        if sums is None:
            self.spends[key_id, day] = [spent_nano, held_nano]
        else:
            sums[0] += spent_nano
            sums[1] += held_nano

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Execute everything; the caller begins and commits. What others refer to goes first."""
        for text, params in self.statements:
            cursor.execute(text, params)
        _ACCOUNT.run(cursor, self.accounts)
        _DAY.run(cursor, self.days)
        _OPEN.run(cursor, [_hold_row(amount, hold) for amount, hold in self.opened.values()])
        _RAISE.run(cursor, list(self.raised.items()))
        _CLOSE.run(cursor, self.closed)
        _TRANSFER.run(cursor, self.transfers)
        _POSTING.run(cursor, self.postings)
        _GENERATION.run(cursor, self.generations)
        _RECEIPT.run(cursor, self.receipts)
        _WALLET.run(cursor, [(workspace_id, *sums) for workspace_id, sums in self.wallets.items() if any(sums)])
        _SPEND.run(cursor, [(key_id, day, *sums) for (key_id, day), sums in self.spends.items() if any(sums)])


def _hold_row(amount_nano: int, hold: Hold) -> Params:
    """A row of `holds` in the order of `_OPEN`."""
    return (
        hold.id,
        hold.workspace_id,
        hold.key_id,
        amount_nano,
        hold.price_list_id,
        hold.margin_bps,
        hold.offer_id,
        hold.opened_at,
        hold.expires_at,
    )
