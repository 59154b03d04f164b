"""What `tollway audit` proves: the invariants of money.md R27 that apply, each a pure function over a read-only view.

An invariant reads facts and yields what is broken, by id. The view is one snapshot of the store, so the proof holds on
a running server too. I8 and I9 speak of payments and invoices, which do not exist yet; they join this list with them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """A broken row: its id, and what is wrong with it."""

    row: str
    problem: str


class TransferFacts(NamedTuple):
    """A transfer in one currency: how many lines, and their sum."""

    id: int
    kind: str
    external_ref: str
    currency: str
    lines: int
    sum_nano: int


class WalletFacts(NamedTuple):
    """A wallet's cached sums, beside what its postings and open holds come to."""

    workspace_id: str
    posted_nano: int
    held_nano: int
    frozen_nano: int
    postings_nano: int
    holds_nano: int


class RequestFacts(NamedTuple):
    """A request that has ended, beside what its usage transfers moved on its own wallet, on all, and as bad debt."""

    id: str
    outcome: str
    hold_nano: int
    charge_nano: int
    bad_debt_nano: int
    cost_nano: int
    transfers: int
    own_wallet_nano: int
    all_wallets_nano: int
    written_off_nano: int
    earned_nano: int
    """Payables and margin, without failover: cost + margin."""


class KeyDayFacts(NamedTuple):
    """A key's day, beside what its requests and open holds of that day come to."""

    key_id: str
    day: int
    spent_nano: int
    held_nano: int
    requests_nano: int
    holds_nano: int


class WalletLine(NamedTuple):
    """One posting of a wallet, in the order they were made."""

    workspace_id: str
    transfer_id: int
    amount_nano: int
    balance_after_nano: int


class View(Protocol):
    """One snapshot of a store."""

    def transfers(self) -> Iterable[TransferFacts]:
        """Every transfer and currency, those without lines too."""
        ...

    def wallets(self) -> Iterable[WalletFacts]:
        """Every wallet."""
        ...

    def accounts(self) -> Iterable[tuple[str, str, int]]:
        """Every account: code, currency, sum of its postings."""
        ...

    def requests(self) -> Iterable[RequestFacts]:
        """Every request that has ended."""
        ...

    def key_days(self) -> Iterable[KeyDayFacts]:
        """Every key and day that has a row, a request or a hold."""
        ...

    def wallet_lines(self) -> Iterable[WalletLine]:
        """Every posting of every wallet: wallet by wallet, in the order they were made."""
        ...

    def usage_without_request(self) -> Iterable[str]:
        """References of usage and failover transfers that no request explains."""
        ...

    def ended_holds(self) -> Iterable[str]:
        """Ids of open holds whose request has ended."""
        ...

    def overdue_holds(self, before: int) -> Iterable[tuple[str, int]]:
        """Open holds that should have ended before a time: id, and when (unix seconds)."""
        ...

    def guards(self) -> Iterable[str]:
        """Names of the triggers that keep rows from being changed."""
        ...


GUARDS = frozenset(
    {
        "transfers_never_change",
        "transfers_stay",
        "postings_never_change",
        "postings_stay",
        "generations_never_change",
        "generations_stay",
    }
)
OVERDUE_GRACE_S = 3_600


def balanced(view: View, now: int) -> Iterator[Finding]:
    """I1: each transfer sums to zero per currency, and has lines."""
    del now
    for fact in view.transfers():
        name = f"transfer {fact.id} ({fact.kind} {fact.external_ref})"
        if fact.sum_nano:
            yield Finding(name, f"its postings in {fact.currency} sum to {fact.sum_nano} nano, not 0")
        elif fact.lines < 2:
            yield Finding(name, f"it has {fact.lines} postings, fewer than two")


def wallets_match_postings(view: View, now: int) -> Iterator[Finding]:
    """I2: available + held + frozen == the sum of a wallet's postings."""
    del now
    for fact in view.wallets():
        if fact.posted_nano != fact.postings_nano:
            problem = f"it says {fact.posted_nano} nano-USD, its postings come to {fact.postings_nano}"
            yield Finding(f"wallet {fact.workspace_id}", problem)


def wallets_match_holds(view: View, now: int) -> Iterator[Finding]:
    """I3: held == the sum of open holds."""
    del now
    for fact in view.wallets():
        if fact.held_nano != fact.holds_nano:
            problem = f"it holds {fact.held_nano} nano-USD, its open holds come to {fact.holds_nano}"
            yield Finding(f"wallet {fact.workspace_id}", problem)


def nothing_negative(view: View, now: int) -> Iterator[Finding]:
    """I4: no wallet has less than nothing posted, held, frozen or available."""
    del now
    for fact in view.wallets():
        available = fact.posted_nano - fact.held_nano - fact.frozen_nano
        if min(fact.posted_nano, fact.held_nano, fact.frozen_nano, available) < 0:
            yield Finding(f"wallet {fact.workspace_id}", f"a part of it is negative; available is {available} nano-USD")


def charged_once(view: View, now: int) -> Iterator[Finding]:
    """I5: at most one usage transfer per request, and no usage without a request."""
    del now
    for fact in view.requests():
        if fact.transfers > 1:
            yield Finding(f"request {fact.id}", f"it has {fact.transfers} usage transfers")
    for ref in view.usage_without_request():
        yield Finding(f"transfer for {ref}", "no request explains it")


