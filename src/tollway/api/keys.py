"""`/v1/keys`: the API keys of a workspace, made and managed by its members and by keys with the scope `keys`.

Nobody gives what they do not have: a key's scopes are among those of whoever makes, changes or rotates it, and a key that
is restricted hands its restrictions down (`workspaces/grant.py`). A key never changes itself.
"""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tollway.api import key_shapes
from tollway.api.acting import acting
from tollway.api.edge import body_of, documented, iso, paged, said
from tollway.api.key_shapes import (
    KeyChange,
    KeyList,
    KeyReply,
    KeysQuery,
    MadeKey,
    NewKey,
    RotatedKey,
    Rotation,
    check_plan,
    is_over_limit,
    key_entries,
    key_entry,
    over_limit,
    terms,
)
from tollway.api.rooms import Rooms
from tollway.errors import Forbidden, ScopeMissing
from tollway.workspaces.actor import Actor
from tollway.workspaces.grant import check_grant
from tollway.workspaces.key import DEFAULT_SCOPES, Key
from tollway.workspaces.role import missing

REPLIES, BODIES = key_shapes.REPLIES, key_shapes.BODIES
KeysActor = Annotated[Actor, acting("keys")]
_LIMIT = "api_keys"
_log = logging.getLogger("tollway.keys")


class Keys:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["keys"])
        add("/v1/keys", self.list_keys, methods=["GET"], **documented(KeyList))
        add("/v1/keys", self.add, methods=["POST"], **documented(MadeKey, body=NewKey, status=201))
        add("/v1/keys/{key_id}", self.show, methods=["GET"], **documented(KeyReply))
        add("/v1/keys/{key_id}", self.change, methods=["PATCH"], **documented(KeyReply, body=KeyChange))
        add("/v1/keys/{key_id}", self.revoke, methods=["DELETE"], **documented(KeyReply))
        add("/v1/keys/{key_id}/rotate", self.rotate, methods=["POST"], **documented(RotatedKey, body=Rotation))

    async def list_keys(self, actor: KeysActor, asked: Annotated[KeysQuery, Query()]) -> Response:
        """The keys of the workspace, oldest first; revoked ones when asked for."""
        found = self._rooms.store.workspaces.keys_of(actor.workspace_id)
        wanted = [key for key in found if asked.revoked or not key.is_revoked]
        shown, more, cursor = paged(wanted, asked, lambda key: key.id)
        excess = over_limit(self._rooms, actor.workspace_id)
        return said(KeyList(key_entries(self._rooms, shown), more, cursor, excess))

    async def show(self, actor: KeysActor, key_id: str) -> Response:
        """One key of the workspace."""
        return self._told(self._rooms.store.workspaces.key_by_id(key_id, actor.workspace_id))

    async def add(self, actor: KeysActor, asked: Annotated[NewKey, body_of(NewKey)]) -> Response:
        """Make a key. Its text is in this answer and nowhere else."""
        store = self._rooms.store
        wanted = terms(self._rooms, asked)
        if "scopes" not in wanted:
            wanted["scopes"] = DEFAULT_SCOPES & actor.scopes or DEFAULT_SCOPES
        check_plan(store.plans.grants(actor.organization_id), wanted)
        check_gift(self._rooms, actor, replace(Key("", "", "", "", ""), **wanted))
        made, secret = await store.workspaces.add_key(
            actor.workspace_id,
            name=asked.name,
            **wanted,
            by=actor.by,
            room=lambda current: store.plans.require_room(actor.organization_id, _LIMIT, current),
        )
        _log.info("%s %s made key %s of workspace %s", actor.kind, actor.id, made.id, made.workspace_id)
        return said(MadeKey(key_entry(self._rooms, made), secret), 201)

    async def change(self, actor: KeysActor, key_id: str, asked: Annotated[KeyChange, body_of(KeyChange)]) -> Response:
        """Change a key; in force when this answers. What is left out stays. A key cannot change itself."""
        workspaces, grants = self._rooms.store.workspaces, self._rooms.store.plans.grants(actor.organization_id)
        key = workspaces.key_by_id(key_id, actor.workspace_id)
        if actor.kind == "key" and actor.id == key_id:
            raise Forbidden(
                "A key cannot change itself. Rotate or revoke it, or change it with another key.", param="id"
            )
        wanted = terms(self._rooms, asked)
        check_plan(grants, wanted)
        given = asked.model_fields_set

        def changed(old: Key) -> Key:
            if is_over_limit(self._rooms, old):
                self._rooms.store.plans.require_room(
                    actor.organization_id, _LIMIT, workspaces.live_keys(old.workspace_id), 0
                )
            new = replace(old, name=asked.name if "name" in given else old.name, **wanted)
            check_gift(self._rooms, actor, new)
            return new

        if given - {"disabled"}:
            key = await workspaces.update_key(key_id, changed, actor.workspace_id, by=actor.by)
        elif "disabled" in given and not asked.disabled:
            changed(key)  # whoever enables a key gives what it may do
        if "disabled" in given:
            turn = workspaces.disable_key if asked.disabled else workspaces.enable_key
            key = await turn(key_id, actor.workspace_id, by=actor.by)
        _log.info("%s %s changed key %s", actor.kind, actor.id, key_id)
        return self._told(key)

    async def rotate(self, actor: KeysActor, key_id: str, asked: Annotated[Rotation, body_of(Rotation)]) -> Response:
        """Give a key a new text; id, limits and spending stay. The old text ends at once, or after a grace."""

        def check(key: Key) -> None:
            # Who gets the text can do what the key may; of its own key a caller has it already.
            if actor.kind != "key" or actor.id != key_id:
                check_gift(self._rooms, actor, key)

        key, secret = await self._rooms.store.workspaces.rotate_key(
            key_id, actor.workspace_id, grace_s=asked.grace_seconds, check=check, by=actor.by
        )
        _log.info("%s %s rotated key %s", actor.kind, actor.id, key_id)
        return said(rotated(self._rooms, key, secret, asked))

    async def revoke(self, actor: KeysActor, key_id: str) -> Response:
        """Revoke a key: no request with it is let in after this answer, for ever. A key may revoke itself."""
        revoked = await self._rooms.store.workspaces.revoke_key(key_id, actor.workspace_id, by=actor.by)
        _log.info("%s %s revoked key %s", actor.kind, actor.id, key_id)
        return self._told(revoked)

    def _told(self, key: Key) -> Response:
        return said(KeyReply(key_entry(self._rooms, key)))


def check_gift(rooms: Rooms, actor: Actor, key: Key) -> None:
    """Refuse to give what the actor does not have: `key` is what somebody will be able to use.

    Raises:
        ScopeMissing: it lacks a scope. Forbidden: it is a key with terms of its own (`workspaces/grant.py`).
    """
    lacking = sorted(missing(actor, key.scopes))
    if lacking:
        who = f"the role `{actor.role}`" if actor.role is not None else "this key"
        raise ScopeMissing(
            f"{who} has no scope `{lacking[0]}`, so it cannot give it; it has: {', '.join(sorted(actor.scopes))}",
            param="scopes",
            scope=lacking[0],
        )
    if actor.kind == "key":
        check_grant(rooms.store.workspaces.key_by_id(actor.id), key)


def rotated(rooms: Rooms, key: Key, secret: str, asked: Rotation) -> RotatedKey:
    """The answer to a rotation."""
    ends = iso((int(rooms.clock.now()) + asked.grace_seconds) * 1000) if asked.grace_seconds else None
    return RotatedKey(key_entry(rooms, key), secret, ends)
