"""People in organizations: members and their roles, invitations, and the log of what they did.

Accounts and sessions are in `accounts.py`, below the same attribute of the store. Rules that two requests could break
together - one owner stays, the plan has room - are decided in memory in one step, and written afterwards.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from tollway.errors import AlreadyExists, InvalidToken, LastOwner, NotFound, TollwayError
from tollway.jsontypes import JSONObject
from tollway.ports import Clock, Ids
from tollway.store.accounts import Accounts, Statement
from tollway.store.audit_log import Event, audit_statement, events
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader
from tollway.workspaces.actor import By, Role
from tollway.workspaces.key import digest, looks_like_key, new_secret
from tollway.workspaces.member import INVITATION_PREFIX, Invitation, Member, User, checked_email, email_key

INVITATION_S = 7 * 86_400
_NEW_MEMBER = "INSERT INTO members (organization_id, user_id, role, created_at) VALUES (?, ?, ?, ?)"
_NEW_INVITATION = """
INSERT INTO invitations (id, organization_id, email, role, invited_by_kind, invited_by, digest, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INVITATIONS = """
SELECT digest, id, organization_id, email, role, invited_by_kind, invited_by, created_at, expires_at FROM invitations
"""
_GONE = "DELETE FROM invitations WHERE id = ?"
RequireRoom = Callable[[str, str, int], None]
"""(organization, limit name, how many there are): raises TierLimitExceeded when the plan has no room for one more."""


class People:
    """Who belongs where. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        reader: Reader,
        *,
        clock: Clock,
        ids: Ids,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
        require_room: RequireRoom,
    ) -> None:
        """`connection` is read from once, here."""
        self._ledger, self._reader, self._clock, self._ids = ledger, reader, clock, ids
        self._pepper, self._random_bytes, self._require_room = pepper, random_bytes, require_room
        self.accounts = Accounts(connection, ledger, clock=clock, ids=ids, pepper=pepper, random_bytes=random_bytes)
        rows = connection.execute("SELECT organization_id, user_id, role, created_at FROM members")
        self._members: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        """Organization -> user -> member."""
        self._places: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        """User -> organization -> member: the same members."""
        for row in rows:
            self._put(Member(*row))
        self._invitations: dict[bytes, Invitation] = {}
        for found, id_, organization, email, role, kind, by, created, expires in connection.execute(_INVITATIONS):
            self._invitations[found] = Invitation(id_, organization, email, role, By(kind, by), created, expires)

    def _put(self, member: Member) -> None:
        self._members[member.organization_id][member.user_id] = member
        self._places[member.user_id][member.organization_id] = member

    def _drop(self, member: Member) -> None:
        del self._members[member.organization_id][member.user_id]
        del self._places[member.user_id][member.organization_id]

    # --- members ---

    def member(self, organization_id: str, user_id: str) -> Member:
        """Raises NotFound, for people of other organizations too."""
        found = self._places.get(user_id, {}).get(organization_id)
        if found is None:
            raise NotFound(f"there is no member {user_id}")
        return found

    def members_of(self, organization_id: str) -> list[Member]:
        """The members of an organization, oldest first."""
        found = self._members.get(organization_id, {}).values()
        return sorted(found, key=lambda one: (one.created_at, one.user_id))

    def memberships(self, user_id: str) -> list[Member]:
        """Where a person belongs, oldest first."""
        found = self._places.get(user_id, {}).values()
        return sorted(found, key=lambda one: (one.created_at, one.organization_id))

    async def join(self, organization_id: str, user_id: str, role: Role) -> Member:
        """A person joins, by their own doing (a sign-up). Raises AlreadyExists."""
        made = self._joined(organization_id, user_id, role)
        await self._enter(made, By("member", user_id))
        return made

    def _joined(self, organization_id: str, user_id: str, role: Role) -> Member:
        if user_id in self._members[organization_id]:
            raise AlreadyExists("you are a member of this organization already")
        return Member(organization_id, user_id, role, int(self._clock.now()))

    async def _enter(self, made: Member, by: By, *more: Statement) -> None:
        self._put(made)
        try:
            await self._ledger.execute(
                (_NEW_MEMBER, (made.organization_id, made.user_id, made.role, made.created_at)),
                *more,
                self._event(made.organization_id, by, "member.join", made.user_id, {"role": made.role}),
            )
        except TollwayError:
            self._drop(made)
            raise

    async def change_role(self, organization_id: str, user_id: str, role: Role, by: By) -> Member:
        """Give a member another role. Their sessions and open invitations end before the next request (security.md).

        Raises:
            NotFound: no such member. LastOwner: nobody else owns the organization.
        """
        old = self.member(organization_id, user_id)
        if old.role == role:
            return old
        self._keep_an_owner(old)
        made = replace(old, role=role)
        self._put(made)
        details: JSONObject = {"from": old.role, "to": role}
        await self._ledger.execute(
            (
                "UPDATE members SET role = ? WHERE organization_id = ? AND user_id = ?",
                (role, organization_id, user_id),
            ),
            *self.accounts.forget_sessions(user_id),
            *self._forget_invited_by(organization_id, By("member", user_id)),
            self._event(organization_id, by, "member.role", user_id, details),
        )
        return made

    async def remove(self, organization_id: str, user_id: str, by: By) -> Member:
        """Take a member out; their sessions and open invitations end. Their account stays, and what they made.

        Raises:
            NotFound: no such member. LastOwner: nobody else owns the organization.
        """
        gone = self.member(organization_id, user_id)
        self._keep_an_owner(gone)
        self._drop(gone)
        await self._ledger.execute(
            ("DELETE FROM members WHERE organization_id = ? AND user_id = ?", (organization_id, user_id)),
            *self.accounts.forget_sessions(user_id),
            *self._forget_invited_by(organization_id, By("member", user_id)),
            self._event(organization_id, by, "member.remove", user_id, {"role": gone.role}),
        )
        return gone

    def _keep_an_owner(self, leaving: Member) -> None:
        owners = [one for one in self.members_of(leaving.organization_id) if one.role == "owner"]
        if owners == [leaving]:
            raise LastOwner

    # --- invitations ---

    def invitations_of(self, organization_id: str) -> list[Invitation]:
        """Open invitations, oldest first."""
        now = self._clock.now()
        found = [one for one in self._invitations.values() if one.organization_id == organization_id]
        return sorted((one for one in found if one.expires_at > now), key=lambda one: (one.created_at, one.id))

    async def invite(self, organization_id: str, email: str, role: Role, by: By) -> tuple[Invitation, str]:
        """Invite somebody, for seven days; an earlier invitation of theirs is void. With the token, told once.

        Raises:
            AlreadyExists: they are a member. ValidationFailed: no address. TierLimitExceeded: the plan has no room.
        """
        email = checked_email(email)
        account = self.accounts.by_email(email)
        if account is not None and account.id in self._members[organization_id]:
            raise AlreadyExists(f"{email} is a member already; change the role instead", param="email")
        others = [one for one in self.invitations_of(organization_id) if email_key(one.email) != email_key(email)]
        self._require_room(organization_id, "members", len(self.members_of(organization_id)) + len(others))
        void = [
            found
            for found, one in self._invitations.items()
            if one.organization_id == organization_id and email_key(one.email) == email_key(email)
        ]
        statements = self._forget(void)
        token = new_secret(self._random_bytes, INVITATION_PREFIX)
        now = int(self._clock.now())
        made = Invitation(self._ids.new(), organization_id, email, role, by, now, now + INVITATION_S)
        found = digest(token, self._pepper)
        self._invitations[found] = made
        row = (made.id, organization_id, email, role, by.kind, by.id, found, made.created_at, made.expires_at)
        details: JSONObject = {"email": email, "role": role}
        await self._ledger.execute(
            *statements,
            (_NEW_INVITATION, row),
            self._event(organization_id, by, "invitation.create", made.id, details),
        )
        return made, token

    def require_room(self, organization_id: str) -> None:
        """Raises TierLimitExceeded when the plan has no room for one more member."""
        self._require_room(organization_id, "members", len(self.members_of(organization_id)))

    def invitation(self, token: str) -> Invitation:
        """The open invitation of a token. Raises InvalidToken."""
        found = self._invitations.get(digest(token, self._pepper)) if looks_like_key(token, INVITATION_PREFIX) else None
        if found is None or found.expires_at <= self._clock.now():
            raise InvalidToken(param="token")
        return found

    async def accept(self, token: str, user: User) -> Member:
        """Join by an invitation, which is used up.

        Raises:
            InvalidToken: not good, or another person's. AlreadyExists: a member already. TierLimitExceeded: no room.
        """
        invitation = self.invitation(token)
        if email_key(invitation.email) != email_key(user.email):
            raise InvalidToken(
                f"This invitation is not for {user.email}; log in as whom it was sent to.", param="token"
            )
        organization_id = invitation.organization_id
        made = self._joined(organization_id, user.id, invitation.role)
        self.require_room(organization_id)
        statements = self._forget([digest(token, self._pepper)])
        await self._enter(made, By("member", user.id), *statements)
        return made

    async def withdraw(self, organization_id: str, invitation_id: str, by: By) -> Invitation:
        """Take an invitation back. Raises NotFound."""
        for found, one in self._invitations.items():
            if (one.id, one.organization_id) == (invitation_id, organization_id):
                event = self._event(organization_id, by, "invitation.withdraw", one.id, {"email": one.email})
                await self._ledger.execute(*self._forget([found]), event)
                return one
        raise NotFound(f"there is no invitation {invitation_id}")

    def _forget_invited_by(self, organization_id: str, by: By) -> list[Statement]:
        """Who loses a role leaves no way in behind."""
        mine = [
            found
            for found, one in self._invitations.items()
            if (one.organization_id, one.invited_by) == (organization_id, by)
        ]
        return self._forget(mine)

    def _forget(self, digests: list[bytes]) -> list[Statement]:
        return [(_GONE, (self._invitations.pop(found).id,)) for found in digests]

    # --- what was done ---

    async def audit(
        self, organization_id: str, by: By, action: str, target: str, details: JSONObject | None = None
    ) -> None:
        """Note that something was done: `action` is `noun.verb`, `target` the id of what it was done to."""
        await self._ledger.execute(self._event(organization_id, by, action, target, details))

    def _event(self, organization_id: str, by: By, action: str, target: str, details: JSONObject | None) -> Statement:
        return audit_statement(organization_id, by, action, target, details, int(self._clock.now() * 1000))

    async def events(self, organization_id: str, limit: int, before: int) -> list[Event]:
        """At most `limit` events, newest first, older than the one numbered `before`."""
        return await self._reader.run(events, organization_id, limit, before)

    async def purge(self, now: int) -> None:
        """Drop what has ended. `now`: unix seconds."""
        await self.accounts.purge(now)
        over = [found for found, one in self._invitations.items() if one.expires_at <= now]
        if over:
            await self._ledger.execute(*self._forget(over))
