"""The embedded ledger: decisions in the book, rows through the writer (implements `ports.Ledger`).

A hold is decided at once and its row follows; a settle or void returns when it is on disk, which puts the hold's row
there too, because the queue keeps the order. Racers on one hold get the first one's result.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, cast

from tollway.errors import AlreadyExists, Broken, LedgerUnavailable
from tollway.ledger import chart
from tollway.ledger.book import Book, Wallet
from tollway.ledger.budget import Budget
from tollway.ledger.hold import Hold, HoldState, next_state
from tollway.ledger.transfer import Transfer, failover, is_ordinary, usage
from tollway.ports import Balance, Clock, Generation, Settled, Settlement
from tollway.store.entries import Ended, Entry, Opened, Posted, Raised, Statements
from tollway.store.journal import Journal, posted
from tollway.store.reader import Reader
from tollway.store.recovery import Leakage, expired
from tollway.store.rows import End
from tollway.store.snapshot import Snapshot
from tollway.store.sqlite import Params
from tollway.store.writer import Writer

_WALLETS = chart.WALLETS.removesuffix("*")
_NEW_WALLET = "INSERT INTO wallets (workspace_id, account_id) VALUES (?, ?)"
_END = (
    "SELECT outcome, hold_nano, price_list_id, margin_bps, opened_at, charge_nano, bad_debt_nano, cost_nano, "
    "workspace_id, key_id FROM generations WHERE id = ?"
)


class Gauges(NamedTuple):
    """The ledger now, for metrics: counts since start, and nano-USD."""

    open_holds: int
    held_nano: int
    queued: int
    commits: int
    written: int
    bad_debt_nano: int
    leaked_holds: int
    leaked_nano: int
    is_available: bool


class PostedTransfer(NamedTuple):
    """A posted transfer: its number, and whether it had been posted before (then nothing moved)."""

    id: int
    is_replay: bool = False


class _Stored(NamedTuple):
    end: End
    workspace_id: str
    key_id: str


class EmbeddedLedger:
    """Holds, settlements and transfers of one installation. All methods belong to the event loop's thread."""

    def __init__(self, writer: Writer[Snapshot], snapshot: Snapshot, reader: Reader, clock: Clock) -> None:
        self._writer, self._reader, self._clock = writer, reader, clock
        self._book: Book = snapshot.book
        self._journal = Journal(snapshot, writer.push)
        self._ending: dict[str, Ended] = {}
        self._running: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._unended: set[str] = set()
        """Holds whose end could not be written: whoever asked was told so, and will hardly ask again."""
        self._bad_debt_nano = 0
        self.leaked = Leakage(0, 0)

    def went_down(self) -> None:
        """Writing failed: nothing is decided on this book any more."""
        self._ending.clear()

    def came_up(self, snapshot: Snapshot) -> None:
        """Writing works again: go on from what is on disk.

        A hold whose end failed expires now, in the customer's favour, instead of when its time is up; a settle that is
        tried again is a late one (R9).
        """
        self._book = snapshot.book
        self._journal.reset(snapshot)
        unended, self._unended = self._unended, set()
        overdue = [hold for hold_id in unended if (hold := self._book.holds.get(hold_id)) is not None]
        self._expire(overdue, "its end could not be written")

    # --- ports.Ledger ---

    async def hold(self, hold: Hold) -> None:
        """Reserve the worst case at once; the row follows. See `ports.Ledger.hold`."""
        self._writer.refuse_if_busy()
        if hold.id in self._ending:
            raise AlreadyExists(f"request {hold.id} already has a hold")
        is_new_day = self._book.open(hold)
        self._writer.push(Opened(hold, is_new_day=is_new_day))

    async def raise_hold(self, hold_id: str, more_nano: int) -> None:
        """Enlarge an open hold at once (R6b). See `ports.Ledger.raise_hold`."""
        self._writer.refuse_if_busy()
        hold = self._book.holds.get(hold_id)
        if hold is None:
            raise LedgerUnavailable(f"request {hold_id} has no open hold to raise")
        self._book.enlarge(hold, more_nano)
        self._writer.push(Raised(hold, more_nano))

    async def settle(self, settlement: Settlement) -> Settled:
        """Charge, release the rest, and return when it is on disk. See `ports.Ledger.settle`."""
        hold = self._book.holds.get(settlement.hold_id)
        if hold is None:
            return await self._settle_ended(settlement)
        self._refuse_end_if_down(hold)
        charge, provider = settlement.charge, settlement.provider
        taken, bad_debt = self._book.cover(hold.workspace_id, charge.charge, hold.amount_nano)
        failover_nano = settlement.failover_cost_nano
        transfer = None
        if failover_nano or not is_ordinary(charge, taken, bad_debt):
            # Everything unusual, what is wrong included, is built line by line, which finds the words for it.
            transfer = _usage(settlement, hold.workspace_id, taken, bad_debt)
        # Everything that can be refused has been; from here on the book changes.
        wallet = self._book.settle(hold, taken)
        generation = settlement.generation
        if settlement.price_list_id:
            hold.price_list_id = settlement.price_list_id
        self._fill(generation, hold, "settled")
        generation.charge_nano, generation.bad_debt_nano, generation.cost_nano = taken, bad_debt, charge.cost
        ended = Ended(generation)
        if transfer is not None or not taken:
            self._enter(ended, transfer, wallet)
        else:
            at_ms, left = int(self._clock.now() * 1000), wallet.posted_nano
            ended.transfer, ended.postings = self._journal.charge(hold, provider, charge, left, at_ms)
        self._bad_debt_nano += bad_debt
        await self._end(ended)
        return Settled(taken, bad_debt)

    async def void(self, hold_id: str, generation: Generation, failover_cost_nano: int = 0) -> None:
        """Release everything, charge nothing, and return when it is on disk. See `ports.Ledger.void`."""
        hold = self._book.holds.get(hold_id)
        if hold is None:
            if await self._stored(hold_id) is None:
                raise _lost(hold_id)
            return
        self._refuse_end_if_down(hold)
        transfer = failover(hold_id, provider=generation.provider, failover_nano=failover_cost_nano)
        self._book.release(hold, "void")
        self._fill(generation, hold, "void")
        generation.charge_nano = generation.bad_debt_nano = generation.cost_nano = 0
        ended = Ended(generation)
        self._enter(ended, transfer, None)
        await self._end(ended)

    def balance(self, workspace_id: str) -> Balance:
        """The wallet as decided so far. Raises NotFound."""
        wallet = self._book.wallet(workspace_id)
        return Balance(wallet.posted_nano, wallet.held_nano, wallet.frozen_nano)

    # --- beyond the port ---

    @property
    def is_available(self) -> bool:
        """Writing works, so requests are served."""
        return not self._writer.is_down

    def used(self, key_id: str, budget: Budget, day: int) -> int:
        """Nano-USD spent and held by a key in the window of `budget` that contains `day` (unix days)."""
        return self._book.spend(key_id).used(budget.window, day)

    def gauges(self) -> Gauges:
        """Numbers for `/metrics`."""
        writer = self._writer
        return Gauges(
            open_holds=len(self._book.holds),
            held_nano=sum(wallet.held_nano for wallet in self._book.wallets.values()),
            queued=writer.queued,
            commits=writer.commits,
            written=writer.written,
            bad_debt_nano=self._bad_debt_nano,
            leaked_holds=self.leaked.holds,
            leaked_nano=self.leaked.amount_nano,
            is_available=not writer.is_down,
        )

    async def sweep(self, now: int) -> Leakage:
        """End holds that are past their time (R9); returns when that is on disk. `now`: unix seconds."""
        self._writer.refuse_if_down()
        overdue = [hold for hold in self._book.holds.values() if hold.expires_at <= now]
        waits = self._expire(overdue, "no end of this request was recorded in time")
        for spend in self._book.spends.values():
            spend.forget_before(now // 86_400)
        await asyncio.gather(*waits)
        return Leakage(len(overdue), sum(hold.amount_nano for hold in overdue))

    async def post(self, transfer: Transfer) -> PostedTransfer:
        """Post a transfer, once for ever per (kind, external_ref); returns when it is on disk.

        Raises:
            InsufficientBalance: a wallet would have less than nothing available.
            AlreadyExists: the reference was used for other postings.
            NotFound: no such wallet. LedgerUnavailable: not written.
        """
        async with self._one_at_a_time(transfer.kind, transfer.external_ref):
            earlier = await self._reader.run(posted, transfer.kind, transfer.external_ref)
            if earlier is not None:
                if Counter(earlier[1]) != Counter(transfer.postings):
                    raise AlreadyExists(f"{transfer.kind} {transfer.external_ref} was posted with other amounts")
                return PostedTransfer(earlier[0], is_replay=True)
            self._writer.refuse_if_busy()
            moves = Counter[str]()
            for account, amount in transfer.postings:
                if account.startswith(_WALLETS):
                    moves[account.removeprefix(_WALLETS)] += amount
            self._book.post(moves)
            balances = {_WALLETS + ws: self._book.wallet(ws).posted_nano for ws in moves}
            number, row, postings = self._journal.rows(transfer, balances, int(self._clock.now() * 1000))
            await self._writer.push_now(Posted(row, postings, moves))
            return PostedTransfer(number)

    async def execute(self, *statements: tuple[str, Params]) -> None:
        """Write plain statements (workspaces, keys) through the one writer; returns when they are on disk."""
        self._writer.refuse_if_down()
        await self._writer.push_now(Statements(*statements))

    def push(self, entry: Entry) -> None:
        """Queue an entry without waiting: on disk with or before the next settle. Raises LedgerUnavailable."""
        self._writer.refuse_if_down()
        self._writer.push(entry)

    async def open_wallet(self, workspace_id: str, *before: tuple[str, Params]) -> None:
        """Make an empty wallet, after the statements that make its workspace; returns when it is on disk."""
        self._writer.refuse_if_down()
        self._writer.push(Statements(*before))
        number = self._journal.account(chart.wallet(workspace_id))
        self._book.wallets[workspace_id] = Wallet(workspace_id)
        await self._writer.push_now(Statements((_NEW_WALLET, (workspace_id, number))))

    # --- inside ---

    def _fill(self, generation: Generation, hold: Hold, outcome: HoldState) -> None:
        """What only the ledger knows of a request whose hold has ended."""
        generation.seq = self._journal.generation()
        generation.outcome, generation.hold_nano = outcome, hold.amount_nano
        generation.workspace_id, generation.key_id = hold.workspace_id, hold.key_id
        generation.price_list_id, generation.margin_bps = hold.price_list_id, hold.margin_bps
        generation.opened_at = hold.opened_at

    def _enter(self, ended: Ended, transfer: Transfer | None, wallet: Wallet | None) -> None:
        if transfer is not None:
            balances = {} if wallet is None else {_WALLETS + wallet.workspace_id: wallet.posted_nano}
            _, ended.transfer, ended.postings = self._journal.rows(transfer, balances, int(self._clock.now() * 1000))

    def _refuse_end_if_down(self, hold: Hold) -> None:
        if self._writer.is_down:
            self._unended.add(hold.id)
            self._writer.refuse_if_down()

    def _queue_end(self, ended: Ended) -> "asyncio.Future[None]":
        self._ending[ended.generation.id] = ended
        ended.ending = self._ending
        return self._writer.push_now(ended, is_alone=not self._book.holds)

    async def _end(self, ended: Ended) -> None:
        try:
            await self._queue_end(ended)
        except LedgerUnavailable:
            self._unended.add(ended.generation.id)
            raise

    def _expire(self, overdue: list[Hold], reason: str) -> "list[asyncio.Future[None]]":
        """End holds that nobody ends, and count them as leakage."""
        waits = list[asyncio.Future[None]]()
        for hold in overdue:
            self._book.release(hold, "expire")
            wait = self._queue_end(expired(hold, self._journal.generation(), reason))
            wait.add_done_callback(partial(self._not_expired, hold.id))
            waits.append(wait)
        nano = sum(hold.amount_nano for hold in overdue)
        self.leaked = Leakage(self.leaked.holds + len(overdue), self.leaked.amount_nano + nano)
        return waits

    def _not_expired(self, hold_id: str, wait: "asyncio.Future[None]") -> None:
        if not wait.cancelled() and wait.exception() is not None:
            self._unended.add(hold_id)

    async def _settle_ended(self, settlement: Settlement) -> Settled:
        """A settle of a hold that is not open: the earlier result, or a late settle of an expired one (R9)."""
        hold_id = settlement.hold_id
        async with self._one_at_a_time("usage", hold_id):
            stored = await self._stored(hold_id)
            if stored is None:
                raise _lost(hold_id)
            end = stored.end
            if next_state(cast("HoldState", end.outcome), "settle") is None:
                return Settled(end.charge_nano, end.bad_debt_nano, is_replay=True)
            self._writer.refuse_if_down()
            charge = settlement.charge
            taken, bad_debt = self._book.cover(stored.workspace_id, charge.charge, 0)
            transfer = _usage(settlement, stored.workspace_id, taken, bad_debt)
            wallet = self._book.settle_late(stored.workspace_id, stored.key_id, end.opened_at // 86_400, taken)
            generation = settlement.generation
            generation.workspace_id, generation.key_id = stored.workspace_id, stored.key_id
            # Nothing was held any more, so the whole charge is an overrun (I6).
            generation.outcome, generation.hold_nano = "settled", 0
            generation.price_list_id = settlement.price_list_id or end.price_list_id
            generation.margin_bps, generation.opened_at = end.margin_bps, end.opened_at
            generation.charge_nano, generation.bad_debt_nano, generation.cost_nano = taken, bad_debt, charge.cost
            ended = Ended(generation, is_late=True)
            self._enter(ended, transfer, wallet)
            self._bad_debt_nano += bad_debt
            await self._end(ended)
            return Settled(taken, bad_debt)

    async def _stored(self, hold_id: str) -> _Stored | None:
        """The end of a hold, once it is on disk; None if it has not ended, or was never written."""
        ending = self._ending.get(hold_id)
        if ending is not None:
            future = asyncio.get_running_loop().create_future()
            ending.waiters.append(future)
            await future
        return await self._reader.run(_stored, hold_id)

    @asynccontextmanager
    async def _one_at_a_time(self, kind: str, ref: str) -> AsyncGenerator[None, None]:
        """Two callers with the same reference go one after the other."""
        while (running := self._running.get((kind, ref))) is not None:
            await asyncio.wait([running])
        done = self._running[kind, ref] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self._running[kind, ref]
            done.set_result(None)


def _usage(settlement: Settlement, workspace_id: str, taken_nano: int, bad_debt_nano: int) -> Transfer | None:
    charge = settlement.charge
    if charge.cost + charge.margin != charge.charge or charge.cost < 0 or settlement.failover_cost_nano < 0:
        raise Broken(f"the charge of {settlement.hold_id} does not add up: {charge}")
    return usage(
        settlement.hold_id,
        workspace_id=workspace_id,
        provider=settlement.provider,
        taken_nano=taken_nano,
        cost_nano=charge.cost,
        margin_nano=charge.margin,
        bad_debt_nano=bad_debt_nano,
        failover_nano=settlement.failover_cost_nano,
    )


def _stored(connection: sqlite3.Connection, hold_id: str) -> _Stored | None:
    row = connection.execute(_END, (hold_id,)).fetchone()
    return None if row is None else _Stored(End(*row[:8]), *row[8:])


def _lost(hold_id: str) -> LedgerUnavailable:
    # Its row was never written (the ledger failed), or it is open on disk and waits for recovery: nothing may move now.
    return LedgerUnavailable(f"request {hold_id} has no hold to end; nothing was charged")
