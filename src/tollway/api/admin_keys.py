"""`/admin/keys`: API keys of every workspace, as an operator manages them. A key's text is told once, when it is made.

An operator is not held to plans: a key may be made beyond them, and the smaller of its limits and the plan's is in force.
"""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import Operator, Page, body_of, documented, paged, said
from tollway.api.key_shapes import (
    KeyChange,
    KeyList,
    KeyReply,
    MadeKey,
    NewKey,
    RotatedKey,
    Rotation,
    key_entries,
    key_entry,
    over_limit,
    terms,
)
from tollway.api.keys import rotated
from tollway.api.rooms import Rooms
from tollway.workspaces.actor import By
from tollway.workspaces.key import Key

_log = logging.getLogger("tollway.admin")


class NewWorkspaceKey(NewKey):
    """A key to make in a workspace. Left out: all models, no budget, no limits of its own, no expiry, all addresses."""

    workspace_id: Annotated[str, Field(min_length=1, max_length=100)]


class AllKeysQuery(Page):
    """Filters of the list."""

    workspace_id: Annotated[str | None, Field(max_length=100)] = None


BODIES = (NewWorkspaceKey,)


class AdminKeys:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        add("/admin/keys", self.list_keys, methods=["GET"], **documented(KeyList))
        add("/admin/keys", self.add, methods=["POST"], **documented(MadeKey, body=NewWorkspaceKey, status=201))
        add("/admin/keys/{key_id}", self.show, methods=["GET"], **documented(KeyReply))
        add("/admin/keys/{key_id}", self.change, methods=["PATCH"], **documented(KeyReply, body=KeyChange))
        add("/admin/keys/{key_id}", self.revoke, methods=["DELETE"], **documented(KeyReply))
        add("/admin/keys/{key_id}/rotate", self.rotate, methods=["POST"], **documented(RotatedKey, body=Rotation))

    async def list_keys(self, _: Operator, asked: Annotated[AllKeysQuery, Query()]) -> Response:
        """The keys of a workspace, or of all, revoked ones too."""
        workspaces, chosen = self._rooms.store.workspaces, asked.workspace_id
        shown, more, cursor = paged(workspaces.keys_of(chosen), asked, lambda key: key.id)
        excess = over_limit(self._rooms, chosen) if chosen in workspaces.workspaces else None
        return said(KeyList(key_entries(self._rooms, shown), more, cursor, excess))

    async def show(self, _: Operator, key_id: str) -> Response:
        """One key."""
        return self._told(self._rooms.store.workspaces.key_by_id(key_id))

    async def add(self, operator: Operator, asked: Annotated[NewWorkspaceKey, body_of(NewWorkspaceKey)]) -> Response:
        """Make a key. Its text is in this answer and nowhere else."""
        made, secret = await self._rooms.store.workspaces.add_key(
            asked.workspace_id, name=asked.name, **terms(self._rooms, asked), by=By("operator", operator)
        )
        _log.info("operator %s made key %s of workspace %s", operator, made.id, made.workspace_id)
        return said(MadeKey(key_entry(self._rooms, made), secret), 201)

    async def change(
        self, operator: Operator, key_id: str, asked: Annotated[KeyChange, body_of(KeyChange)]
    ) -> Response:
        """Change a key; in force when this answers. What is left out stays."""
        workspaces, by, given = self._rooms.store.workspaces, By("operator", operator), asked.model_fields_set
        key, wanted = workspaces.key_by_id(key_id), terms(self._rooms, asked)

        def changed(old: Key) -> Key:
            return replace(old, name=asked.name if "name" in given else old.name, **wanted)

        if given - {"disabled"}:
            key = await workspaces.update_key(key_id, changed, by=by)
        if "disabled" in given:
            turn = workspaces.disable_key if asked.disabled else workspaces.enable_key
            key = await turn(key_id, by=by)
        _log.info("operator %s changed key %s", operator, key_id)
        return self._told(key)

    async def rotate(self, operator: Operator, key_id: str, asked: Annotated[Rotation, body_of(Rotation)]) -> Response:
        """Give a key a new text; id, limits and spending stay. The old text ends at once, or after a grace."""
        key, secret = await self._rooms.store.workspaces.rotate_key(
            key_id, grace_s=asked.grace_seconds, by=By("operator", operator)
        )
        _log.info("operator %s rotated key %s", operator, key_id)
        return said(rotated(self._rooms, key, secret, asked))

    async def revoke(self, operator: Operator, key_id: str) -> Response:
        """Revoke a key: it is refused from now on, for ever."""
        revoked = await self._rooms.store.workspaces.revoke_key(key_id, by=By("operator", operator))
        _log.info("operator %s revoked key %s", operator, key_id)
        return self._told(revoked)

    def _told(self, key: Key) -> Response:
        return said(KeyReply(key_entry(self._rooms, key)))
