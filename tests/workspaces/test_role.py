"""Roles: the whole table by hand, and that a grant is always a subset of the grantor's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.workspaces.actor import Actor
from tollway.workspaces.key import DEFAULT_SCOPES, SCOPES
from tollway.workspaces.role import ROLES, may, may_appoint, may_grant, missing

TABLE = {
    #             owner  admin  member viewer billing
    "chat":       (True, True,  True,  False, False),
    "models":     (True, True,  True,  True,  False),
    "usage":      (True, True,  True,  True,  True),
    "wallet":     (True, True,  True,  True,  True),
    "keys":       (True, True,  True,  False, False),
    "workspaces": (True, True,  False, False, False),
    "members":    (True, True,  False, False, False),
    "webhooks":   (True, True,  False, False, False),
    "billing":    (True, True,  False, False, True),
    "transfer":   (True, True,  False, False, True),
}  # fmt: skip
NAMES = ("owner", "admin", "member", "viewer", "billing")
scope_sets = st.frozensets(st.sampled_from(SCOPES))


def actor(role=None, scopes=frozenset()) -> Actor:
    kind = "key" if role is None else "member"
    return Actor(kind, "id", "org", "ws", scopes if role is None else ROLES[role], role, "name")


@pytest.mark.parametrize("scope", TABLE)
@pytest.mark.parametrize("column", range(5), ids=NAMES)
def test_every_role_and_every_scope(scope: str, column: int) -> None:
    assert may(actor(NAMES[column]), scope) is TABLE[scope][column]


def test_the_table_is_whole() -> None:
    assert tuple(TABLE) == SCOPES
    assert tuple(ROLES) == NAMES


def test_a_new_key_manages_nothing() -> None:
    assert DEFAULT_SCOPES == {"chat", "models", "usage", "wallet"}


@given(scope_sets, scope_sets)
def test_a_grant_is_a_subset_of_the_grantors_scopes(own: frozenset[str], asked: frozenset[str]) -> None:
    grantor = actor(scopes=own)
    assert may_grant(grantor, asked) is asked.issubset(own)
    assert missing(grantor, asked) == asked - own


@given(scope_sets, st.sampled_from(NAMES))
def test_a_key_appoints_nobody_who_can_do_more(own: frozenset[str], role: str) -> None:
    if may_appoint(actor(scopes=own), role):
        assert ROLES[role] <= own
        assert role != "owner"


@pytest.mark.parametrize("by", NAMES)
@pytest.mark.parametrize("role", NAMES)
def test_who_may_appoint_whom(by: str, role: str) -> None:
    if role == "owner":
        assert may_appoint(actor(by), role) is (by == "owner")
    else:
        assert may_appoint(actor(by), role) is (ROLES[role] <= ROLES[by])
