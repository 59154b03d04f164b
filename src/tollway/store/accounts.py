"""Accounts of people: users, their sessions, and ways to a new password. Served from memory, kept in tables.

What ends a session ends it in memory first: the next request with it is refused, however slow the disk is. What adds
somebody is in memory first too, so that two requests at once cannot make the same account twice.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from tollway.errors import AlreadyExists, InvalidToken, LedgerUnavailable, NotFound, TollwayError
from tollway.ports import Clock, Ids
from tollway.store.entries import Statements
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sqlite import Params
from tollway.workspaces.key import SESSION_PREFIX, digest, looks_like_key, new_secret
from tollway.workspaces.member import RESET_PREFIX, Session, User, checked_email, email_key

RESET_S = 3_600
RESET_AGAIN_S = 60
"""A mail with a new way to a password goes out at most once a minute."""
SESSION_AGE_MAX_S = 30 * 86_400
"""A session ends so long after its login, however often it is used."""
SESSIONS_MAX = 50
_NEW_USER = "INSERT INTO users (id, email, email_key, name, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)"
_NEW_SESSION = "INSERT INTO sessions (id, user_id, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
_NEW_RESET = """
INSERT INTO password_resets (user_id, digest, created_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at,
                                    expires_at = excluded.expires_at
"""
Statement = tuple[str, Params]


class _Reset(NamedTuple):
    digest: bytes
    created_at: int
    expires_at: int


class Accounts:
    """Who has an account. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        *,
        clock: Clock,
        ids: Ids,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`connection` is read from once, here."""
        self._ledger, self._clock, self._ids = ledger, clock, ids
        self._pepper, self._random_bytes = pepper, random_bytes
        rows = connection.execute("SELECT id, email, name, password_hash, created_at FROM users")
        self._users = {row[0]: User(*row) for row in rows}
        self._by_email = {email_key(one.email): one.id for one in self._users.values()}
        self._sessions: dict[bytes, Session] = {}
        self._of_user: defaultdict[str, dict[bytes, None]] = defaultdict(dict)
        """User -> digests of their sessions, oldest first."""
        self._written: dict[bytes, int] = {}
        """When a session ends as far as the disk knows."""
        rows = connection.execute(
            "SELECT digest, id, user_id, created_at, expires_at FROM sessions ORDER BY created_at"
        )
        for found, *rest in rows:
            self._know(found, Session(*rest))
        rows = connection.execute("SELECT user_id, digest, created_at, expires_at FROM password_resets")
        self._resets = {row[0]: _Reset(*row[1:]) for row in rows}

    def _know(self, found: bytes, session: Session) -> None:
        self._sessions[found] = session
        self._of_user[session.user_id][found] = None
        self._written[found] = session.expires_at

    # --- people ---

    def user(self, user_id: str) -> User:
        """Raises NotFound."""
        found = self._users.get(user_id)
        if found is None:
            raise NotFound(f"there is no user {user_id}")
        return found

    def by_email(self, email: str) -> User | None:
        """The person with this address, whatever its case; None if there is none."""
        found = self._by_email.get(email_key(email))
        return None if found is None else self._users[found]

    def refuse_if_known(self, email: str) -> None:
        """Raises AlreadyExists: the address has an account."""
        if self.by_email(email) is not None:
            raise AlreadyExists(
                f"{email.strip()} has an account already; log in with it, or ask for a new password", param="email"
            )

    async def add(self, email: str, name: str, password_hash: str) -> User:
        """A new account.

        Raises:
            AlreadyExists: the address has one. ValidationFailed: it is no address.
        """
        made = User(self._ids.new(), checked_email(email), name, password_hash, int(self._clock.now()))
        self.refuse_if_known(made.email)
        key = email_key(made.email)
        self._users[made.id], self._by_email[key] = made, made.id
        row = (made.id, made.email, key, made.name, made.password_hash, made.created_at)
        try:
            await self._ledger.execute((_NEW_USER, row))
        except TollwayError:
            del self._users[made.id], self._by_email[key]
            raise
        return made

    async def set_password(self, user_id: str, password_hash: str, *, keep: str = "") -> None:
        """Another password: every session of the person ends, but the one with the id `keep`. Raises NotFound."""
        self._users[user_id] = replace(self.user(user_id), password_hash=password_hash)
        self._resets.pop(user_id, None)
        await self._ledger.execute(
            ("UPDATE users SET password_hash = ? WHERE id = ?", (password_hash, user_id)),
            ("DELETE FROM password_resets WHERE user_id = ?", (user_id,)),
            *self.forget_sessions(user_id, keep=keep),
        )

    # --- sessions ---

    async def open_session(self, user_id: str, lifetime_s: int) -> tuple[Session, str]:
        """A login, and its token, which is told once and not kept. `lifetime_s`: without use."""
        token = new_secret(self._random_bytes, SESSION_PREFIX)
        now = int(self._clock.now())
        made = Session(self._ids.new(), user_id, now, now + min(lifetime_s, SESSION_AGE_MAX_S))
        mine = list(self._of_user[user_id])
        ended = self._forget(mine[: max(len(mine) + 1 - SESSIONS_MAX, 0)])
        found = digest(token, self._pepper)
        self._know(found, made)
        await self._ledger.execute(*ended, (_NEW_SESSION, (made.id, user_id, found, made.created_at, made.expires_at)))
        return made, token

    def session(self, found: bytes, lifetime_s: int) -> Session | None:
        """The session with this token's digest, None if there is none or it has ended. Using it lets it last longer."""
        session = self._sessions.get(found)
        now = int(self._clock.now())
        if session is None or session.expires_at <= now:
            return None
        until = min(now + lifetime_s, session.created_at + SESSION_AGE_MAX_S)
        if until > session.expires_at:
            session = self._sessions[found] = replace(session, expires_at=until)
            # The disk need not know each use: a restart may cost a session a little of its time, never prolong it.
            if until - self._written[found] > lifetime_s // 20:
                self._prolong(found, session)
        return session

    def _prolong(self, found: bytes, session: Session) -> None:
        row = (session.expires_at, session.id)
        try:
            self._ledger.push(Statements(("UPDATE sessions SET expires_at = ? WHERE id = ?", row)))
        except LedgerUnavailable:
            return
        self._written[found] = session.expires_at

    async def end_session(self, session: Session) -> None:
        """Log out. Again: no change."""
        mine = list(self._of_user[session.user_id])
        await self._ledger.execute(*self._forget(one for one in mine if self._sessions[one].id == session.id))

    def forget_sessions(self, user_id: str, *, keep: str = "") -> list[Statement]:
        """End the sessions of a person in memory, at once, but the one with the id `keep`; what the disk is still owed."""
        mine = list(self._of_user[user_id])
        return self._forget(one for one in mine if not keep or self._sessions[one].id != keep)

    def _forget(self, digests: Iterable[bytes]) -> list[Statement]:
        owed = list[Statement]()
        for found in digests:
            gone = self._sessions.pop(found)
            del self._written[found], self._of_user[gone.user_id][found]
            owed.append(("DELETE FROM sessions WHERE id = ?", (gone.id,)))
        return owed

    # --- new passwords ---

    async def new_reset(self, user_id: str) -> str | None:
        """A token that lets its holder set a password, once, for an hour; the one before it is void.

        None when one was made within the last minute.
        """
        now = int(self._clock.now())
        last = self._resets.get(user_id)
        if last is not None and now - last.created_at < RESET_AGAIN_S:
            return None
        token = new_secret(self._random_bytes, RESET_PREFIX)
        made = self._resets[user_id] = _Reset(digest(token, self._pepper), now, now + RESET_S)
        await self._ledger.execute((_NEW_RESET, (user_id, *made)))
        return token

    def reset(self, token: str) -> User:
        """Whose password this token may set; it stays good until `set_password`. Raises InvalidToken."""
        if looks_like_key(token, RESET_PREFIX):
            found, now = digest(token, self._pepper), int(self._clock.now())
            for user_id, one in self._resets.items():
                if one.digest == found and one.expires_at > now:
                    return self._users[user_id]
        raise InvalidToken(param="token")

    async def purge(self, now: int) -> None:
        """Drop what has ended. `now`: unix seconds."""
        over = [found for found, one in self._sessions.items() if one.expires_at <= now]
        late = [user_id for user_id, one in self._resets.items() if one.expires_at <= now]
        for user_id in late:
            del self._resets[user_id]
        gone = [("DELETE FROM password_resets WHERE user_id = ?", (user_id,)) for user_id in late]
        statements = [*self._forget(over), *gone]
        if statements:
            await self._ledger.execute(*statements)
