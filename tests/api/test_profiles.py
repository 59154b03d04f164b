"""`/v1/profiles`: rules with a key of their own, made, changed and deleted by whoever may, as many as the plan has."""

import asyncio
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.house import bearer, opened, refused
from api.people import town
from api.test_keys import PLAN, ask, manager
from tollway.api.profile_shapes import Fraction, Mode, fraction
from tollway.workspaces.key import DEFAULT_SCOPES, SCOPES
from tollway.workspaces.profile import MODES, ProfileMode

FULL = {
    "name": " app ", "tier_floor": "simple", "tier_ceiling": "standard", "max_cost_usd": "0.05", "needs": ["vision", "tools"],
    "tool_calling_min": "0.85", "quality": 30, "allowed_models": ["gpt", "acme/mini"], "allowed_providers": ["acme", "beta"],
    "ignored_providers": ["beta"], "region": "eu", "fallbacks": ["acme/mini"], "sort": "price",
}  # fmt: skip


def run(scenario) -> None:
    asyncio.run(scenario)


def test_a_profile_is_made_with_every_field_and_its_keys_text_is_told_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            made = await ask(house, secret, "POST", "/v1/profiles", FULL)
            assert made.status_code == 201, made.text
            entry, text = made.json()["data"], made.json()["key"]
            assert entry == {
                "id": entry["id"], "name": "app", "workspace_id": house.workspace_id, "tier_floor": "simple",
                "tier_ceiling": "standard", "max_cost_usd": "0.05", "needs": ["tools", "vision"], "tool_calling_min": 0.85,
                "quality": 30, "mode": None, "allowed_models": ["gpt", "acme/mini"], "allowed_providers": ["acme", "beta"],
                "ignored_providers": ["beta"], "region": "eu", "fallbacks": ["acme/mini"], "sort": "price",
                "key": {"id": entry["key"]["id"], "prefix": text[:7], "status": "active"}, "over_limit": False,
                "created_at": "2027-01-15T08:00:00.000Z", "changed_at": "2027-01-15T08:00:00.000Z",
            }  # fmt: skip
            shown = await ask(house, secret, "GET", f"/v1/profiles/{entry['id']}")
            listed = await ask(house, secret, "GET", "/v1/profiles")
            assert shown.json()["data"] == entry
            assert listed.json() == {"data": [entry], "has_more": False, "next_cursor": None, "over_limit": None}
            assert text not in shown.text + listed.text
            assert (await house.get("/v1/profiles", headers=bearer(text))).json() == listed.json()
            key = (await ask(house, secret, "GET", f"/v1/keys/{entry['key']['id']}")).json()["data"]
            assert (key["profile_id"], key["name"], set(key["scopes"])) == (entry["id"], "app", DEFAULT_SCOPES)
            assert (await ask(house, secret, "GET", "/v1/keys")).json()["data"][0]["profile_id"] is None

    run(scenario())


