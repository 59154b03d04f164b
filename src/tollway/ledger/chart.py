"""The chart of accounts, and the only transfers of money there are.

An account is named by a code. `wallet:*` stands for `wallet:{workspace_id}`; a code without `*` is a single account.
Wallets are liabilities: a positive posting is money we owe the customer. A transfer takes from accounts (negative
postings) and gives to accounts (positive postings); a kind that is not listed, or an account on a side that its kind
does not name, cannot be built (money.md R4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tollway.errors import Broken

WALLETS: Final = "wallet:*"
PAYABLES: Final = "payable:*"
CASH: Final = "cash:*"
MARGIN: Final = "revenue:margin"
SUBSCRIPTIONS: Final = "revenue:subscription"
FAILOVER: Final = "cost_of_failover"
BAD_DEBT: Final = "bad_debt"
SHADOW: Final = "cost_of_shadow"
GRANTS: Final = "grants"
ADJUSTMENTS: Final = "adjustments"
REFUNDS: Final = "refunds"
DISPUTES: Final = "disputes"

ACCOUNTS: Mapping[str, str] = {
    WALLETS: "what a workspace has paid or was given and has not used; a liability",
    PAYABLES: "what we owe a provider for calls",
    CASH: "money at a payment method, e.g. cash:manual",
    MARGIN: "charge minus cost of requests",
    SUBSCRIPTIONS: "plan fees",
    FAILOVER: "what failed attempts cost us; never the customer's (R8)",
    SHADOW: "what asking second models to compare answers cost us; never the customer's",
    BAD_DEBT: "charges that a wallet could not cover (R7)",
    GRANTS: "money given away: promotions, opening grants",
    ADJUSTMENTS: "corrections by an operator, each with its reason",
    REFUNDS: "charges given back",
    DISPUTES: "money taken back by a card dispute, and its fees",
}
"""Every account family and what it means."""


@dataclass(frozen=True, slots=True)
class TransferKind:
    """One legal movement: from which account families, to which, and what it means.

    label: how a wallet's owner sees it in `/v1/wallet/transactions`.
    """

    name: str
    takes_from: frozenset[str]
    gives_to: frozenset[str]
    meaning: str
    label: str = ""


def _kind(name: str, takes_from: tuple[str, ...], gives_to: tuple[str, ...], meaning: str, label: str) -> TransferKind:
    return TransferKind(name, frozenset(takes_from), frozenset(gives_to), meaning, label)


TRANSFERS: tuple[TransferKind, ...] = (
    _kind(
        "usage", (WALLETS, BAD_DEBT, FAILOVER), (PAYABLES, MARGIN), "a request was charged (R5, R7)", "Chat completion"
    ),
    _kind("failover", (FAILOVER,), (PAYABLES,), "attempts of a request that was not charged cost us (R8a)", ""),
    _kind("shadow", (SHADOW,), (PAYABLES,), "a second model answered a request, to be compared", ""),
    _kind("topup", (CASH,), (WALLETS,), "a payment arrived", "Top-up"),
    _kind("auto_topup", (CASH,), (WALLETS,), "an automatic payment arrived (R17)", "Automatic top-up"),
    _kind("grant", (GRANTS,), (WALLETS,), "money given away", "Grant"),
    _kind("refund", (REFUNDS,), (WALLETS,), "a charge was given back", "Refund"),
    _kind(
        "payout", (WALLETS,), (CASH,), "an unspent payment was sent back to its source (R12, R24)", "Refund to source"
    ),
    _kind("adjustment", (ADJUSTMENTS, WALLETS), (ADJUSTMENTS, WALLETS), "an operator's correction", "Adjustment"),
    _kind("transfer", (WALLETS,), (WALLETS,), "between two wallets of one organization", "Transfer"),
    _kind("subscription", (WALLETS,), (SUBSCRIPTIONS,), "a plan fee paid from the wallet", "Subscription"),
    _kind("dispute", (WALLETS, BAD_DEBT, DISPUTES), (CASH, DISPUTES), "a dispute was lost (R25)", "Dispute"),
)
KINDS: Mapping[str, TransferKind] = {kind.name: kind for kind in TRANSFERS}
REVERSAL: Final = "reversal"
"""The mirror of a posted transfer; its accounts are checked against the original's kind."""


@lru_cache(maxsize=8192)
def family(account: str) -> str:
    """The family an account belongs to: `payable:openai` -> `payable:*`.

    Raises:
        Broken: the code is in no family of the chart.
    """
    if account in ACCOUNTS and not account.endswith("*"):
        return account
    head, colon, tail = account.partition(":")
    if colon and tail and tail != "*" and head + ":*" in ACCOUNTS:
        return head + ":*"
    raise Broken(f"there is no account {account!r} in the chart")


def wallet(workspace_id: str) -> str:
    """The account code of a workspace's wallet."""
    return "wallet:" + workspace_id


def payable(provider: str) -> str:
    """The account code of what we owe a provider; `unattributed` when none is known."""
    return "payable:" + (provider or "unattributed")
