"""`/v1/workspaces`, `/v1/organization`, `/v1/wallet/transfer`: an organization's own workspaces, and money between them.

A deleted workspace can be restored for thirty days. What it was charged stays in the ledger for ever.
"""

import logging
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from tollway.api import workspace_export
from tollway.api.acting import acting
from tollway.api.edge import Asked, AskedBody, Money, Page, body_of, documented, iso, paged, said, usd
from tollway.api.key_shapes import OverLimit
from tollway.api.rooms import Rooms
from tollway.api.workspace_export import MEDIA, ExportReply, Format
from tollway.errors import NotFound
from tollway.plans.entitlement import effect, over
from tollway.workspaces.actor import Actor
from tollway.workspaces.workspace import Organization, Workspace

_LIMIT = "workspaces"
Looking = Annotated[Actor, acting("usage")]
Managing = Annotated[Actor, acting("workspaces")]
Moving = Annotated[Actor, acting("transfer")]
Name = Annotated[str, Field(min_length=1, max_length=500)]
_log = logging.getLogger("tollway.workspaces")


class Naming(AskedBody):
    """A name, 1 to 100 printable characters."""

    name: Name


class WorkspacesQuery(Page):
    """Which workspaces of a list."""

    deleted: Annotated[bool, Field(description="Deleted ones that can be restored too.")] = False


class Deletion(Asked):
    """Where the money of a deleted workspace goes."""

    move_to: Annotated[str | None, Field(max_length=100, description="The workspace that gets what is left.")] = None


class ExportQuery(Asked):
    """How an export is written."""

    format: Annotated[Format, Field(description="One document, or one line per row.")] = "json"


class OwnTransfer(AskedBody):
    """Money from the wallet of the caller's workspace to that of another of the same organization."""

    to: Annotated[str, Field(min_length=1, max_length=100)]
    usd: Money
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    external_ref: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="What this answers to; the same one again moves nothing."),
    ] = None


class OwnWorkspace(msgspec.Struct):
    """A workspace: the tenant of every request. current: it is the caller's.

    api_keys: keys that are not revoked. over_limit: it is one of those that the plan has no room for; it works.
    deleted_at, purge_at: its keys are refused since, and it can be restored until; null of one that is not deleted.
    """

    id: str
    name: str
    organization_id: str
    created_at: str
    deleted_at: str | None
    purge_at: str | None
    current: bool
    api_keys: int
    over_limit: bool


class OwnWorkspaceReply(msgspec.Struct):
    """A workspace."""

    data: OwnWorkspace


class OwnWorkspaceList(msgspec.Struct):
    """Workspaces, oldest first. over_limit: null, unless there are more than the plan allows."""

    data: list[OwnWorkspace]
    has_more: bool
    next_cursor: str | None
    over_limit: OverLimit | None


class OwnOrganization(msgspec.Struct):
    """The caller's organization. plan: id of its plan. workspaces: those that are not deleted."""

    id: str
    name: str
    plan: str
    plan_name: str
    workspaces: int
    created_at: str


class OwnOrganizationReply(msgspec.Struct):
    """An organization."""

    data: OwnOrganization


class OwnWallet(msgspec.Struct):
    """A wallet after a transfer, exact USD."""

    workspace_id: str
    workspace_name: str
    balance_usd: str
    available_usd: str


class Transferred(msgspec.Struct):
    """A movement of money. is_replay: this reference had been posted before, and nothing was moved again."""

    transaction_id: str
    kind: str
    amount_usd: str
    is_replay: bool
    wallets: list[OwnWallet]


class TransferReply(msgspec.Struct):
    """A movement of money, and both wallets after it."""

    data: Transferred


REPLIES: tuple[type[msgspec.Struct], ...] = (
    OwnWorkspaceReply, OwnWorkspaceList, OwnOrganizationReply, TransferReply, ExportReply
)  # fmt: skip
BODIES = (Naming, OwnTransfer)


