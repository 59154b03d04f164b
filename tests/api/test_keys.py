"""`/v1/keys`: made, listed, changed, rotated and revoked by whoever may; nobody gives what they do not have."""

import asyncio
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.house import bearer, opened, refused
from api.people import town
from store.world import NOW
from tollway.api.key_shapes import Scope
from tollway.workspaces.key import DEFAULT_SCOPES, SCOPES
from tollway.workspaces.role import ROLES

PLAN = {"actor": "op", "reason": "because"}


def run(scenario) -> None:
    asyncio.run(scenario)


async def manager(house, plan: str = "enterprise", **fields: object) -> tuple[str, str]:
    """A key that manages keys; its id and text. The organization is on `plan`."""
    await house.store.plans.set_plan(house.key.organization_id, plan, **PLAN)
    fields = {"scopes": DEFAULT_SCOPES | {"keys"}, **fields}
    key, secret = await house.store.workspaces.add_key(house.workspace_id, name="manager", **fields)
    return key.id, secret


async def ask(house, secret: str, method: str, path: str, body: object = None):
    return await house.client.request(method, path, json=body, headers=bearer(secret))


def test_the_documented_scopes_are_all_there_are() -> None:
    assert get_args(Scope) == SCOPES


def test_a_key_is_made_with_every_field_and_its_text_is_told_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            actor, secret = await manager(house)
            asked = {
                "name": " CI ", "scopes": ["models", "usage"], "allowed_models": ["gpt"], "budget_usd": "0.25", "budget_window": "month",
                "requests_per_minute": 5, "tokens_per_day": 1_000, "expires_at": "2027-01-16T10:00:00+02:00",
                "ip_allow": ["127.0.0.1", "2001:db8::/32", "127.0.0.1"],
            }  # fmt: skip
            made = await ask(house, secret, "POST", "/v1/keys", asked)
            assert made.status_code == 201, made.text
            entry, text = made.json()["data"], made.json()["key"]
            assert entry == {
                "id": entry["id"], "name": "CI", "prefix": text[:7], "workspace_id": house.workspace_id,
                "organization_id": house.key.organization_id, "scopes": ["models", "usage"], "allowed_models": ["gpt"],
                "budget_usd": "0.25", "budget_window": "month", "spent_usd": "0", "requests_per_minute": 5, "tokens_per_day": 1_000,
                "expires_at": "2027-01-16T08:00:00.000Z", "ip_allow": ["127.0.0.1", "2001:db8::/32"], "status": "active",
                "disabled": False, "over_limit": False, "created_by": actor, "profile_id": None, "created_at": "2027-01-15T08:00:00.000Z",
            }  # fmt: skip
            assert (await house.get("/v1/models", headers=bearer(text))).status_code == 200
            shown = await ask(house, secret, "GET", f"/v1/keys/{entry['id']}")
            listed = await ask(house, secret, "GET", "/v1/keys")
            assert shown.json()["data"] == listed.json()["data"][-1] == entry
            assert text not in shown.text + listed.text
            house.clock.time = NOW + 86_400
            assert (await ask(house, secret, "GET", f"/v1/keys/{entry['id']}")).json()["data"]["status"] == "expired"

    run(scenario())


