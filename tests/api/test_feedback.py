"""`/v1/generations/{id}/feedback`: what is taken, what is refused, and who sees it."""

import asyncio

import pytest

from api.house import bearer, opened, refused
from api.people import town


def run(scenario) -> None:
    asyncio.run(scenario)


async def asked(house) -> str:
    await house.store.wallets.credit(house.workspace_id, 10**9, kind="topup")
    return await house.asked(100)


def test_a_rating_is_kept_and_replaced(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house)
            path = f"/v1/generations/{name}/feedback"
            first = await house.post(path, {"score": 73, "label": " wrong ", "comment": "It says 1 = 2."})
            assert first.status_code == 201
            entry = {
                "generation_id": name, "score": 73, "label": "wrong", "comment": "It says 1 = 2.", "actor_kind": "key",
                "actor_id": house.key.id, "created_at": "2027-01-15T08:00:00.000Z", "is_replaced": False,
            }  # fmt: skip
            assert first.json() == {"data": entry}
            for thumb, score in (("up", 100), ("down", 0)):
                assert (await house.post(path, {"score": thumb})).json()["data"]["score"] == score
            assert (await house.post(path, {"score": "down"})).status_code == 201
            told = (await house.get(path)).json()
            assert [(one["score"], one["label"], one["comment"]) for one in told["data"]] == [(0, None, None)]
            assert (told["has_more"], told["next_cursor"]) == (False, None)
            history = (await house.get(path + "?history=true&limit=2")).json()
            assert [(one["score"], one["is_replaced"]) for one in history["data"]] == [(0, False), (100, True)]
            assert history["has_more"]
            rest = (await house.get(f"{path}?history=true&limit=2&after={history['next_cursor']}")).json()
            assert (rest["data"], rest["has_more"]) == ([entry | {"is_replaced": True}], False)

    run(scenario())


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({}, "score", "missing"),
        ({"score": 101}, "score", '`score`: \'101\' is no score; write a whole number, 0 to 100, or "up" or "down"'),
        ({"score": -1}, "score", "no score"),
        ({"score": 80.0}, "score", "no score"),
        ({"score": True}, "score", "no score"),
        ({"score": "80"}, "score", "no score"),
        ({"score": "UP"}, "score", "no score"),
        ({"score": None}, "score", "no score"),
        ({"score": ["up"]}, "score", "no score"),
        ({"score": 1, "label": "x" * 65}, "label", "64"),
        ({"score": 1, "label": 5}, "label", "string"),
        ({"score": 1, "comment": "x" * 2_001}, "comment", "2000"),
        ({"score": 1, "stars": 5}, "stars", "not a field"),
        ([], None, "not an object"),
    ],
)
def test_what_is_no_rating(tmp_path, body, param, says) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/v1/generations/{await asked(house)}/feedback"
            error = refused(await house.post(path, body), 400, "invalid_request_error", "invalid_field", param)
            assert says in error["message"]
            assert (await house.get(path)).json()["data"] == []

    run(scenario())


def test_the_limits_themselves_are_taken(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            path = f"/v1/generations/{await asked(house)}/feedback"
            for score in (0, 100):
                body = {"score": score, "label": "\u00fc" * 64, "comment": "\U0001f44d" * 2_000}
                told = (await house.post(path, body)).json()["data"]
                assert (told["score"], told["label"], told["comment"]) == (score, body["label"], body["comment"])

    run(scenario())


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "after=" + "9" * 19, "after=\u0662", "limit=0", "limit=101", "x=1"]
)
def test_what_cannot_be_listed(tmp_path, query) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get(f"/v1/generations/{await asked(house)}/feedback?{query}")
            refused(reply, 400, "invalid_request_error", "invalid_field", query.partition("=")[0])

    run(scenario())


def test_only_the_own_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house)
            path = f"/v1/generations/{name}/feedback"
            _, _, secret = await house.tenant()
            _, narrow = await house.store.workspaces.add_key(
                house.workspace_id, name="chat", scopes=frozenset({"chat"})
            )
            for reply in (
                await house.post(path, {"score": 1}, bearer(secret)),
                await house.get(path, bearer(secret)),
                await house.post("/v1/generations/never/feedback", {"score": 1}),
            ):
                refused(reply, 404, "not_found", "not_found")
            refused(await house.post(path, {"score": 1}, bearer(narrow)), 403, "authorization_error", "scope_missing")
            refused(await house.post(path, {"score": 1}, {}), 401, "authentication_error", "missing_api_key")
            reply = await house.client.delete(path, headers=house.headers)
            refused(reply, 405, "invalid_request_error", "method_not_allowed")
            assert (await house.get(path)).json()["data"] == []

    run(scenario())


def test_a_person_and_a_key_rate_the_same_answer(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as there:
            token = await there.sign_up()
            house, me = there.house, (await there.ask("GET", "/v1/auth/me", token)).json()["data"]
            workspace = me["memberships"][0]["workspaces"][0]["id"]
            await house.store.wallets.credit(workspace, 10**9, kind="topup")
            key, secret = await house.store.workspaces.add_key(workspace, name="program")
            path = f"/v1/generations/{await house.asked(100, key=key)}/feedback"
            assert (await there.ask("POST", path, token, {"score": "up"})).status_code == 201
            assert (await there.ask("POST", path, secret, {"score": 20})).status_code == 201
            for credential in (token, secret):
                told = (await there.ask("GET", path, credential)).json()["data"]
                assert [(one["actor_kind"], one["actor_id"], one["score"]) for one in told] == [
                    ("key", key.id, 20), ("member", me["user"]["id"], 100),
                ]  # fmt: skip

    run(scenario())