class Workspaces:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["workspaces"])
        told, named = documented(OwnWorkspaceReply), documented(OwnWorkspaceReply, body=Naming)
        made = documented(OwnWorkspaceReply, body=Naming, status=201)
        add("/v1/workspaces", self.list_workspaces, methods=["GET"], **documented(OwnWorkspaceList))
        add("/v1/workspaces", self.add, methods=["POST"], **made)
        add("/v1/workspaces/{workspace_id}", self.show, methods=["GET"], **told)
        add("/v1/workspaces/{workspace_id}", self.rename, methods=["PATCH"], **named)
        add("/v1/workspaces/{workspace_id}", self.delete, methods=["DELETE"], **told)
        add("/v1/workspaces/{workspace_id}/restore", self.restore, methods=["POST"], **told)
        add(
            "/v1/workspaces/{workspace_id}/export", self.export, methods=["GET"], **documented(ExportReply, ndjson=True)
        )
        add("/v1/organization", self.organization, methods=["GET"], **documented(OwnOrganizationReply))
        renamed = documented(OwnOrganizationReply, body=Naming)
        add("/v1/organization", self.rename_organization, methods=["PATCH"], **renamed)
        add("/v1/wallet/transfer", self.move, methods=["POST"], **documented(TransferReply, body=OwnTransfer))

    async def list_workspaces(self, actor: Looking, asked: Annotated[WorkspacesQuery, Query()]) -> Response:
        """The workspaces of the organization, oldest first; deleted ones when asked for."""
        store = self._rooms.store
        live = store.workspaces.live_workspaces(actor.organization_id)
        found = store.workspaces.workspaces_of(actor.organization_id) if asked.deleted else live
        shown, more, cursor = paged(found, asked, lambda one: one.id)
        grants = store.plans.grants(actor.organization_id)
        excess = over(grants, {_LIMIT: len(live)})
        told = OverLimit(excess[0].name, excess[0].limit, excess[0].current, effect(excess[0])) if excess else None
        return said(OwnWorkspaceList([self._entry(actor, one) for one in shown], more, cursor, told))

    async def show(self, actor: Looking, workspace_id: str) -> Response:
        """One workspace of the organization; a deleted one until it is purged."""
        return self._told(actor, self._own(actor, workspace_id))

    async def add(self, actor: Managing, asked: Annotated[Naming, body_of(Naming)]) -> Response:
        """Make a workspace with an empty wallet."""
        made = await self._rooms.store.workspaces.add_workspace(
            actor.organization_id, asked.name, by=actor.by, room=self._room(actor)
        )
        _log.info("%s %s made workspace %s", actor.kind, actor.id, made.id)
        return self._told(actor, made, 201)

    async def rename(self, actor: Managing, workspace_id: str, asked: Annotated[Naming, body_of(Naming)]) -> Response:
        """Give a workspace another name."""
        self._own(actor, workspace_id)
        return self._told(
            actor, await self._rooms.store.workspaces.rename_workspace(workspace_id, asked.name, by=actor.by)
        )

    async def delete(self, actor: Managing, workspace_id: str, asked: Annotated[Deletion, Query()]) -> Response:
        """Delete a workspace: its keys are refused from now on; it can be restored for thirty days. Export it first."""
        self._own(actor, workspace_id)
        deleted = await self._rooms.store.workspaces.delete_workspace(
            workspace_id, move_to=asked.move_to or "", by=actor.by
        )
        _log.info("%s %s deleted workspace %s", actor.kind, actor.id, workspace_id)
        return self._told(actor, deleted)

    async def restore(self, actor: Managing, workspace_id: str) -> Response:
        """Bring a deleted workspace back, its keys with it. Money that was moved out of it stays where it is."""
        self._own(actor, workspace_id)
        restored = await self._rooms.store.workspaces.restore_workspace(
            workspace_id, by=actor.by, room=self._room(actor)
        )
        _log.info("%s %s restored workspace %s", actor.kind, actor.id, workspace_id)
        return self._told(actor, restored)

    async def export(self, actor: Managing, workspace_id: str, asked: Annotated[ExportQuery, Query()]) -> Response:
        """All that is kept about a workspace: its keys without their text, its transactions, its requests."""
        self._own(actor, workspace_id)
        return exported(self._rooms, workspace_id, asked.format)

    async def organization(self, actor: Looking) -> Response:
        """The caller's organization and its plan."""
        return self._organization(self._rooms.store.workspaces.organization(actor.organization_id))

    async def rename_organization(self, actor: Managing, asked: Annotated[Naming, body_of(Naming)]) -> Response:
        """Give the organization another name."""
        return self._organization(
            await self._rooms.store.workspaces.rename_organization(actor.organization_id, asked.name, by=actor.by)
        )

    async def move(self, actor: Moving, asked: Annotated[OwnTransfer, body_of(OwnTransfer)]) -> Response:
        """Move money from the caller's workspace to another of the organization."""
        source, wallets = actor.workspace_id, self._rooms.store.wallets
        if not self._own(actor, asked.to, "to").is_live:
            raise NotFound(f"workspace {asked.to} is deleted; restore it first", param="to")
        # References are unique in the ledger; each workspace has its own.
        ref = f"{source}:{asked.external_ref}" if asked.external_ref else ""
        moved = await wallets.transfer(source, asked.to, asked.usd, reason=asked.reason, external_ref=ref)
        _log.info("%s %s moved %s USD from %s to %s", actor.kind, actor.id, usd(asked.usd), source, asked.to)
        both = [self._wallet(one) for one in (source, asked.to)]
        return said(TransferReply(Transferred(moved.id, "transfer", usd(asked.usd), moved.is_replay, both)))

    def _own(self, actor: Actor, workspace_id: str, param: str | None = None) -> Workspace:
        """A workspace of the actor's organization. Raises NotFound, for others' too."""
        try:
            return self._rooms.store.workspaces.own_workspace(actor.organization_id, workspace_id)
        except NotFound as error:
            raise NotFound(f"{error.message}; `GET /v1/workspaces` lists yours", param=param) from None

    def _room(self, actor: Actor) -> "partial[None]":
        return partial(self._rooms.store.plans.require_room, actor.organization_id, _LIMIT)

    def _told(self, actor: Actor, one: Workspace, status: int = 200) -> Response:
        return said(OwnWorkspaceReply(self._entry(actor, one)), status)

    def _entry(self, actor: Actor, one: Workspace) -> OwnWorkspace:
        store = self._rooms.store
        limit = store.plans.grants(one.organization_id).limit(_LIMIT)
        beyond = store.workspaces.live_workspaces(one.organization_id)[limit:] if limit >= 0 else []
        return OwnWorkspace(
            one.id,
            one.name,
            one.organization_id,
            iso(one.created_at * 1000),
            None if one.deleted_at is None else iso(one.deleted_at * 1000),
            None if one.purge_at is None else iso(one.purge_at * 1000),
            current=one.id == actor.workspace_id,
            api_keys=store.workspaces.live_keys(one.id),
            over_limit=one in beyond,
        )

    def _wallet(self, workspace_id: str) -> OwnWallet:
        balance = self._rooms.store.wallets.balance(workspace_id)
        name = self._rooms.store.workspaces.workspace(workspace_id).name
        return OwnWallet(workspace_id, name, usd(balance.posted_nano), usd(balance.available_nano))

    def _organization(self, one: Organization) -> Response:
        grants = self._rooms.store.plans.grants(one.id)
        live = len(self._rooms.store.workspaces.live_workspaces(one.id))
        told = OwnOrganization(one.id, one.name, grants.plan_id, grants.plan_name, live, iso(one.created_at * 1000))
        return said(OwnOrganizationReply(told))


def exported(rooms: Rooms, workspace_id: str, form: Format) -> Response:
    """The answer to an export, sent while it is read."""
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="workspace-{workspace_id}.{form}"',
    }
    body = workspace_export.written(rooms.store.reader, workspace_id, form)
    return StreamingResponse(body, media_type=MEDIA[form], headers=headers)