def test_a_profile_without_rules(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            entry = (await ask(house, secret, "POST", "/v1/profiles", {"name": "open"})).json()["data"]
            nothing = {"needs": [], "ignored_providers": [], "fallbacks": []}
            unset = ("tier_floor", "tier_ceiling", "max_cost_usd", "tool_calling_min", "quality", "mode", "allowed_models",
                     "allowed_providers", "region", "sort")  # fmt: skip
            assert nothing | dict.fromkeys(unset) == {name: entry[name] for name in (*nothing, *unset)}

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "code", "param", "told"),
    [
        ({"name": ""}, 400, "invalid_field", "name", "at least 1"),
        ({"name": "  "}, 422, "validation_error", "name", "1 to 100 printable"),
        ({"tier_floor": "hard"}, 400, "invalid_field", "tier_floor", "'nano'"),
        ({"tier_floor": "complex", "tier_ceiling": "light"}, 400, "invalid_field", "tier_floor", "above `tier_ceiling` `light`"),
        ({"max_cost_usd": 0.05}, 400, "invalid_field", "max_cost_usd", "as text"),
        ({"max_cost_usd": "0"}, 422, "validation_error", "max_cost_usd", "more than 0"),
        ({"needs": ["flight"]}, 400, "invalid_field", "needs[0]", "'tools'"),
        ({"tool_calling_min": 1.1}, 400, "invalid_field", "tool_calling_min", "from 0 to 1"),
        ({"tool_calling_min": "0.1234"}, 400, "invalid_field", "tool_calling_min", "3 decimals"),
        ({"tool_calling_min": True}, 400, "invalid_field", "tool_calling_min", "from 0 to 1"),
        ({"quality": 101}, 400, "invalid_field", "quality", "100"),
        ({"quality": 0.5}, 400, "invalid_field", "quality", "integer"),
        ({"mode": "quick"}, 400, "invalid_field", "mode", "'cheapest'"),
        ({"mode": "best", "quality": 10}, 400, "invalid_field", "quality", "give one of them"),
        ({"allowed_models": []}, 400, "invalid_field", "allowed_models", "at least 1"),
        ({"allowed_models": ["gpt", "acme/gtp"]}, 400, "model_not_found", "allowed_models[1]", "did you mean `acme/gpt`"),
        ({"fallbacks": ["acme/mni"]}, 400, "model_not_found", "fallbacks[0]", "did you mean `acme/mini`"),
        ({"allowed_models": ["gpt"], "fallbacks": ["acme/gpt", "acme/mini"]}, 400, "invalid_field", "fallbacks[1]", "not among"),
        ({"allowed_providers": ["acmee"]}, 400, "invalid_field", "allowed_providers[0]", "`acme`"),
        ({"ignored_providers": ["zzz"]}, 400, "invalid_field", "ignored_providers[0]", "there are: `acme`"),
        ({"allowed_providers": ["acme"], "ignored_providers": ["ACME"]}, 400, "invalid_field", "ignored_providers", "nothing"),
        ({"region": "mars"}, 400, "invalid_field", "region", "run in eu"),
        ({"sort": "beauty"}, 400, "invalid_field", "sort", "'price'"),
        ({"workspace_id": "x"}, 400, "invalid_field", "workspace_id", "leave it out"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_wrong_field_is_named_and_nothing_is_made_or_changed(
    tmp_path, method, change, status, code, param, told
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            old = (await ask(house, secret, "POST", "/v1/profiles", {"name": "old"})).json()["data"]
            path, body = ("/v1/profiles", {"name": "new", **change})
            if method == "PATCH":
                path, body = f"/v1/profiles/{old['id']}", change
            reply = await ask(house, secret, method, path, body)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
            assert told in error["message"]
            assert (await ask(house, secret, "GET", "/v1/profiles")).json()["data"] == [old]
            assert len(house.store.workspaces.keys_of(house.workspace_id)) == 3

    run(scenario())


@given(st.integers(0, 1_000))
def test_a_fraction_is_exact_as_number_and_as_text(milli: int) -> None:
    asked = TypeAdapter(Fraction)
    text = fraction(milli)
    assert asked.validate_json(text) == asked.validate_json(f'"{text}"') == milli
    assert asked.validate_json(f"{milli / 1000:.3f}") == milli


@pytest.mark.parametrize(
    "text", ["-0.1", "1.001", "1e400", "NaN", "null", "0.00001", '"1."', '".5"', '"1e-1"', '" 1"', "[]"]
)
def test_what_is_no_fraction(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Fraction).validate_json(text)


def test_the_documented_modes_are_all_there_are() -> None:
    assert set(get_args(ProfileMode)) == set(MODES)
    assert TypeAdapter(Mode).validate_python("best") == "best"


def test_a_change_leaves_the_rest_and_null_takes_a_rule_away(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            old = (await ask(house, secret, "POST", "/v1/profiles", FULL)).json()["data"]
            path = f"/v1/profiles/{old['id']}"
            house.clock.time += 60
            changed = old | {"changed_at": "2027-01-15T08:01:00.000Z"}

            async def change(body: dict, **expected: object) -> None:
                reply = await ask(house, secret, "PATCH", path, body)
                changed.update(expected)
                assert (reply.status_code, reply.json()["data"]) == (200, changed), reply.text
                wish = house.store.profiles.wish_of(house.store.workspaces.key_by_id(old["key"]["id"]))
                assert wish.floor == (changed["tier_floor"] or "")
                assert wish.quality_knob == (None if changed["quality"] is None else changed["quality"] / 100)

            await change({})
            await change({"mode": "best"}, mode="best", quality=100)
            await change({"quality": 7}, mode=None, quality=7)
            await change({"mode": None}, mode=None)
            await change({"mode": "fastest", "sort": None}, mode="fastest", quality=50, sort="latency")
            await change({"quality": None}, mode=None, quality=None, sort=None)
            nulls = ("tier_floor", "tier_ceiling", "max_cost_usd", "tool_calling_min", "allowed_models", "allowed_providers",
                     "region")  # fmt: skip
            await change(dict.fromkeys(nulls), **dict.fromkeys(nulls))
            lists = ("needs", "ignored_providers", "fallbacks")
            await change({name: [] for name in lists}, **{name: [] for name in lists})
            await change({"name": "other", "tool_calling_min": 1}, name="other", tool_calling_min=1)

    run(scenario())


def test_a_profile_survives_the_end_of_a_model(tmp_path) -> None:
    """What the catalogue does not have any more stays, and does not stand in the way of other changes."""

    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            body = {"name": "a", "allowed_models": ["gpt", "acme/mini"], "fallbacks": ["acme/mini"]}
            made = (await ask(house, secret, "POST", "/v1/profiles", body)).json()["data"]
            del house.catalogue.models["acme/mini"], house.catalogue.names["acme/mini"]
            path = f"/v1/profiles/{made['id']}"
            assert (await ask(house, secret, "PATCH", path, {"quality": 5})).status_code == 200
            assert (
                await ask(house, secret, "PATCH", path, {"allowed_models": ["gpt", "acme/mini"]})
            ).status_code == 400

    run(scenario())


def test_a_lost_key_is_made_anew_and_the_old_one_ends(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            made = (await ask(house, secret, "POST", "/v1/profiles", {"name": "a"})).json()
            path = f"/v1/profiles/{made['data']['id']}"
            renewed = await ask(house, secret, "POST", f"{path}/key")
            assert renewed.status_code == 200, renewed.text
            assert renewed.json()["data"]["key"]["id"] == made["data"]["key"]["id"]
            assert (await house.get("/v1/models", headers=bearer(made["key"]))).status_code == 401
            assert (await house.get("/v1/models", headers=bearer(renewed.json()["key"]))).status_code == 200
            await ask(house, secret, "DELETE", f"/v1/keys/{made['data']['key']['id']}")
            assert (await ask(house, secret, "GET", path)).json()["data"]["key"] is None
            again = (await ask(house, secret, "POST", f"{path}/key")).json()
            assert again["data"]["key"]["id"] != made["data"]["key"]["id"]
            assert (await house.get("/v1/models", headers=bearer(again["key"]))).status_code == 200

    run(scenario())


def test_deleting_ends_the_key_and_again_answers_the_same(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            made = (await ask(house, secret, "POST", "/v1/profiles", {"name": "a"})).json()
            path = f"/v1/profiles/{made['data']['id']}"
            for _ in range(2):
                reply = await ask(house, secret, "DELETE", path)
                assert (reply.status_code, reply.json()) == (200, {"data": {"id": made["data"]["id"], "deleted": True}})
            reply = await house.get("/v1/models", headers=bearer(made["key"]))
            refused(reply, 401, "authentication_error", "api_key_disabled")
            for method, more, body in (("GET", "", None), ("PATCH", "", {}), ("POST", "/key", None)):
                refused(await ask(house, secret, method, path + more, body), 404, "not_found", "not_found")
            assert (await ask(house, secret, "POST", "/v1/profiles", {"name": "a"})).status_code == 201

    run(scenario())


# --- plans ---


@pytest.mark.parametrize("plan", ["hobby", "pro"])
def test_the_second_profile_is_refused_by_the_plan_in_any_workspace(tmp_path, plan) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, plan)
            assert (await ask(house, secret, "POST", "/v1/profiles", {"name": "a"})).status_code == 201
            other = await house.store.workspaces.add_workspace(house.key.organization_id, "second")
            scopes = frozenset(SCOPES)
            _, elsewhere = await house.store.workspaces.add_key(other.id, name="manager", scopes=scopes)
            for one in (secret, elsewhere):
                reply = await ask(house, one, "POST", "/v1/profiles", {"name": "b"})
                error = refused(reply, 403, "tier_limit_exceeded", "tier_limit_exceeded")
                assert (error["limit"], error["current"], error["limit_name"]) == (1, 1, "routing_profiles")
                assert error["required_tier"] == "team"
            limits = (await ask(house, elsewhere, "GET", "/v1/limits")).json()["data"]
            assert limits["usage"]["routing_profiles"] == 1
            (first,) = house.store.profiles.profiles_of(house.workspace_id)
            await ask(house, secret, "DELETE", f"/v1/profiles/{first.id}")
            assert (await ask(house, elsewhere, "POST", "/v1/profiles", {"name": "b"})).status_code == 201

    run(scenario())


def test_after_a_downgrade_the_newest_cannot_be_changed_and_nothing_is_deleted(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house, "team")
            made = [(await ask(house, secret, "POST", "/v1/profiles", {"name": n})).json() for n in "ab"]
            await house.store.plans.set_plan(house.key.organization_id, "hobby", **PLAN)
            listed = (await ask(house, secret, "GET", "/v1/profiles")).json()
            assert [one["over_limit"] for one in listed["data"]] == [False, True]
            assert (listed["over_limit"]["limit_name"], listed["over_limit"]["limit"]) == ("routing_profiles", 1)
            first, second = (f"/v1/profiles/{one['data']['id']}" for one in made)
            assert (await ask(house, secret, "PATCH", first, {"quality": 1})).status_code == 200
            reply = await ask(house, secret, "PATCH", second, {"quality": 1})
            refused(reply, 403, "tier_limit_exceeded", "tier_limit_exceeded")
            assert (await house.get("/v1/models", headers=bearer(made[1]["key"]))).status_code == 200
            assert (await ask(house, secret, "POST", f"{second}/key")).status_code == 200
            assert (await ask(house, secret, "DELETE", first)).status_code == 200
            assert (await ask(house, secret, "PATCH", second, {"quality": 1})).status_code == 200

    run(scenario())


# --- who may ---


def test_nobody_gives_what_they_do_not_have(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, full = await manager(house)
            add = house.store.workspaces.add_key
            made = (await ask(house, full, "POST", "/v1/profiles", {"name": "a", "allowed_models": ["gpt"]})).json()
            path = f"/v1/profiles/{made['data']['id']}"

            async def tries(**fields: object) -> list[int]:
                scopes = fields.pop("scopes", DEFAULT_SCOPES | {"keys"})
                _, secret = await add(house.workspace_id, name="k", scopes=frozenset(scopes), **fields)
                new = {"name": f"of {len(house.store.workspaces.keys_of(house.workspace_id))}"}
                asked = (
                    ("POST", "/v1/profiles", new),
                    ("POST", "/v1/profiles", {**new, "name": "x" + new["name"], "allowed_models": ["gpt"]}),
                    ("PATCH", path, {"quality": 5}),
                    ("PATCH", path, {"allowed_models": None}),
                    ("POST", f"{path}/key", None),
                )
                found = [(await ask(house, secret, *one)).status_code for one in asked]
                await ask(house, full, "PATCH", path, {"allowed_models": ["gpt"]})
                return found

            assert await tries() == [201, 201, 200, 200, 200]
            assert await tries(scopes={"keys"}) == [403] * 5, "it cannot chat"
            assert await tries(scopes={"keys", "chat"}) == [201, 201, 403, 403, 403], "the key has more scopes"
            assert await tries(budget_nano=1) == [403] * 5
            assert await tries(allowed_models=frozenset({"gpt"})) == [403, 201, 200, 403, 200]
            assert await tries(expires_at=10**10) == [201, 201, 403, 403, 403]
            assert await tries(ip_allow=("127.0.0.1",)) == [201, 201, 403, 403, 403]
            handed = [key for key in house.store.workspaces.keys_of(house.workspace_id) if key.profile_id][-1]
            assert (handed.ip_allow, handed.expires_at) == (("127.0.0.1",), None), "its terms are handed down"
            assert await tries(scopes=DEFAULT_SCOPES) == [403] * 5

    run(scenario())


def test_a_profiles_key_manages_nothing_even_with_the_scope(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, full = await manager(house)
            made = (await ask(house, full, "POST", "/v1/profiles", {"name": "a", "allowed_models": ["gpt"]})).json()
            scopes = sorted(DEFAULT_SCOPES | {"keys"})
            await ask(house, full, "PATCH", f"/v1/keys/{made['data']['key']['id']}", {"scopes": scopes})
            path = f"/v1/profiles/{made['data']['id']}"
            for method, where, body in (
                ("POST", "/v1/keys", {"name": "free"}),
                ("POST", "/v1/profiles", {"name": "free"}),
                ("PATCH", path, {"allowed_models": None}),
                ("POST", f"/v1/keys/{house.key.id}/rotate", {}),
            ):
                reply = await ask(house, made["key"], method, where, body)
                assert reply.status_code == 403, (method, where, reply.text)
                assert "routing profile" in reply.json()["error"]["message"]

    run(scenario())


def test_another_workspaces_profile_is_not_found(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            made = (await ask(house, secret, "POST", "/v1/profiles", {"name": "a"})).json()["data"]
            other_id, other, _ = await house.tenant("stranger")
            sibling = await house.store.workspaces.add_workspace(house.key.organization_id, "sibling")
            for workspace_id in (other_id, sibling.id):
                scopes = frozenset(SCOPES)
                _, foreign = await house.store.workspaces.add_key(workspace_id, name="k", scopes=scopes)
                path = f"/v1/profiles/{made['id']}"
                for method, where, body in (("GET", path, None), ("PATCH", path, {"quality": 1}), ("DELETE", path, None),
                                            ("POST", f"{path}/key", None)):  # fmt: skip
                    refused(await ask(house, foreign, method, where, body), 404, "not_found", "not_found")
                assert (await ask(house, foreign, "GET", "/v1/profiles")).json()["data"] == []
            await ask(house, secret, "DELETE", f"/v1/profiles/{made['id']}")
            refused(await ask(house, foreign, "DELETE", f"/v1/profiles/{made['id']}"), 404, "not_found", "not_found")
            assert other.profile_id == ""

    run(scenario())


def test_people_by_their_roles_and_what_the_audit_log_keeps(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as here:
            owner = await here.sign_up()
            await here.house.store.plans.set_plan(
                (await here.me(owner))["memberships"][0]["organization_id"], "team", **PLAN
            )
            tokens = {
                role: await here.join(owner, f"{role}@acme.test", role) for role in ("member", "viewer", "billing")
            }
            made = await here.ask("POST", "/v1/profiles", tokens["member"], {"name": "a"})
            assert made.status_code == 201, made.text
            for role, status in (("viewer", 403), ("billing", 403)):
                assert (await here.ask("POST", "/v1/profiles", tokens[role], {"name": "b"})).status_code == status
            assert (await here.ask("GET", "/v1/profiles", tokens["viewer"])).status_code == 200
            assert (await here.ask("GET", "/v1/profiles", tokens["billing"])).status_code == 403
            path = f"/v1/profiles/{made.json()['data']['id']}"
            await here.ask("PATCH", path, owner, {"name": "b"})
            await here.ask("DELETE", path, owner)
            log = (await here.ask("GET", "/v1/audit-log?limit=100", owner)).json()["data"]
            told = [(one["action"], one["details"].get("name")) for one in log if one["action"].startswith("profile")]
            assert told == [("profile.delete", "b"), ("profile.change", "b"), ("profile.create", "a")]

    run(scenario())


# --- the operator ---


def test_the_operator_makes_changes_and_deletes_beyond_the_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.plans.set_plan(house.key.organization_id, "hobby", **PLAN)

            async def op(method: str, path: str, body: object = None):
                return await house.client.request(method, path, json=body, headers=house.operator)

            for name in "ab":
                body = {"workspace_id": house.workspace_id, "name": name, "allowed_models": ["gpt"]}
                made = await op("POST", "/admin/profiles", body)
                assert made.status_code == 201, made.text
            assert (await house.get("/v1/models", headers=bearer(made.json()["key"]))).status_code == 200
            path = f"/admin/profiles/{made.json()['data']['id']}"
            changed = await op("PATCH", path, {"tier_floor": "light"})
            assert (changed.status_code, changed.json()["data"]["tier_floor"]) == (200, "light")
            refused(
                await op("PATCH", path, {"fallbacks": ["x"]}),
                400,
                "invalid_request_error",
                "model_not_found",
                "fallbacks[0]",
            )
            for _ in range(2):
                assert (await op("DELETE", path)).json()["data"]["deleted"] is True
            refused(await op("PATCH", path, {}), 404, "not_found", "not_found")
            body = {"workspace_id": "nowhere", "name": "a"}
            refused(await op("POST", "/admin/profiles", body), 404, "not_found", "not_found")

    run(scenario())
