"""Presets: versions that are only added, found in memory, the same after a restart."""

import asyncio
import sqlite3

import msgspec
import pytest

from store.world import NOW, World, opened
from tollway.errors import AlreadyExists, InvalidField, NotFound, ValidationFailed
from tollway.store.presets import every_preset
from tollway.workspaces.actor import By
from tollway.workspaces.profile import Preset, Reference

BY = By("key", "k1")


def run(scenario) -> None:
    asyncio.run(scenario)


def first(world: World, name: str = "support", **fields: object) -> Preset:
    return Preset(workspace_id=world.ws, name=name, version=0, **fields)


def test_a_change_is_a_new_version_and_the_old_ones_stay(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            presets = world.store.presets
            one = await presets.add(first(world, model="a/b", parameters={"temperature": 0.2}), " What ", by=BY)
            assert (one.description, one.newest.version, one.newest.created_by) == ("What", 1, "k1")
            world.clock.time += 1
            two = await presets.change(
                world.ws, "support", lambda old: msgspec.structs.replace(old, system="Be kind.", version=77), by=BY
            )
            assert [v.version for v in two.versions] == [1, 2]
            assert two.versions[0] == one.newest
            assert presets.find(world.ws, Reference("support")) == two.newest
            assert presets.find(world.ws, Reference("support", 1)) == one.newest
            assert (two.newest.model, two.newest.system, two.newest.created_at) == ("a/b", "Be kind.", NOW + 1)
            same = await presets.change(world.ws, "support", lambda old: old, by=BY)
            described = await presets.change(world.ws, "support", lambda old: old, "Else", by=BY)
            assert (same, described) == (two, two._replace(description="Else"))
            actions = await world.ask("SELECT action, details FROM audit_log ORDER BY seq")
            assert [row[0] for row in actions] == ["preset.create", "preset.change", "preset.change"]
        async with opened(tmp_path, prefix=1) as world:
            assert world.store.presets.presets_of(world.ws) == [described]
            assert await world.store.reader.run(every_preset, world.ws) == [described]

    run(scenario())


def test_a_number_never_means_another_version(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            presets = world.store.presets
            await presets.add(first(world, model="a/b"))
            for _ in range(2):
                assert (await presets.delete(world.ws, "support", by=BY)).name == "support"
            with pytest.raises(NotFound):
                presets.preset(world.ws, "support")
            with pytest.raises(InvalidField, match="there are none"):
                presets.find(world.ws, Reference("support", 1))
            with pytest.raises(NotFound):
                await presets.delete(world.ws, "never")
        async with opened(tmp_path, prefix=1) as world:
            presets = world.store.presets
            await presets.delete(world.ws, "support")
            again = await presets.add(first(world, model="c/d"))
            assert [(v.version, v.model) for v in again.versions] == [(1, "a/b"), (2, "c/d")]
            with pytest.raises(AlreadyExists):
                await presets.add(first(world))
        async with opened(tmp_path, prefix=2) as world:
            assert world.store.presets.presets_of(world.ws) == [again]

    run(scenario())


def test_what_is_not_there_says_what_is(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            presets = world.store.presets
            await presets.add(first(world, model="a/b"))
            for of, name, version, told in (
                (world.ws, "suport", None, "there are: `support`"),
                (world.ws, "support", 2, "the newest is 1"),
                ("another", "support", None, "there are none"),
            ):
                with pytest.raises(InvalidField, match=told) as refusal:
                    presets.find(of, Reference(name, version))
                assert refusal.value.param == "preset"

    run(scenario())


def test_versions_are_append_only_on_disk(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.store.presets.add(first(world, model="a/b"))
        with sqlite3.connect(tmp_path / "tollway.db") as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute("UPDATE preset_versions SET model = 'x'")

    run(scenario())


def test_a_workspace_has_so_many_presets_and_bytes(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            presets = world.store.presets
            monkeypatch.setattr("tollway.store.presets.PRESETS_MAX", 1)
            monkeypatch.setattr("tollway.store.presets.BYTES_MAX", 100)
            await presets.add(first(world, system="s" * 90))
            with pytest.raises(ValidationFailed, match="at most 1 presets"):
                await presets.add(first(world, "more"))
            with pytest.raises(ValidationFailed, match="at most 100 bytes"):
                await presets.change(world.ws, "support", lambda old: msgspec.structs.replace(old, system="s" * 9))
            assert presets.preset(world.ws, "support").newest.version == 1
            with pytest.raises(ValidationFailed, match="description"):
                await presets.change(world.ws, "support", lambda old: old, "x" * 501)

    run(scenario())
