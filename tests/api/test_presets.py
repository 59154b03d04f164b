"""`/v1/presets` and `/v1/aliases`: names of a workspace's own, in force at once, and nobody else's."""

import asyncio

import pytest

from api.house import opened, refused
from api.test_keys import ask, manager
from tollway.workspaces.key import SCOPES
from tollway.workspaces.profile import Reference


def run(scenario) -> None:
    asyncio.run(scenario)


PRESET = {
    "name": "support", "model": "gpt", "parameters": {"temperature": 0.2, "stop": ["\n"]}, "system": "Be kind.",
    "description": "The bot",
}  # fmt: skip


def test_a_preset_and_its_versions(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            actor, secret = await manager(house)
            made = await ask(house, secret, "POST", "/v1/presets", PRESET)
            assert made.status_code == 201, made.text
            at = "2027-01-15T08:00:00.000Z"
            entry = {**PRESET, "reference": "@preset/support", "version": 1, "created_at": at, "changed_at": at}
            assert made.json()["data"] == entry
            assert (await ask(house, secret, "GET", "/v1/presets/support")).json()["data"] == entry
            assert (await ask(house, secret, "GET", "/v1/presets")).json()["data"] == [entry]
            house.clock.time += 60
            changed = await ask(
                house, secret, "PATCH", "/v1/presets/support", {"model": None, "parameters": {"top_p": 1}}
            )
            told = changed.json()["data"]
            assert (told["version"], told["model"], told["parameters"], told["system"]) == (
                2,
                None,
                {"top_p": 1},
                "Be kind.",
            )
            assert (told["changed_at"], told["created_at"]) == ("2027-01-15T08:01:00.000Z", at)
            same = await ask(house, secret, "PATCH", "/v1/presets/support", {"parameters": {"top_p": 1}})
            assert same.json()["data"] == told, "nothing new is no version"
            gone = await ask(house, secret, "PATCH", "/v1/presets/support", {"system": None, "description": "x"})
            assert (gone.json()["data"]["system"], gone.json()["data"]["version"]) == (None, 3)
            page = (await ask(house, secret, "GET", "/v1/presets/support/versions?limit=2")).json()
            assert ([one["version"] for one in page["data"]], page["next_cursor"]) == ([3, 2], "2")
            rest = (await ask(house, secret, "GET", "/v1/presets/support/versions?after=2")).json()
            assert rest["data"] == [{
                "version": 1, "model": "gpt", "parameters": PRESET["parameters"], "system": "Be kind.", "created_by": actor,
                "created_at": at,
            }]  # fmt: skip
            found = house.store.presets.find(house.workspace_id, Reference("support", 1))
            assert (found.model, found.parameters) == ("gpt", PRESET["parameters"])

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status", "code", "param", "told"),
    [
        ({"name": "Has Space"}, 400, "invalid_field", "name", "pattern"),
        ({"model": "acme/gtp"}, 400, "model_not_found", "model", "did you mean `acme/gpt`"),
        ({"model": "auto:hard"}, 400, "invalid_field", "model", "nano, simple"),
        ({"model": "@preset/other"}, 400, "model_not_found", "model", "no model"),
        ({"parameters": {"messages": []}}, 400, "invalid_field", "parameters.messages", "no parameter"),
        ({"parameters": {"api_key": "x"}}, 400, "invalid_field", "parameters.api_key", "no parameter"),
        ({"parameters": {"routor_tier": "x"}}, 400, "invalid_field", "parameters.routor_tier", "no parameter"),
        ({"parameters": []}, 400, "invalid_field", "parameters", "an object"),
        ({"parameters": {"x": "a" * 66_000}}, 422, "validation_error", "parameters", "65536 bytes"),
        ({"system": "a" * 50_001}, 400, "invalid_field", "system", "50000"),
        ({"description": "a" * 501}, 400, "invalid_field", "description", "500"),
        ({"temperature": 1}, 400, "invalid_field", "temperature", "leave it out"),
    ],
)  # fmt: skip
def test_a_wrong_preset_is_refused_by_field(tmp_path, change, status, code, param, told) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            await ask(house, secret, "POST", "/v1/presets", {"name": "there"})
            cases = [("POST", "/v1/presets", {"name": "new", **change})]
            cases += [] if "name" in change else [("PATCH", "/v1/presets/there", change)]
            for method, path, body in cases:
                reply = await ask(house, secret, method, path, body)
                error = reply.json()["error"]
                assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
                assert told in error["message"], error
            assert [one.newest.version for one in house.store.presets.presets_of(house.workspace_id)] == [1]

    run(scenario())