def test_the_list_has_cursors_and_leaves_revoked_keys_out(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            ids = [(await ask(house, secret, "POST", "/v1/keys", {"name": n})).json()["data"]["id"] for n in "abc"]
            await ask(house, secret, "DELETE", f"/v1/keys/{ids[1]}")
            page = (await ask(house, secret, "GET", "/v1/keys?limit=3")).json()
            assert ([one["name"] for one in page["data"]], page["has_more"]) == (["first", "manager", "a"], True)
            rest = (await ask(house, secret, "GET", f"/v1/keys?after={page['next_cursor']}")).json()
            assert ([one["name"] for one in rest["data"]], rest["has_more"]) == (["c"], False)
            every = (await ask(house, secret, "GET", "/v1/keys?revoked=true")).json()["data"]
            assert [one["status"] for one in every] == ["active", "active", "active", "revoked", "active"]
            wrong = await ask(house, secret, "GET", "/v1/keys?after=x")
            refused(wrong, 400, "invalid_request_error", "invalid_field", "after")

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "code", "param", "told"),
    [
        ({"name": ""}, 400, "invalid_field", "name", "at least 1"),
        ({"name": "  "}, 422, "validation_error", "name", "1 to 100 printable"),
        ({"scopes": ["root"]}, 400, "invalid_field", "scopes[0]", "'chat'"),
        ({"scopes": []}, 400, "invalid_field", "scopes", "at least 1"),
        ({"allowed_models": ["acme/gtp"]}, 400, "model_not_found", "allowed_models[0]", "did you mean `acme/gpt`"),
        ({"budget_usd": 5}, 400, "invalid_field", "budget_usd", "as text"),
        ({"budget_usd": "-5"}, 422, "validation_error", "budget_usd", "zero or more"),
        ({"budget_window": "year"}, 400, "invalid_field", "budget_window", "'day'"),
        ({"requests_per_minute": -2}, 400, "invalid_field", "requests_per_minute", "-1"),
        ({"tokens_per_day": 1.5}, 400, "invalid_field", "tokens_per_day", "integer"),
        ({"expires_at": "2027-01-15T07:59:59Z"}, 400, "invalid_field", "expires_at", "has passed"),
        ({"expires_at": "2027-01-16T00:00:00"}, 400, "invalid_field", "expires_at", "timezone"),
        ({"ip_allow": ["300.1.1.1"]}, 422, "validation_error", "ip_allow[0]", "203.0.113.7"),
        ({"ip_allow": ["::1", "10.0.0.1/8"]}, 422, "validation_error", "ip_allow[1]", "10.0.0.0/8"),
        ({"ip_allow": ["::1"] * 101}, 400, "invalid_field", "ip_allow", "100"),
        ({"workspace_id": "x"}, 400, "invalid_field", "workspace_id", "leave it out"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_and_nothing_is_made(tmp_path, change, status, code, param, told) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            reply = await ask(house, secret, "POST", "/v1/keys", {"name": "k", **change})
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            assert told in error["message"]
            assert len(house.store.workspaces.keys_of(house.workspace_id)) == 2

    run(scenario())


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("field", "limit"), [("requests_per_minute", 60), ("tokens_per_day", 1_000_000)])
def test_a_limit_above_the_plans_is_refused_with_both_numbers(tmp_path, method, field, limit) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, "pro")
            path = "/v1/keys" if method == "POST" else f"/v1/keys/{house.key.id}"
            error = refused(
                await ask(house, secret, method, path, {"name": "k", field: limit + 1}),
                422,
                "validation_error",
                "validation_error",
                field,
            )
            assert (error["limit"], error["given"]) == (limit, limit + 1)
            assert str(limit) in error["message"]
            assert str(limit + 1) in error["message"]
            for fine in (limit, 0, -1):
                reply = await ask(house, secret, method, path, {"name": "k", field: fine})
                assert reply.status_code in {200, 201}, reply.text

    run(scenario())


