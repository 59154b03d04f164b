"""`/v1/profiles`: routing profiles of a workspace, each with a key of its own, and the operator's hand on them.

Who makes or changes a profile decides what its key may do, so the rules of keys hold: nobody gives what they do not have.
An operator is not held to plans.
"""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api import profile_shapes
from tollway.api.acting import acting
from tollway.api.edge import Operator, Page, body_of, documented, paged, said
from tollway.api.keys import check_gift
from tollway.api.profile_shapes import (
    KEY_TERMS,
    LIMIT,
    Deleted,
    DeletedReply,
    MadeProfile,
    NewProfile,
    ProfileChange,
    ProfileList,
    ProfileReply,
    beyond,
    excess,
    profile_entries,
    profile_entry,
    ruled,
)
from tollway.api.rooms import Rooms
from tollway.workspaces.actor import Actor, By
from tollway.workspaces.key import DEFAULT_SCOPES, Key, Terms
from tollway.workspaces.profile import Profile

Looking = Annotated[Actor, acting("models")]
Managing = Annotated[Actor, acting("keys")]
_log = logging.getLogger("tollway.profiles")


class NewWorkspaceProfile(NewProfile):
    """A routing profile to make in a workspace. What is left out is no rule."""

    workspace_id: Annotated[str, Field(min_length=1, max_length=100)]


REPLIES, BODIES = profile_shapes.REPLIES, (*profile_shapes.BODIES, NewWorkspaceProfile)


class Profiles:
    """The endpoints of a workspace."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store.profiles

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["profiles"])
        one = "/v1/profiles/{profile_id}"
        add("/v1/profiles", self.list_profiles, methods=["GET"], **documented(ProfileList))
        add("/v1/profiles", self.add, methods=["POST"], **documented(MadeProfile, body=NewProfile, status=201))
        add(one, self.show, methods=["GET"], **documented(ProfileReply))
        add(one, self.change, methods=["PATCH"], **documented(ProfileReply, body=ProfileChange))
        add(one, self.delete, methods=["DELETE"], **documented(DeletedReply))
        add("/v1/profiles/{profile_id}/key", self.renew, methods=["POST"], **documented(MadeProfile))

    async def list_profiles(self, actor: Looking, page: Annotated[Page, Query()]) -> Response:
        """The routing profiles of the workspace, oldest first."""
        shown, more, cursor = paged(self._store.profiles_of(actor.workspace_id), page, lambda one: one.id)
        told = excess(self._rooms, actor.organization_id)
        return said(ProfileList(profile_entries(self._rooms, shown), more, cursor, told))

    async def show(self, actor: Looking, profile_id: str) -> Response:
        """One routing profile of the workspace."""
        return self._told(self._store.profile(profile_id, actor.workspace_id))

    async def add(self, actor: Managing, asked: Annotated[NewProfile, body_of(NewProfile)]) -> Response:
        """Make a routing profile and its key, whose text is in this answer and nowhere else."""
        wanted = ruled(self._rooms.catalogue(), Profile(id="", workspace_id=actor.workspace_id, name=""), asked)
        terms = self._terms(actor)
        self._check(actor, wanted, Key("", actor.workspace_id, actor.organization_id, "", "", **terms))
        made, _, secret = await self._store.add(
            wanted,
            terms,
            by=actor.by,
            room=lambda current: self._rooms.store.plans.require_room(actor.organization_id, LIMIT, current),
        )
        _log.info("%s %s made routing profile %s", actor.kind, actor.id, made.id)
        return said(MadeProfile(profile_entry(self._rooms, made), secret), 201)

    async def change(
        self, actor: Managing, profile_id: str, asked: Annotated[ProfileChange, body_of(ProfileChange)]
    ) -> Response:
        """Change a routing profile; what is left out stays. The next request with its key follows it."""
        organization_id, plans = actor.organization_id, self._rooms.store.plans
        spare = Key("", actor.workspace_id, organization_id, "", "", **self._terms(actor))

        def changed(old: Profile) -> Profile:
            if old.id in beyond(self._rooms, organization_id):
                plans.require_room(organization_id, LIMIT, len(self._store.live(organization_id)), 0)
            new = ruled(self._rooms.catalogue(), old, asked)
            self._check(actor, new, self._store.key_of(old) or spare)
            return new

        found = await self._store.change(profile_id, actor.workspace_id, changed, by=actor.by)
        _log.info("%s %s changed routing profile %s", actor.kind, actor.id, profile_id)
        return self._told(found)

    async def delete(self, actor: Managing, profile_id: str) -> Response:
        """Delete a routing profile: its key is refused from now on, for ever."""
        deleted = await self._store.delete(profile_id, actor.workspace_id, by=actor.by)
        _log.info("%s %s deleted routing profile %s", actor.kind, actor.id, profile_id)
        return said(DeletedReply(Deleted(deleted.id, deleted=True)))

    async def renew(self, actor: Managing, profile_id: str) -> Response:
        """Give the profile's key a new text, which is in this answer and nowhere else; the old one ends at once."""
        profile = self._store.profile(profile_id, actor.workspace_id)
        renewed, key, secret = await self._store.renew_key(
            profile_id,
            actor.workspace_id,
            self._terms(actor),
            check=lambda key: self._check(actor, profile, key),
            by=actor.by,
        )
        _log.info("%s %s renewed key %s of routing profile %s", actor.kind, actor.id, key.id, profile_id)
        return said(MadeProfile(profile_entry(self._rooms, renewed), secret))

    def _terms(self, actor: Actor) -> Terms:
        """What a profile's key may do: to ask, and to look at what the actor may look at; for as long as a key acts."""
        terms = Terms(scopes=(DEFAULT_SCOPES & actor.scopes) | {"chat"})
        if actor.kind == "key":
            giver = self._rooms.store.workspaces.key_by_id(actor.id)
            terms["expires_at"], terms["ip_allow"] = giver.expires_at, giver.ip_allow
        return terms

    def _check(self, actor: Actor, profile: Profile, key: Key) -> None:
        """Refuse to give a profile's key what the actor does not have. Raises ScopeMissing, Forbidden."""
        models = key.allowed_models
        if profile.allowed_models is not None:
            models = frozenset(profile.allowed_models) if models is None else models & frozenset(profile.allowed_models)
        check_gift(self._rooms, actor, replace(key, allowed_models=models))

    def _told(self, profile: Profile) -> Response:
        return said(ProfileReply(profile_entry(self._rooms, profile)))


