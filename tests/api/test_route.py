"""`POST /v1/route`: the decision with its reasons, nothing called or held; and what a wrong question is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.house import House, bearer, opened, refused
from routing.world import MARKET, STANDINGS
from tollway.routing.standings import Known, StandingTable
from tollway.workspaces.key import Terms
from tollway.workspaces.profile import Profile

CHAT = {"messages": [{"role": "user", "content": "Debug this Python function"}]}


def run(scenario) -> None:
    asyncio.run(scenario)


@asynccontextmanager
async def market(folder) -> AsyncIterator[House]:
    """A house that sells what the routing tests sell."""
    table = StandingTable({name: Known(name, standing, "own") for name, standing in STANDINGS.items()})
    async with opened(folder, standings=table, baseline_model="acme/opus") as house:
        house.catalogue = MARKET
        yield house


def test_the_decision_and_its_reasons(tmp_path) -> None:
    async def scenario() -> None:
        async with market(tmp_path) as house:
            before = await house.get("/v1/wallet")
            reply = await house.post("/v1/route", CHAT)
            assert reply.status_code == 200, reply.text
            told = reply.json()["data"]
            assert (told["model"], told["tier"], told["category"], told["method"]) == (
                "acme/sonnet", "standard", "debugging", "rules",
            )  # fmt: skip
            assert told["explanation"][0].startswith("This looks like a debugging task")
            assert len(told["steps"]) == 5
            assert told["features"][0]["name"] == "code"
            assert told["candidates"][0]["quality"] == 0.93
            assert (told["margin_bps"], told["baseline_model"], told["reference_model"]) == (
                1_000, "acme/opus", "acme/sonnet",
            )  # fmt: skip
            # 11 tokens in and 1,500 out at 3 and 15 USD per million, +10 %.
            assert told["cost_usd"] == f"{(told['input_tokens'] * 3 + 1_500 * 15) * 11 / 10 / 1e6:.9f}".rstrip("0")
            assert [one["direction"] for one in told["alternatives"]] == ["down", "up"]
            assert isinstance(told["savings_pct"], float)
            assert (await house.get("/v1/wallet")).json() == before.json()

    run(scenario())


@pytest.mark.parametrize(
    ("more", "model", "method", "margin"),
    [
        ({"model": "auto:complex"}, "beta/pro", "tier", 800),
        ({"tier": "light"}, "core/light", "tier", 800),
        ({"model": "opus"}, "acme/opus", "direct", 1_000),
        ({"routor_tier_ceiling": "SIMPLE"}, "beta/flash", "rules", 1_000),
        ({"provider": {"only": ["beta"]}}, "acme/sonnet", "rules", 1_000),
    ],
)
def test_routing_fields(tmp_path, *, more, model, method, margin) -> None:
    async def scenario() -> None:
        async with market(tmp_path) as house:
            told = (await house.post("/v1/route", CHAT | more)).json()["data"]
            # The house's operator asks 10 % for a named model too.
            assert (told["model"], told["method"], told["margin_bps"]) == (model, method, margin)

    run(scenario())


def test_what_is_ruled_out_is_told(tmp_path) -> None:
    async def scenario() -> None:
        async with market(tmp_path) as house:
            told = (await house.post("/v1/route", CHAT | {"tier_ceiling": "light"})).json()["data"]
            reasons = {one["model"]: one["reason"] for one in told["excluded"]}
            assert reasons["acme/opus"] == "it is a complex model, above light"
            assert told["excluded_count"] == len(told["excluded"]) == 4

    run(scenario())


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"tier": "huge"}, "tier", "invalid_field"),
        ({"model": "acme/nonsense"}, "model", "model_not_found"),
        ({"max_cost": "0.00000001"}, "max_cost", "invalid_field"),
        ({"messages": []}, "messages", "invalid_field"),
        ({"profile": "nobody"}, "profile", "invalid_field"),
        ({"provider": {"zdr": True}}, "provider.zdr", "invalid_field"),
    ],
)
def test_what_a_wrong_question_is_told(tmp_path, *, body, param, code) -> None:
    async def scenario() -> None:
        async with market(tmp_path) as house:
            refused(await house.post("/v1/route", CHAT | body), 400, "invalid_request_error", code, param)

    run(scenario())


def test_no_json_is_a_400(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.client.post("/v1/route", content=b"[", headers=house.headers)
            refused(reply, 400, "invalid_request_error", "invalid_json")

    run(scenario())


def test_a_profile_narrows_by_its_name_and_by_its_own_key(tmp_path) -> None:
    async def scenario() -> None:
        async with market(tmp_path) as house:
            rules = Profile(id="", workspace_id=house.workspace_id, name="cheap", tier_ceiling="simple")
            _, _, secret = await house.store.profiles.add(rules, Terms())
            named = (await house.post("/v1/route", CHAT | {"profile": "cheap"})).json()["data"]
            owned = (await house.post("/v1/route", CHAT, bearer(secret))).json()["data"]
            for told in (named, owned):
                assert (told["tier"], told["model"], told["profile"]) == ("simple", "beta/flash", "cheap")
            reply = await house.post("/v1/route", CHAT | {"tier_floor": "standard"}, bearer(secret))
            error = refused(reply, 400, "invalid_request_error", "invalid_field", "tier_floor")
            assert "the ceiling of the profile `cheap`" in error["message"]
            reply = await house.post("/v1/route", CHAT | {"model": "opus"}, bearer(secret))
            refused(reply, 400, "invalid_request_error", "invalid_field", "tier")

    run(scenario())
