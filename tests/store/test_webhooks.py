"""Endpoints and their secrets, and events written with what they tell of."""

import asyncio
import json
import os

import pytest

from store.world import PEPPER, World, opened
from tollway.alerts.events import PlanChanged
from tollway.errors import Broken, NotFound, ValidationFailed
from tollway.store.sealed import Sealer
from tollway.store.webhooks import ENDPOINTS_MAX

URL = "https://example.com/hook"
PLAN = PlanChanged("pro", "hobby", "test")


def run(scenario) -> None:
    asyncio.run(scenario)


async def events(world: World) -> list[tuple[str, str]]:
    """Type and endpoint of every delivery, oldest first."""
    rows = await world.ask(
        "SELECT e.type, d.endpoint_id FROM webhook_deliveries AS d JOIN webhook_events AS e ON e.id = d.event_id ORDER BY d.id"
    )
    return [tuple(row) for row in rows]


def test_a_secret_opens_for_its_owner_under_its_pepper_only() -> None:
    sealer = Sealer(PEPPER, os.urandom)
    sealed = sealer.seal(b"s" * 32, "owner")
    assert sealer.open(sealed, "owner") == b"s" * 32
    assert sealer.seal(b"s" * 32, "owner") != sealed
    for other, owner, text in (
        (Sealer(b"q" * 32, os.urandom), "owner", sealed),
        (sealer, "thief", sealed),
        (sealer, "owner", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (sealer, "owner", b""),
    ):
        with pytest.raises(Broken, match="rotate it"):
            other.open(text, owner)


def test_the_key_is_derived_as_rfc_5869_says() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    expected = HKDF(hashes.SHA256(), 32, None, b"tollway webhook secrets v1").derive(PEPPER)
    assert Sealer(PEPPER, os.urandom)._key == expected


def test_endpoints_live_through_a_restart_and_secrets_are_not_in_the_clear(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store.webhooks
            made, secret = await store.add(world.ws, url=URL, events=frozenset({"key.created"}), description=" a ")
            again, newer = await store.rotate(made.id, world.ws)
            assert secret != newer
            await store.change(_with(again, is_enabled=False))
            other, _ = await store.add(world.ws, url=URL)
            await store.remove(other.id)
            (row,) = await world.ask("SELECT secret, old_secret FROM webhook_endpoints WHERE deleted_at IS NULL")
            assert len(row[0]) == len(row[1]) == 12 + 32 + 16
        async with opened(tmp_path, prefix=1) as world:
            (found,) = world.store.webhooks.endpoints_of(world.ws)
            assert (found.url, found.events, found.description) == (URL, frozenset({"key.created"}), "a")
            assert not found.is_enabled
            assert len(world.store.webhooks.secrets(found)) == 2
            world.clock.time += 86_401
            (only,) = world.store.webhooks.secrets(found)
            from tollway.alerts.signing import secret_text

            assert secret_text(only) == newer
            with pytest.raises(NotFound):
                world.store.webhooks.endpoint(found.id, "another workspace")
            with pytest.raises(NotFound):
                world.store.webhooks.endpoint(other.id)

    run(scenario())


def _with(endpoint, **changes):
    import msgspec

    return msgspec.structs.replace(endpoint, **changes)


def test_what_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store.webhooks
            for fields, param in (
                ({"events": frozenset({"nope"})}, "events"),
                ({"events": frozenset()}, "events"),
                ({"description": "x" * 501}, "description"),
                ({"description": "a\nb"}, "description"),
            ):
                with pytest.raises(ValidationFailed) as refused:
                    await store.add(world.ws, url=URL, **fields)
                assert refused.value.param == param
            with pytest.raises(NotFound):
                await store.add("nowhere", url=URL)
            for _ in range(ENDPOINTS_MAX):
                await store.add(world.ws, url=URL)
            with pytest.raises(ValidationFailed):
                await store.add(world.ws, url=URL)

    run(scenario())


def test_an_event_goes_to_the_enabled_endpoints_of_its_workspace_that_want_it(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store.webhooks
            everything, _ = await store.add(world.ws, url=URL)
            keys, _ = await store.add(world.ws, url=URL, events=frozenset({"key.created"}))
            off, _ = await store.add(world.ws, url=URL, is_enabled=False)
            other = await world.store.workspaces.add_organization("Other")
            elsewhere = await world.store.workspaces.add_workspace(other.id, "there")
            await store.add(elsewhere.id, url=URL)
            await store.announce("plan.changed", world.ws, PLAN)
            await world.ledger.execute(*store.about_key("key.created", world.key))
            assert await events(world) == [
                ("plan.changed", everything.id), ("key.created", everything.id), ("key.created", keys.id)
            ]  # fmt: skip
            assert off.id not in str(await events(world))
            (body,) = (await world.ask("SELECT body FROM webhook_events WHERE type = 'key.created'"))[0]
            told = json.loads(body)
            assert told["workspace_id"] == world.ws
            assert told["data"] == {
                "key_id": world.key.id,
                "key_name": "first",
                "key_prefix": world.key.prefix,
                "scopes": sorted(world.key.scopes),
            }

    run(scenario())


def test_a_plan_is_told_to_every_workspace_of_its_organization(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            organization = world.store.workspaces.workspace(world.ws).organization_id
            second = await world.store.workspaces.add_workspace(organization, "second")
            store = world.store.webhooks
            one, _ = await store.add(world.ws, url=URL)
            two, _ = await store.add(second.id, url=URL)
            await world.ledger.execute(*store.about_plan(organization, "pro", "hobby", "test"))
            assert sorted(await events(world)) == sorted([("plan.changed", one.id), ("plan.changed", two.id)])

    run(scenario())
