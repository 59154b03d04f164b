"""The watch: once a second it looks which keys and wallets have moved, and tells the thresholds they have passed.

It reads the book in memory and costs the requests nothing: one comparison per key that ever spent and per wallet, in
slices, and the rules only for those that moved. Once a minute it looks at all of them, so that a changed budget or
setting is noticed without a request. Budgets are watched by what is spent, not by what is held: a worst case that is
given back a second later is no reason for a mail.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol

from tollway.alerts import thresholds
from tollway.alerts.events import BalanceLow, BudgetThreshold, StorageThreshold, TokensThreshold, iso
from tollway.errors import LedgerUnavailable, LimiterUnavailable, NotFound
from tollway.ledger.book import Book, Wallet
from tollway.ledger.budget import Spend, Window, window_end, window_start
from tollway.money.amount import format_usd
from tollway.ports import Clock, Counted, Quota
from tollway.store.alerts import Alerts, Subject
from tollway.store.workspaces import Workspaces
from tollway.workspaces.key import Key

DAY_S = 86_400
_LATE_S = 3_600
"""For so long after midnight the days of yesterday may still grow: a charge counts on the day its request began."""
_SLICE = 256
_FULL_EVERY = 60
Storage = Callable[[str], tuple[int, int]]
"""Workspace -> bytes stored, and bytes that the plan has room for (-1: no limit)."""
_FUNDED = """
SELECT w.workspace_id FROM wallets AS w WHERE EXISTS (
  SELECT 1 FROM postings AS p WHERE p.account_id = w.account_id AND p.balance_after_nano IS NOT NULL
)
"""
_log = logging.getLogger("tollway.alerts")


class TokenCounts(Protocol):
    """What the watch asks of the limiter (see `ports.Limiter`)."""

    async def counted(self, workspace_id: str, now: float) -> Counted: ...

    async def tokens_of(self, key_id: str, now: float) -> int: ...


class _Limited(NamedTuple):
    """A limit of tokens per day. key: whose; None: the workspace's, by its plan."""

    workspace_id: str
    limit: int
    key: Key | None = None

    @property
    def id(self) -> str:
        return self.workspace_id if self.key is None else self.key.id


