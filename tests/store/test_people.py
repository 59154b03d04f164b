"""People in the store: what a restart keeps, what it never knew, and that the log cannot be changed."""

import asyncio
import sqlite3

import pytest

from store.world import opened
from tollway.errors import AlreadyExists, InvalidToken, LastOwner
from tollway.store.accounts import SESSIONS_MAX
from tollway.workspaces.actor import By
from tollway.workspaces.key import digest

HOUR = 3_600


def run(scenario) -> None:
    asyncio.run(scenario)


async def populated(world):
    """(organization, owner, token of their session)."""
    store = world.store
    organization = next(iter(store.workspaces.organizations))
    user = await store.people.accounts.add("Jane@acme.test", "Jane", "argon2-hash")
    await store.people.join(organization, user.id, "owner")
    _, token = await store.people.accounts.open_session(user.id, HOUR)
    return organization, user, token


def found(world, token: str):
    return world.store.people.accounts.session(digest(token, world.store.workspaces.pepper), HOUR)


def test_a_restart_keeps_people_sessions_invitations_and_resets(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            organization, user, token = await populated(world)
            people = world.store.people
            _, invitation = await people.invite(organization, "bob@b.test", "member", By("member", user.id))
            reset = await people.accounts.new_reset(user.id)
            gone = await people.accounts.open_session(user.id, HOUR)
            await people.accounts.end_session(gone[0])
        async with opened(tmp_path, prefix=1) as world:
            people = world.store.people
            assert people.accounts.by_email("jane@ACME.test") == user
            assert people.member(organization, user.id).role == "owner"
            assert people.memberships(user.id) == people.members_of(organization)
            assert found(world, token).user_id == user.id
            assert found(world, gone[1]) is None
            assert people.invitation(invitation).email == "bob@b.test"
            assert people.accounts.reset(reset) == user
            await people.accounts.set_password(user.id, "other")
            with pytest.raises(InvalidToken):
                people.accounts.reset(reset)
        async with opened(tmp_path, prefix=2) as world:
            assert found(world, token) is None
            assert world.store.people.accounts.user(user.id).password_hash == "other"

    run(scenario())


def test_no_token_is_kept(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            organization, user, token = await populated(world)
            _, invitation = await world.store.people.invite(organization, "b@b", "member", By("operator", "op"))
            reset = await world.store.people.accounts.new_reset(user.id)
        kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
        for secret in (token, invitation, reset):
            assert secret.encode() not in kept
            assert secret[8:].encode() not in kept

    run(scenario())


def test_use_prolongs_a_session_on_the_disk_now_and_then(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            _, _, token = await populated(world)
            world.clock.time += 10
            first = found(world, token)
            world.clock.time += HOUR - 20
            later = found(world, token)
            assert later.expires_at == int(world.clock.time) + HOUR > first.expires_at
            await world.store.people.audit(
                next(iter(world.store.workspaces.organizations)), By("operator", "op"), "a.b", "c"
            )
            assert await world.ask("SELECT expires_at FROM sessions") == [(later.expires_at,)]

    run(scenario())


def test_a_person_has_so_many_sessions(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            _, user, first = await populated(world)
            tokens = [(await world.store.people.accounts.open_session(user.id, HOUR))[1] for _ in range(SESSIONS_MAX)]
            assert found(world, first) is None
            assert all(found(world, token) for token in tokens)
            assert await world.ask("SELECT count(*) FROM sessions") == [(SESSIONS_MAX,)]

    run(scenario())


def test_two_at_once_cannot_break_a_rule(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            organization, jane, _ = await populated(world)
            people = world.store.people
            same = await asyncio.gather(
                *(people.accounts.add(email, "", "h") for email in ("b@b", "B@b")), return_exceptions=True
            )
            assert isinstance(same[1], AlreadyExists)
            bob = same[0]
            joins = (people.join(organization, bob.id, "owner") for _ in range(2))
            joined = await asyncio.gather(*joins, return_exceptions=True)
            assert isinstance(joined[1], AlreadyExists)
            by = By("operator", "op")
            left = await asyncio.gather(
                people.remove(organization, jane.id, by),
                people.change_role(organization, bob.id, "viewer", by),
                return_exceptions=True,
            )
            assert isinstance(left[1], LastOwner)
            assert await world.ask("SELECT user_id, role FROM members") == [(bob.id, "owner")]

    run(scenario())


def test_the_log_is_append_only(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await populated(world)

    run(scenario())
    connection = sqlite3.connect(tmp_path / "tollway.db")
    for text in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(text)
    connection.close()
