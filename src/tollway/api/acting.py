"""Who acts on an account: an API key, or a person who has signed in. One dependency for both (security.md).

A person's session chooses its workspace with the header `Tollway-Workspace`; without it, it is in the oldest workspace
of the organization that the person joined first.
"""

from typing import Annotated, Any, ClassVar, NamedTuple

from fastapi import Depends
from starlette.requests import Request

from tollway.api.edge import admitted, count, credentials, rooms_of
from tollway.api.rooms import Rooms
from tollway.errors import Forbidden, InvalidKey, InvalidSession, MissingKey, NotFound, ScopeMissing
from tollway.gateway.admit import credential
from tollway.workspaces.actor import Actor
from tollway.workspaces.key import SESSION_PREFIX, digest, looks_like_key
from tollway.workspaces.member import Member, Session, User
from tollway.workspaces.role import ROLES
from tollway.workspaces.workspace import Workspace

WORKSPACE_HEADER = "tollway-workspace"
Security = list[dict[str, list[str]]]
_MARK = SESSION_PREFIX.encode()


class Signed(NamedTuple):
    """A person with a session that is good now."""

    user: User
    session: Session


def acting(scope: str) -> Any:
    """A dependency: the `Actor`, who must have `scope`. Raises as `_Acting`."""
    return Depends(_Acting(scope))


class _Acting:
    """Turns the credential of a request into an actor."""

    security: ClassVar[Security] = [{"key": []}, {"xApiKey": []}, {"session": []}]
    """What the OpenAPI document says of it."""

    def __init__(self, scope: str) -> None:
        self._scope = scope

    async def __call__(self, request: Request) -> Actor:
        """The actor.

        Raises:
            MissingKey, InvalidKey, KeyExpired, KeyDisabled, InvalidSession: 401. ConflictingCredentials: 400.
            ScopeMissing, Forbidden: 403. NotFound: the header names no workspace of the person's.
        """
        if any(_MARK in header for header in credentials(request) if header is not None):
            actor = _member(request, self._scope)
            await count(request, actor.workspace_id)
            return actor
        key = (await admitted(request, self._scope)).key
        return Actor("key", key.id, key.organization_id, key.workspace_id, key.scopes, None, key.name)


class _Signing:
    """Turns a session token into the person who has it."""

    security: ClassVar[Security] = [{"session": []}]

    async def __call__(self, request: Request) -> Signed:
        """Raises as `signed` and `count`."""
        found = signed(request)
        await count(request, found.user.id)
        return found


SignedIn = Annotated[Signed, Depends(_Signing())]
"""The person who asks, by a session token; a key will not do. Raises as `signed`."""


def signed(request: Request) -> Signed:
    """The person whose session token was sent. Raises MissingKey, InvalidSession, ConflictingCredentials."""
    rooms = rooms_of(request)
    try:
        secret = credential(*credentials(request))
    except MissingKey:
        raise MissingKey("No session token was sent. Log in, and send `Authorization: Bearer tws_...`.") from None
    except InvalidKey:
        raise InvalidSession from None
    if not looks_like_key(secret, SESSION_PREFIX):
        raise InvalidSession(
            "This takes a session token as a login gives it: `tws_` and 47 characters, not an API key."
        )
    accounts = rooms.store.people.accounts
    session = accounts.session(digest(secret, rooms.store.workspaces.pepper), rooms.people.session_s)
    if session is None:
        raise InvalidSession
    return Signed(accounts.user(session.user_id), session)


def _member(request: Request, scope: str) -> Actor:
    rooms = rooms_of(request)
    user = signed(request).user
    member, workspace = _place(rooms, user, request.headers.get(WORKSPACE_HEADER, "").strip())
    scopes = ROLES[member.role]
    if scope not in scopes:
        text = f"the role `{member.role}` has no scope `{scope}`; it has: {', '.join(sorted(scopes))}"
        raise ScopeMissing(text, scope=scope)
    return Actor(
        "member", user.id, workspace.organization_id, workspace.id, scopes, member.role, user.name or user.email
    )


def _place(rooms: Rooms, user: User, chosen: str) -> tuple[Member, Workspace]:
    """Where the person is: as what, and in which workspace. `chosen`: the header, "" if there is none."""
    memberships = rooms.store.people.memberships(user.id)
    if not memberships:
        raise Forbidden("you belong to no organization now; ask to be invited to one")
    by_organization = {one.organization_id: one for one in memberships}
    if chosen:
        found = rooms.store.workspaces.workspaces.get(chosen)
        if found is None or not found.is_live or found.organization_id not in by_organization:
            raise NotFound(f"you have no workspace {chosen[:100]}; `GET /v1/auth/me` lists yours")
        return by_organization[found.organization_id], found
    first = memberships[0]
    live = rooms.store.workspaces.live_workspaces(first.organization_id)
    if not live:
        raise NotFound("your organization has no workspace; ask whoever runs this gateway for one")
    return first, live[0]
