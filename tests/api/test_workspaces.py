"""`/v1/workspaces`, `/v1/organization`, `/v1/wallet/transfer`: an organization's own, and nobody else's."""

import asyncio
import json

import pytest

from api.house import bearer, opened, refused
from api.people import town
from store.world import NOW
from tollway.workspaces.key import SCOPES
from tollway.workspaces.workspace import GRACE_S

PLAN = {"actor": "op", "reason": "because"}


def run(scenario) -> None:
    asyncio.run(scenario)


async def owner(house, plan: str = "enterprise") -> str:
    """The text of a key that may do everything; the organization is on `plan`."""
    await house.store.plans.set_plan(house.key.organization_id, plan, **PLAN)
    _, secret = await house.store.workspaces.add_key(house.workspace_id, name="owner", scopes=frozenset(SCOPES))
    return secret


async def ask(house, secret: str, method: str, path: str, body: object = None):
    return await house.client.request(method, path, json=body, headers=bearer(secret))


async def made(house, secret: str, name: str = "second") -> str:
    reply = await ask(house, secret, "POST", "/v1/workspaces", {"name": name})
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]["id"]


def test_a_workspace_is_made_shown_and_renamed(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            reply = await ask(house, secret, "POST", "/v1/workspaces", {"name": " prod "})
            entry = reply.json()["data"]
            assert (reply.status_code, entry) == (
                201,
                {
                    "id": entry["id"],
                    "name": "prod",
                    "organization_id": house.key.organization_id,
                    "created_at": "2027-01-15T08:00:00.000Z",
                    "deleted_at": None,
                    "purge_at": None,
                    "current": False,
                    "api_keys": 0,
                    "over_limit": False,
                },
            )
            path = f"/v1/workspaces/{entry['id']}"
            assert (await house.get(path)).json()["data"] == entry
            renamed = await ask(house, secret, "PATCH", path, {"name": "live"})
            assert renamed.json()["data"] == entry | {"name": "live"}
            listed = (await house.get("/v1/workspaces")).json()
            told = [(one["name"], one["current"], one["api_keys"]) for one in listed["data"]]
            assert told == [("first", True, 2), ("live", False, 0)]
            assert (listed["has_more"], listed["over_limit"]) == (False, None)
            page = (await house.get("/v1/workspaces?limit=1")).json()
            rest = (await house.get(f"/v1/workspaces?after={page['next_cursor']}")).json()
            assert [one["name"] for one in rest["data"]] == ["live"]
            for body, status, param in (({}, 400, "name"), ({"name": " "}, 422, "name"), ({"nom": "x"}, 400, None)):
                for method, at in (("POST", "/v1/workspaces"), ("PATCH", path), ("PATCH", "/v1/organization")):
                    reply = await ask(house, secret, method, at, body)
                    assert reply.status_code == status
                    assert reply.json()["error"]["param"] in {param, "name"}

    run(scenario())


def test_the_organization_and_its_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house, "pro")
            await made(house, secret)
            told = (await house.get("/v1/organization")).json()["data"]
            assert told == {
                "id": house.key.organization_id,
                "name": "first",
                "plan": "pro",
                "plan_name": "Pro",
                "workspaces": 2,
                "created_at": "2027-01-15T08:00:00.000Z",
            }
            renamed = await ask(house, secret, "PATCH", "/v1/organization", {"name": "Acme"})
            assert renamed.json()["data"] == told | {"name": "Acme"}
            reply = await house.client.patch("/v1/organization", json={"name": "x"}, headers=house.headers)
            refused(reply, 403, "authorization_error", "scope_missing")

    run(scenario())


