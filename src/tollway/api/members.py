"""`/v1/members` and `/v1/audit-log`: who belongs to an organization, who is invited, and what was done in it.

Nobody gives or takes a role that can do more than they can, and only an owner makes or unmakes owners.
"""

from contextlib import suppress
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api import letters
from tollway.api.acting import acting
from tollway.api.attempts import Attempts
from tollway.api.edge import AskedBody, Page, body_of, documented, iso, paged, said
from tollway.api.rooms import Rooms
from tollway.errors import Forbidden, InvalidField, NotFound, ScopeMissing
from tollway.store.audit_log import SEQ_MAX, Event
from tollway.workspaces.actor import Actor, By, Role
from tollway.workspaces.member import Invitation, Member
from tollway.workspaces.role import ROLES, may, may_appoint, missing

INVITATIONS_PER_MINUTE = 20
Looking = Annotated[Actor, acting("usage")]
Managing = Annotated[Actor, acting("members")]


class NewMember(AskedBody):
    """Whom to invite, and as what."""

    email: Annotated[str, Field(min_length=3, max_length=320)]
    role: Role


class RoleChange(AskedBody):
    """What a member is from now on."""

    role: Role


class MemberEntry(msgspec.Struct):
    """A person in the organization, since `created_at`."""

    user_id: str
    email: str
    name: str
    role: str
    created_at: str


class InvitationEntry(msgspec.Struct):
    """Somebody who was invited; the token is in their mail alone."""

    id: str
    email: str
    role: str
    invited_by: str
    created_at: str
    expires_at: str


class Doer(msgspec.Struct):
    """Who did something: a `key`, a `member` or an `operator`, with the name it has now, or "" if it has none."""

    kind: str
    id: str
    name: str


class EventEntry(msgspec.Struct):
    """Something that was done. `target`: the id of what it was done to."""

    id: str
    at: str
    actor: Doer
    action: str
    target: str
    details: dict[str, msgspec.Raw]


class MemberReply(msgspec.Struct):
    """A member."""

    data: MemberEntry


class MemberList(msgspec.Struct):
    """Members, oldest first."""

    data: list[MemberEntry]
    has_more: bool
    next_cursor: str | None


class InvitationReply(msgspec.Struct):
    """An invitation."""

    data: InvitationEntry


class InvitationList(msgspec.Struct):
    """Open invitations, oldest first."""

    data: list[InvitationEntry]
    has_more: bool
    next_cursor: str | None


class EventList(msgspec.Struct):
    """What was done in the organization, newest first."""

    data: list[EventEntry]
    has_more: bool
    next_cursor: str | None


REPLIES: tuple[type[msgspec.Struct], ...] = (MemberReply, MemberList, InvitationReply, InvitationList, EventList)
BODIES = (NewMember, RoleChange)
Pages = Annotated[Page, Query()]


