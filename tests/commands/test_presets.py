"""`tollway presets` and `tollway aliases`."""

import asyncio
import json
import os

import msgspec

from commands.installation import DATA
from store.world import CountingIds, SystemClock
from tollway.store import EmbeddedStore
from tollway.workspaces.profile import Preset


async def named(workspace_id: str) -> None:
    """A preset in two versions and an alias."""
    store = await EmbeddedStore.open(DATA, clock=SystemClock(), ids=CountingIds(9), random_bytes=os.urandom)
    first = Preset(workspace_id=workspace_id, name="support", version=0, model="a/b", parameters={"top_p": 0.5})
    await store.presets.add(first, "The bot")
    await store.presets.change(workspace_id, "support", lambda old: msgspec.structs.replace(old, system="Be kind."))
    await store.profiles.add_alias(workspace_id, "fast", "auto:nano", is_override=True, by=None)
    await store.close()


def test_presets_with_their_versions(tollway, workspace) -> None:
    asyncio.run(named(workspace))
    listed = tollway("presets", "list").out
    assert "support" in listed
    assert "The bot" in listed
    (one,) = json.loads(tollway("presets", "list", "--json").out)
    assert (one["version"], one["model"], one["system"]) == (2, "a/b", "Be kind.")
    told = json.loads(tollway("presets", "show", "support", "--json").out)
    assert [(each["version"], each["system"]) for each in told["versions"]] == [(2, "Be kind."), (1, None)]
    shown = tollway("presets", "show", "support").out
    assert '{"top_p": 0.5}' in shown
    assert shown.index("Be kind.") < shown.rindex("a/b")
    assert tollway("presets", "show", "other").code == 1
    assert json.loads(tollway("presets", "list", "--workspace", "nobody", "--json").out) == []


def test_aliases(tollway, workspace) -> None:
    asyncio.run(named(workspace))
    listed = tollway("aliases", "list").out
    assert "auto:nano" in listed
    assert "hides a model" in listed
    (one,) = json.loads(tollway("aliases", "list", "--json").out)
    assert (one["name"], one["target"], one["override"], one["workspace_id"]) == ("fast", "auto:nano", True, workspace)
    assert json.loads(tollway("aliases", "show", "fast", "--json").out) == one
    assert "auto:nano" in tollway("aliases", "show", "fast").out
    assert tollway("aliases", "show", "slow").code == 1
