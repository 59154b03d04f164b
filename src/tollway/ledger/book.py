"""The book: wallets, key spending and open holds in memory, where every decision is made in one step.

One process owns the book (the embedded ledger), so a decision needs no lock and no query: check key budget, then
wallet, then change both (money.md R5, R13). The book never waits and writes nothing; the store queues what it decides,
in the same order. Available = posted - held - frozen >= 0 after every step; a step that would break it is refused
whole.
"""

from tollway.errors import (
    AccountOnHold,
    AlreadyExists,
    Broken,
    BudgetExceeded,
    InsufficientBalance,
    NotFound,
    ValidationFailed,
)
from tollway.ledger.budget import Budget, Spend, window_end
from tollway.ledger.hold import Hold, HoldEvent, Split, next_state, split
from tollway.money.amount import NANO_MAX, format_usd


class Wallet:
    """A wallet's three numbers, nano-USD; `available` is what a new hold may take."""

    __slots__ = ("frozen_nano", "held_nano", "posted_nano", "workspace_id")

    def __init__(self, workspace_id: str, posted_nano: int = 0, held_nano: int = 0, frozen_nano: int = 0) -> None:
        self.workspace_id = workspace_id
        self.posted_nano = posted_nano
        self.held_nano = held_nano
        self.frozen_nano = frozen_nano

    @property
    def available_nano(self) -> int:
        """Posted - held - frozen."""
        return self.posted_nano - self.held_nano - self.frozen_nano


