"""What an owner or an operator does with wallets: see their balance and history, credit them, move money between them.

One implementation for the admin API and the command line. Every movement is keyed by its reference for ever, so asking
twice moves once.
"""

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from tollway.errors import InvalidField, NotFound, ValidationFailed
from tollway.ledger import chart
from tollway.ledger.transfer import CREDIT_KINDS, Transfer, between, credit
from tollway.money.amount import NANO_MAX
from tollway.ports import Balance, Ids
from tollway.store.generations import check_limit
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader
from tollway.store.workspaces import Workspaces

_PREFIX = "txn_"
_HISTORY = """
SELECT p.transfer_id, t.kind, p.amount_nano, p.balance_after_nano, t.description, t.created_at_ms, t.external_ref,
       g.model_asked
FROM postings AS p INDEXED BY postings_of_wallet
JOIN transfers AS t ON t.id = p.transfer_id
LEFT JOIN generations AS g ON t.kind = 'usage' AND g.id = t.external_ref
WHERE p.account_id = (SELECT account_id FROM wallets WHERE workspace_id = ?) AND p.balance_after_nano IS NOT NULL
  AND p.transfer_id < ? AND (? = '' OR t.kind = ?)
ORDER BY p.transfer_id DESC LIMIT ?
"""
_REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class Transaction:
    """One movement of a wallet as its owner sees it. Nano-USD; negative takes. generation_id: of a `usage`, else ""."""

    id: str
    type: str
    amount_nano: int
    balance_after_nano: int
    description: str
    created_at_ms: int
    external_ref: str
    generation_id: str = ""


class History(NamedTuple):
    """A part of a wallet's movements, newest first. next_cursor: hand it in as `after`; "" at the end."""

    transactions: list[Transaction]
    next_cursor: str


class Moved(NamedTuple):
    """A movement that is on disk: its transaction id, the balance after it, and whether it had been made before."""

    id: str
    balance: Balance
    is_replay: bool


class Wallets:
    """Reads and movements of wallets."""

    def __init__(self, ledger: EmbeddedLedger, workspaces: Workspaces, reader: Reader, ids: Ids) -> None:
        self._ledger, self._workspaces, self._reader, self._ids = ledger, workspaces, reader, ids

    def balance(self, workspace_id: str) -> Balance:
        """The wallet as of now. Raises NotFound."""
        return self._ledger.balance(workspace_id)

    async def history(self, workspace_id: str, *, limit: int = 50, after: str = "", type: str = "") -> History:  # noqa: A002
        """The movements of a wallet.

        `type`: only these, e.g. `topup`. limit: 1..1000. Raises InvalidField, NotFound.
        """
        check_limit(limit)
        self._workspaces.workspace(workspace_id)
        return await self._reader.run(history, workspace_id, limit=limit, after=after, kind=type)

    async def credit(
        self,
        workspace_id: str,
        amount_nano: int,
        *,
        kind: str = "topup",
        reason: str = "",
        external_ref: str = "",
        method: str = "manual",
    ) -> Moved:
        """Put money into a wallet.

        Args:
            workspace_id: whose.
            amount_nano: nano-USD; above zero, but an `adjustment` may take.
            kind: `topup`, `grant`, `refund` or `adjustment`; an adjustment needs a reason.
            reason: told to the wallet's owner.
            external_ref: the payment or decision this answers to; the same one moves money once. "": a fresh one.
            method: where a top-up's money is, e.g. `manual`.

        Raises:
            ValidationFailed, NotFound, InsufficientBalance, AlreadyExists (the reference was used for another amount).
        """
        self._workspaces.live_workspace(workspace_id)
        if kind not in CREDIT_KINDS:
            raise ValidationFailed(f"kind is one of {', '.join(CREDIT_KINDS)}.", param="kind")
        if not 0 < abs(amount_nano) <= NANO_MAX or (amount_nano < 0 and kind != "adjustment"):
            raise ValidationFailed("The amount must be above zero; only an adjustment may take.", param="usd")
        if kind == "adjustment" and not reason.strip():
            raise ValidationFailed("An adjustment needs a reason.", param="reason")
        ref = external_ref or self._ids.new()
        return await self._post(
            credit(kind, workspace_id, amount_nano, external_ref=ref, description=_reason(reason), method=method),
            workspace_id,
        )

    async def transfer(
        self, source: str, target: str, amount_nano: int, *, reason: str = "", external_ref: str = ""
    ) -> Moved:
        """Move money between the wallets of two workspaces of one organization; the balance is the source's.

        Raises:
            ValidationFailed, NotFound, InsufficientBalance, AlreadyExists.
        """
        giver, taker = self._workspaces.live_workspace(source), self._workspaces.live_workspace(target)
        if giver.organization_id != taker.organization_id:
            raise ValidationFailed("Money moves between workspaces of one organization only.", param="to")
        if source == target:
            raise ValidationFailed("The two workspaces are the same.", param="to")
        if not 0 < amount_nano <= NANO_MAX:
            raise ValidationFailed("The amount must be above zero.", param="usd")
        ref = external_ref or self._ids.new()
        return await self._post(
            between(source, target, amount_nano, external_ref=ref, description=_reason(reason)), source
        )

    async def _post(self, transfer: Transfer, workspace_id: str) -> Moved:
        posted = await self._ledger.post(transfer)
        return Moved(_PREFIX + str(posted.id), self._ledger.balance(workspace_id), posted.is_replay)


def history(connection: sqlite3.Connection, workspace_id: str, *, limit: int, after: str, kind: str) -> History:
    """The movements of a wallet, by a read-only connection. Raises InvalidField, NotFound."""
    if connection.execute("SELECT 1 FROM wallets WHERE workspace_id = ?", (workspace_id,)).fetchone() is None:
        raise NotFound(f"there is no wallet of workspace {workspace_id}")
    rows = connection.execute(_HISTORY, (workspace_id, _cursor(after), kind, kind, limit + 1)).fetchall()
    found = [
        Transaction(
            id=_PREFIX + str(number),
            type=name,
            amount_nano=amount,
            balance_after_nano=balance,
            description=text or _description(name, model),
            created_at_ms=at,
            external_ref=ref,
            generation_id=ref if name == "usage" else "",
        )
        for number, name, amount, balance, text, at, ref, model in rows[:limit]
    ]
    return History(found, found[-1].id if len(rows) > limit else "")


def _description(kind: str, model: str | None) -> str:
    known = chart.KINDS.get(kind)
    label = known.label if known is not None else "Reversal"
    return f"{label} - {model}" if model else label


def _cursor(after: str) -> int:
    number = after.removeprefix(_PREFIX)
    if not after:
        return 2**62
    if not number.isdecimal() or len(number) > 18:
        raise InvalidField("This cursor is not one of ours. Hand in `next_cursor` as it came.", param="after")
    return int(number)


def _reason(text: str) -> str:
    text = text.strip()
    if len(text) > _REASON_MAX or not text.isprintable():
        raise ValidationFailed(f"A reason has at most {_REASON_MAX} printable characters.", param="reason")
    return text
