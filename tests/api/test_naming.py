"""Names of a workspace's own in a chat body: nothing else of the body changes, not by a byte."""

import asyncio
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.world import World, opened
from tollway.api.naming import Named, named
from tollway.errors import InvalidField
from tollway.workspaces.profile import Preset, apply_preset


def run(scenario) -> None:
    asyncio.run(scenario)


async def settled(world: World) -> None:
    """An alias of a model, one of a preset, and a preset in two versions."""
    presets, profiles = world.store.presets, world.store.profiles
    first = Preset(workspace_id=world.ws, name="support", version=0, model="a/b", parameters={"temperature": 0.2})
    await presets.add(first)
    await presets.change(world.ws, "support", lambda old: msgspec.structs.replace(old, system="Be kind."))
    for name, target in (("fast", "c/d"), ("bot", "@preset/support@1"), ("auto-light", "auto:light")):
        await profiles.add_alias(world.ws, name, target, is_override=False, by=None)


def read(world: World, text: bytes, workspace_id: str = "") -> Named | None:
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return named(world.store.profiles, world.store.presets, workspace_id or world.ws, fields)


def body(**fields: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "Hi"}], **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "alias", "preset", "expected"),
    [
        ({"model": "fast"}, "fast", "", {"model": "c/d"}),
        ({"model": "auto-light"}, "auto-light", "", {"model": "auto:light"}),
        ({"model": "bot"}, "bot", "support@1", {"model": "a/b", "temperature": 0.2}),
        ({"model": "@preset/support@1", "temperature": None}, "", "support@1", {"model": "a/b", "temperature": None}),
        ({"model": "fast@preset/support@1"}, "fast", "support@1", {"model": "c/d", "temperature": 0.2}),
        ({"model": "fast", "preset": "support@1"}, "fast", "support@1", {"model": "c/d", "temperature": 0.2}),
        ({"preset": "support@1"}, "", "support@1", {"model": "a/b", "temperature": 0.2}),
    ],
)
def test_names_become_what_they_stand_for(tmp_path, fields, alias, preset, expected) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await settled(world)
            found = read(world, body(**fields))
            assert (found.alias, found.preset) == (alias, preset)
            told = json.loads(found.body)
            assert told.pop("messages") == [{"role": "user", "content": "Hi"}]
            assert told == expected

    run(scenario())


def test_the_system_prompt_goes_first_and_escapes_hide_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await settled(world)
            for text in (b'"@preset/support"', b'"@preset\\/support"', b'"\\u0040preset/support"'):
                asked = b'{"model": %b, "messages": [{"role":"user","content":"1.50"}], "x": 1.50}' % text
                found = read(world, asked)
                assert found.preset == "support@2"
                assert json.loads(found.body)["messages"][0] == {"role": "system", "content": "Be kind."}
                assert b'"x":1.50' in found.body, "the caller's own digits"

    run(scenario())


def test_what_names_nothing_is_left_as_it_is(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            cases = [
                body(model="fast"),
                body(model="a/b"),
                b"{}",
                b'{"model": 5}',
                b'{"model": null}',
                b'{"model": ["fast"]}',
            ]
            for one in cases:
                assert read(world, one) is None
            await settled(world)
            for one in cases[1:]:
                assert read(world, one) is None
            assert read(world, cases[0], "another") is None, "it is nobody else's"

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"model": "@preset/none"}, "preset", "there are: `support`"),
        ({"model": "@preset/support@3"}, "preset", "newest is 2"),
        ({"model": "@preset/No"}, "model", "names no preset"),
        ({"model": "x", "preset": "No"}, "preset", "names no preset"),
        ({"model": "x", "preset": 5}, "preset", "is the name"),
        ({"model": "x", "preset": None}, "preset", "is the name"),
        ({"model": "x", "preset": ""}, "preset", "names no preset"),
        ({"model": "bot", "preset": "support"}, "preset", "one of them"),
        ({"model": "bot@preset/support"}, "model", "names no preset"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, fields, param, told) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await settled(world)
            with pytest.raises(InvalidField, match=told) as refusal:
                read(world, body(**fields))
            assert refusal.value.param == param
            with pytest.raises(InvalidField, match="no preset"):
                read(world, body(model="@preset/support"), "another")

    run(scenario())


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = scalars | st.text(max_size=8) | st.lists(st.text(max_size=4) | scalars, max_size=3)
fields_of = st.dictionaries(
    st.sampled_from(["temperature", "stop", "seed", "tools", "x", "messages"]), values, max_size=5
)


@given(rest=fields_of)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_apply_preset_on_the_callers_bytes(tmp_path_factory, rest) -> None:
    async def scenario() -> None:
        async with opened(tmp_path_factory.mktemp("w")) as world:
            await settled(world)
            asked = {"model": "@preset/support", **rest}
            found = read(world, json.dumps(asked).encode())
            preset = world.store.presets.preset(world.ws, "support").newest
            assert json.loads(found.body) == json.loads(json.dumps(apply_preset(asked, preset)))

    run(scenario())
