"""The audit's view of an embedded store: one read snapshot, facts by grouping, compared elsewhere (ledger/audit.py)."""

import sqlite3
from collections.abc import Iterator

from tollway.ledger.audit import KeyDayFacts, RequestFacts, TransferFacts, WalletFacts, WalletLine

_TRANSFERS = """
SELECT t.id, t.kind, t.external_ref, coalesce(a.currency, ''), count(p.line), coalesce(sum(p.amount_nano), 0)
FROM transfers AS t LEFT JOIN postings AS p ON p.transfer_id = t.id LEFT JOIN accounts AS a ON a.id = p.account_id
GROUP BY t.id, a.currency
"""
_WALLETS = """
WITH posted (account_id, nano) AS (SELECT account_id, sum(amount_nano) FROM postings GROUP BY account_id),
     held (workspace_id, nano) AS (SELECT workspace_id, sum(amount_nano) FROM holds GROUP BY workspace_id)
SELECT w.workspace_id, w.posted_nano, w.held_nano, w.frozen_nano, coalesce(posted.nano, 0), coalesce(held.nano, 0)
FROM wallets AS w
LEFT JOIN posted ON posted.account_id = w.account_id
LEFT JOIN held ON held.workspace_id = w.workspace_id
"""
_ACCOUNTS = """
WITH posted (account_id, nano) AS (SELECT account_id, sum(amount_nano) FROM postings GROUP BY account_id)
SELECT a.code, a.currency, coalesce(posted.nano, 0) FROM accounts AS a LEFT JOIN posted ON posted.account_id = a.id
"""
_REQUESTS = """
SELECT g.id, g.outcome, g.hold_nano, g.charge_nano, g.bad_debt_nano, g.cost_nano, count(DISTINCT t.id),
       coalesce(sum(p.amount_nano) FILTER (WHERE a.code = 'wallet:' || g.workspace_id), 0),
       coalesce(sum(p.amount_nano) FILTER (WHERE a.code GLOB 'wallet:*'), 0),
       coalesce(sum(p.amount_nano) FILTER (WHERE a.code = 'bad_debt'), 0),
       coalesce(sum(p.amount_nano) FILTER (WHERE a.code NOT GLOB 'wallet:*' AND a.code <> 'bad_debt'), 0)
FROM generations AS g
LEFT JOIN transfers AS t ON t.external_ref = g.id AND t.kind = 'usage'
LEFT JOIN postings AS p ON p.transfer_id = t.id
LEFT JOIN accounts AS a ON a.id = p.account_id
GROUP BY g.seq
"""
_KEY_DAYS = """
WITH facts (key_id, day, spent, held, requests, holds) AS (
  SELECT key_id, day, spent_nano, held_nano, 0, 0 FROM key_days
  UNION ALL
  SELECT key_id, opened_at / 86400, 0, 0, charge_nano, 0 FROM generations
  UNION ALL
  SELECT key_id, opened_at / 86400, 0, 0, 0, amount_nano FROM holds
)
SELECT key_id, day, sum(spent), sum(held), sum(requests), sum(holds) FROM facts GROUP BY key_id, day
"""
_LINES = """
SELECT w.workspace_id, p.transfer_id, p.amount_nano, coalesce(p.balance_after_nano, -1)
FROM postings AS p CROSS JOIN wallets AS w ON w.account_id = p.account_id
ORDER BY w.workspace_id, p.transfer_id, p.line
"""
_UNEXPLAINED = """
SELECT t.external_ref FROM transfers AS t LEFT JOIN generations AS g ON g.id = t.external_ref
WHERE t.kind IN ('usage', 'failover') AND g.id IS NULL
"""
_ENDED = "SELECT h.id FROM holds AS h JOIN generations AS g ON g.id = h.id"
_OVERDUE = "SELECT id, expires_at FROM holds WHERE expires_at < ?"
_GUARDS = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"


class AuditView:
    """See `ledger.audit.View`. Holds one read transaction of `connection` until `close`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("BEGIN")
        # The snapshot is taken by the first read.
        connection.execute("SELECT count(*) FROM wallets").fetchone()

    def close(self) -> None:
        """Give the snapshot up."""
        self._connection.execute("COMMIT")

    def transfers(self) -> Iterator[TransferFacts]:
        """Every transfer and currency."""
        return map(TransferFacts._make, self._connection.execute(_TRANSFERS))

    def wallets(self) -> Iterator[WalletFacts]:
        """Every wallet."""
        return map(WalletFacts._make, self._connection.execute(_WALLETS))

    def accounts(self) -> Iterator[tuple[str, str, int]]:
        """Every account."""
        return self._connection.execute(_ACCOUNTS)

    def requests(self) -> Iterator[RequestFacts]:
        """Every request that has ended."""
        return map(RequestFacts._make, self._connection.execute(_REQUESTS))

    def key_days(self) -> Iterator[KeyDayFacts]:
        """Every key and day."""
        return map(KeyDayFacts._make, self._connection.execute(_KEY_DAYS))

    def wallet_lines(self) -> Iterator[WalletLine]:
        """Every posting of every wallet, in order."""
        return map(WalletLine._make, self._connection.execute(_LINES))

    def usage_without_request(self) -> Iterator[str]:
        """References that no request explains."""
        return (ref for (ref,) in self._connection.execute(_UNEXPLAINED))

    def ended_holds(self) -> Iterator[str]:
        """Open holds whose request has ended."""
        return (hold_id for (hold_id,) in self._connection.execute(_ENDED))

    def overdue_holds(self, before: int) -> Iterator[tuple[str, int]]:
        """Open holds that should have ended before a time."""
        return self._connection.execute(_OVERDUE, (before,))

    def guards(self) -> Iterator[str]:
        """Names of triggers."""
        return (name for (name,) in self._connection.execute(_GUARDS))
