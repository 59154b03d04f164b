"""`/admin/workspaces/{workspace_id}`: what an operator does to one workspace. An operator is not held to plans."""

import logging
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import AskedBody, Operator, body_of, documented, iso, said
from tollway.api.rooms import Rooms
from tollway.api.workspace_export import ExportReply
from tollway.api.workspaces import Deletion, ExportQuery, Naming, exported
from tollway.workspaces.actor import By
from tollway.workspaces.workspace import Workspace

_log = logging.getLogger("tollway.admin")


class NewWorkspace(AskedBody):
    """A workspace to make, with an empty wallet."""

    organization_id: Annotated[str, Field(min_length=1, max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=500)]


class WorkspaceEntry(msgspec.Struct):
    """A workspace: the tenant of every request.

    deleted_at, purge_at: its keys are refused since, and it can be restored until. purged_at: gone for ever. null: not so.
    """

    id: str
    organization_id: str
    name: str
    created_at: str
    deleted_at: str | None
    purge_at: str | None
    purged_at: str | None


class WorkspaceReply(msgspec.Struct):
    """A workspace."""

    data: WorkspaceEntry


REPLIES: tuple[type[msgspec.Struct], ...] = (WorkspaceReply,)
BODIES = (NewWorkspace,)


class AdminWorkspaces:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add, told = partial(router.add_api_route, tags=["admin"]), documented(WorkspaceReply)
        made = documented(WorkspaceReply, body=NewWorkspace, status=201)
        add("/admin/workspaces", self.add, methods=["POST"], **made)
        named = documented(WorkspaceReply, body=Naming)
        add("/admin/workspaces/{workspace_id}", self.rename, methods=["PATCH"], **named)
        add("/admin/workspaces/{workspace_id}", self.delete, methods=["DELETE"], **told)
        add("/admin/workspaces/{workspace_id}/restore", self.restore, methods=["POST"], **told)
        add(
            "/admin/workspaces/{workspace_id}/export",
            self.export,
            methods=["GET"],
            **documented(ExportReply, ndjson=True),
        )

    async def add(self, operator: Operator, asked: Annotated[NewWorkspace, body_of(NewWorkspace)]) -> Response:
        """Make a workspace with an empty wallet in an organization."""
        made = await self._rooms.store.workspaces.add_workspace(
            asked.organization_id, asked.name, by=By("operator", operator)
        )
        _log.info("operator %s made workspace %s", operator, made.id)
        return said(WorkspaceReply(workspace_entry(made)), 201)

    async def rename(
        self, operator: Operator, workspace_id: str, asked: Annotated[Naming, body_of(Naming)]
    ) -> Response:
        """Give a workspace another name."""
        by = By("operator", operator)
        return _told(await self._rooms.store.workspaces.rename_workspace(workspace_id, asked.name, by=by))

    async def delete(self, operator: Operator, workspace_id: str, asked: Annotated[Deletion, Query()]) -> Response:
        """Delete a workspace: its keys are refused from now on; it can be restored for thirty days."""
        by = By("operator", operator)
        deleted = await self._rooms.store.workspaces.delete_workspace(workspace_id, move_to=asked.move_to or "", by=by)
        _log.info("operator %s deleted workspace %s", operator, workspace_id)
        return _told(deleted)

    async def restore(self, operator: Operator, workspace_id: str) -> Response:
        """Bring a deleted workspace back, its keys with it."""
        by = By("operator", operator)
        restored = await self._rooms.store.workspaces.restore_workspace(workspace_id, by=by)
        _log.info("operator %s restored workspace %s", operator, workspace_id)
        return _told(restored)

    async def export(self, _: Operator, workspace_id: str, asked: Annotated[ExportQuery, Query()]) -> Response:
        """All that is kept about a workspace, as its owner gets it."""
        self._rooms.store.workspaces.workspace(workspace_id)
        return exported(self._rooms, workspace_id, asked.format)


def workspace_entry(one: Workspace) -> WorkspaceEntry:
    """The workspace as an operator is told of it."""
    deleted, purge, purged = (
        None if at is None else iso(at * 1000) for at in (one.deleted_at, one.purge_at, one.purged_at)
    )
    return WorkspaceEntry(one.id, one.organization_id, one.name, iso(one.created_at * 1000), deleted, purge, purged)


def _told(one: Workspace) -> Response:
    return said(WorkspaceReply(workspace_entry(one)))