class AdminProfiles:
    """The endpoints of the operator: what `tollway profiles` asks a running server."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store.profiles

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        made = documented(MadeProfile, body=NewWorkspaceProfile, status=201)
        add("/admin/profiles", self.add, methods=["POST"], **made)
        one = "/admin/profiles/{profile_id}"
        add(one, self.change, methods=["PATCH"], **documented(ProfileReply, body=ProfileChange))
        add(one, self.delete, methods=["DELETE"], **documented(DeletedReply))

    async def add(
        self, operator: Operator, asked: Annotated[NewWorkspaceProfile, body_of(NewWorkspaceProfile)]
    ) -> Response:
        """Make a routing profile and its key in any workspace. The key's text is in this answer and nowhere else."""
        wanted = ruled(self._rooms.catalogue(), Profile(id="", workspace_id=asked.workspace_id, name=""), asked)
        made, _, secret = await self._store.add(wanted, KEY_TERMS, by=By("operator", operator))
        _log.info("operator %s made routing profile %s", operator, made.id)
        return said(MadeProfile(profile_entry(self._rooms, made), secret), 201)

    async def change(
        self, operator: Operator, profile_id: str, asked: Annotated[ProfileChange, body_of(ProfileChange)]
    ) -> Response:
        """Change any routing profile; what is left out stays."""
        found = await self._store.change(
            profile_id, None, lambda old: ruled(self._rooms.catalogue(), old, asked), by=By("operator", operator)
        )
        _log.info("operator %s changed routing profile %s", operator, profile_id)
        return said(ProfileReply(profile_entry(self._rooms, found)))

    async def delete(self, operator: Operator, profile_id: str) -> Response:
        """Delete any routing profile: its key is refused from now on, for ever."""
        deleted = await self._store.delete(profile_id, by=By("operator", operator))
        _log.info("operator %s deleted routing profile %s", operator, profile_id)
        return said(DeletedReply(Deleted(deleted.id, deleted=True)))