class Members:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._people = rooms, rooms.store.people
        self._attempts = Attempts(rooms.clock)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["members"])
        open_, withdrawn, one = (
            "/v1/members/invitations",
            "/v1/members/invitations/{invitation_id}",
            "/v1/members/{user_id}",
        )
        add(open_, self.invitations, methods=["GET"], **documented(InvitationList))
        add(withdrawn, self.withdraw, methods=["DELETE"], **documented(InvitationReply))
        add("/v1/members", self.members, methods=["GET"], **documented(MemberList))
        add("/v1/members", self.invite, methods=["POST"], **documented(InvitationReply, body=NewMember, status=201))
        add(one, self.change, methods=["PATCH"], **documented(MemberReply, body=RoleChange))
        add(one, self.remove, methods=["DELETE"], **documented(MemberReply))
        add("/v1/audit-log", self.log, methods=["GET"], **documented(EventList))

    async def members(self, actor: Looking, page: Pages) -> Response:
        """Who belongs to the organization."""
        shown, more, cursor = paged(self._people.members_of(actor.organization_id), page, lambda one: one.user_id)
        return said(MemberList([member_entry(self._rooms, one) for one in shown], more, cursor))

    async def invite(self, actor: Managing, asked: Annotated[NewMember, body_of(NewMember)]) -> Response:
        """Invite somebody: a mail with a token goes out, good once within seven days."""
        _check(actor, asked.role)
        self._attempts.take("invite people", actor.organization_id, INVITATIONS_PER_MINUTE)
        made = await invite(self._rooms, actor.organization_id, asked, actor.by, actor.name)
        return said(InvitationReply(invitation_entry(made)), 201)

    async def change(
        self, actor: Managing, user_id: str, asked: Annotated[RoleChange, body_of(RoleChange)]
    ) -> Response:
        """Give a member another role; their sessions end."""
        _check(actor, self._people.member(actor.organization_id, user_id).role)
        _check(actor, asked.role)
        changed = await self._people.change_role(actor.organization_id, user_id, asked.role, actor.by)
        return said(MemberReply(member_entry(self._rooms, changed)))

    async def remove(self, actor: Looking, user_id: str) -> Response:
        """Take a member out, or leave; their sessions end."""
        member = self._people.member(actor.organization_id, user_id)
        if actor.by != By("member", user_id):
            if not may(actor, "members"):
                raise ScopeMissing("taking somebody else out needs the scope `members`", scope="members")
            _check(actor, member.role)
        entry = member_entry(self._rooms, await self._people.remove(actor.organization_id, user_id, actor.by))
        return said(MemberReply(entry))

    async def invitations(self, actor: Managing, page: Pages) -> Response:
        """Who is invited and has not come yet."""
        shown, more, cursor = paged(self._people.invitations_of(actor.organization_id), page, lambda one: one.id)
        return said(InvitationList([invitation_entry(one) for one in shown], more, cursor))

    async def withdraw(self, actor: Managing, invitation_id: str) -> Response:
        """Take an invitation back; its token is void."""
        gone = await self._people.withdraw(actor.organization_id, invitation_id, actor.by)
        return said(InvitationReply(invitation_entry(gone)))

    async def log(self, actor: Managing, page: Pages) -> Response:
        """What was done in the organization, and by whom."""
        before = SEQ_MAX
        if page.after is not None:
            # No number has more than 18 digits: what does not fit the database is no cursor either.
            if not (page.after.isascii() and page.after.isdigit() and len(page.after) <= 18):
                raise InvalidField("`after` is not a cursor of this list", param="after")
            before = int(page.after)
        found = await self._people.events(actor.organization_id, page.limit + 1, before)
        shown, more = found[: page.limit], len(found) > page.limit
        return said(EventList([self._event(one) for one in shown], more, str(shown[-1].seq) if more else None))

    def _event(self, one: Event) -> EventEntry:
        doer = Doer(one.by.kind, one.by.id, self._name(one.by))
        return EventEntry(str(one.seq), iso(one.at_ms), doer, one.action, one.target, one.details)

    def _name(self, by: By) -> str:
        with suppress(NotFound):
            if by.kind == "member":
                return self._people.accounts.user(by.id).email
            if by.kind == "key":
                return self._rooms.store.workspaces.key_by_id(by.id).name
        return ""


async def invite(rooms: Rooms, organization_id: str, asked: NewMember, by: By, inviter: str) -> Invitation:
    """Make an invitation and send its mail. Raises as `People.invite`."""
    made, token = await rooms.store.people.invite(organization_id, asked.email, asked.role, by)
    organization = rooms.store.workspaces.organization(organization_id).name
    letter = letters.invitation(rooms.people, token, inviter=inviter, organization=organization, role=made.role)
    rooms.outbox.post(made.email, *letter)
    return made


def member_entry(rooms: Rooms, one: Member) -> MemberEntry:
    """What is told of a member."""
    user = rooms.store.people.accounts.user(one.user_id)
    return MemberEntry(user.id, user.email, user.name, one.role, iso(one.created_at * 1000))


def invitation_entry(one: Invitation) -> InvitationEntry:
    """What is told of an invitation."""
    created, expires = iso(one.created_at * 1000), iso(one.expires_at * 1000)
    return InvitationEntry(one.id, one.email, one.role, one.invited_by.id, created, expires)


def _check(actor: Actor, role: Role) -> None:
    """The actor may give and take this role. Raises ScopeMissing, Forbidden."""
    if may_appoint(actor, role):
        return
    lacking = sorted(missing(actor, ROLES[role]))
    if lacking:
        raise ScopeMissing(
            f"the role `{role}` has scopes that you have not, so you can neither give nor take it: {', '.join(lacking)}",
            scope=lacking[0],
        )
    raise Forbidden("only an owner makes somebody an owner, or changes or removes one; ask an owner")