class Book:
    """All wallets, key spends and open holds of one installation."""

    __slots__ = ("holds", "spends", "wallets")

    def __init__(self) -> None:
        self.wallets: dict[str, Wallet] = {}
        self.spends: dict[str, Spend] = {}
        self.holds: dict[str, Hold] = {}

    def wallet(self, workspace_id: str) -> Wallet:
        """The wallet of a workspace. Raises NotFound."""
        wallet = self.wallets.get(workspace_id)
        if wallet is None:
            raise NotFound(f"there is no wallet of workspace {workspace_id}")
        return wallet

    def spend(self, key_id: str) -> Spend:
        """What a key has spent; made when first asked for."""
        spend = self.spends.get(key_id)
        if spend is None:
            spend = self.spends[key_id] = Spend()
        return spend

    def open(self, hold: Hold) -> bool:
        """Reserve a hold, all or nothing: key budget, then wallet. True on the first one of its key in its day.

        Raises:
            BudgetExceeded, InsufficientBalance, AccountOnHold: refused; nothing was reserved.
            AlreadyExists: this id is open already.
            NotFound: no such wallet.
        """
        wallet = self.wallets.get(hold.workspace_id) or self.wallet(hold.workspace_id)
        amount, day = hold.amount_nano, hold.day
        if amount < 0:
            raise Broken(f"a hold of {amount} nano-USD")
        if hold.id in self.holds:
            raise AlreadyExists(f"request {hold.id} already has a hold")
        spend = self.spends.get(hold.key_id) or self.spend(hold.key_id)
        if hold.budget is not None:
            check_budget(spend, hold.budget, day, amount)
        if amount > wallet.posted_nano - wallet.held_nano - wallet.frozen_nano:
            check_wallet(wallet, amount)
        wallet.held_nano += amount
        is_first = not spend.knows(day)
        spend.move(day, 0, amount)
        self.holds[hold.id] = hold
        return is_first

    def enlarge(self, hold: Hold, more_nano: int) -> None:
        """Raise an open hold (R6b); refused as `open`, and then the hold stays as it was."""
        if next_state(hold.state, "raise") is None or more_nano < 0:
            raise Broken(f"hold {hold.id} is {hold.state} and cannot be raised by {more_nano} nano-USD")
        wallet, spend = self.wallet(hold.workspace_id), self.spend(hold.key_id)
        if hold.budget is not None:
            check_budget(spend, hold.budget, hold.day, more_nano)
        check_wallet(wallet, more_nano)
        wallet.held_nano += more_nano
        spend.move(hold.day, 0, more_nano)
        hold.amount_nano += more_nano

    def cover(self, workspace_id: str, charge_nano: int, hold_nano: int) -> Split:
        """How a charge would be covered now (R7); changes nothing. `hold_nano` is 0 for an expired hold (R9).

        Raises:
            Broken: the charge is negative, or more than the ledger can count.
        """
        if not 0 <= charge_nano <= NANO_MAX:
            raise Broken(f"a charge of {charge_nano} nano-USD")
        return split(charge_nano, hold_nano, self.wallet(workspace_id).available_nano)

    def settle(self, hold: Hold, taken_nano: int) -> Wallet:
        """End an open hold with a charge of which the wallet pays `taken_nano`, and release the rest.

        Raises:
            Broken: the hold has ended.
        """
        state = next_state(hold.state, "settle")
        if state is None:
            raise Broken(f"hold {hold.id} is {hold.state} and cannot be settled")
        wallet, amount = self.wallets[hold.workspace_id], hold.amount_nano
        hold.state = state
        del self.holds[hold.id]
        wallet.held_nano -= amount
        wallet.posted_nano -= taken_nano
        self.spends[hold.key_id].move(hold.day, taken_nano, -amount)
        return wallet

    def settle_late(self, workspace_id: str, key_id: str, day: int, taken_nano: int) -> Wallet:
        """Charge an expired hold from what is available (R9), in the budget day it was opened in."""
        wallet = self.wallet(workspace_id)
        wallet.posted_nano -= taken_nano
        self.spend(key_id).move(day, taken_nano, 0)
        return wallet

    def release(self, hold: Hold, event: HoldEvent) -> None:
        """End an open hold without a charge: `void` or `expire`."""
        state = next_state(hold.state, event)
        if state is None or state == "open":
            raise Broken(f"hold {hold.id} is {hold.state} and refuses {event}")
        hold.state = state
        del self.holds[hold.id]
        self.wallet(hold.workspace_id).held_nano -= hold.amount_nano
        self.spend(hold.key_id).move(hold.day, 0, -hold.amount_nano)

    def post(self, moves: dict[str, int]) -> None:
        """Move money on wallets (workspace id -> signed nano-USD), all or nothing.

        Raises:
            InsufficientBalance: a wallet would have less than nothing available.
            ValidationFailed: a wallet would have more than the ledger can count.
            NotFound: no such wallet.
        """
        found = [(self.wallet(workspace_id), amount) for workspace_id, amount in moves.items()]
        for wallet, amount in found:
            if amount < 0:
                check_wallet(wallet, -amount)
            elif wallet.posted_nano + amount > NANO_MAX:
                raise ValidationFailed("The wallet would hold more than the ledger can count.", param="usd")
        for wallet, amount in found:
            wallet.posted_nano += amount

    def check(self) -> None:
        """Prove the book against itself. Raises Broken."""
        held = dict.fromkeys(self.wallets, 0)
        for hold in self.holds.values():
            held[hold.workspace_id] += hold.amount_nano
        for wallet in self.wallets.values():
            if wallet.available_nano < 0 or wallet.held_nano != held[wallet.workspace_id] or wallet.frozen_nano < 0:
                raise Broken(f"wallet of {wallet.workspace_id} does not match its holds; run `tollway audit`")


def check_budget(spend: Spend, budget: Budget, day: int, amount_nano: int) -> None:
    """Refuse what a budget cannot cover.

    Raises:
        BudgetExceeded: with limit_source `key`, needed_usd, available_usd, limit_usd, held_usd and resets_at (unix
        seconds, None: never).
    """
    # Never below zero: an overrun may have passed the limit, and what costs nothing is still allowed.
    left = max(budget.limit_nano - spend.used(budget.window, day), 0)
    if amount_nano <= left:
        return
    resets_at = window_end(budget.window, day)
    raise BudgetExceeded(
        limit_source="key",
        needed_usd=format_usd(amount_nano),
        available_usd=format_usd(left),
        limit_usd=format_usd(budget.limit_nano),
        held_usd=format_usd(spend.held_nano),
        window=budget.window,
        resets_at=resets_at,
    )


def check_wallet(wallet: Wallet, amount_nano: int) -> None:
    """Refuse what a wallet cannot cover.

    Raises:
        AccountOnHold: only money frozen by a dispute would have covered it (R25).
        InsufficientBalance: with needed_usd and available_usd.
    """
    available = wallet.available_nano
    if amount_nano <= available:
        return
    error = AccountOnHold if amount_nano <= available + wallet.frozen_nano else InsufficientBalance
    raise error(needed_usd=format_usd(amount_nano), available_usd=format_usd(available), limit_source="wallet")
