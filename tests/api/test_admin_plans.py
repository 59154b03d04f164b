"""`/admin/plans`, and the plan and overrides of an organization."""

import asyncio

import pytest

from api.house import opened, refused
from plans.files import LARGE, SMALL, catalogue_text
from store.world import NOW
from tollway.plans.source import PlanSource


def run(scenario) -> None:
    asyncio.run(scenario)


def place(house, what: str) -> str:
    return f"/admin/organizations/{house.key.organization_id}/{what}"


async def asked(house, method: str, path: str, body: object = None, **headers: str):
    return await house.client.request(method, path, json=body, headers=headers or house.operator)


async def data_of(house, method: str, path: str, body: object = None):
    reply = await asked(house, method, path, body)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


ROUTES = (
    ("GET", "/admin/plans"),
    ("POST", "/admin/plans/migrate"),
    ("GET", "/admin/organizations/x/plan"),
    ("PUT", "/admin/organizations/x/plan"),
    ("GET", "/admin/organizations/x/overrides"),
    ("PUT", "/admin/organizations/x/overrides"),
    ("DELETE", "/admin/organizations/x/overrides"),
)


def test_only_an_operator(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path in ROUTES:
                reply = await asked(house, method, path, {}, **house.headers)
                refused(reply, 401, "authentication_error", "invalid_api_key")

    run(scenario())


def test_the_plans_that_are_sold(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.plans.set_plan(house.key.organization_id, "pro", actor="op", reason="r")
            reply = (await asked(house, "GET", "/admin/plans")).json()
            assert [one["tier"]["id"] for one in reply["data"]] == ["hobby", "pro", "team", "enterprise"]
            assert [one["subscribers"] for one in reply["data"]] == [0, 1, 0, 0]
            assert (reply["catalogue"], reply["default_plan"], reply["outdated"]) == ("reference", "hobby", 0)

    run(scenario())


def test_a_plan_is_set_with_its_reason(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            told = await data_of(house, "GET", place(house, "plan"))
            assert told["subscription"] is None
            assert told["limits"]["requests_per_minute"] == 10
            told = await data_of(house, "PUT", place(house, "plan"), {"plan": "team", "reason": "They paid"})
            held = told["subscription"]
            assert (held["plan"], held["name"], held["reason"], held["outdated"]) == (
                "team",
                "Team",
                "They paid",
                False,
            )
            assert held["since"] == "2027-01-15T08:00:00.000Z"
            assert told["limits"]["requests_per_minute"] == 300
            (change,) = told["history"]
            assert (change["kind"], change["before"], change["after"]["plan"]) == ("plan", None, "team")
            assert change["actor"] == held["changed_by"] != ""

    run(scenario())


def test_a_downgrade_tells_what_is_over(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await data_of(house, "PUT", place(house, "plan"), {"plan": "team", "reason": "r"})
            await house.store.workspaces.add_key(house.workspace_id, name="second")
            told = await data_of(house, "PUT", place(house, "plan"), {"plan": "hobby", "reason": "r"})
            (one,) = told["over_limit"]
            assert (one["limit"], one["allowed"], one["current"]) == ("api_keys", 1, 2)
            assert one["workspace_id"] == house.workspace_id
            assert len(house.store.workspaces.keys_of(house.workspace_id)) == 2

    run(scenario())


def test_overrides(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            assert await data_of(house, "GET", place(house, "overrides")) is None
            body = {
                "limits": {"requests_per_minute": 500},
                "margins_bps": {"direct": 300},
                "reason": "Contract 7",
                "until": "2027-02-01T00:00:00Z",
            }
            told = await data_of(house, "PUT", place(house, "overrides"), body)
            assert told["limits"]["requests_per_minute"] == 500
            assert told["margins_bps"] == {"direct": 300}
            agreed = await data_of(house, "GET", place(house, "overrides"))
            assert (agreed["limits"], agreed["features"]) == ({"requests_per_minute": 500}, {})
            assert (agreed["until"], agreed["reason"]) == ("2027-02-01T00:00:00.000Z", "Contract 7")
            house.clock.time = NOW + 40 * 86_400
            assert await data_of(house, "GET", place(house, "overrides")) is None
            house.clock.time = NOW
            told = await data_of(house, "DELETE", place(house, "overrides"))
            assert told["overrides"] is None
            assert told["limits"]["requests_per_minute"] == 10
            assert [one["kind"] for one in told["history"]] == ["overrides", "overrides"]

    run(scenario())


@pytest.mark.parametrize(
    ("what", "body", "param", "said"),
    [
        ("plan", {"plan": "pro"}, "reason", "is missing"),
        ("plan", {"plan": "por", "reason": "r"}, "plan", "did you mean `pro`?"),
        ("plan", {"plan": "pro", "reason": "r", "when": 1}, "when", "not a field"),
        ("overrides", {"reason": "r"}, None, "name at least one"),
        ("overrides", {"limits": {"api_keyz": 1}, "reason": "r"}, "limits.api_keyz", "did you mean `api_keys`?"),
        ("overrides", {"limits": {"api_keys": "1"}, "reason": "r"}, "limits.api_keys", "integer"),
        ("overrides", {"limits": {"api_keys": 10**30}, "reason": "r"}, "limits.api_keys", "no limit"),
        ("overrides", {"features": {"sso": 1}, "reason": "r"}, "features.sso", "boolean"),
        ("overrides", {"margins_bps": {"direct": 5.5}, "reason": "r"}, "margins_bps.direct", "integer"),
        (
            "overrides",
            {"limits": {"api_keys": 1}, "reason": "r", "until": "2020-01-01T00:00:00Z"},
            "until",
            "has passed",
        ),
        ("overrides", {"limits": {"api_keys": 1}, "reason": "r", "until": "tomorrow"}, "until", "datetime"),
        (
            "overrides",
            {"limits": {"api_keys": 1}, "reason": "r", "until": "9999-12-31T23:59:59-12:00"},
            "until",
            "9998",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, what, body, param, said) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await asked(house, "PUT", place(house, what), body)
            error = refused(reply, 400, "invalid_request_error", "invalid_field", param)
            assert said in error["message"]

    run(scenario())


def test_an_organization_that_is_not_there(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path in ROUTES[2:]:
                body = (
                    {"plan": "pro", "reason": "r"}
                    if path.endswith("plan")
                    else {"limits": {"api_keys": 1}, "reason": "r"}
                )
                refused(await asked(house, method, path, body), 404, "not_found", "not_found")

    run(scenario())


def test_a_migration_is_previewed_and_then_made(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            file = tmp_path / "plans.toml"
            file.write_text(catalogue_text(SMALL, LARGE))
            plans = house.store.plans
            plans._source = PlanSource(str(file))
            plans._catalogue = plans._source.catalogue
            await data_of(house, "PUT", place(house, "plan"), {"plan": "small", "reason": "r"})
            file.write_text(catalogue_text(SMALL.replace("api_keys = 2", "api_keys = 7"), LARGE))
            await plans.tick()
            assert (await data_of(house, "GET", place(house, "plan")))["subscription"]["outdated"] is True
            (would,) = await data_of(house, "POST", "/admin/plans/migrate", {})
            assert would["differences"] == [{"what": "limits.api_keys", "before": 2, "after": 7}]
            assert (await data_of(house, "GET", place(house, "plan")))["limits"]["api_keys"] == 2
            reply = await asked(house, "POST", "/admin/plans/migrate", {"preview": False, "plan": "large"})
            assert reply.json() == {"data": [], "is_preview": False}
            (done,) = await data_of(house, "POST", "/admin/plans/migrate", {"preview": False, "plan": "small"})
            assert done == would
            told = await data_of(house, "GET", place(house, "plan"))
            assert (told["limits"]["api_keys"], told["subscription"]["outdated"]) == (7, False)
            reply = await asked(house, "POST", "/admin/plans/migrate", {"plan": "smal"})
            refused(reply, 400, "invalid_request_error", "invalid_field", "plan")

    run(scenario())