def test_the_plan_has_room_for_so_many_and_says_what_is_over(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house, "pro")
            replies = await asyncio.gather(
                *(ask(house, secret, "POST", "/v1/workspaces", {"name": f"w{n}"}) for n in range(5))
            )
            assert sorted(one.status_code for one in replies) == [201, 201, 403, 403, 403]
            error = next(one for one in replies if one.status_code == 403).json()["error"]
            assert (error["code"], error["limit_name"], error["limit"]) == ("tier_limit_exceeded", "workspaces", 3)
            assert error["required_tier"] == "team"
            await house.store.plans.set_plan(house.key.organization_id, "hobby", **PLAN)
            told = (await house.get("/v1/workspaces")).json()
            assert [one["over_limit"] for one in told["data"]] == [False, True, True]
            over = told["over_limit"]
            assert (over["limit_name"], over["limit"], over["current"]) == ("workspaces", 1, 3)
            for one in told["data"][1:]:
                reply = await ask(house, secret, "DELETE", f"/v1/workspaces/{one['id']}")
                assert reply.status_code == 200, reply.text
            assert (await house.get("/v1/workspaces")).json()["over_limit"] is None
            reply = await ask(house, secret, "POST", f"/v1/workspaces/{one['id']}/restore")
            refused(reply, 403, "tier_limit_exceeded", "tier_limit_exceeded")

    run(scenario())


