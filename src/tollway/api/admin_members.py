"""`/admin/organizations/{id}/members`: people of any organization, for the operator; the way in of the first of them."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from tollway.api.edge import Operator, body_of, documented, paged, said
from tollway.api.members import (
    InvitationReply,
    MemberList,
    MemberReply,
    NewMember,
    Pages,
    RoleChange,
    invitation_entry,
    invite,
    member_entry,
)
from tollway.api.rooms import Rooms
from tollway.workspaces.actor import By


class AdminMembers:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._people = rooms, rooms.store.people

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        every = "/admin/organizations/{organization_id}/members"
        one = "/admin/organizations/{organization_id}/members/{user_id}"
        add(every, self.members, methods=["GET"], **documented(MemberList))
        add(every, self.invite, methods=["POST"], **documented(InvitationReply, body=NewMember, status=201))
        add(one, self.change, methods=["PATCH"], **documented(MemberReply, body=RoleChange))
        add(one, self.remove, methods=["DELETE"], **documented(MemberReply))

    async def members(self, _: Operator, organization_id: str, page: Pages) -> Response:
        """Who belongs to an organization."""
        organization = self._rooms.store.workspaces.organization(organization_id)
        shown, more, cursor = paged(self._people.members_of(organization.id), page, lambda member: member.user_id)
        return said(MemberList([member_entry(self._rooms, member) for member in shown], more, cursor))

    async def invite(
        self, operator: Operator, organization_id: str, asked: Annotated[NewMember, body_of(NewMember)]
    ) -> Response:
        """Invite somebody to an organization, as any role: a mail with a token goes out."""
        organization = self._rooms.store.workspaces.organization(organization_id)
        by = By("operator", operator)
        made = await invite(self._rooms, organization.id, asked, by, "The operator of this gateway")
        return said(InvitationReply(invitation_entry(made)), 201)

    async def change(
        self,
        operator: Operator,
        organization_id: str,
        user_id: str,
        asked: Annotated[RoleChange, body_of(RoleChange)],
    ) -> Response:
        """Give a member another role; their sessions end."""
        by = By("operator", operator)
        changed = await self._people.change_role(organization_id, user_id, asked.role, by)
        return said(MemberReply(member_entry(self._rooms, changed)))

    async def remove(self, operator: Operator, organization_id: str, user_id: str) -> Response:
        """Take a member out; their sessions end."""
        gone = await self._people.remove(organization_id, user_id, By("operator", operator))
        return said(MemberReply(member_entry(self._rooms, gone)))
