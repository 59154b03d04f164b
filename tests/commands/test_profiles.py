"""`tollway profiles`."""

import asyncio
import json
import os

from commands.installation import DATA, Operator
from store.world import CountingIds, SystemClock
from tollway.store import EmbeddedStore
from tollway.workspaces.key import looks_like_key

RULES = (
    "--tier-floor", "light", "--tier-ceiling", "complex", "--max-cost-usd", "0.05", "--needs", "tools, vision",
    "--tool-calling-min", "0.85", "--quality", "70", "--models", "openai/gpt-4o,openai/gpt-4o-mini", "--providers", "openai",
    "--fallbacks", "openai/gpt-4o-mini", "--sort", "price",
)  # fmt: skip


async def on_plan(plan: str) -> None:
    store = await EmbeddedStore.open(DATA, clock=SystemClock(), ids=CountingIds(9), random_bytes=os.urandom)
    await store.plans.set_plan(next(iter(store.workspaces.organizations)), plan, actor="op", reason="test")
    await store.close()


def test_create_prints_the_key_once_and_shows_the_rules(tollway, workspace) -> None:
    ran = tollway("profiles", "create", "--name", "app", *RULES)
    assert ran.code == 0, ran.err
    secret = ran.out.strip()
    assert looks_like_key(secret)
    assert "shown once" in ran.err
    (told,) = json.loads(tollway("profiles", "list", "--json").out)
    expected = {
        "name": "app", "workspace_id": workspace, "tier_floor": "light", "tier_ceiling": "complex", "max_cost_usd": "0.05",
        "needs": ["tools", "vision"], "tool_calling_min": "0.85", "quality": 70, "mode": None,
        "allowed_models": ["openai/gpt-4o", "openai/gpt-4o-mini"], "allowed_providers": ["openai"], "ignored_providers": [],
        "region": None, "fallbacks": ["openai/gpt-4o-mini"], "sort": "price", "over_limit": False,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert (told["key"]["prefix"], told["key"]["status"]) == (secret[:7], "active")
    assert json.loads(tollway("profiles", "show", told["id"], "--json").out) == told
    shown = tollway("profiles", "show", told["id"]).out
    assert secret[:7] in shown
    assert "openai/gpt-4o, openai/gpt-4o-mini" in shown
    listed = tollway("profiles", "list").out
    assert "light to complex" in listed
    assert secret not in listed + shown
    assert json.loads(tollway("profiles", "list", "--workspace", "nobody", "--json").out) == []
    assert json.loads(tollway("keys", "list", "--json").out)[-1]["profile_id"] == told["id"]


def test_update_and_delete(tollway, workspace) -> None:
    made = json.loads(tollway("profiles", "create", "--name", "app", *RULES, "--json").out)
    profile = made["data"]["id"]
    assert tollway("profiles", "update", profile, "--name", "new", "--mode", "cheapest", "--models", "none").code == 0
    told = json.loads(tollway("profiles", "show", profile, "--json").out)
    assert (told["name"], told["mode"], told["quality"], told["allowed_models"]) == ("new", "cheapest", 0, None)
    assert (told["tier_floor"], told["fallbacks"]) == ("light", ["openai/gpt-4o-mini"])
    again = json.loads(tollway("profiles", "update", profile, "--fallbacks", "none", "--json").out)
    assert again["fallbacks"] == []
    for _ in range(2):
        ran = tollway("profiles", "delete", profile)
        assert (ran.code, "is deleted" in ran.out) == (0, True)
    assert json.loads(tollway("profiles", "list", "--json").out) == []
    assert json.loads(tollway("keys", "list", "--json").out)[-1]["status"] == "revoked"
    assert tollway("profiles", "show", profile).code == 1
    assert tollway("profiles", "update", profile, "--quality", "3").code == 1


def test_what_is_wrong_is_said(tollway, workspace) -> None:
    for given, told in (
        (("--models", "openai/gpt-4oo"), "did you mean"),
        (("--tier-floor", "complex", "--tier-ceiling", "nano"), "above `tier_ceiling`"),
        (("--quality", "many"), "0 to 100"),
        (("--quality", "101"), "less than or equal to 100"),
        (("--tool-calling-min", "2"), "from 0 to 1"),
        (("--max-cost-usd", "cheap"), "not a plain decimal"),
        (("--mode", "quick"), "cheapest"),
    ):
        ran = tollway("profiles", "create", "--name", "app", *given)
        assert ran.code in (1, 2)
        assert told in ran.err, ran.err
    assert tollway("profiles", "update", "x").code == 2
    assert json.loads(tollway("profiles", "list", "--json").out) == []


def test_the_operator_goes_beyond_the_plan_and_sees_it(tollway, workspace) -> None:
    asyncio.run(on_plan("hobby"))
    for name in ("one", "two"):
        assert tollway("profiles", "create", "--name", name).code == 0
    assert [one["over_limit"] for one in json.loads(tollway("profiles", "list", "--json").out)] == [False, True]
    assert "beyond the plan" in tollway("profiles", "list").out


def test_a_running_server_is_asked(tollway, owned) -> None:
    Operator.status, Operator.reply = 201, b'{"data": {"id": "p1"}, "key": "tw_text"}'
    ran = tollway("profiles", "create", "--name", "app", "--quality", "5", "--needs", "none")
    assert (ran.code, ran.out) == (0, "tw_text\n")
    Operator.status = 200
    assert tollway("profiles", "update", "p1", "--mode", "best", "--region", "none").code == 0
    assert tollway("profiles", "delete", "p1").code == 0
    asked = [(method, path, json.loads(body or b"{}")) for method, path, _, body in Operator.asked]
    assert asked == [
        ("POST", "/admin/profiles", {"workspace_id": owned, "name": "app", "quality": 5, "needs": []}),
        ("PATCH", "/admin/profiles/p1", {"mode": "best", "region": None}),
        ("DELETE", "/admin/profiles/p1", {}),
    ]
