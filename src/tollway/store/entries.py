"""Entries of the writer's queue: what was decided, as the rows it leaves and the futures that wait for them."""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from msgspec.structs import astuple

from tollway.ledger.hold import Hold
from tollway.ports import Generation
from tollway.store.batch import Batch
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

    __slots__ = ("amount_nano", "hold", "is_new_day")

    def __init__(self, hold: Hold, *, is_new_day: bool) -> None:
        self.waiters = []
        self.hold = hold
        # Kept: the hold may be raised again before this is written.
        self.amount_nano = hold.amount_nano
        self.is_new_day = is_new_day

    def write(self, batch: Batch) -> None:
        hold, amount = self.hold, self.amount_nano
        if self.is_new_day:
            batch.days.append((hold.key_id, hold.day))
        batch.open(amount, hold)
        batch.move(hold.workspace_id, 0, amount)
        batch.spend(hold.key_id, hold.day, 0, amount)


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

    is_late: the hold had expired before, and released what it held then (R9).
    """

    __slots__ = ("ending", "generation", "is_late", "postings", "transfer")

    def __init__(self, generation: Generation, *, is_late: bool = False) -> None:
        self.waiters = []
        self.generation = generation
        self.transfer: Params | None = None
        self.postings: Sequence[Params] = ()
        self.is_late = is_late
        self.ending: dict[str, Ended] | None = None
        """Where others find this end until it is on disk."""

    def write(self, batch: Batch) -> None:
        if self.transfer is not None:
            batch.transfers.append(self.transfer)
            batch.postings += self.postings
        g = self.generation
        *row, story = astuple(g)
        if self.is_late:
            # The expired row becomes the real one; the trigger allows this once.
            batch.statements.append((COMPLETE, (*row[3:31], g.id)))
            batch.statements.append((COMPLETE_STORY, (story, g.id)))
        else:
            batch.close(g.id)
            batch.generations.append(row)
            batch.receipts.append((g.seq, story))
        batch.move(g.workspace_id, -g.charge_nano, -g.hold_nano)
        batch.spend(g.key_id, g.opened_at // 86_400, g.charge_nano, -g.hold_nano)

    def committed(self) -> None:
        if self.ending is not None:
            self.ending.pop(self.generation.id, None)
        for future in self.waiters:
            if not future.done():
                future.set_result(None)


COMPLETE = (
    "UPDATE generations SET created_at_ms = ?, model_asked = ?, model = ?, provider = ?, offer_id = ?, status = ?, "
    "http_status = ?, error_code = ?, is_streamed = ?, finish_reason = ?, input_tokens = ?, output_tokens = ?, "
    "cached_tokens = ?, reasoning_tokens = ?, usage_source = ?, cost_nano = ?, charge_nano = ?, latency_ms = ?, "
    "ttft_ms = ?, user_id = ?, outcome = ?, hold_nano = ?, price_list_id = ?, margin_bps = ?, opened_at = ?, "
    "bad_debt_nano = ?, assistant_id = ?, tier = ? WHERE id = ?"
)
COMPLETE_STORY = "UPDATE receipts SET story = ? WHERE seq = (SELECT seq FROM generations WHERE id = ?)"
