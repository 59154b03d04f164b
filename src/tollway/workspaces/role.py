"""Roles of people in an organization, and the one rule of grants: nobody gives what they do not have.

A role is a set of the scopes that keys have, so that one check serves both (contract.md, Who is who).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tollway.workspaces.actor import Actor, Role
from tollway.workspaces.key import SCOPES

ROLES: Mapping[Role, frozenset[str]] = MappingProxyType(
    {
        "owner": frozenset(SCOPES),
        "admin": frozenset(SCOPES),
        "member": frozenset({"chat", "models", "usage", "wallet", "keys"}),
        "viewer": frozenset({"models", "usage", "wallet"}),
        "billing": frozenset({"usage", "wallet", "billing", "transfer"}),
    }
)
"""Role -> what its holder may do."""


def may(actor: Actor, scope: str) -> bool:
    """The actor has this scope."""
    return scope in actor.scopes


def missing(actor: Actor, scopes: Iterable[str]) -> frozenset[str]:
    """Which of these scopes the actor lacks, and so cannot give."""
    return frozenset(scopes) - actor.scopes


def may_grant(actor: Actor, scopes: Iterable[str]) -> bool:
    """The actor may give these scopes to a key or a person: they are a subset of its own (security.md, CVE-2026-47101)."""
    return not missing(actor, scopes)


def may_appoint(actor: Actor, role: Role) -> bool:
    """The actor may give this role, or take it away: it has all its scopes, and only an owner makes or unmakes owners."""
    return may_grant(actor, ROLES[role]) and (role != "owner" or actor.role == "owner")
