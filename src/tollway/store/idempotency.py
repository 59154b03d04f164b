"""Replies by Idempotency-Key: who asks again within a day gets the stored reply and is charged once (money.md R10).

What is not on disk yet is in memory; everything else is one look-up by primary key on a connection of its own, so
memory does not grow with the keys of a day. Writes ride with the ledger's; a key whose request died with the process
may be used again.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tollway.errors import LedgerUnavailable
from tollway.store.entries import Entry, Statements
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sqlite import Params, open_reader

KEPT_S = 86_400

_FIND = (
    "SELECT body_hash, state, status, content_type, reply, created_at FROM replies WHERE workspace_id = ? AND key = ?"
)
_RUN = """
INSERT INTO replies (workspace_id, key, body_hash, state, created_at) VALUES (?, ?, ?, 'running', ?)
ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash, state = 'running', status = 0, content_type = '', reply = x'',
                          created_at = excluded.created_at
"""
_FINISH = (
    "UPDATE replies SET state = 'done', status = ?, content_type = ?, reply = ? WHERE workspace_id = ? AND key = ?"
)
_FORGET = "DELETE FROM replies WHERE workspace_id = ? AND key = ?"
_PURGE = "DELETE FROM replies WHERE created_at < ? AND state = 'done'"


@dataclass(slots=True)
class Begun:
    """What `begin` found: `new`, `running`, `mismatch`, or `replay` with the stored reply."""

    state: str
    status: int = 0
    content_type: str = ""
    body: bytes = b""


class _Kept(NamedTuple):
    body_hash: bytes
    state: str
    status: int
    content_type: str
    reply: bytes
    created_at: int


class _Write(Statements):
    """A write of one key's row; forgets the copy in memory when it is on disk and nothing newer came."""

    __slots__ = ("_kept", "_key", "_recent")

    def __init__(
        self,
        recent: "dict[tuple[str, str], _Kept | None]",
        key: tuple[str, str],
        kept: "_Kept | None",
        statement: tuple[str, Params],
    ) -> None:
        super().__init__(statement)
        self._recent, self._key, self._kept = recent, key, kept

    def committed(self) -> None:
        if self._recent.get(self._key, self) is self._kept:
            del self._recent[self._key]
        super().committed()


class Idempotency:
    """The stored replies. All methods belong to the event loop's thread and return at once."""

    def __init__(self, path: Path, ledger: EmbeddedLedger) -> None:
        self._connection: sqlite3.Connection = open_reader(path)
        self._ledger = ledger
        self._recent: dict[tuple[str, str], _Kept | None] = {}
        """What is newer than the disk; None: forgotten."""

    def begin(self, workspace_id: str, key: str, body_hash: bytes, now: float) -> Begun:
        """Claim a key for a request, or say why not.

        `new`: claimed; end it with `finish` or `forget`. `running`: another request has it. `mismatch`: it was used for
        another body. `replay`: the stored reply. `now`: unix seconds; a reply is kept for a day.

        Raises:
            LedgerUnavailable: the claim cannot be written.
        """
        name = (workspace_id, key)
        kept = self._find(name)
        if kept is not None and (kept.state == "running" or kept.created_at > now - KEPT_S):
            if kept.body_hash != body_hash:
                return Begun("mismatch")
            if kept.state == "running":
                return Begun("running")
            return Begun("replay", kept.status, kept.content_type, kept.reply)
        claimed = _Kept(body_hash, "running", 0, "", b"", int(now))
        self._ledger.push(_Write(self._recent, name, claimed, (_RUN, (*name, body_hash, int(now)))))
        self._recent[name] = claimed
        return Begun("new")

    def finish(self, workspace_id: str, key: str, status: int, content_type: str, body: bytes) -> None:
        """Keep the reply of a claimed key; call it just before the settle, so that both are on disk together.

        Were the charge on disk and the reply not, a crash between them would let the key be charged twice. Until it is
        on disk the key counts as running: nothing final is said before the ledger has it. Never raises: what stops this
        write stops the settle, which tells.
        """
        name = (workspace_id, key)
        claimed = self._find(name)
        if claimed is not None:
            self._recent[name] = claimed
            self._push(_Write(self._recent, name, claimed, (_FINISH, (status, content_type, body, *name))))

    def forget(self, workspace_id: str, key: str) -> None:
        """Give a claimed key back: its request ended without a reply worth keeping. Never raises."""
        name = (workspace_id, key)
        self._recent[name] = None
        self._push(_Write(self._recent, name, None, (_FORGET, name)))

    def purge(self, now: float) -> None:
        """Drop replies older than a day."""
        before = int(now) - KEPT_S
        for name in [name for name, kept in self._recent.items() if kept is not None and kept.created_at < before]:
            if (kept := self._recent[name]) is not None and kept.state == "done":
                del self._recent[name]
        self._push(Statements((_PURGE, (before,))))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _find(self, name: tuple[str, str]) -> _Kept | None:
        if name in self._recent:
            return self._recent[name]
        row = self._connection.execute(_FIND, name).fetchone()
        return None if row is None else _Kept(*row)

    def _push(self, entry: Entry) -> None:
        try:
            self._ledger.push(entry)
        except LedgerUnavailable:
            # The claim in memory answers until the process ends; after that it is recovery's to drop.
            return