def test_a_workspace_is_deleted_with_grace_and_restored(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            second = await made(house, secret)
            path = f"/v1/workspaces/{second}"
            _, inside = await house.store.workspaces.add_key(second, name="inside")
            assert (await house.get("/v1/models", headers=bearer(inside))).status_code == 200
            deleted = (await ask(house, secret, "DELETE", path)).json()["data"]
            assert (deleted["deleted_at"], deleted["purge_at"]) == (
                "2027-01-15T08:00:00.000Z",
                "2027-02-14T08:00:00.000Z",
            )
            for at in ("/v1/models", "/v1/wallet"):
                error = refused(
                    await house.get(at, headers=bearer(inside)), 401, "authentication_error", "api_key_disabled"
                )
                assert "deleted" in error["message"]
                assert "estore" in error["message"]
            assert [one["name"] for one in (await house.get("/v1/workspaces")).json()["data"]] == ["first"]
            every = (await house.get("/v1/workspaces?deleted=true")).json()["data"]
            assert [one["purge_at"] for one in every] == [None, "2027-02-14T08:00:00.000Z"]
            assert (await house.get(path)).json()["data"] == deleted
            renamed = await ask(house, secret, "PATCH", path, {"name": "x"})
            assert "brings it back" in refused(renamed, 404, "not_found", "not_found")["message"]
            assert (await ask(house, secret, "POST", f"{path}/restore")).json()["data"]["deleted_at"] is None
            assert (await house.get("/v1/models", headers=bearer(inside))).status_code == 200
            # The second time it is not taken back in time.
            await ask(house, secret, "DELETE", path)
            house.clock.time = NOW + GRACE_S
            await house.store.sweep(NOW + GRACE_S)
            for method, end in (("GET", ""), ("POST", "/restore"), ("GET", "/export"), ("DELETE", "")):
                refused(await ask(house, secret, method, path + end), 404, "not_found", "not_found")
            assert len((await house.get("/v1/workspaces?deleted=true")).json()["data"]) == 1

    run(scenario())


def test_what_keeps_a_workspace_from_being_deleted(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            first = f"/v1/workspaces/{house.workspace_id}"
            error = refused(await ask(house, secret, "DELETE", first), 409, "invalid_request_error", "workspace_in_use")
            assert "last workspace" in error["message"]
            second, (foreign, _, _) = await made(house, secret), await house.tenant()
            await house.store.wallets.credit(house.workspace_id, 1_500_000_000)
            reply = await ask(house, secret, "DELETE", first)
            error = refused(reply, 409, "invalid_request_error", "workspace_in_use", "move_to")
            assert error["balance_usd"] == "1.5"
            for wrong in (foreign, "nobody", house.workspace_id):
                reply = await ask(house, secret, "DELETE", f"{first}?move_to={wrong}")
                error = refused(reply, 422, "validation_error", "validation_error", "move_to")
                assert second in error["message"]
            assert (await house.get("/v1/wallet")).json()["data"]["balance_usd"] == "1.5"
            reply = await ask(house, secret, "DELETE", f"{first}?move_to={second}")
            assert reply.status_code == 200, reply.text
            assert house.store.wallets.balance(second).posted_nano == 1_500_000_000
            # The key that did it was in the workspace.
            refused(await ask(house, secret, "GET", "/v1/keys"), 401, "authentication_error", "api_key_disabled")

    run(scenario())


def test_other_organizations_workspaces_are_not_found(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            foreign, _, _ = await house.tenant()
            for method, end, body in (
                ("GET", "", None),
                ("PATCH", "", {"name": "mine"}),
                ("DELETE", "", None),
                ("POST", "/restore", None),
                ("GET", "/export", None),
            ):
                for one in (foreign, "nobody"):
                    reply = await ask(house, secret, method, f"/v1/workspaces/{one}{end}", body)
                    error = refused(reply, 404, "not_found", "not_found")
                    assert "`GET /v1/workspaces` lists yours" in error["message"]
            assert house.store.workspaces.workspace(foreign).name == "other"
            names = {one["name"] for one in (await house.get("/v1/workspaces?deleted=true")).json()["data"]}
            assert names == {"first"}

    run(scenario())


def test_who_only_looks_changes_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path, scope in (
                ("POST", "/v1/workspaces", "workspaces"),
                ("PATCH", f"/v1/workspaces/{house.workspace_id}", "workspaces"),
                ("DELETE", f"/v1/workspaces/{house.workspace_id}", "workspaces"),
                ("POST", f"/v1/workspaces/{house.workspace_id}/restore", "workspaces"),
                ("GET", f"/v1/workspaces/{house.workspace_id}/export", "workspaces"),
                ("POST", "/v1/wallet/transfer", "transfer"),
            ):
                reply = await house.client.request(method, path, headers=house.headers, content=b"{")
                assert refused(reply, 403, "authorization_error", "scope_missing")["scope"] == scope

    run(scenario())


def test_money_between_own_workspaces(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            second, (foreign, _, _) = await made(house, secret), await house.tenant()
            await house.store.wallets.credit(house.workspace_id, 1_000_000_000)
            body = {"to": second, "usd": "0.4", "reason": "share", "external_ref": "r1"}
            told = (await ask(house, secret, "POST", "/v1/wallet/transfer", body)).json()["data"]
            assert (told["kind"], told["amount_usd"], told["is_replay"]) == ("transfer", "0.4", False)
            assert [(one["workspace_name"], one["available_usd"]) for one in told["wallets"]] == [
                ("first", "0.6"),
                ("second", "0.4"),
            ]
            again = (await ask(house, secret, "POST", "/v1/wallet/transfer", body)).json()["data"]
            assert again == told | {"is_replay": True}
            reply = await ask(house, secret, "POST", "/v1/wallet/transfer", body | {"usd": "0.1"})
            refused(reply, 409, "already_exists", "already_exists")
            for change, status, code, param in (
                ({"usd": "0.7", "external_ref": "r2"}, 402, "insufficient_balance", None),
                ({"usd": "0"}, 422, "validation_error", "usd"),
                ({"usd": "-1"}, 422, "validation_error", "usd"),
                ({"usd": 1}, 400, "invalid_field", "usd"),
                ({"to": house.workspace_id}, 422, "validation_error", "to"),
                ({"to": foreign}, 404, "not_found", "to"),
                ({"to": "nobody"}, 404, "not_found", "to"),
                ({"from": second}, 400, "invalid_field", "from"),
                ({"reason": ""}, 400, "invalid_field", "reason"),
            ):
                reply = await ask(house, secret, "POST", "/v1/wallet/transfer", body | change)
                error = reply.json()["error"]
                assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            # Another tenant's reference of the same text is another one.
            other = await house.store.workspaces.add_workspace(
                house.store.workspaces.workspace(foreign).organization_id, "beside"
            )
            _, theirs = await house.store.workspaces.add_key(foreign, name="k", scopes=frozenset({"transfer"}))
            await house.store.wallets.credit(foreign, 1_000_000_000)
            told = (
                await ask(house, theirs, "POST", "/v1/wallet/transfer", body | {"to": other.id, "usd": "1"})
            ).json()["data"]
            assert told["is_replay"] is False
            await ask(house, secret, "DELETE", f"/v1/workspaces/{second}?move_to={house.workspace_id}")
            reply = await ask(house, secret, "POST", "/v1/wallet/transfer", body | {"external_ref": "r3"})
            assert "restore it" in refused(reply, 404, "not_found", "not_found", "to")["message"]

    run(scenario())


@pytest.mark.parametrize("requests", [0, 3, 1_203])
def test_an_export_has_everything_but_secrets_and_costs(tmp_path, requests) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            secret = await owner(house)
            await house.store.wallets.credit(house.workspace_id, 10_000_000_000, reason="hello")
            await asyncio.gather(*(house.asked(1_000, 333, user_id="u1") for _ in range(requests)))
            other, key, _ = await house.tenant()
            await house.store.wallets.credit(other, 5_000)
            await house.asked(1_000, key=key)
            path = f"/v1/workspaces/{house.workspace_id}/export"
            reply = await ask(house, secret, "GET", path)
            assert reply.headers["content-type"] == "application/json"
            assert reply.headers["content-disposition"].endswith('.json"')
            assert reply.headers["x-request-id"]
            told = reply.json()["data"]
            assert list(told) == ["workspace", "keys", "transactions", "usage"]
            assert (told["workspace"]["name"], told["workspace"]["organization_name"]) == ("first", "first")
            assert [one["name"] for one in told["keys"]] == ["first", "owner"]
            assert [one["type"] for one in told["transactions"]] == ["topup"] + ["usage"] * requests
            assert len(told["usage"]) == len({one["id"] for one in told["usage"]}) == requests
            assert all((one["charge_usd"], one["user_id"]) == ("0.000001", "u1") for one in told["usage"])
            assert told["workspace"]["balance_usd"] == (told["transactions"][-1]["balance_after_usd"])
            for hidden in (secret, house.secret, other, "0.000000333", "digest", "cost", "margin"):
                assert hidden not in reply.text
            lines = (await ask(house, secret, "GET", f"{path}?format=ndjson")).text.splitlines()
            rows = [json.loads(line) for line in lines]
            assert rows[0] == {"type": "workspace", "data": told["workspace"]}
            for section in ("keys", "transactions", "usage"):
                assert [row["data"] for row in rows if row["type"] == section] == told[section]
            refused(
                await ask(house, secret, "GET", f"{path}?format=xml"),
                400,
                "invalid_request_error",
                "invalid_field",
                "format",
            )

    run(scenario())


def test_a_member_works_in_the_workspace_they_choose(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            jane = await t.sign_up(name="Jane", organization="Acme")
            organization = next(reversed(t.house.store.workspaces.organizations))
            await t.house.store.plans.set_plan(organization, "enterprise", **PLAN)
            second = (await t.ask("POST", "/v1/workspaces", jane, {"name": "second"})).json()["data"]["id"]
            there = {"tollway_workspace": second}
            key = (await t.ask("POST", "/v1/keys", jane, {"name": "k"}, **there)).json()["data"]
            assert key["workspace_id"] == second
            refused(await t.ask("GET", f"/v1/keys/{key['id']}", jane), 404, "not_found", "not_found")
            assert (await t.ask("GET", f"/v1/keys/{key['id']}", jane, **there)).status_code == 200
            listed = (await t.ask("GET", "/v1/workspaces", jane, **there)).json()["data"]
            assert [one["current"] for one in listed] == [False, True]
            viewer = await t.join(jane, "eve@acme.test", "viewer")
            assert (await t.ask("GET", "/v1/workspaces", viewer)).status_code == 200
            refused(
                await t.ask("DELETE", f"/v1/workspaces/{second}", viewer), 403, "authorization_error", "scope_missing"
            )
            assert (await t.ask("DELETE", f"/v1/workspaces/{second}", jane)).status_code == 200

    run(scenario())