def within_the_hold(view: View, now: int) -> Iterator[Finding]:
    """I6: a charge is within its hold, or an overrun as R7 takes it: the whole hold first, bad debt last."""
    del now
    for fact in view.requests():
        if fact.bad_debt_nano and fact.charge_nano < fact.hold_nano:
            problem = (
                f"{fact.bad_debt_nano} nano-USD are bad debt, with {fact.charge_nano} of {fact.hold_nano} held taken"
            )
            yield Finding(f"request {fact.id}", problem)
        elif fact.outcome != "settled" and (fact.charge_nano or fact.bad_debt_nano):
            yield Finding(
                f"request {fact.id}", f"it ended as {fact.outcome} and was charged {fact.charge_nano} nano-USD"
            )


def books_agree(view: View, now: int) -> Iterator[Finding]:
    """I7: what came in, less what was charged and given back, is what wallets have."""
    del now
    inside = sum(fact.posted_nano for fact in view.wallets())
    outside = sum(amount for code, _, amount in view.accounts() if not code.startswith("wallet:"))
    if inside + outside:
        yield Finding("all wallets", f"they have {inside} nano-USD, the other accounts say {-outside}")


def keys_match_requests(view: View, now: int) -> Iterator[Finding]:
    """I10: what a key has spent and holds on a day is the sum of its requests and open holds of that day."""
    del now
    for fact in view.key_days():
        row = f"key {fact.key_id}, day {fact.day}"
        if fact.spent_nano != fact.requests_nano:
            yield Finding(row, f"it says {fact.spent_nano} nano-USD spent, its requests come to {fact.requests_nano}")
        if fact.held_nano != fact.holds_nano:
            yield Finding(row, f"it says {fact.held_nano} nano-USD held, its open holds come to {fact.holds_nano}")


def receipts_match_postings(view: View, now: int) -> Iterator[Finding]:
    """What a request says it was charged is what its transfer took from its own wallet."""
    del now
    for fact in view.requests():
        if fact.charge_nano != -fact.own_wallet_nano or fact.own_wallet_nano != fact.all_wallets_nano:
            problem = f"it says {fact.charge_nano} nano-USD, {-fact.own_wallet_nano} were taken from its wallet"
            yield Finding(f"request {fact.id}", problem)
        elif fact.bad_debt_nano != -fact.written_off_nano:
            problem = f"it says {fact.bad_debt_nano} nano-USD of bad debt, {-fact.written_off_nano} were written off"
            yield Finding(f"request {fact.id}", problem)
        elif fact.charge_nano + fact.bad_debt_nano != fact.earned_nano:
            yield Finding(f"request {fact.id}", f"provider and margin got {fact.earned_nano} nano-USD")


def balances_follow(view: View, now: int) -> Iterator[Finding]:
    """The balance told after each posting of a wallet is the running sum."""
    del now
    wallet, balance = "", 0
    for line in view.wallet_lines():
        if line.workspace_id != wallet:
            wallet, balance = line.workspace_id, 0
        balance += line.amount_nano
        if line.balance_after_nano != balance:
            problem = f"it says that {line.balance_after_nano} nano-USD were left, the sum is {balance}"
            yield Finding(f"transfer {line.transfer_id} on wallet {wallet}", problem)
            balance = line.balance_after_nano


def holds_end(view: View, now: int) -> Iterator[Finding]:
    """A request that has ended holds nothing, and no hold outlives its time by more than an hour."""
    for hold_id in view.ended_holds():
        yield Finding(f"hold {hold_id}", "its request has ended, and it is still open")
    for hold_id, expires_at in view.overdue_holds(now - OVERDUE_GRACE_S):
        yield Finding(f"hold {hold_id}", f"it should have ended by {expires_at} (unix seconds)")


def rows_are_guarded(view: View, now: int) -> Iterator[Finding]:
    """The triggers that make ledger rows append-only are there."""
    del now
    for name in sorted(GUARDS - set(view.guards())):
        yield Finding(f"trigger {name}", "it is missing: rows can be changed behind the ledger's back")


@dataclass(frozen=True, slots=True)
class Invariant:
    """One statement that must hold, and the function that looks for what breaks it. name: as in money.md R27."""

    name: str
    meaning: str
    find: Callable[[View, int], Iterator[Finding]]


def _invariant(name: str, find: Callable[[View, int], Iterator[Finding]]) -> Invariant:
    return Invariant(name, (find.__doc__ or "").removeprefix(f"{name}: ").strip(), find)


INVARIANTS: tuple[Invariant, ...] = (
    _invariant("I1", balanced),
    _invariant("I2", wallets_match_postings),
    _invariant("I3", wallets_match_holds),
    _invariant("I4", nothing_negative),
    _invariant("I5", charged_once),
    _invariant("I6", within_the_hold),
    _invariant("I7", books_agree),
    _invariant("I10", keys_match_requests),
    _invariant("receipts", receipts_match_postings),
    _invariant("balances", balances_follow),
    _invariant("holds", holds_end),
    _invariant("guards", rows_are_guarded),
)

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an invariant stands: the first broken rows, at most five; none means that it holds."""

    invariant: Invariant
    findings: tuple[Finding, ...]


def audit(view: View, now: int) -> list[Verdict]:
    """Prove every invariant on a view. `now`: unix seconds."""
    verdicts = list[Verdict]()
    for invariant in INVARIANTS:
        findings = list[Finding]()
        for finding in invariant.find(view, now):
            findings.append(finding)
            if len(findings) == SHOWN:
                break
        verdicts.append(Verdict(invariant, tuple(findings)))
    return verdicts
