"""Stop 2: one place for every credential header; whether a key is good is asked each time."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.world import NOW, PEPPER, opened
from tollway.errors import ConflictingCredentials, InvalidKey, KeyDisabled, KeyExpired, MissingKey, ScopeMissing
from tollway.gateway.admit import CALLERS_MAX, Gate, KeyDefaults, credential
from tollway.plans.grants import Grants
from tollway.workspaces.key import Key, new_secret

SECRET, OTHER = new_secret(os.urandom), new_secret(os.urandom)


@pytest.mark.parametrize(
    ("authorization", "api_key", "outcome"),
    [
        (None, None, MissingKey),
        (b"Bearer ", None, MissingKey),
        (None, b" ", MissingKey),
        (b"Bearer " + SECRET.encode(), None, SECRET),
        (b"bearer  " + SECRET.encode() + b" ", None, SECRET),
        (None, SECRET.encode(), SECRET),
        (b"Bearer " + SECRET.encode(), SECRET.encode(), SECRET),
        (b"Bearer " + SECRET.encode(), b"", SECRET),
        (b"Bearer " + SECRET.encode(), OTHER.encode(), ConflictingCredentials),
        (b"Basic dTpw", None, InvalidKey),
        (SECRET.encode(), None, InvalidKey),
        # An Authorization that is no bearer is not forgiven because another header is good.
        (b"Basic dTpw", SECRET.encode(), InvalidKey),
    ],
)
def test_the_one_secret_in_the_headers(authorization: bytes | None, api_key: bytes | None, outcome: object) -> None:
    if isinstance(outcome, str):
        assert credential(authorization, api_key) == outcome
    else:
        with pytest.raises(outcome):
            credential(authorization, api_key)


@given(st.none() | st.binary(max_size=90), st.none() | st.binary(max_size=90))
def test_no_bytes_are_anything_but_refused(authorization: bytes | None, api_key: bytes | None) -> None:
    class Nobody:
        def key(self, digest: bytes) -> Key | None:
            return None

    with pytest.raises((MissingKey, InvalidKey, ConflictingCredentials)):
        Gate(Nobody(), granted, PEPPER, KeyDefaults(0)).admit(authorization, api_key, "chat", NOW)


ALL = Grants(plan_id="all", plan_name="All", catalogue="test", version="1", limits={}, features={})


def granted(organization_id: str) -> Grants:
    return ALL


class Directory:
    """One key; counts how often it is asked."""

    def __init__(self, key: Key | None) -> None:
        self.answer = key
        self.asked = 0

    def key(self, digest: bytes) -> Key | None:
        self.asked += 1
        return self.answer


def gate(**fields: object) -> tuple[Gate, Directory]:
    directory = Directory(Key("k", "w", "o", "name", "tw_abcd", **fields))
    return Gate(directory, granted, PEPPER, KeyDefaults(550)), directory


HEADER = b"Bearer " + SECRET.encode()


def test_a_good_key_is_a_caller_with_its_margin() -> None:
    one, directory = gate()
    caller = one.admit(HEADER, None, "chat", NOW)
    assert (caller.key, caller.margin_bps) == (directory.answer, 550)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"state": "revoked"}, KeyDisabled),
        ({"expires_at": NOW}, KeyExpired),
        ({"expires_at": NOW - 1}, KeyExpired),
        ({"scopes": frozenset({"usage"})}, ScopeMissing),
    ],
)
def test_a_key_that_may_not(fields: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        gate(**fields)[0].admit(HEADER, None, "chat", NOW)


def test_a_remembered_digest_does_not_remember_that_the_key_was_good() -> None:
    one, directory = gate(expires_at=NOW + 10)
    one.admit(HEADER, None, "chat", NOW)
    with pytest.raises(KeyExpired):
        one.admit(HEADER, None, "chat", NOW + 10)
    directory.answer = None
    with pytest.raises(InvalidKey):
        one.admit(HEADER, None, "chat", NOW)


def test_strangers_do_not_fill_the_memory() -> None:
    directory = Directory(None)
    one = Gate(directory, granted, PEPPER, KeyDefaults(0))
    for _ in range(50):
        with pytest.raises(InvalidKey):
            one.admit(b"Bearer " + new_secret(os.urandom).encode(), None, "chat", NOW)
    assert not one._callers
    directory.answer = Key("k", "w", "o", "name", "tw_abcd")
    one.admit(HEADER, None, "chat", NOW)
    known = one._callers.pop((HEADER, None))
    for number in range(CALLERS_MAX + 1):
        one._callers.setdefault((b"%d" % number, None), known)
    one.admit(HEADER, None, "chat", NOW)
    assert len(one._callers) == 1


def test_a_key_of_the_store_until_it_is_revoked(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            key, secret = await world.store.workspaces.add_key(world.ws, name="second")
            one = Gate(world.store.workspaces, granted, PEPPER, KeyDefaults(0))
            assert one.admit(b"Bearer " + secret.encode(), None, "chat", NOW).key.id == key.id
            await world.store.workspaces.revoke_key(key.id)
            with pytest.raises(KeyDisabled):
                one.admit(b"Bearer " + secret.encode(), None, "chat", NOW)
            # Another pepper makes every key a stranger's.
            with pytest.raises(InvalidKey):
                Gate(world.store.workspaces, granted, b"q" * 32, KeyDefaults(0)).admit(
                    b"Bearer " + secret.encode(), None, "chat", NOW
                )

    asyncio.run(scenario())