def test_without_the_scope_keys_nothing_works(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path in (
                ("GET", ""), ("POST", ""), ("GET", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("POST", "/x/rotate")
            ):  # fmt: skip
                reply = await house.client.request(method, "/v1/keys" + path, headers=house.headers)
                error = refused(reply, 403, "authorization_error", "scope_missing")
                assert error["scope"] == "keys"
                reply = await house.client.request(method, "/v1/keys" + path)
                refused(reply, 401, "authentication_error", "missing_api_key")

    run(scenario())


def test_other_tenants_keys_are_not_found(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            _, foreign, _ = await house.tenant()
            beside = await house.store.workspaces.add_workspace(house.key.organization_id, "beside")
            near, _ = await house.store.workspaces.add_key(beside.id, name="near")
            for key in (foreign, near):
                for method, end, body in (
                    ("GET", "", None), ("PATCH", "", {"disabled": True}), ("DELETE", "", None), ("POST", "/rotate", {})
                ):  # fmt: skip
                    reply = await ask(house, secret, method, f"/v1/keys/{key.id}{end}", body)
                    refused(reply, 404, "not_found", "not_found")
                assert house.store.workspaces.key_by_id(key.id) == key

    run(scenario())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mine=st.frozensets(st.sampled_from(SCOPES)),
    theirs=st.frozensets(st.sampled_from(SCOPES), min_size=1),
    before=st.frozensets(st.sampled_from(SCOPES), min_size=1),
)
def test_scopes_are_a_subset_of_the_givers(tmp_path_factory, mine, theirs, before) -> None:
    """CVE-2026-47101: by making, changing and rotating, nobody gets a scope that they do not have."""

    async def scenario() -> None:
        async with opened(tmp_path_factory.mktemp("house")) as house:
            _, secret = await manager(house, scopes=mine | {"keys"})
            other, _ = await house.store.workspaces.add_key(house.workspace_id, name="other", scopes=before)
            lacking = sorted(theirs - mine - {"keys"})
            body = {"name": "k", "scopes": sorted(theirs)}
            for method, path, fine in (("POST", "/v1/keys", 201), ("PATCH", f"/v1/keys/{other.id}", 200)):
                reply = await ask(house, secret, method, path, body)
                if lacking:
                    error = refused(reply, 403, "authorization_error", "scope_missing", "scopes")
                    assert error["scope"] == lacking[0]
                    assert f"`{lacking[0]}`" in error["message"]
                else:
                    assert reply.status_code == fine
                    assert reply.json()["data"]["scopes"] == sorted(theirs)
            now = house.store.workspaces.key_by_id(other.id).scopes
            reply = await ask(house, secret, "POST", f"/v1/keys/{other.id}/rotate")
            assert reply.status_code == (200 if now <= mine | {"keys"} else 403)

    run(scenario())


def test_scopes_left_out_are_those_of_the_defaults_that_the_giver_has(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, scopes=frozenset({"keys", "models", "transfer"}))
            made = await ask(house, secret, "POST", "/v1/keys", {"name": "k"})
            assert made.json()["data"]["scopes"] == ["models"]
            _, secret = await manager(house, scopes=frozenset({"keys"}))
            reply = await ask(house, secret, "POST", "/v1/keys", {"name": "k"})
            refused(reply, 403, "authorization_error", "scope_missing", "scopes")

    run(scenario())


@pytest.mark.parametrize(
    ("mine", "body", "param"),
    [
        ({"budget_nano": 5}, {"budget_usd": "0"}, "budget_usd"),
        ({"requests_per_minute": 5}, {"requests_per_minute": 5}, "requests_per_minute"),
        ({"tokens_per_day": 5}, {}, "tokens_per_day"),
        ({"allowed_models": frozenset({"gpt"})}, {}, "allowed_models"),
        ({"allowed_models": frozenset({"gpt"})}, {"allowed_models": ["gpt", "acme/mini"]}, "allowed_models"),
        ({"expires_at": NOW + 3_600}, {}, "expires_at"),
        ({"expires_at": NOW + 3_600}, {"expires_at": "2027-01-15T09:00:01Z"}, "expires_at"),
        ({"ip_allow": ("127.0.0.0/8",)}, {}, "ip_allow"),
        ({"ip_allow": ("127.0.0.0/8",)}, {"ip_allow": ["127.0.0.1", "10.0.0.1"]}, "ip_allow"),
    ],
)
def test_a_restricted_key_gives_nothing_beyond_its_own(tmp_path, mine, body, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, **mine)
            reply = await ask(house, secret, "POST", "/v1/keys", {"name": "k", **body})
            refused(reply, 403, "authorization_error", "forbidden", param)
            # Nor by the text of a key that may more.
            reply = await ask(house, secret, "POST", f"/v1/keys/{house.key.id}/rotate")
            refused(reply, 403, "authorization_error", "forbidden", param)
            off = await ask(house, secret, "PATCH", f"/v1/keys/{house.key.id}", {"disabled": True})
            assert off.json()["data"]["status"] == "disabled"
            on = await ask(house, secret, "PATCH", f"/v1/keys/{house.key.id}", {"disabled": False})
            refused(on, 403, "authorization_error", "forbidden", param)

    run(scenario())


def test_a_restricted_key_hands_its_restrictions_down(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            mine = {
                "allowed_models": frozenset({"gpt", "acme/mini"}),
                "expires_at": NOW + 9,
                "ip_allow": ("127.0.0.0/8",),
            }
            _, secret = await manager(house, **mine)
            body = {
                "name": "k", "allowed_models": ["gpt"], "expires_at": "2027-01-15T08:00:09Z", "ip_allow": ["127.0.0.1"]
            }  # fmt: skip
            assert (await ask(house, secret, "POST", "/v1/keys", body)).status_code == 201

    run(scenario())


def test_a_key_does_not_change_itself_but_may_rotate_and_revoke(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            mine, secret = await manager(house, budget_nano=5, requests_per_minute=30)
            for body in ({"budget_usd": None}, {"requests_per_minute": -1}, {"disabled": True}, {"name": "n"}):
                reply = await ask(house, secret, "PATCH", f"/v1/keys/{mine}", body)
                error = refused(reply, 403, "authorization_error", "forbidden", "id")
                assert "Rotate or revoke" in error["message"]
            told = (await ask(house, secret, "POST", f"/v1/keys/{mine}/rotate", {})).json()
            refused(await ask(house, secret, "GET", "/v1/keys"), 401, "authentication_error", "invalid_api_key")
            assert (told["data"]["budget_usd"], told["data"]["requests_per_minute"]) == ("0.000000005", 30)
            revoked = await ask(house, told["key"], "DELETE", f"/v1/keys/{mine}")
            assert revoked.json()["data"]["status"] == "revoked"
            reply = await ask(house, told["key"], "GET", "/v1/keys")
            refused(reply, 401, "authentication_error", "api_key_disabled")

    run(scenario())


def test_a_change_keeps_what_it_does_not_name(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            made = await ask(
                house, secret, "POST", "/v1/keys", {"name": "k", "budget_usd": "2", "ip_allow": ["127.0.0.1"]}
            )
            entry = made.json()["data"]
            path = f"/v1/keys/{entry['id']}"
            for change in (
                {"name": "n"}, {"budget_window": "day"}, {"allowed_models": ["gpt"]}, {"tokens_per_day": 9}, {"ip_allow": []}, {}
            ):  # fmt: skip
                entry |= change
                reply = await ask(house, secret, "PATCH", path, change)
                assert (reply.status_code, reply.json()["data"]) == (200, entry), reply.text
            await ask(house, secret, "PATCH", path, {"disabled": True})
            reply = await house.get("/v1/models", headers=bearer(made.json()["key"]))
            refused(reply, 401, "authentication_error", "api_key_disabled")
            await ask(house, secret, "PATCH", path, {"disabled": False, "name": "back"})
            assert (await house.get("/v1/models", headers=bearer(made.json()["key"]))).status_code == 200

    run(scenario())


def test_a_plan_has_room_for_so_many(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, "pro")
            made = await asyncio.gather(*(ask(house, secret, "POST", "/v1/keys", {"name": f"k{n}"}) for n in range(8)))
            assert sorted(one.status_code for one in made) == [201] * 3 + [403] * 5
            error = refused(
                await ask(house, secret, "POST", "/v1/keys", {"name": "k"}),
                403,
                "tier_limit_exceeded",
                "tier_limit_exceeded",
            )
            assert (error["limit_name"], error["limit"], error["current"], error["required_tier"]) == (
                "api_keys",
                5,
                5,
                "team",
            )
            gone = next(one for one in made if one.status_code == 201).json()["data"]["id"]
            await ask(house, secret, "DELETE", f"/v1/keys/{gone}")
            assert (await ask(house, secret, "POST", "/v1/keys", {"name": "k"})).status_code == 201
            # Another workspace has places of its own.
            beside = await house.store.workspaces.add_workspace(house.key.organization_id, "beside")
            _, there = await house.store.workspaces.add_key(beside.id, name="m", scopes=frozenset({"keys", "chat"}))
            assert (await ask(house, there, "POST", "/v1/keys", {"name": "k"})).status_code == 201

    run(scenario())


def test_after_a_downgrade_nothing_is_deleted_and_the_list_says_what_is_over(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, "pro")
            made = (await ask(house, secret, "POST", "/v1/keys", {"name": "third"})).json()
            assert (await ask(house, secret, "GET", "/v1/keys")).json()["over_limit"] is None
            await house.store.plans.set_plan(house.key.organization_id, "hobby", **PLAN)
            told = (await ask(house, secret, "GET", "/v1/keys")).json()
            assert [one["over_limit"] for one in told["data"]] == [False, True, True]
            over = told["over_limit"]
            assert (over["limit_name"], over["limit"], over["current"]) == ("api_keys", 1, 3)
            assert "Nothing is deleted" in over["message"]
            assert (await house.get("/v1/models", headers=bearer(made["key"]))).status_code == 200
            path = f"/v1/keys/{made['data']['id']}"
            for method, at, body in (("POST", "/v1/keys", {"name": "k"}), ("PATCH", path, {"name": "n"})):
                reply = await ask(house, secret, method, at, body)
                refused(reply, 403, "tier_limit_exceeded", "tier_limit_exceeded")
            assert (await ask(house, secret, "PATCH", path, {"disabled": True})).status_code == 200
            assert (await ask(house, secret, "POST", f"{path}/rotate")).status_code == 200
            assert (await ask(house, secret, "DELETE", path)).status_code == 200
            first = f"/v1/keys/{house.key.id}"
            assert (await ask(house, secret, "PATCH", first, {"name": "n"})).status_code == 200

    run(scenario())


@pytest.mark.parametrize("role", [role for role in ROLES if role != "owner"])
def test_people_give_what_their_role_has(tmp_path, role) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up(name="Jane", organization="Acme")
            organization = next(reversed(t.house.store.workspaces.organizations))
            await t.house.store.plans.set_plan(organization, "enterprise", **PLAN)
            token = await t.join(owner, "bob@acme.test", role)
            for scope in SCOPES:
                reply = await t.ask("POST", "/v1/keys", token, {"name": "k", "scopes": [scope]})
                if "keys" not in ROLES[role]:
                    refused(reply, 403, "authorization_error", "scope_missing")
                elif scope in ROLES[role]:
                    assert reply.status_code == 201
                    assert reply.json()["data"]["created_by"] == await t.user_id(token)
                else:
                    error = refused(reply, 403, "authorization_error", "scope_missing", "scopes")
                    assert f"the role `{role}` has no scope `{scope}`" in error["message"]
            # An owner's key with more scopes is not theirs to take.
            wide = (await t.ask("POST", "/v1/keys", owner, {"name": "wide", "scopes": ["chat", "billing"]})).json()
            reply = await t.ask("POST", f"/v1/keys/{wide['data']['id']}/rotate", token)
            assert reply.status_code == (200 if role == "admin" else 403)

    run(scenario())