class Watch:
    """See the module. Build one per process and `run` it."""

    def __init__(
        self,
        alerts: Alerts,
        workspaces: Workspaces,
        book: Callable[[], Book],
        tokens: TokenCounts,
        quota: Callable[[Key], Quota],
        clock: Clock,
        *,
        funded: Iterable[str] = (),
        storage: Storage | None = None,
    ) -> None:
        """`book`: the book as of now. quota: a key's limits. funded: workspaces whose wallet has ever had money."""
        self._alerts, self._workspaces, self._book = alerts, workspaces, book
        self._tokens, self._quota, self._clock, self._storage = tokens, quota, clock, storage
        self._spent: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._limited: list[_Limited] = []
        self._known = 0
        """How many keys had spent when `_limited` was made."""
        self._balances: dict[str, int] = {}
        self._funded = set(funded)
        self._looks = 0

    async def run(self, period_s: float = 1.0) -> None:
        """Look for ever, every `period_s` seconds."""
        while True:
            await asyncio.sleep(period_s)
            try:
                await self.look()
            except LedgerUnavailable as error:
                _log.warning("alerts are late: %s", error.message)
            except Exception:  # noqa: BLE001 - it must go on, and it is logged
                _log.exception("a look at the thresholds failed")

    async def look(self) -> int:
        """Tell what has been passed since the last look; how many alerts were new.

        Raises:
            LedgerUnavailable: something could not be written; the next look is at everything again.
        """
        is_full = self._looks % _FULL_EVERY == 0
        self._looks += 1
        try:
            return await self._look(is_full=is_full)
        except BaseException:
            self._looks = 0
            raise

    async def _look(self, *, is_full: bool) -> int:
        fired = 0
        if is_full:
            self._spent.clear()
            self._counted.clear()
            self._alerts.forget_before(int(self._clock.now()))
        for key in await self._moved_keys():
            fired += await self._look_at_budget(key)
        if is_full or self._known != len(self._book().spends):
            self._limited = await self._with_token_limits()
        with suppress(LimiterUnavailable):  # the limiter has told it; the other thresholds go on
            for one, used in await self._counted_more():
                fired += await self._look_at_tokens(one, used)
        for wallet in await self._moved_wallets(is_full=is_full):
            fired += await self._look_at_balance(wallet)
        if is_full and self._storage is not None:
            for workspace_id, workspace in list(self._workspaces.workspaces.items()):
                if workspace.is_live:
                    fired += await self._look_at_storage(workspace_id, *self._storage(workspace_id))
        return fired

    # --- what moved ---

    async def _moved_keys(self) -> list[Key]:
        """Keys with a budget that have spent since the last look."""
        moved = list[Key]()
        for at, (key_id, spend) in enumerate(list(self._book().spends.items())):
            if at % _SLICE == 0:
                await asyncio.sleep(0)
            if self._spent.get(key_id) != spend.spent_nano:
                self._spent[key_id] = spend.spent_nano
                key = self._key(key_id)
                if key is not None and key.budget_nano:
                    moved.append(key)
        return moved

    async def _with_token_limits(self) -> list[_Limited]:
        """The limits of tokens per day that a request can have counted: of keys that were ever used, and their plans."""
        found, spends = dict[str, _Limited](), list(self._book().spends)
        self._known = len(spends)
        for at, key_id in enumerate(spends):
            if at % _SLICE == 0:
                await asyncio.sleep(0)
            key = self._key(key_id)
            if key is not None:
                quota = self._quota(key)
                if quota.key_tokens > 0:
                    found[key.id] = _Limited(key.workspace_id, quota.key_tokens, key)
                if quota.tokens > 0:
                    found[key.workspace_id] = _Limited(key.workspace_id, quota.tokens)
        return list(found.values())

    async def _counted_more(self) -> list[tuple[_Limited, int]]:
        """The limits whose count has changed since the last look, and what it is."""
        moved, now = list[tuple[_Limited, int]](), self._clock.now()
        for at, one in enumerate(self._limited):
            if at % _SLICE == 0:
                await asyncio.sleep(0)
            if one.key is None:
                used = (await self._tokens.counted(one.workspace_id, now)).tokens_today
            else:
                used = await self._tokens.tokens_of(one.key.id, now)
            if self._counted.get(one.id, 0) != used:
                self._counted[one.id] = used
                moved.append((one, used))
        return moved

    async def _moved_wallets(self, *, is_full: bool) -> list[Wallet]:
        """Wallets whose balance has changed since the last look, or was not seen yet; all on a full look."""
        moved = list[Wallet]()
        for at, wallet in enumerate(list(self._book().wallets.values())):
            if at % _SLICE == 0:
                await asyncio.sleep(0)
            if is_full or self._balances.get(wallet.workspace_id) != _balance(wallet):
                workspace = self._workspaces.workspaces.get(wallet.workspace_id)
                if workspace is not None and workspace.is_live:
                    moved.append(wallet)
        return moved

    def _key(self, key_id: str) -> Key | None:
        try:
            return self._workspaces.key_by_id(key_id)
        except NotFound:
            return None

    # --- what to tell ---

    async def _look_at_budget(self, key: Key) -> int:
        spend, window = self._book().spend(key.id), key.budget_window
        today, late = divmod(int(self._clock.now()), DAY_S)
        fired = 0
        if late < _LATE_S and window_start(window, today) == today:
            fired += await self._tell_budget(key, spend, today - 1)
        return fired + await self._tell_budget(key, spend, today)

    async def _tell_budget(self, key: Key, spend: Spend, day: int) -> int:
        budget, window = key.budget_nano or 0, key.budget_window
        start = window_start(window, day)
        spent = spent_in(spend, window, day)
        # The budget is part of the name: another limit is another budget, with thresholds of its own.
        subject = Subject(f"key:{key.id}:budget:{window}:{budget}", "budget.threshold", key.workspace_id, start * DAY_S)
        settings = self._alerts.settings(key.workspace_id)
        new = thresholds.passed(spent, budget, settings.budget_percent, self._alerts.told(subject))
        if not new:
            return 0
        end = window_end(window, day)

        def data(percent: int) -> BudgetThreshold:
            return BudgetThreshold(
                key.id,
                key.name,
                key.prefix,
                percent,
                format_usd(spent, 2),
                format_usd(budget, 2),
                window,
                None if end is None else iso(start * DAY_S),
                None if end is None else iso(end),
            )

        return await self._alerts.fire(subject, new, data, mailed=new[-1])

    async def _look_at_tokens(self, one: _Limited, used: int) -> int:
        key, limit = one.key, one.limit
        start = int(self._clock.now()) // DAY_S * DAY_S
        name = f"workspace:{one.id}:tokens:{limit}" if key is None else f"key:{one.id}:tokens:{limit}"
        subject = Subject(name, "tokens.threshold", one.workspace_id, start)
        settings = self._alerts.settings(one.workspace_id)
        new = thresholds.passed(used, limit, settings.tokens_percent, self._alerts.told(subject))
        if not new:
            return 0
        whose = (None, None, None) if key is None else (key.id, key.name, key.prefix)

        def data(percent: int) -> TokensThreshold:
            return TokensThreshold(*whose, percent, used, limit, iso(start), iso(start + DAY_S))

        return await self._alerts.fire(subject, new, data, mailed=new[-1])

    async def _look_at_balance(self, wallet: Wallet) -> int:
        workspace_id, balance = wallet.workspace_id, _balance(wallet)
        before = self._balances.get(workspace_id)
        was_funded = workspace_id in self._funded
        if balance > 0:
            self._funded.add(workspace_id)
        subject = Subject(f"wallet:{workspace_id}", "balance.low", workspace_id, is_level=True)
        told = self._alerts.told(subject)
        if told and (up := thresholds.risen(balance, told)):
            await self._alerts.clear(subject, up)
        fired = 0
        # A wallet that was never filled has not fallen, and one that was just filled a little is not falling.
        if was_funded and (before is None or balance <= before):
            marks = thresholds.levels(self._alerts.settings(workspace_id))
            new = thresholds.fallen(balance, marks, self._alerts.told(subject))

            def data(level: int) -> BalanceLow:
                return BalanceLow(format_usd(level), format_usd(balance, 2))

            fired = await self._alerts.fire(subject, new, data, mailed=new[-1]) if new else 0
        # Kept last: what could not be told is looked at again.
        self._balances[workspace_id] = balance
        return fired

    async def _look_at_storage(self, workspace_id: str, used: int, limit: int) -> int:
        subject = Subject(f"storage:{workspace_id}", "storage.threshold", workspace_id, is_level=True)
        told = self._alerts.told(subject)
        if told and (down := thresholds.cleared(used, limit, told)):
            await self._alerts.clear(subject, down)
        percents = self._alerts.settings(workspace_id).storage_percent
        new = thresholds.passed(used, limit, percents, self._alerts.told(subject))

        def data(percent: int) -> StorageThreshold:
            return StorageThreshold(percent, used, limit)

        return await self._alerts.fire(subject, new, data, mailed=new[-1]) if new else 0


def spent_in(spend: Spend, window: Window, day: int) -> int:
    """Nano-USD that a key has spent in the window that contains `day` (unix days); what it holds is not counted."""
    end = window_end(window, day)
    if end is None:
        return spend.spent_nano
    start = window_start(window, day)
    return sum(spent for at, (spent, _) in spend.days.items() if start <= at < end // DAY_S)


def _balance(wallet: Wallet) -> int:
    """What a wallet has, without what a dispute has frozen; what is held for running requests is still there."""
    return wallet.posted_nano - wallet.frozen_nano


def funded(connection: sqlite3.Connection) -> list[str]:
    """Workspaces whose wallet has ever had money."""
    return [row[0] for row in connection.execute(_FUNDED)]
