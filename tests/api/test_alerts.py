"""`/v1/alerts` and its settings."""

import asyncio

import pytest

from api.house import bearer, opened, refused
from tollway.alerts.events import BalanceLow
from tollway.store.alerts import Subject

DEFAULTS = {
    "budget_percent": [50, 80, 100],
    "tokens_percent": [50, 80, 100],
    "storage_percent": [50, 80, 100],
    "low_balance_usd": "5",
    "email": True,
}


def run(scenario) -> None:
    asyncio.run(scenario)


async def manager(house) -> dict[str, str]:
    scopes = frozenset({"workspaces", "usage"})
    _, secret = await house.store.workspaces.add_key(house.workspace_id, name="settings", scopes=scopes)
    return bearer(secret)


def test_settings_are_read_and_changed_one_by_one(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            headers = await manager(house)
            path = "/v1/alerts/settings"
            assert (await house.get(path)).json() == {"data": DEFAULTS}
            changes = {"budget_percent": [90, 10, 90], "tokens_percent": [], "low_balance_usd": "0.25", "email": False}
            changed = await house.client.put(path, json=changes, headers=headers)
            expected = {**DEFAULTS, **changes, "budget_percent": [10, 90]}
            assert changed.json() == {"data": expected}
            assert (await house.client.put(path, json={}, headers=headers)).json() == {"data": expected}
            assert (await house.get(path)).json() == {"data": expected}
            other, _, secret = await house.tenant()
            assert (await house.get(path, bearer(secret))).json() == {"data": DEFAULTS}
            reply = await house.client.put(path, json={}, headers=house.headers)
            refused(reply, 403, "authorization_error", "scope_missing")
            assert other

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"budget_percent": [0]}, 422, "budget_percent"),
        ({"tokens_percent": [1001]}, 422, "tokens_percent"),
        ({"storage_percent": ["50"]}, 400, "storage_percent[0]"),
        ({"budget_percent": list(range(1, 12))}, 400, "budget_percent"),
        ({"low_balance_usd": 5}, 400, "low_balance_usd"),
        ({"low_balance_usd": "-1"}, 400, "low_balance_usd"),
        ({"email": "no"}, 400, "email"),
        ({"sms": True}, 400, "sms"),
    ],
)
def test_what_is_refused(tmp_path, body, status, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.client.put("/v1/alerts/settings", json=body, headers=await manager(house))
            code = "validation_error" if status == 422 else "invalid_field"
            refused(reply, status, "validation_error" if status == 422 else "invalid_request_error", code, param)

    run(scenario())


def test_the_list(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for number in range(3):
                subject = Subject(f"wallet:{number}", "balance.low", house.workspace_id, is_level=True)
                await house.store.alerts.fire(subject, [number], lambda level: BalanceLow(str(level), "0.50"))
            first = (await house.get("/v1/alerts?limit=2")).json()
            assert [one["data"]["threshold_usd"] for one in first["data"]] == ["2", "1"]
            assert first["data"][0] == {
                "id": first["data"][0]["id"],
                "type": "balance.low",
                "data": {"threshold_usd": "2", "balance_usd": "0.50"},
                "mail": "due",
                "created_at": "2027-01-15T08:00:00.000Z",
                "cleared_at": None,
            }
            rest = (await house.get(f"/v1/alerts?after={first['next_cursor']}")).json()
            assert (len(rest["data"]), rest["has_more"]) == (1, False)
            assert (await house.get("/v1/alerts?type=tokens.threshold")).json()["data"] == []
            reply = await house.get("/v1/alerts?after=x")
            refused(reply, 400, "invalid_request_error", "invalid_field", "after")
            refused(
                await house.get("/v1/alerts?type=key.created"), 400, "invalid_request_error", "invalid_field", "type"
            )
            _, _, stranger = await house.tenant()
            assert (await house.get("/v1/alerts", bearer(stranger))).json()["data"] == []

    run(scenario())
