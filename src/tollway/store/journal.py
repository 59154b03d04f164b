"""The journal: transfers as rows, with their numbers and the balance each leaves on a wallet."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from tollway.ledger.hold import Hold
from tollway.ledger.transfer import Posting, Transfer, usage
from tollway.metering.rating import Charge
from tollway.store.entries import Entry, Statements
from tollway.store.snapshot import Snapshot
from tollway.store.sqlite import Params

_NEW_ACCOUNT = "INSERT INTO accounts (id, code, currency) VALUES (?, ?, 'USD')"
_POSTED = """
SELECT t.id, a.code, p.amount_nano
FROM transfers AS t JOIN postings AS p ON p.transfer_id = t.id JOIN accounts AS a ON a.id = p.account_id
WHERE t.external_ref = ? AND t.kind = ?
"""


class Journal:
    """Gives numbers to accounts, transfers and generations; one process owns them, so counting is enough."""

    __slots__ = ("_accounts", "_charged", "_generation", "_push", "_transfer")

    def __init__(self, snapshot: Snapshot, push: Callable[[Entry], None]) -> None:
        self._push = push
        self.reset(snapshot)

    def reset(self, snapshot: Snapshot) -> None:
        """Go on from what is on disk."""
        self._accounts = snapshot.accounts
        self._charged: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._transfer = snapshot.next_transfer
        self._generation = snapshot.next_generation

    def account(self, code: str) -> int:
        """The number of an account; a new one is queued before whatever refers to it."""
        number = self._accounts.get(code)
        if number is None:
            number = self._accounts[code] = len(self._accounts) + 1
            self._push(Statements((_NEW_ACCOUNT, (number, code))))
        return number

    def generation(self) -> int:
        """The next number of a generation."""
        number = self._generation
        self._generation = number + 1
        return number

    def charge(
        self, hold: Hold, provider: str, charge: Charge, left_nano: int, at_ms: int
    ) -> tuple[Params, Sequence[Params]]:
        """The row and the posting rows of an ordinary charge (transfer.is_ordinary): as `transfer.usage` builds it.

        Its accounts are checked against the chart when they meet first, its sum by `is_ordinary`.

        Args:
            left_nano: what the wallet has after it.
            at_ms: unix ms.
        """
        accounts = self._charged.get((hold.workspace_id, provider))
        if accounts is None:
            accounts = self._meet(hold.workspace_id, provider)
        wallet, payable, margin = accounts
        number = self._transfer
        self._transfer = number + 1
        row = (number, "usage", hold.id, "", at_ms)
        taken = (number, 0, wallet, -charge.charge, left_nano)
        cost = (number, 1, payable, charge.cost, None)
        if not charge.margin:
            return row, (taken, cost)
        return row, (taken, cost, (number, 2, margin, charge.margin, None))

    def _meet(self, workspace_id: str, provider: str) -> tuple[int, int, int]:
        """The accounts of a charge, made where they are new. Raises Broken: the chart does not allow them."""
        built = usage("?", workspace_id=workspace_id, provider=provider, taken_nano=2, cost_nano=1, margin_nano=1)
        assert built is not None, "it moves something"
        wallet, payable, margin = (self.account(posting.account) for posting in built.postings)
        self._charged[workspace_id, provider] = wallet, payable, margin
        return wallet, payable, margin

    def rows(self, transfer: Transfer, balances: Mapping[str, int], at_ms: int) -> tuple[int, Params, list[Params]]:
        """A transfer's number, row and posting rows.

        Args:
            balances: account code of a wallet -> nano-USD posted after this transfer.
            at_ms: unix ms.
        """
        number = self._transfer
        self._transfer = number + 1
        accounts = self._accounts
        postings = list[Params]()
        for line, (code, amount) in enumerate(transfer.postings):
            postings.append((number, line, accounts.get(code) or self.account(code), amount, balances.get(code)))
        return number, (number, transfer.kind, transfer.external_ref, transfer.description, at_ms), postings


def posted(connection: sqlite3.Connection, kind: str, external_ref: str) -> tuple[int, tuple[Posting, ...]] | None:
    """The number and postings of a transfer by its reference, None if there is none."""
    rows = connection.execute(_POSTED, (external_ref, kind)).fetchall()
    return (rows[0][0], tuple(Posting(code, amount) for _, code, amount in rows)) if rows else None
