"""Organizations, workspaces, keys and operators: served from memory, kept on disk."""

import asyncio
from dataclasses import replace

import pytest

from store.world import PEPPER, opened
from tollway.errors import NotFound, ValidationFailed
from tollway.workspaces.key import digest


def test_a_key_is_found_by_its_digest_with_all_it_may_do(tmp_path) -> None:
    async def scenario() -> None:
        fields = {
            "scopes": frozenset({"chat"}),
            "allowed_models": frozenset({"openai/gpt", "x/y"}),
            "budget_nano": 5,
            "budget_window": "week",
            "requests_per_minute": 7,
            "tokens_per_day": 8,
            "expires_at": 9_999_999_999,
        }
        async with opened(tmp_path) as world:
            made, secret = await world.store.workspaces.add_key(world.ws, name=" limited ", **fields)
            assert made.prefix == secret[:7]
        async with opened(tmp_path, prefix=1) as world:
            found = world.store.workspaces.key(digest(secret, PEPPER))
            assert found == made
            assert found.name == "limited"
            assert all(getattr(found, name) == value for name, value in fields.items())
            assert world.store.workspaces.key(digest(secret, b"q" * 32)) is None

    asyncio.run(scenario())


def test_a_revoked_key_is_disabled_at_once_and_for_ever(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            made, secret = await world.store.workspaces.add_key(world.ws, name="k")
            revoking = asyncio.create_task(world.store.workspaces.revoke_key(made.id))
            await asyncio.sleep(0)
            assert world.store.workspaces.key(digest(secret, PEPPER)).is_disabled
            await revoking
            await world.store.workspaces.revoke_key(made.id)
            changed = await world.store.workspaces.change_key(replace(made, name="still dead"))
            assert changed.is_disabled
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.key(digest(secret, PEPPER)).is_disabled

    asyncio.run(scenario())


def test_a_change_is_in_force_at_once_and_kept(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            changed = replace(
                world.key, name="new", budget_nano=7, budget_window="day", allowed_models=frozenset({"a"})
            )
            assert await world.store.workspaces.change_key(changed) == changed
            # What a caller may not change stays.
            assert (
                await world.store.workspaces.change_key(replace(changed, workspace_id="x", prefix="tw_zzzz"))
            ) == changed
        async with opened(tmp_path, prefix=1) as world:
            assert world.key == changed

    asyncio.run(scenario())


def test_other_tenants_keys_are_not_found(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            assert world.store.workspaces.key_by_id(world.key.id, world.ws) == world.key
            assert world.store.workspaces.keys_of(other.id) == []
            for call in (
                world.store.workspaces.key_by_id,
                world.store.workspaces.workspace,
            ):
                with pytest.raises(NotFound):
                    call("nobody")
            with pytest.raises(NotFound):
                world.store.workspaces.key_by_id(world.key.id, other.id)
            with pytest.raises(NotFound):
                await world.store.workspaces.revoke_key(world.key.id, other.id)
            with pytest.raises(NotFound):
                await world.store.workspaces.add_key("nobody", name="k")
            with pytest.raises(NotFound):
                await world.store.workspaces.add_workspace("nobody", "w")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"scopes": frozenset()}, "scopes"),
        ({"scopes": frozenset({"chat", "root"})}, "scopes"),
        ({"budget_nano": -1}, "budget"),
        ({"budget_window": "year"}, "budget_window"),
        ({"requests_per_minute": -2}, "requests_per_minute"),
        ({"tokens_per_day": 2**63}, "tokens_per_day"),
    ],
)
def test_pains_33_a_wrong_field_is_refused_not_dropped(tmp_path, fields, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            with pytest.raises(ValidationFailed) as refused:
                await world.store.workspaces.add_key(world.ws, **{"name": "k", **fields})
            assert refused.value.param == param
            assert world.ledger.is_available

    asyncio.run(scenario())
