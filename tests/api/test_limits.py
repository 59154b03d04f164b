"""`/v1/limits`, `/v1/limits/tiers`: the API reference field for field, usage, what is over, and caching."""

import asyncio

import pytest

from api.house import opened, refused
from plans.files import LARGE, SMALL, catalogue_text
from plans.tables import (
    FEATURES,
    NAMES,
    PLANS,
    PRICES,
    PRICING_LIMITS,
    PRO_FEATURES,
    PRO_LIMITS,
    REFERENCE_LIMITS,
    TRIAL_DAYS,
    USAGE_FIELDS,
)
from store.world import NOW
from tollway.plans.overrides import Overrides
from tollway.plans.source import PlanSource

ACTOR = {"actor": "op", "reason": "because"}


def run(scenario) -> None:
    asyncio.run(scenario)


def organization_of(house) -> str:
    return house.key.organization_id


async def limits_of(house) -> dict:
    reply = await house.get("/v1/limits")
    assert reply.status_code == 200, reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert list(reply.json()) == ["data"]
    return reply.json()["data"]


def test_the_shape_of_the_api_reference(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.plans.set_plan(organization_of(house), "pro", **ACTOR)
            told = await limits_of(house)
            assert list(told)[:5] == ["tier", "limits", "features", "allowed_models", "usage"]
            assert told["tier"] == "pro"
            assert dict(list(told["limits"].items())[:10]) == PRO_LIMITS
            assert list(told["limits"])[:10] == list(PRO_LIMITS)
            assert dict(list(told["features"].items())[:6]) == PRO_FEATURES
            assert list(told["features"])[:6] == list(PRO_FEATURES)
            assert told["allowed_models"] == "all"
            assert list(told["usage"])[:8] == USAGE_FIELDS
            assert all(type(one) is int for one in told["usage"].values())
            # Ours beyond it.
            assert (told["plan_name"], told["catalogue"]) == ("Pro", "reference")
            assert told["version"] == house.store.plans.catalogue.plan("pro").version
            assert told["over_limit"] == []
            assert told["upgrade_url"] is None
            assert told["usage"]["api_keys"] == told["usage"]["workspaces"] == 1
            assert told["resets"] == {"minute": NOW // 60 * 60 + 60, "day": (NOW // 86_400 + 1) * 86_400}

    run(scenario())


@pytest.mark.parametrize(("catalogue", "table"), [("reference", REFERENCE_LIMITS), ("pricing", PRICING_LIMITS)])
@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_shows_its_numbers(tmp_path, catalogue, table, plan) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            plans = house.store.plans
            plans._source = PlanSource(catalogue)
            plans._catalogue = plans._source.catalogue
            await plans.set_plan(organization_of(house), plan, **ACTOR)
            told = await limits_of(house)
            at = PLANS.index(plan)
            assert told["limits"] == {name: row[at] for name, row in table.items()}
            assert told["features"] == {name: row[at] for name, row in FEATURES.items()}

    run(scenario())


def test_an_upgrade_and_overrides_are_seen_at_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            assert (await limits_of(house))["tier"] == "hobby"
            await house.store.plans.set_plan(organization_of(house), "team", **ACTOR)
            assert (await limits_of(house))["limits"]["requests_per_minute"] == 300
            agreed = Overrides(limits={"requests_per_minute": 1_234}, features={"sso": True})
            await house.store.plans.set_overrides(organization_of(house), agreed, **ACTOR)
            told = await limits_of(house)
            assert (told["tier"], told["limits"]["requests_per_minute"], told["features"]["sso"]) == (
                "team",
                1_234,
                True,
            )

    run(scenario())


def test_after_a_downgrade_nothing_is_deleted_and_what_is_over_is_told(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            organization, store = organization_of(house), house.store
            await store.plans.set_plan(organization, "team", **ACTOR)
            for number in range(3):
                await store.workspaces.add_key(house.workspace_id, name=f"more {number}")
            other = await store.workspaces.add_workspace(organization, "Second")
            await store.workspaces.add_key(other.id, name="its own")
            assert (await limits_of(house))["over_limit"] == []
            await store.plans.set_plan(organization, "hobby", **ACTOR)
            told = await limits_of(house)
            assert told["usage"]["api_keys"] == 4
            assert told["usage"]["workspaces"] == 2
            keys, workspaces = told["over_limit"]
            assert (keys["limit"], keys["allowed"], keys["current"]) == ("api_keys", 1, 4)
            assert keys["workspace_id"] == house.workspace_id
            assert keys["reason"] == "The plan Hobby has 1 API key; there are 4."
            assert "Nothing is deleted" in keys["effect"]
            assert "cannot be" not in keys["effect"]
            assert (workspaces["limit"], workspaces["allowed"], workspaces["current"]) == ("workspaces", 1, 2)
            assert workspaces["workspace_id"] is None

    run(scenario())


def test_who_may_ask(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            refused(await house.get("/v1/limits", headers={}), 401, "authentication_error", "missing_api_key")
            _, secret = await house.store.workspaces.add_key(house.workspace_id, name="k", scopes=frozenset({"chat"}))
            reply = await house.get("/v1/limits", headers={"authorization": f"Bearer {secret}"})
            refused(reply, 403, "authorization_error", "scope_missing")

    run(scenario())


def test_the_tiers_need_no_key(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get("/v1/limits/tiers", headers={})
            assert reply.status_code == 200
            assert reply.headers["cache-control"] == "public, max-age=86400"
            told = reply.json()["data"]
            assert [(one["id"], one["name"]) for one in told] == list(zip(PLANS, NAMES, strict=True))
            for at, tier in enumerate(told):
                assert list(tier)[:5] == ["id", "name", "limits", "features", "allowed_models"]
                assert tier["limits"] == {name: row[at] for name, row in REFERENCE_LIMITS.items()}
                assert tier["features"] == {name: row[at] for name, row in FEATURES.items()}
                assert tier["allowed_models"] == "all"
                month, year = PRICES[at]
                assert tier["prices"] == (None if month is None else {"month_cents": month, "year_cents": year})
                assert tier["trial_days"] == TRIAL_DAYS[at]
                assert "margins_bps" not in tier

    run(scenario())


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_tiers_that_are_known_are_not_sent_again(tmp_path, form) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            tag = (await house.get("/v1/limits/tiers", headers={})).headers["etag"]
            reply = await house.get("/v1/limits/tiers", headers={"if-none-match": form.format(tag)})
            assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", tag)
            assert reply.headers["cache-control"] == "public, max-age=86400"
            reply = await house.get("/v1/limits/tiers", headers={"if-none-match": '"other"'})
            assert reply.status_code == 200

    run(scenario())


def test_a_changed_file_is_told_at_once_with_another_etag(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            file = tmp_path / "plans.toml"
            file.write_text(catalogue_text(SMALL))
            plans = house.store.plans
            first = (await house.get("/v1/limits/tiers", headers={})).headers["etag"]
            plans._source = PlanSource("reference")
            plans._source._where = str(file)
            await plans.tick()
            reply = await house.get("/v1/limits/tiers", headers={"if-none-match": first})
            assert [one["id"] for one in reply.json()["data"]] == ["small"]
            file.write_text(catalogue_text(SMALL, LARGE))
            await plans.tick()
            again = await house.get("/v1/limits/tiers", headers={"if-none-match": reply.headers["etag"]})
            assert [one["id"] for one in again.json()["data"]] == ["small", "large"]

    run(scenario())
