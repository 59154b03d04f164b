"""The journal: transfers as rows, with their numbers and the balance each leaves on a wallet."""

import sqlite3
from collections.abc import Callable, Mapping

from tollway.ledger.transfer import Posting, Transfer
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

    __slots__ = ("_accounts", "_generation", "_push", "_transfer")

    def __init__(self, snapshot: Snapshot, push: Callable[[Entry], None]) -> None:
        self._push = push
        self.reset(snapshot)

    def reset(self, snapshot: Snapshot) -> None:
        """Go on from what is on disk."""
        self._accounts = snapshot.accounts
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
