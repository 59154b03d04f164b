"""Routing profiles: with their keys, in memory and on disk; and aliases of models."""

import asyncio
import os

import msgspec
import pytest

from store.test_failure import Disk, fill_until_down
from store.world import NOW, PEPPER, World, opened
from tollway.errors import (
    AlreadyExists,
    InvalidField,
    KeyDisabled,
    LedgerUnavailable,
    NotFound,
    TierLimitExceeded,
    ValidationFailed,
)
from tollway.routing.wish import Wish
from tollway.store.aliases import every_alias
from tollway.store.profiles import every_profile
from tollway.workspaces.actor import By
from tollway.workspaces.key import Terms, digest
from tollway.workspaces.profile import Profile

BY = By("member", "u1")
TERMS = Terms(scopes=frozenset({"chat", "models"}))


def run(scenario) -> None:
    asyncio.run(scenario)


def rules(world: World, name: str = "app", **fields: object) -> Profile:
    return Profile(id="", workspace_id=world.ws, name=name, **fields)


async def audited(world: World) -> list[str]:
    return [row[0] for row in await world.ask("SELECT action FROM audit_log ORDER BY seq")]


FULL = {
    "tier_floor": "simple", "tier_ceiling": "standard", "max_cost_nano": 50_000_000, "needs": ("tools", "vision"),
    "tool_calling_milli": 850, "quality": 30, "allowed_models": ("a/b",), "allowed_providers": ("acme",),
    "ignored_providers": ("beta",), "region": "eu", "fallbacks": ("a/b", "c/d"), "sort": "price",
}  # fmt: skip


