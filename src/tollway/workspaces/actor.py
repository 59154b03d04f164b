"""Who acts: an API key or a signed-in member, as the endpoints of the account see them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["owner", "admin", "member", "viewer", "billing"]
"""What somebody is in an organization; `role.py` says what each may do."""


class By(NamedTuple):
    """Who did something, as the audit log keeps it. id: of the key, the user or the operator."""

    kind: Literal["key", "member", "operator"]
    id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, in which workspace, and what it may do.

    kind: an API key or a member with a session. id: of the key, or of the user. scopes: what it may do, and the most it
    may give. role: of a member; None of a key. name: of the key or the user, for the audit log and people.
    """

    kind: Literal["key", "member"]
    id: str
    organization_id: str
    workspace_id: str
    scopes: frozenset[str]
    role: Role | None
    name: str

    @property
    def by(self) -> By:
        """As the audit log names it."""
        return By(self.kind, self.id)
