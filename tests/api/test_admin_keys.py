"""`/admin/keys`: what an operator changes of any key; not held to plans."""

import asyncio

import pytest

from api.house import bearer, opened, refused
from store.world import NOW


def run(scenario) -> None:
    asyncio.run(scenario)


def test_every_field_of_a_key_can_be_changed(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/keys/{house.key.id}"
            before = (await house.get(path, headers=house.operator)).json()["data"]
            change = {
                "name": "new", "scopes": ["models", "transfer"], "allowed_models": ["gpt"], "budget_usd": "0.5",
                "budget_window": "week", "requests_per_minute": 7, "tokens_per_day": 70, "expires_at": "2027-01-16T08:00:00Z",
                "ip_allow": ["10.0.0.0/8"],
            }  # fmt: skip
            for name, value in change.items():
                reply = await house.client.request("PATCH", path, json={name: value}, headers=house.operator)
                before[name] = "2027-01-16T08:00:00.000Z" if name == "expires_at" else value
                assert (reply.status_code, reply.json()["data"]) == (200, before)
            free = {"allowed_models": None, "budget_usd": None, "expires_at": None, "ip_allow": []}
            reply = await house.client.request("PATCH", path, json=free, headers=house.operator)
            assert reply.json()["data"] == before | free
            for disabled, status in ((True, "disabled"), (True, "disabled"), (False, "active")):
                reply = await house.client.request("PATCH", path, json={"disabled": disabled}, headers=house.operator)
                assert (reply.json()["data"]["status"], reply.json()["data"]["disabled"]) == (status, disabled)
                assert (await house.get("/v1/models")).status_code == (401 if disabled else 200)

    run(scenario())


def test_a_new_text_with_a_grace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/keys/{house.key.id}/rotate"
            told = (await house.post(path, {"grace_seconds": 60}, house.operator)).json()
            assert told["data"]["id"] == house.key.id
            assert told["data"]["prefix"] == told["key"][:7]
            assert told["previous_ends_at"] == "2027-01-15T08:01:00.000Z"
            for secret in (house.secret, told["key"]):
                assert (await house.get("/v1/models", headers=bearer(secret))).status_code == 200
            house.clock.time = NOW + 60
            assert (await house.get("/v1/models")).status_code == 401
            assert (await house.get("/v1/models", headers=bearer(told["key"]))).status_code == 200
            again = (await house.client.post(path, headers=house.operator)).json()
            assert again["previous_ends_at"] is None
            refused(
                await house.get("/v1/models", headers=bearer(told["key"])),
                401,
                "authentication_error",
                "invalid_api_key",
            )

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"name": " "}, 422, "name"),
        ({"name": None}, 400, "name"),
        ({"scopes": []}, 400, "scopes"),
        ({"scopes": None}, 400, "scopes"),
        ({"budget_usd": "-1"}, 422, "budget_usd"),
        ({"disabled": "yes"}, 400, "disabled"),
        ({"prefix": "tw_0000"}, 400, "prefix"),
        ({"ip_allow": ["localhost"]}, 422, "ip_allow[0]"),
    ],
)
def test_a_wrong_change_changes_nothing(tmp_path, change, status, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/keys/{house.key.id}"
            reply = await house.client.request("PATCH", path, json=change, headers=house.operator)
            assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
            assert house.store.workspaces.key_by_id(house.key.id) == house.key

    run(scenario())


def test_what_is_revoked_stays_so(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/keys/{house.key.id}"
            await house.client.delete(path, headers=house.operator)
            for method, end, body in (
                ("PATCH", "", {"disabled": False}),
                ("PATCH", "", {"name": "n"}),
                ("POST", "/rotate", {}),
            ):
                reply = await house.client.request(method, path + end, json=body, headers=house.operator)
                error = refused(reply, 422, "validation_error", "validation_error", "id")
                assert "Create another" in error["message"]
            assert (await house.get("/admin/keys/nobody", headers=house.operator)).status_code == 404

    run(scenario())
