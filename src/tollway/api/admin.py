"""`/admin`: what an operator does to organizations, workspaces, keys and wallets.

Asked with an operator token, `twa_...`, of which the store keeps a digest, or with the control token that the command
line of this machine finds. Amounts are exact decimal text; a JSON number is refused. Every movement names its reason.
"""

import logging
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api import admin_keys, admin_workspaces
from tollway.api.admin_keys import AdminKeys
from tollway.api.admin_workspaces import AdminWorkspaces, WorkspaceEntry, workspace_entry
from tollway.api.edge import AskedBody, Money, Operator, Page, body_of, documented, iso, paged, said, usd
from tollway.api.rooms import Rooms
from tollway.api.workspaces import Naming
from tollway.errors import InvalidField
from tollway.money.amount import NANO_MAX
from tollway.store.wallets import Moved
from tollway.workspaces.actor import By
from tollway.workspaces.workspace import Organization

Text = Annotated[str, Field(min_length=1, max_length=500)]
Reference = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="What this answers to; the same one again moves nothing."),
]
_log = logging.getLogger("tollway.admin")


class NewOrganization(AskedBody):
    """An organization to make."""

    name: Text


class Credit(AskedBody):
    """Money into a wallet; an adjustment may be negative."""

    usd: Money
    kind: Literal["topup", "grant", "adjustment", "refund"]
    reason: Text
    external_ref: Reference = None


class Movement(AskedBody):
    """Money from one wallet to another of the same organization."""

    source: Annotated[str, Field(alias="from", min_length=1, max_length=100)]
    target: Annotated[str, Field(alias="to", min_length=1, max_length=100)]
    usd: Money
    reason: Text
    external_ref: Reference = None


class OrganizationEntry(msgspec.Struct):
    """An organization and its workspaces."""

    id: str
    name: str
    created_at: str
    workspaces: list[WorkspaceEntry]


class WalletEntry(msgspec.Struct):
    """A workspace's wallet, exact USD: available = balance - reserved - frozen."""

    workspace_id: str
    workspace_name: str
    organization_id: str
    balance_usd: str
    reserved_usd: str
    frozen_usd: str
    available_usd: str


class PostedEntry(msgspec.Struct):
    """A movement of money. is_replay: this reference had been posted before, and nothing was moved again."""

    transaction_id: str
    kind: str
    amount_usd: str
    is_replay: bool
    wallets: list[WalletEntry]


class OrganizationReply(msgspec.Struct):
    """An organization."""

    data: OrganizationEntry


class OrganizationList(msgspec.Struct):
    """Organizations, oldest first."""

    data: list[OrganizationEntry]
    has_more: bool
    next_cursor: str | None


class WalletList(msgspec.Struct):
    """Wallets, oldest workspace first."""

    data: list[WalletEntry]
    has_more: bool
    next_cursor: str | None


class PostedReply(msgspec.Struct):
    """A movement of money, and the wallets after it."""

    data: PostedEntry


REPLIES: tuple[type[msgspec.Struct], ...] = (
    OrganizationReply, OrganizationList, WalletList, PostedReply, *admin_workspaces.REPLIES
)  # fmt: skip
BODIES = (NewOrganization, Credit, Movement, *admin_keys.BODIES, *admin_workspaces.BODIES)
Pages = Annotated[Page, Query()]


