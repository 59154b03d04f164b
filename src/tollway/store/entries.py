"""Entries of the writer's queue: what was decided, as the rows it leaves and the futures that wait for them."""

import asyncio
from typing import TypeAlias

from tollway.ledger.hold import Hold
from tollway.store.batch import Batch, HoldRow
from tollway.store.sqlite import Params

Waiters: TypeAlias = "list[asyncio.Future[None]]"


class Entry:
    """One decision in the queue. `waiters` are resolved when it is on disk, or fail with it."""

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        self.waiters: Waiters = []

    def write(self, batch: Batch) -> None:
        """Add the rows of this decision."""
        raise NotImplementedError

    def committed(self) -> None:
        """It is on disk."""
        for future in self.waiters:
            if not future.done():
                future.set_result(None)

    def failed(self, error: BaseException) -> None:
        """It was not written and never will be."""
        for future in self.waiters:
            if not future.done():
                future.set_exception(error)


class Statements(Entry):
    """Plain statements, before the rows of the ledger: workspaces, keys, replies, accounts."""

    __slots__ = ("statements",)

    def __init__(self, *statements: tuple[str, Params]) -> None:
        super().__init__()
        self.statements = statements

    def write(self, batch: Batch) -> None:
        batch.statements.extend(self.statements)


class Opened(Entry):
    """A hold was opened."""

    __slots__ = ("amount_nano", "day", "is_new_day", "key_id", "row", "workspace_id")

    def __init__(self, hold: Hold, *, is_new_day: bool) -> None:
        self.waiters = []
        self.workspace_id = hold.workspace_id
        self.key_id = hold.key_id
        self.day = hold.day
        self.amount_nano = hold.amount_nano
        self.is_new_day = is_new_day
        self.row: HoldRow = [
            hold.id,
            hold.workspace_id,
            hold.key_id,
            hold.amount_nano,
            hold.price_list_id,
            hold.margin_bps,
            hold.offer_id,
            hold.opened_at,
            hold.expires_at,
        ]

    def write(self, batch: Batch) -> None:
        if self.is_new_day:
            batch.days.append((self.key_id, self.day))
        # A copy: the batch may fold the hold's end into the row, and a failed batch is written again entry by entry.
        batch.open(self.row[:])
        batch.move(self.workspace_id, 0, self.amount_nano)
        batch.spend(self.key_id, self.day, 0, self.amount_nano)


class Raised(Entry):
    """A hold was raised by `more_nano` to `amount_nano`."""

    __slots__ = ("amount_nano", "day", "hold_id", "key_id", "more_nano", "workspace_id")

    def __init__(self, hold: Hold, more_nano: int) -> None:
        """`hold` is raised already; its amount is read now, since it may be raised again before this is written."""
        super().__init__()
        self.hold_id = hold.id
        self.workspace_id = hold.workspace_id
        self.key_id = hold.key_id
        self.day = hold.day
        self.amount_nano = hold.amount_nano
        self.more_nano = more_nano

    def write(self, batch: Batch) -> None:
        batch.enlarge(self.hold_id, self.amount_nano)
        batch.move(self.workspace_id, 0, self.more_nano)
        batch.spend(self.key_id, self.day, 0, self.more_nano)


class Posted(Entry):
    """A transfer: its row, its postings, and what it moved on wallets (workspace id -> nano-USD)."""

    __slots__ = ("moves", "postings", "transfer")

    def __init__(self, transfer: Params, postings: list[Params], moves: dict[str, int]) -> None:
        super().__init__()
        self.transfer = transfer
        self.postings = postings
        self.moves = moves

    def write(self, batch: Batch) -> None:
        batch.transfers.append(self.transfer)
        batch.postings += self.postings
        for workspace_id, amount in self.moves.items():
            batch.move(workspace_id, amount, 0)


class Ended(Entry):
    """A hold ended: settled, void or expired, with its transfer if money moved, and its generation.

    hold_nano: what the hold came to; 0 if it had expired before (`is_late`). generation: a row in the order of the
    table.
    """

    __slots__ = (
        "day",
        "ending",
        "generation",
        "hold_id",
        "hold_nano",
        "is_late",
        "key_id",
        "postings",
        "story",
        "taken_nano",
        "transfer",
        "workspace_id",
    )

    def __init__(
        self, hold_id: str, workspace_id: str, key_id: str, day: int, *, generation: Params, story: bytes
    ) -> None:
        self.waiters = []
        self.hold_id = hold_id
        self.workspace_id = workspace_id
        self.key_id = key_id
        self.day = day
        self.generation = generation
        self.story = story
        self.hold_nano = self.taken_nano = 0
        self.transfer: Params | None = None
        self.postings: list[Params] = []
        self.is_late = False
        self.ending: dict[str, Ended] | None = None
        """Where others find this end until it is on disk."""

    def write(self, batch: Batch) -> None:
        if self.transfer is not None:
            batch.transfers.append(self.transfer)
            batch.postings += self.postings
        if self.is_late:
            # The expired row becomes the real one; the trigger allows this once.
            row = self.generation
            batch.statements.append((COMPLETE, (*row[4:], row[1])))
            batch.statements.append((COMPLETE_STORY, (self.story, row[1])))
        else:
            batch.close(self.hold_id)
            batch.generations.append(self.generation)
            batch.receipts.append((self.generation[0], self.story))
        batch.move(self.workspace_id, -self.taken_nano, -self.hold_nano)
        batch.spend(self.key_id, self.day, self.taken_nano, -self.hold_nano)

    def committed(self) -> None:
        if self.ending is not None:
            self.ending.pop(self.hold_id, None)
        for future in self.waiters:
            if not future.done():
                future.set_result(None)


COMPLETE = (
    "UPDATE generations SET outcome = ?, hold_nano = ?, charge_nano = ?, bad_debt_nano = ?, cost_nano = ?, "
    "price_list_id = ?, margin_bps = ?, opened_at = ?, created_at_ms = ?, model_asked = ?, model = ?, provider = ?, "
    "offer_id = ?, status = ?, http_status = ?, error_code = ?, is_streamed = ?, finish_reason = ?, input_tokens = ?, "
    "output_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, usage_source = ?, latency_ms = ?, ttft_ms = ?, "
    "user_id = ? WHERE id = ?"
)
COMPLETE_STORY = "UPDATE receipts SET story = ? WHERE seq = (SELECT seq FROM generations WHERE id = ?)"
