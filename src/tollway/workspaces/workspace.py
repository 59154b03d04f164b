"""Organizations, their workspaces, and the operators of an installation.

An organization pays; a workspace is the tenant of every request and has its own wallet and keys (contract.md, Who is
who). An operator runs the installation and sees them all.
"""

from dataclasses import dataclass

from tollway.errors import ValidationFailed

GRACE_S = 30 * 86_400
"""How long a deleted workspace can be restored."""
_NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class Organization:
    """Who pays. created_at: unix seconds."""

    id: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """The tenant of a request. Times are unix seconds, None: not so.

    deleted_at: nothing in it works any more, and it can be restored. purge_at: until then. purged_at: gone for ever; what
    it was charged stays in the ledger.
    """

    id: str
    organization_id: str
    name: str
    created_at: int
    deleted_at: int | None = None
    purge_at: int | None = None
    purged_at: int | None = None

    @property
    def is_live(self) -> bool:
        """It is not deleted."""
        return self.deleted_at is None


def checked_name(text: str, what: str) -> str:
    """A name as it is kept: trimmed, 1 to 100 printable characters.

    Raises:
        ValidationFailed: with `param` `name`.
    """
    name = text.strip()
    if not name or len(name) > _NAME_MAX or not name.isprintable():
        raise ValidationFailed(f"The name of a {what} has 1 to {_NAME_MAX} printable characters.", param="name")
    return name
