"""What answers say of a person: the account, and where it belongs."""

import msgspec

from tollway.api.edge import iso
from tollway.api.rooms import Rooms
from tollway.workspaces.member import Session, User
from tollway.workspaces.role import ROLES


class PersonEntry(msgspec.Struct):
    """An account."""

    id: str
    email: str
    name: str
    created_at: str


class OwnWorkspace(msgspec.Struct):
    """A workspace that a person can choose with the header `Tollway-Workspace`."""

    id: str
    name: str


class Membership(msgspec.Struct):
    """Where a person belongs, as what, and what that lets them do."""

    organization_id: str
    organization_name: str
    role: str
    scopes: list[str]
    workspaces: list[OwnWorkspace]


class Me(msgspec.Struct):
    """A person, and where they belong, the oldest first."""

    user: PersonEntry
    memberships: list[Membership]


class MeReply(msgspec.Struct):
    """Who has signed in."""

    data: Me


class SignedInReply(msgspec.Struct):
    """A login. `token` is told now, never again; it ends at `expires_at` unless it is used before."""

    data: Me
    token: str
    expires_at: str


REPLIES: tuple[type[msgspec.Struct], ...] = (MeReply, SignedInReply)


def me(rooms: Rooms, user: User) -> Me:
    """What a person is told of themselves."""
    workspaces = rooms.store.workspaces
    places = list[Membership]()
    for one in rooms.store.people.memberships(user.id):
        live = workspaces.live_workspaces(one.organization_id)
        places.append(
            Membership(
                one.organization_id,
                workspaces.organization(one.organization_id).name,
                one.role,
                sorted(ROLES[one.role]),
                [OwnWorkspace(each.id, each.name) for each in live],
            )
        )
    return Me(PersonEntry(user.id, user.email, user.name, iso(user.created_at * 1000)), places)


def signed_in(rooms: Rooms, user: User, session: Session, token: str) -> SignedInReply:
    """What a login answers."""
    return SignedInReply(me(rooms, user), token, iso(session.expires_at * 1000))