def test_a_profile_and_its_key_are_kept_and_found_by_the_key(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles = world.store.profiles
            made, key, secret = await profiles.add(rules(world, **FULL), TERMS, by=BY)
            assert (key.profile_id, key.name, key.scopes) == (made.id, "app", TERMS["scopes"])
            assert profiles.of_key(key) is profiles.profile(made.id, world.ws) is profiles.named(world.ws, "app")
            assert profiles.key_of(made) == key
            assert profiles.of_key(world.key) is profiles.wish_of(world.key) is None
            assert await audited(world) == ["profile.create", "key.create"]
        async with opened(tmp_path, prefix=1) as world:
            profiles, found = world.store.profiles, world.store.workspaces.key(digest(secret, PEPPER))
            assert (found, profiles.of_key(found)) == (key, made)
            assert {name: getattr(made, name) for name in FULL} == FULL
            assert profiles.wish_of(found) == Wish(
                floor="simple", ceiling="standard", max_cost_nano=50_000_000, needs=frozenset({"tools", "vision"}),
                tool_calling_min=0.85, quality_knob=0.3, allowed_models=frozenset({"a/b"}), allowed_providers=frozenset({"acme"}),
                ignored_providers=frozenset({"beta"}), region="eu", sort="price", profile_id=made.id, profile="app",
            )  # fmt: skip
            assert (
                profiles.wish_named(world.ws, made.id)
                is profiles.wish_named(world.ws, "app")
                is profiles.wish_of(found)
            )
            assert await world.store.reader.run(every_profile) == [made]
            assert await world.store.reader.run(every_profile, "other") == []

    run(scenario())


def test_a_change_is_in_force_at_the_next_request(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles = world.store.profiles
            made, key, _ = await profiles.add(rules(world, mode="fastest"), TERMS, by=BY)
            assert (profiles.wish_of(key).sort, profiles.wish_of(key).quality_knob) == ("latency", 0.5)
            world.clock.time += 5
            changed = await profiles.change(
                made.id,
                world.ws,
                lambda old: msgspec.structs.replace(
                    old, id="x", workspace_id="y", created_at=0, name="new", mode="best", quality=None
                ),
                by=BY,
            )
            assert changed == msgspec.structs.replace(made, name="new", mode="best", quality=100, changed_at=NOW + 5)
            assert profiles.of_key(key) == changed
            assert (profiles.wish_of(key).quality_knob, profiles.wish_of(key).sort) == (1.0, "")
            assert (profiles.named(world.ws, "app"), profiles.named(world.ws, "new")) == (None, changed)
            with pytest.raises(InvalidField):
                await profiles.change(
                    made.id,
                    world.ws,
                    lambda old: msgspec.structs.replace(old, tier_floor="complex", tier_ceiling="nano"),
                )
            assert profiles.of_key(key) == changed
            assert await audited(world) == ["profile.create", "key.create", "profile.change"]
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.profiles.profile(made.id) == changed

    run(scenario())


def test_deleting_refuses_the_key_and_again_changes_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles, workspaces = world.store.profiles, world.store.workspaces
            made, key, secret = await profiles.add(rules(world), TERMS, by=BY)
            assert await profiles.delete(made.id, world.ws, by=BY) == made
            assert await profiles.delete(made.id, world.ws, by=BY) == made
            assert workspaces.key(digest(secret, PEPPER)).is_revoked
            with pytest.raises(KeyDisabled, match="was deleted"):
                profiles.of_key(key)
            with pytest.raises(KeyDisabled):
                profiles.wish_of(key)
            for gone in (profiles.profile, lambda name: profiles.profile(name, world.ws)):
                with pytest.raises(NotFound):
                    gone(made.id)
            assert profiles.named(world.ws, "app") is profiles.named(world.ws, made.id) is None
            assert profiles.profiles_of(world.ws) == []
            assert (await audited(world))[2:] == ["key.revoke", "profile.delete"]
            again, _, _ = await profiles.add(rules(world), TERMS)
            assert again.id != made.id, "its name is free"
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.profiles.profiles_of(world.ws) == [again]
            assert await world.store.profiles.delete(made.id, world.ws) == made
            with pytest.raises(NotFound):
                await world.store.profiles.delete(made.id, "another workspace")

    run(scenario())


def test_a_lost_key_gets_a_new_text_and_a_revoked_one_a_successor(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles, workspaces = world.store.profiles, world.store.workspaces
            made, key, first = await profiles.add(rules(world), TERMS)
            checked = []
            profile, same, second = await profiles.renew_key(made.id, world.ws, TERMS, check=checked.append)
            assert (profile, same.id, checked) == (made, key.id, [key])
            assert workspaces.key(digest(first, PEPPER)) is None
            assert workspaces.key(digest(second, PEPPER)) == same
            await workspaces.revoke_key(key.id)
            assert profiles.key_of(made) is None
            _, other, third = await profiles.renew_key(made.id, world.ws, TERMS, check=checked.append)
            assert other.id != key.id
            assert checked[1].scopes == TERMS["scopes"]
            assert profiles.of_key(workspaces.key(digest(third, PEPPER))) == made
            with pytest.raises(NotFound):
                await profiles.renew_key(made.id, "another", TERMS)

    run(scenario())


def test_names_are_the_workspaces_own(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles = world.store.profiles
            made, _, _ = await profiles.add(rules(world), TERMS)
            other, _, _ = await profiles.add(rules(world, "other"), TERMS)
            with pytest.raises(AlreadyExists, match="`app`"):
                await profiles.add(rules(world, " app "), TERMS)
            with pytest.raises(AlreadyExists):
                await profiles.change(other.id, None, lambda old: msgspec.structs.replace(old, name="app"))
            await profiles.change(made.id, None, lambda old: old)
            elsewhere = await world.store.workspaces.add_workspace(world.key.organization_id, "second")
            twin, _, _ = await profiles.add(Profile(id="", workspace_id=elsewhere.id, name="app"), TERMS)
            assert profiles.named(elsewhere.id, "app") == twin
            assert profiles.named(elsewhere.id, made.id) is None
            for one in (made.id, "nothing"):
                with pytest.raises(NotFound):
                    profiles.profile(one, elsewhere.id)
            await world.store.workspaces.delete_workspace(elsewhere.id)
            with pytest.raises(NotFound):
                await profiles.add(Profile(id="", workspace_id=elsewhere.id, name="more"), TERMS)
            assert profiles.live(world.key.organization_id) == [made, other], "what is deleted takes no room"

    run(scenario())


def test_two_at_once_do_not_share_the_last_place(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:

            def room(current: int) -> None:
                world.store.plans.require_room(world.key.organization_id, "routing_profiles", current)

            await world.store.plans.set_plan(world.key.organization_id, "hobby", actor="op", reason="test")
            asked = [world.store.profiles.add(rules(world, name), TERMS, room=room) for name in "abc"]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in found] == [tuple, TierLimitExceeded, TierLimitExceeded]
            assert len(world.store.profiles.profiles_of(world.ws)) == 1
            assert world.store.workspaces.live_keys(world.ws) == 1, "its key is none of the plan's"

    run(scenario())


def test_nothing_is_half_made_when_the_disk_refuses(tmp_path) -> None:
    async def scenario() -> None:
        disk = Disk()
        async with opened(tmp_path, connect=disk) as world:
            profiles = world.store.profiles
            await world.fund(1_000_000)
            await fill_until_down(world, disk)
            with pytest.raises(LedgerUnavailable):
                await profiles.add(rules(world), TERMS)
            with pytest.raises(LedgerUnavailable):
                await profiles.add_alias(world.ws, "fast", "auto", is_override=False, by=None)
            assert (profiles.profiles_of(world.ws), profiles.alias(world.ws, "fast")) == ([], None)
            assert len(world.store.workspaces.keys_of(world.ws)) == 1
            disk.empty()

    run(scenario())


# --- aliases ---


def test_an_alias_from_making_to_deletion(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            profiles = world.store.profiles
            made = await profiles.add_alias(world.ws, " fast ", "auto:nano", is_override=False, by=BY)
            assert (profiles.alias(world.ws, "fast"), profiles.alias("other", "fast")) == ("auto:nano", None)
            with pytest.raises(AlreadyExists):
                await profiles.add_alias(world.ws, "fast", "auto", is_override=False, by=BY)
            changed = await profiles.change_alias(made.id, world.ws, target="a/b", by=BY)
            assert (profiles.alias(world.ws, "fast"), changed.is_override) == ("a/b", False)
            with pytest.raises(NotFound):
                await profiles.change_alias(made.id, "other", target="c/d", by=BY)
        async with opened(tmp_path, prefix=1) as world:
            profiles = world.store.profiles
            assert profiles.aliases_of(world.ws) == [changed] == await world.store.reader.run(every_alias, world.ws)
            assert profiles.alias(world.ws, "fast") == "a/b"
            for _ in range(2):
                assert await profiles.delete_alias(made.id, world.ws, by=BY) == changed
            assert profiles.alias(world.ws, "fast") is None
            await profiles.add_alias(world.ws, "fast", "auto", is_override=True, by=None)
            assert await audited(world) == ["alias.create", "alias.change", "alias.delete"]
        async with opened(tmp_path, prefix=2) as world:
            profiles = world.store.profiles
            assert await profiles.delete_alias(made.id, world.ws, by=BY) == changed
            for wrong in (made.id, os.urandom(4).hex()):
                with pytest.raises(NotFound):
                    await profiles.delete_alias(wrong, "other", by=BY)
            assert [one.is_override for one in profiles.aliases_of(world.ws)] == [True]

    run(scenario())


def test_a_workspace_has_so_many_aliases(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            monkeypatch.setattr("tollway.store.aliases.ALIASES_MAX", 1)
            await world.store.profiles.add_alias(world.ws, "a", "auto", is_override=False, by=None)
            with pytest.raises(ValidationFailed, match="at most 1"):
                await world.store.profiles.add_alias(world.ws, "b", "auto", is_override=False, by=None)

    run(scenario())