def test_long_texts_in_parameters_are_kept_whole(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            tools = [{"type": "function", "function": {"name": "f", "description": "d" * 10_000}}]
            body = {"name": "tools", "parameters": {"tools": tools}, "system": "s" * 50_000}
            made = (await ask(house, secret, "POST", "/v1/presets", body)).json()["data"]
            assert (made["parameters"], made["system"]) == ({"tools": tools}, "s" * 50_000)

    run(scenario())


def test_a_deleted_preset_keeps_its_numbers(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            await ask(house, secret, "POST", "/v1/presets", PRESET)
            refused(
                await ask(house, secret, "POST", "/v1/presets", PRESET), 409, "already_exists", "already_exists", "name"
            )
            for _ in range(2):
                reply = await ask(house, secret, "DELETE", "/v1/presets/support")
                assert (reply.status_code, reply.json()) == (200, {"data": {"id": "support", "deleted": True}})
            for method, path in (("GET", ""), ("GET", "/versions"), ("PATCH", "")):
                reply = await ask(
                    house, secret, method, f"/v1/presets/support{path}", {} if method == "PATCH" else None
                )
                refused(reply, 404, "not_found", "not_found")
            refused(await ask(house, secret, "DELETE", "/v1/presets/never"), 404, "not_found", "not_found")
            assert (await ask(house, secret, "POST", "/v1/presets", PRESET)).json()["data"]["version"] == 2

    run(scenario())


# --- aliases ---


def test_an_alias_from_making_to_deletion(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            await ask(house, secret, "POST", "/v1/presets", {"name": "support"})
            made = await ask(house, secret, "POST", "/v1/aliases", {"name": "fast", "target": "acme/mini"})
            assert made.status_code == 201, made.text
            entry = made.json()["data"]
            at = "2027-01-15T08:00:00.000Z"
            assert entry == {"id": entry["id"], "name": "fast", "target": "acme/mini", "override": False, "created_at": at,
                             "changed_at": at}  # fmt: skip
            path, alias = f"/v1/aliases/{entry['id']}", house.store.profiles.alias
            assert (await ask(house, secret, "GET", path)).json()["data"] == entry
            assert (await ask(house, secret, "GET", "/v1/aliases")).json()["data"] == [entry]
            for target in ("auto", "auto:nano", "gpt", "@preset/support", "@preset/support@1"):
                assert (await ask(house, secret, "PATCH", path, {"target": target})).json()["data"]["target"] == target
                assert alias(house.workspace_id, "fast") == target
            body = {"name": "fast", "target": "auto"}
            refused(
                await ask(house, secret, "POST", "/v1/aliases", body), 409, "already_exists", "already_exists", "name"
            )
            for _ in range(2):
                reply = await ask(house, secret, "DELETE", path)
                assert (reply.status_code, reply.json()) == (200, {"data": {"id": entry["id"], "deleted": True}})
            assert alias(house.workspace_id, "fast") is None
            for method, body in (("GET", None), ("PATCH", {})):
                refused(await ask(house, secret, method, path, body), 404, "not_found", "not_found")

    run(scenario())


def test_a_name_of_the_catalogue_is_hidden_only_when_that_is_said(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            for name in ("gpt", "acme/gpt"):
                body = {"name": name, "target": "acme/mini"}
                error = refused(
                    await ask(house, secret, "POST", "/v1/aliases", body),
                    400,
                    "invalid_request_error",
                    "invalid_field",
                    "name",
                )
                assert "`acme/gpt`" in error["message"]
                assert "override: true" in error["message"]
            made = await ask(house, secret, "POST", "/v1/aliases", {**body, "override": True})
            assert made.json()["data"]["override"] is True
            assert house.store.profiles.alias(house.workspace_id, "acme/gpt") == "acme/mini"
            path = f"/v1/aliases/{made.json()['data']['id']}"
            assert (await ask(house, secret, "PATCH", path, {"target": "auto"})).status_code == 200
            reply = await ask(house, secret, "PATCH", path, {"override": False})
            refused(reply, 400, "invalid_request_error", "invalid_field", "name")

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"name": "auto", "target": "gpt"}, 400, "invalid_field", "name"),
        ({"name": "a b", "target": "gpt"}, 422, "validation_error", "name"),
        ({"name": "x", "target": "acme/gtp"}, 400, "model_not_found", "target"),
        ({"name": "x", "target": "auto:hard"}, 400, "invalid_field", "target"),
        ({"name": "x", "target": "@preset/none"}, 400, "invalid_field", "target"),
        ({"name": "x", "target": "@preset/support@2"}, 400, "invalid_field", "target"),
        ({"name": "x", "target": "@preset/No"}, 400, "invalid_field", "target"),
        ({"name": "x", "target": "gpt@preset/support"}, 400, "invalid_field", "target"),
        ({"name": "x", "target": "there"}, 400, "model_not_found", "target"),
        ({"name": "x"}, 400, "invalid_field", "target"),
    ],
)
def test_a_wrong_alias_is_refused_by_field(tmp_path, body, status, code, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            await ask(house, secret, "POST", "/v1/presets", {"name": "support"})
            await ask(house, secret, "POST", "/v1/aliases", {"name": "there", "target": "gpt"})
            error = (await ask(house, secret, "POST", "/v1/aliases", body)).json()["error"]
            assert (error["code"], error["param"]) == (code, param), error
            assert len(house.store.profiles.aliases_of(house.workspace_id)) == 1

    run(scenario())


# --- who may ---


def test_looking_needs_models_changing_needs_keys_and_strangers_find_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await manager(house)
            await ask(house, secret, "POST", "/v1/presets", PRESET)
            made = (await ask(house, secret, "POST", "/v1/aliases", {"name": "fast", "target": "gpt"})).json()["data"]
            of_one, of_two = f"/v1/aliases/{made['id']}", "/v1/presets/support"
            writes = (("POST", "/v1/aliases", {"name": "y", "target": "gpt"}), ("PATCH", of_one, {}), ("DELETE", of_one, None),
                      ("POST", "/v1/presets", {"name": "y"}), ("PATCH", of_two, {}), ("DELETE", of_two, None))  # fmt: skip
            for method, path, body in writes:
                reply = await ask(house, house.secret, method, path, body)
                refused(reply, 403, "authorization_error", "scope_missing")
            for path in ("/v1/aliases", of_one, "/v1/presets", of_two, f"{of_two}/versions"):
                assert (await house.get(path)).status_code == 200
            other_id, _, _ = await house.tenant("stranger")
            _, foreign = await house.store.workspaces.add_key(other_id, name="k", scopes=frozenset(SCOPES))
            for method, path, body in writes:
                if path in (of_one, of_two):
                    refused(await ask(house, foreign, method, path, body), 404, "not_found", "not_found")
            for path in ("/v1/aliases", "/v1/presets"):
                assert (await ask(house, foreign, "GET", path)).json()["data"] == []
            assert house.store.profiles.alias(other_id, "fast") is None
            assert len(house.store.presets.presets_of(house.workspace_id)) == 1

    run(scenario())
