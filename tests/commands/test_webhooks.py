"""`tollway webhooks`."""

import asyncio
import json
import os
import sqlite3

from commands.installation import DATA, Operator
from store.world import CountingIds, SystemClock
from tollway.alerts.events import PlanChanged
from tollway.alerts.webhook import Attempt
from tollway.store import EmbeddedStore


async def given_up(workspace_id: str) -> tuple[str, str]:
    """A webhook with a delivery that was given up: their ids."""
    store = await EmbeddedStore.open(DATA, clock=SystemClock(), ids=CountingIds(9), random_bytes=os.urandom)
    url = "https://hooks.example.com/services/T0/SECRET"
    endpoint, _ = await store.webhooks.add(workspace_id, url=url, events=frozenset({"plan.changed"}))
    await store.webhooks.announce("plan.changed", workspace_id, PlanChanged("pro", "hobby", "x"))
    (one,) = await store.deliveries.claim(1)
    await store.deliveries.record(one, Attempt(1, 1_800_000_000_000, 500, "it answered 500", 3, "no"), is_last=True)
    await store.close()
    return endpoint.id, one.id


def test_list_shows_hosts_and_no_paths(tollway, workspace) -> None:
    endpoint, _ = asyncio.run(given_up(workspace))
    told = tollway("webhooks", "list").out
    assert endpoint in told
    assert "hooks.example.com" in told
    assert "plan.changed" in told
    assert "SECRET" not in told
    (one,) = json.loads(tollway("webhooks", "list", "--json").out)
    assert (one["id"], one["workspace_id"], one["host"], one["enabled"]) == (
        endpoint,
        workspace,
        "hooks.example.com",
        True,
    )
    assert json.loads(tollway("webhooks", "list", "--workspace", "nobody", "--json").out) == []


def test_dead_letters_are_listed_and_replayed(tollway, workspace) -> None:
    endpoint, delivery = asyncio.run(given_up(workspace))
    told = tollway("webhooks", "deliveries", "--status", "dead").out
    assert delivery in told
    assert "it answered 500" in told
    (one,) = json.loads(tollway("webhooks", "deliveries", "--json").out)
    assert (one["webhook_id"], one["status"], one["attempts"], one["error"]) == (endpoint, "dead", 1, "it answered 500")
    ran = tollway("webhooks", "replay", delivery)
    assert ran.code == 0
    assert "is pending" in ran.out
    (one,) = json.loads(tollway("webhooks", "deliveries", "--status", "pending", "--json").out)
    assert one["next_attempt_at"]
    assert json.loads(tollway("webhooks", "deliveries", "--status", "dead", "--json").out) == []
    again = tollway("webhooks", "replay", delivery)
    assert again.code == 1
    assert "is on its way" in again.err
    assert tollway("webhooks", "replay", "nothing").code == 1


def test_a_running_server_is_asked_to_replay(tollway, owned) -> None:
    Operator.status, Operator.reply = 200, b'{"data": {"id": "d-1", "status": "pending"}}'
    ran = tollway("webhooks", "replay", "d-1", "--json")
    assert (ran.code, json.loads(ran.out)) == (0, {"id": "d-1", "status": "pending"})
    (asked,) = Operator.asked
    assert asked[:3] == ("POST", "/admin/webhooks/deliveries/d-1/replay", "Bearer secret")


def test_no_secret_is_in_the_database_in_the_clear(tollway, workspace) -> None:
    asyncio.run(given_up(workspace))
    with sqlite3.connect(DATA / "tollway.db") as connection:
        (secret,) = connection.execute("SELECT secret FROM webhook_endpoints").fetchone()
    connection.close()
    assert len(secret) == 60
