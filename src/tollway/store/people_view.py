"""People as the operator sees them at the command line: members and invitations of organizations, read beside the owner."""

import sqlite3
from typing import NamedTuple

_MEMBERS = """
SELECT m.organization_id, o.name, m.user_id, u.email, u.name, m.role, m.created_at
FROM members AS m JOIN users AS u ON u.id = m.user_id JOIN organizations AS o ON o.id = m.organization_id
WHERE ? IN ('', m.organization_id) ORDER BY m.organization_id, m.created_at, m.user_id
"""
_INVITED = """
SELECT i.organization_id, o.name, i.id, i.email, '', i.role, i.created_at
FROM invitations AS i JOIN organizations AS o ON o.id = i.organization_id
WHERE ? IN ('', i.organization_id) AND i.expires_at > ? ORDER BY i.organization_id, i.created_at, i.id
"""


class PersonShown(NamedTuple):
    """A member, or somebody invited. id: of the user, or of the invitation. created_at: unix seconds."""

    organization_id: str
    organization_name: str
    id: str
    email: str
    name: str
    role: str
    created_at: int


def members(connection: sqlite3.Connection, organization_id: str = "") -> list[PersonShown]:
    """The members of an organization, or of all."""
    return [PersonShown(*row) for row in connection.execute(_MEMBERS, (organization_id,))]


def invited(connection: sqlite3.Connection, organization_id: str, now: int) -> list[PersonShown]:
    """Open invitations to an organization, or to all. `now`: unix seconds."""
    return [PersonShown(*row) for row in connection.execute(_INVITED, (organization_id, now))]


def organizations(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(id, name) of every organization, oldest first."""
    return list(connection.execute("SELECT id, name FROM organizations ORDER BY created_at, id"))
