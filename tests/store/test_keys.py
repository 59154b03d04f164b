"""API keys: served from memory, kept on disk; refused at once, rotated, never lost between two changes."""

import asyncio
from dataclasses import replace

import pytest

from store.world import NOW, PEPPER, opened
from tollway.errors import NotFound, TierLimitExceeded, ValidationFailed
from tollway.workspaces.actor import By
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
            "ip_allow": ("10.0.0.0/8", "2001:db8::1"),
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
            for dead in (
                world.store.workspaces.change_key(replace(made, name="still dead")),
                world.store.workspaces.enable_key(made.id),
                world.store.workspaces.disable_key(made.id),
                world.store.workspaces.rotate_key(made.id),
            ):
                with pytest.raises(ValidationFailed, match="for ever"):
                    await dead
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
        ({"budget_nano": -1}, "budget_usd"),
        ({"budget_window": "year"}, "budget_window"),
        ({"requests_per_minute": -2}, "requests_per_minute"),
        ({"tokens_per_day": 2**63}, "tokens_per_day"),
        ({"ip_allow": ("10.0.0.0/8", "10.0.0.1/8")}, "ip_allow[1]"),
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


def test_a_disabled_key_is_refused_until_it_is_enabled(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            made, secret = await world.store.workspaces.add_key(world.ws, name="k")
            disabling = asyncio.create_task(world.store.workspaces.disable_key(made.id))
            await asyncio.sleep(0)
            found = world.store.workspaces.key(digest(secret, PEPPER))
            assert (found.is_disabled, found.is_revoked) == (True, False)
            assert "Enable it again" in found.refusal
            assert await disabling == found
            assert (await world.store.workspaces.change_key(replace(made, name="renamed"))).is_disabled
        async with opened(tmp_path, prefix=1) as world:
            found = world.store.workspaces.key(digest(secret, PEPPER))
            assert (found.name, found.state) == ("renamed", "disabled")
            for _ in range(2):
                assert not (await world.store.workspaces.enable_key(made.id)).is_disabled
        async with opened(tmp_path, prefix=2) as world:
            assert world.store.workspaces.key(digest(secret, PEPPER)).state == "active"
            assert world.store.workspaces.key(digest(secret, PEPPER)).refusal == ""

    asyncio.run(scenario())


def test_on_and_off_at_once_end_alike_in_memory_and_on_disk(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            workspaces = world.store.workspaces
            made, _ = await workspaces.add_key(world.ws, name="k")
            await workspaces.disable_key(made.id)
            turns = [workspaces.enable_key, workspaces.disable_key] * 5
            await asyncio.gather(*(turn(made.id) for turn in turns))
            in_memory = workspaces.key_by_id(made.id).state
            await asyncio.gather(workspaces.enable_key(made.id), workspaces.revoke_key(made.id))
            assert workspaces.key_by_id(made.id).is_revoked
            assert in_memory == "disabled"
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.key_by_id(made.id).is_revoked

    asyncio.run(scenario())


def test_two_changes_at_once_are_both_kept(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asyncio.gather(
                world.store.workspaces.update_key(world.key.id, lambda key: replace(key, name="both")),
                world.store.workspaces.update_key(world.key.id, lambda key: replace(key, budget_nano=9)),
                world.store.workspaces.revoke_key(world.key.id),
                return_exceptions=True,
            )
            found = world.store.workspaces.key_by_id(world.key.id)
            assert found.is_revoked
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.key_by_id(world.key.id).is_revoked

    asyncio.run(scenario())


def test_a_change_does_not_bring_a_revoked_key_back(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            changing = asyncio.create_task(
                world.store.workspaces.update_key(world.key.id, lambda key: replace(key, name="late"))
            )
            await asyncio.sleep(0)
            await world.store.workspaces.revoke_key(world.key.id)
            assert (await changing).is_revoked

    asyncio.run(scenario())


def test_a_new_text_for_the_same_key(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            made, first = await world.store.workspaces.add_key(world.ws, name="k", budget_nano=5)
            same, second = await world.store.workspaces.rotate_key(made.id)
            assert same == replace(made, prefix=second[:7])
            assert world.store.workspaces.key(digest(first, PEPPER)) is None
            assert world.store.workspaces.key(digest(second, PEPPER)) == same
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.key(digest(first, PEPPER)) is None
            assert world.store.workspaces.key(digest(second, PEPPER)) == same
            assert [key.id for key in world.store.workspaces.keys_of(world.ws)] == [world.key.id, made.id]

    asyncio.run(scenario())


def test_the_old_text_works_for_its_grace_and_one_rotation(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            made, first = await world.store.workspaces.add_key(world.ws, name="k")
            _, second = await world.store.workspaces.rotate_key(made.id, grace_s=60)
            assert world.store.workspaces.key(digest(first, PEPPER)).expires_at == NOW + 60
            assert world.store.workspaces.key(digest(second, PEPPER)).expires_at is None
            assert len(world.store.workspaces.keys_of(world.ws)) == 2
            await world.store.workspaces.update_key(
                made.id, lambda key: replace(key, expires_at=NOW + 30, budget_nano=7)
            )
            assert world.store.workspaces.key(digest(first, PEPPER)).expires_at == NOW + 30
            assert world.store.workspaces.key(digest(first, PEPPER)).budget_nano == 7
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.workspaces.key(digest(first, PEPPER)).expires_at == NOW + 30
            await world.store.workspaces.disable_key(made.id)
            assert world.store.workspaces.key(digest(first, PEPPER)).is_disabled
            await world.store.workspaces.enable_key(made.id)
            await world.store.workspaces.rotate_key(made.id, grace_s=60)
            assert world.store.workspaces.key(digest(first, PEPPER)) is None
            assert world.store.workspaces.key(digest(second, PEPPER)) is not None
            await world.store.workspaces.revoke_key(made.id)
            assert world.store.workspaces.key(digest(second, PEPPER)).is_revoked
            for wrong in (-1, 86_401):
                with pytest.raises(ValidationFailed) as refused:
                    await world.store.workspaces.rotate_key(world.key.id, grace_s=wrong)
                assert refused.value.param == "grace_seconds"
        world.clock.time = NOW + 61
        async with opened(tmp_path, world.clock, prefix=2) as world:
            assert world.store.workspaces.key(digest(second, PEPPER)) is None

    asyncio.run(scenario())


def test_the_last_place_is_given_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:

            def room(current: int) -> None:
                if current >= 3:
                    raise TierLimitExceeded

            making = (world.store.workspaces.add_key(world.ws, name=f"k{n}", room=room) for n in range(10))
            done = await asyncio.gather(*making, return_exceptions=True)
            assert sum(isinstance(one, TierLimitExceeded) for one in done) == 8
            assert world.store.workspaces.live_keys(world.ws) == 3
            await world.store.workspaces.revoke_key(world.key.id)
            await world.store.workspaces.add_key(world.ws, name="again", room=room)

    asyncio.run(scenario())


def test_the_audit_log_says_who(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            by = By("key", world.key.id)
            made, _ = await world.store.workspaces.add_key(world.ws, name="k", by=by)
            assert made.created_by == world.key.id
            await world.store.workspaces.update_key(made.id, lambda key: replace(key, name="new"), by=by)
            await world.store.workspaces.disable_key(made.id, by=by)
            await world.store.workspaces.enable_key(made.id, by=by)
            await world.store.workspaces.rotate_key(made.id, by=by)
            await world.store.workspaces.revoke_key(made.id, by=by)
            rows = await world.ask("SELECT actor_kind, actor_id, action, target FROM audit_log ORDER BY seq")
            assert [row[2] for row in rows] == [
                "key.create", "key.change", "key.disable", "key.enable", "key.rotate", "key.revoke"
            ]  # fmt: skip
            assert {row[:2] + row[3:] for row in rows} == {("key", world.key.id, made.id)}

    asyncio.run(scenario())