class Admin:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._keys, self._workspaces = AdminKeys(rooms), AdminWorkspaces(rooms)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        add("/admin/organizations", self.organizations, methods=["GET"], **documented(OrganizationList))
        add(
            "/admin/organizations",
            self.add_organization,
            methods=["POST"],
            **documented(OrganizationReply, body=NewOrganization, status=201),
        )
        renamed = documented(OrganizationReply, body=Naming)
        add("/admin/organizations/{organization_id}", self.rename_organization, methods=["PATCH"], **renamed)
        add("/admin/wallets", self.wallets, methods=["GET"], **documented(WalletList))
        add("/admin/wallets/transfer", self.move, methods=["POST"], **documented(PostedReply, body=Movement))
        credited = documented(PostedReply, body=Credit)
        add("/admin/wallets/{workspace_id}/credit", self.credit, methods=["POST"], **credited)
        self._workspaces.add_to(router)
        self._keys.add_to(router)

    async def organizations(self, _: Operator, page: Pages) -> Response:
        """Every organization with its workspaces."""
        workspaces = self._rooms.store.workspaces
        found = sorted(workspaces.organizations.values(), key=lambda one: (one.created_at, one.id))
        shown, more, cursor = paged(found, page, lambda one: one.id)
        return said(OrganizationList([self._organization(one) for one in shown], more, cursor))

    async def add_organization(
        self, operator: Operator, asked: Annotated[NewOrganization, body_of(NewOrganization)]
    ) -> Response:
        """Make an organization."""
        made = await self._rooms.store.workspaces.add_organization(asked.name)
        _log.info("operator %s made organization %s", operator, made.id)
        return said(OrganizationReply(self._organization(made)), 201)

    async def rename_organization(
        self, operator: Operator, organization_id: str, asked: Annotated[Naming, body_of(Naming)]
    ) -> Response:
        """Give an organization another name."""
        renamed = await self._rooms.store.workspaces.rename_organization(
            organization_id, asked.name, by=By("operator", operator)
        )
        return said(OrganizationReply(self._organization(renamed)))

    async def wallets(self, _: Operator, page: Pages) -> Response:
        """Every wallet as it is now."""
        found = sorted(self._rooms.store.workspaces.workspaces.values(), key=lambda one: (one.created_at, one.id))
        shown, more, cursor = paged(found, page, lambda one: one.id)
        return said(WalletList([self._wallet(one.id) for one in shown], more, cursor))

    async def credit(
        self, operator: Operator, workspace_id: str, asked: Annotated[Credit, body_of(Credit)]
    ) -> Response:
        """Put money into a wallet: a top-up that arrived, a grant, a refund of a charge, or an adjustment."""
        self._check_room(workspace_id, asked.usd)
        moved = await self._rooms.store.wallets.credit(
            workspace_id, asked.usd, kind=asked.kind, reason=asked.reason, external_ref=asked.external_ref or ""
        )
        _log.info(
            "operator %s: %s of %s USD to %s: %s", operator, asked.kind, usd(asked.usd), workspace_id, asked.reason
        )
        return self._moved(moved, asked.kind, asked.usd, workspace_id)

    async def move(self, operator: Operator, asked: Annotated[Movement, body_of(Movement)]) -> Response:
        """Move money between two wallets of one organization."""
        self._check_room(asked.target, asked.usd)
        moved = await self._rooms.store.wallets.transfer(
            asked.source, asked.target, asked.usd, reason=asked.reason, external_ref=asked.external_ref or ""
        )
        _log.info(
            "operator %s: %s USD from %s to %s: %s", operator, usd(asked.usd), asked.source, asked.target, asked.reason
        )
        return self._moved(moved, "transfer", asked.usd, asked.source, asked.target)

    def _check_room(self, workspace_id: str, amount_nano: int) -> None:
        """Refuse what the ledger cannot count: its writer would stop over it. Raises InvalidField, NotFound."""
        if self._rooms.store.wallets.balance(workspace_id).posted_nano + amount_nano > NANO_MAX:
            raise InvalidField("`usd`: the wallet would hold more than the ledger can count", param="usd")

    def _moved(self, moved: Moved, kind: str, amount_nano: int, *workspace_ids: str) -> Response:
        wallets = [self._wallet(workspace_id) for workspace_id in workspace_ids]
        return said(PostedReply(PostedEntry(moved.id, kind, usd(amount_nano), moved.is_replay, wallets)))

    def _organization(self, one: Organization) -> OrganizationEntry:
        inside = [ws for ws in self._rooms.store.workspaces.workspaces.values() if ws.organization_id == one.id]
        inside.sort(key=lambda ws: (ws.created_at, ws.id))
        return OrganizationEntry(one.id, one.name, iso(one.created_at * 1000), [workspace_entry(ws) for ws in inside])

    def _wallet(self, workspace_id: str) -> WalletEntry:
        workspace = self._rooms.store.workspaces.workspace(workspace_id)
        balance = self._rooms.store.wallets.balance(workspace_id)
        return WalletEntry(
            workspace.id,
            workspace.name,
            workspace.organization_id,
            usd(balance.posted_nano),
            usd(balance.held_nano),
            usd(balance.frozen_nano),
            usd(balance.available_nano),
        )
