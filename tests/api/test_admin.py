"""`/admin`: who may, money as exact text, and that what it does is done."""

import asyncio

import pytest

from api.house import CONTROL, bearer, opened, refused
from store.world import NOW


def run(scenario) -> None:
    asyncio.run(scenario)


ROUTES = (
    ("GET", "/admin/wallets"),
    ("GET", "/admin/organizations"),
    ("POST", "/admin/organizations"),
    ("POST", "/admin/workspaces"),
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys"),
    ("GET", "/admin/keys/x"),
    ("PATCH", "/admin/keys/x"),
    ("DELETE", "/admin/keys/x"),
    ("POST", "/admin/keys/x/rotate"),
    ("PATCH", "/admin/organizations/x"),
    ("PATCH", "/admin/workspaces/x"),
    ("DELETE", "/admin/workspaces/x"),
    ("POST", "/admin/workspaces/x/restore"),
    ("GET", "/admin/workspaces/x/export"),
    ("POST", "/admin/wallets/x/credit"),
    ("POST", "/admin/wallets/transfer"),
)


def test_only_an_operator(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path in ROUTES:
                wrongs = (
                    bearer(house.secret),
                    bearer("twa_" + "A" * 47),
                    bearer(CONTROL + "x"),
                    {"x-api-key": house.secret},
                )
                for wrong in wrongs:
                    reply = await house.client.request(method, path, headers=wrong, content=b"{")
                    refused(reply, 401, "authentication_error", "invalid_api_key")
                reply = await house.client.request(method, path, content=b"{")
                refused(reply, 401, "authentication_error", "missing_api_key")
            for right in (house.operator, bearer(CONTROL), {"x-api-key": house.token}):
                assert (await house.get("/admin/wallets", headers=right)).status_code == 200

    run(scenario())


def test_no_control_token_lets_nobody_in(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            object.__setattr__(house.rooms, "control_token", "")
            for empty in ({"authorization": "Bearer "}, {"x-api-key": ""}):
                refused(
                    await house.get("/admin/wallets", headers=empty), 401, "authentication_error", "missing_api_key"
                )

    run(scenario())


def test_credit_and_its_reference(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/wallets/{house.workspace_id}/credit"
            asked = {"usd": "12.500000001", "kind": "topup", "reason": "invoice 7", "external_ref": "inv-7"}
            first = (await house.post(path, asked, house.operator)).json()["data"]
            assert (first["transaction_id"], first["kind"], first["amount_usd"], first["is_replay"]) == (
                "txn_1",
                "topup",
                "12.500000001",
                False,
            )
            assert first["wallets"][0]["balance_usd"] == "12.500000001"
            again = (await house.post(path, asked, house.operator)).json()["data"]
            assert (again["transaction_id"], again["is_replay"], again["wallets"]) == ("txn_1", True, first["wallets"])
            other = await house.post(path, {**asked, "usd": "13"}, house.operator)
            refused(other, 409, "already_exists", "already_exists")
            down = {"usd": "-2.5", "kind": "adjustment", "reason": "paid twice"}
            assert (await house.post(path, down, house.operator)).json()["data"]["wallets"][0][
                "balance_usd"
            ] == "10.000000001"
            told = (await house.get("/v1/wallet/transactions")).json()["data"]
            assert [(one["type"], one["description"], one["amount_usd"]) for one in told] == [
                ("adjustment", "paid twice", "-2.5"),
                ("topup", "invoice 7", "12.500000001"),
            ]

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"usd": 12.5}, 400, "invalid_field", "usd"),
        ({"usd": 12}, 400, "invalid_field", "usd"),
        ({"usd": "1e3"}, 400, "invalid_field", "usd"),
        ({"usd": "1e999999"}, 400, "invalid_field", "usd"),
        ({"usd": "NaN"}, 400, "invalid_field", "usd"),
        ({"usd": ""}, 400, "invalid_field", "usd"),
        ({"usd": "0.0000000001"}, 400, "invalid_field", "usd"),
        ({"usd": "99999999999"}, 400, "invalid_field", "usd"),
        ({"usd": "0"}, 422, "validation_error", "usd"),
        ({"usd": "-1"}, 422, "validation_error", "usd"),
        ({"kind": "gift"}, 400, "invalid_field", "kind"),
        ({"reason": ""}, 400, "invalid_field", "reason"),
        ({"reason": None}, 400, "invalid_field", "reason"),
        ({"cents": 5}, 400, "invalid_field", "cents"),
    ],
)
def test_a_wrong_credit_moves_nothing(tmp_path, change, status, code, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            body = {"usd": "1", "kind": "topup", "reason": "r", **change}
            reply = await house.post(f"/admin/wallets/{house.workspace_id}/credit", body, house.operator)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            assert house.store.wallets.balance(house.workspace_id).posted_nano == 0
            if isinstance(change.get("usd"), float | int):
                assert 'write money as text, such as "12.50"' in error["message"]

    run(scenario())


def test_a_wallet_never_outgrows_the_ledger(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/admin/wallets/{house.workspace_id}/credit"
            large = {"usd": "9000000000", "kind": "topup", "reason": "r"}
            assert (await house.post(path, large, house.operator)).status_code == 200
            refused(await house.post(path, large, house.operator), 400, "invalid_request_error", "invalid_field", "usd")
            assert house.store.ledger.is_available

    run(scenario())


def test_money_between_wallets_of_one_organization(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 1_000_000_000, kind="topup")
            beside = await house.store.workspaces.add_workspace(house.key.organization_id, "beside")
            foreign, _, _ = await house.tenant()
            body = {"from": house.workspace_id, "to": beside.id, "usd": "0.4", "reason": "share"}
            told = (await house.post("/admin/wallets/transfer", body, house.operator)).json()["data"]
            assert (told["kind"], told["amount_usd"]) == ("transfer", "0.4")
            assert [(one["workspace_id"], one["balance_usd"]) for one in told["wallets"]] == [
                (house.workspace_id, "0.6"),
                (beside.id, "0.4"),
            ]
            short = refused(
                await house.post("/admin/wallets/transfer", {**body, "usd": "0.7"}, house.operator),
                402,
                "insufficient_balance",
                "insufficient_balance",
            )
            assert (short["needed_usd"], short["available_usd"]) == ("0.7", "0.6")
            for change, status, code, param in (
                ({"to": foreign}, 422, "validation_error", "to"),
                ({"to": house.workspace_id}, 422, "validation_error", "to"),
                ({"usd": "0"}, 422, "validation_error", "usd"),
                ({"to": "nobody"}, 404, "not_found", None),
                ({"usd": 1}, 400, "invalid_field", "usd"),
            ):
                reply = await house.post("/admin/wallets/transfer", {**body, **change}, house.operator)
                error = reply.json()["error"]
                assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            assert house.store.wallets.balance(house.workspace_id).posted_nano == 600_000_000

    run(scenario())


def test_wallets_page_by_page(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 5, kind="topup")
            second, _, _ = await house.tenant("second")
            first = (await house.get("/admin/wallets?limit=1", headers=house.operator)).json()
            assert first["data"] == [
                {
                    "workspace_id": house.workspace_id, "workspace_name": "first", "organization_id": house.key.organization_id,
                    "balance_usd": "0.000000005", "reserved_usd": "0", "frozen_usd": "0", "available_usd": "0.000000005",
                }
            ]  # fmt: skip
            assert first["has_more"] is True
            rest = (
                await house.get(f"/admin/wallets?limit=1&after={first['next_cursor']}", headers=house.operator)
            ).json()
            assert ([one["workspace_id"] for one in rest["data"]], rest["has_more"], rest["next_cursor"]) == (
                [second],
                False,
                None,
            )
            wrong = await house.get("/admin/wallets?after=nobody", headers=house.operator)
            refused(wrong, 400, "invalid_request_error", "invalid_field", "after")

    run(scenario())


def test_organizations_and_workspaces(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            made = await house.post("/admin/organizations", {"name": "  Beta Ltd "}, house.operator)
            assert (made.status_code, made.json()["data"]["name"], made.json()["data"]["workspaces"]) == (
                201,
                "Beta Ltd",
                [],
            )
            organization = made.json()["data"]["id"]
            inside = await house.post(
                "/admin/workspaces", {"organization_id": organization, "name": "prod"}, house.operator
            )
            assert inside.status_code == 201
            assert inside.json()["data"]["created_at"] == "2027-01-15T08:00:00.000Z"
            listed = (await house.get("/admin/organizations", headers=house.operator)).json()["data"]
            assert [(one["name"], [two["name"] for two in one["workspaces"]]) for one in listed] == [
                ("first", ["first"]),
                ("Beta Ltd", ["prod"]),
            ]
            wallets = (await house.get("/admin/wallets", headers=house.operator)).json()["data"]
            assert wallets[-1]["workspace_id"] == inside.json()["data"]["id"]
            nobody = await house.post("/admin/workspaces", {"organization_id": "x", "name": "prod"}, house.operator)
            refused(nobody, 404, "not_found", "not_found")
            refused(
                await house.post("/admin/organizations", {"name": " "}, house.operator),
                422,
                "validation_error",
                "validation_error",
                "name",
            )
            refused(
                await house.post("/admin/organizations", {}, house.operator),
                400,
                "invalid_request_error",
                "invalid_field",
                "name",
            )

    run(scenario())


def test_a_key_is_made_used_and_revoked(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            asked = {
                "workspace_id": house.workspace_id, "name": "CI", "scopes": ["models"], "allowed_models": ["gpt"], "budget_usd": "0.25",
                "budget_window": "month", "requests_per_minute": 5, "tokens_per_day": 1_000, "expires_at": "2027-01-16T10:00:00+02:00",
                "ip_allow": ["::ffff:127.0.0.1", "2001:db8::/32"],
            }  # fmt: skip
            made = await house.post("/admin/keys", asked, house.operator)
            assert made.status_code == 201
            entry, secret = made.json()["data"], made.json()["key"]
            assert entry == {
                "id": entry["id"], "name": "CI", "prefix": secret[:7], "workspace_id": house.workspace_id,
                "organization_id": house.key.organization_id, "scopes": ["models"], "allowed_models": ["gpt"], "budget_usd": "0.25",
                "budget_window": "month", "spent_usd": "0", "requests_per_minute": 5, "tokens_per_day": 1_000,
                "expires_at": "2027-01-16T08:00:00.000Z", "ip_allow": ["127.0.0.1", "2001:db8::/32"], "status": "active",
                "disabled": False, "over_limit": True, "profile_id": None, "created_by": entry["created_by"], "created_at": "2027-01-15T08:00:00.000Z",
            }  # fmt: skip
            reply = await house.get("/v1/models", headers=bearer(secret))
            assert [one["id"] for one in reply.json()["data"]] == ["acme/gpt"]
            listed = await house.get(f"/admin/keys?workspace_id={house.workspace_id}", headers=house.operator)
            assert [one["name"] for one in listed.json()["data"]] == ["first", "CI"]
            assert secret not in listed.text
            house.clock.time = NOW + 86_400
            refused(
                await house.get("/v1/models", headers=bearer(secret)), 401, "authentication_error", "api_key_expired"
            )
            house.clock.time = NOW
            gone = await house.client.delete(f"/admin/keys/{entry['id']}", headers=house.operator)
            assert (gone.status_code, gone.json()["data"]["disabled"]) == (200, True)
            refused(
                await house.get("/v1/models", headers=bearer(secret)), 401, "authentication_error", "api_key_disabled"
            )
            assert (await house.client.delete(f"/admin/keys/{entry['id']}", headers=house.operator)).status_code == 200
            refused(
                await house.client.delete("/admin/keys/nobody", headers=house.operator), 404, "not_found", "not_found"
            )

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"scopes": ["admin"]}, 400, "invalid_field", "scopes[0]"),
        ({"scopes": []}, 400, "invalid_field", "scopes"),
        ({"allowed_models": ["gtp"]}, 400, "model_not_found", "allowed_models[0]"),
        ({"budget_usd": 5}, 400, "invalid_field", "budget_usd"),
        ({"budget_usd": "-5"}, 422, "validation_error", "budget_usd"),
        ({"ip_allow": ["10.0.0.1/8"]}, 422, "validation_error", "ip_allow[0]"),
        ({"ip_allow": "10.0.0.0/8"}, 400, "invalid_field", "ip_allow"),
        ({"budget_window": "year"}, 400, "invalid_field", "budget_window"),
        ({"requests_per_minute": -2}, 400, "invalid_field", "requests_per_minute"),
        ({"expires_at": "2027-01-15T07:59:59Z"}, 400, "invalid_field", "expires_at"),
        ({"expires_at": "2027-01-16T00:00:00"}, 400, "invalid_field", "expires_at"),
        ({"workspace_id": "nobody"}, 404, "not_found", None),
        ({"is_operator": True}, 400, "invalid_field", "is_operator"),
        ({"name": ""}, 400, "invalid_field", "name"),
    ],
)
def test_a_wrong_key_is_not_made(tmp_path, change, status, code, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            body = {"workspace_id": house.workspace_id, "name": "k", **change}
            reply = await house.post("/admin/keys", body, house.operator)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            assert [key.name for key in house.store.workspaces.keys_of()] == ["first"]

    run(scenario())
