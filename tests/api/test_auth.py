"""`/v1/auth`: sign-up, login, passwords, and that each answer tells strangers nothing."""

import asyncio
import statistics
import time

import pytest

from api.house import refused
from api.people import PASSWORD, town

OTHER = "another long password"


def run(scenario) -> None:
    asyncio.run(scenario)


def test_from_sign_up_to_log_out(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            body = {"email": " Jane@ACME.test ", "password": PASSWORD, "name": "Jane", "organization": "Acme"}
            reply = await t.ask("POST", "/v1/auth/signup", body=body)
            assert reply.status_code == 201
            told = reply.json()
            assert told["token"].startswith("tws_")
            assert (told["data"]["user"]["email"], told["data"]["user"]["name"]) == ("Jane@acme.test", "Jane")
            (place,) = told["data"]["memberships"]
            assert (place["organization_name"], place["role"]) == ("Acme", "owner")
            assert [one["name"] for one in place["workspaces"]] == ["Default"]
            assert t.house.store.wallets.balance(place["workspaces"][0]["id"]).posted_nano == 0
            assert PASSWORD not in repr(t.people.accounts.by_email("jane@acme.test"))

            token = await t.log_in("JANE@acme.TEST")
            assert await t.me(token) == told["data"]
            reply = await t.ask("POST", "/v1/auth/logout", token)
            assert reply.status_code == 200
            refused(await t.ask("GET", "/v1/auth/me", token), 401, "authentication_error", "invalid_session")
            refused(await t.ask("POST", "/v1/auth/logout", token), 401, "authentication_error", "invalid_session")
            assert await t.is_in(told["token"]), "another session stays"

    run(scenario())


def test_an_organization_is_named_after_its_founder_if_nobody_says_otherwise(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            names = []
            for email, fields in (("a@b", {}), ("c@d", {"name": "Carol"})):
                names.append((await t.me(await t.sign_up(email, **fields)))["memberships"][0]["organization_name"])
            assert names == ["a@b", "Carol"]

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"name": "a\u0007"}, "name"),
        ({"organization": "  "}, "organization"),
    ],
)
def test_what_a_sign_up_refuses(tmp_path, fields: dict, param: str) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            body = {"email": "a@b", "password": PASSWORD, **fields}
            reply = await t.ask("POST", "/v1/auth/signup", body=body)
            refused(reply, 422, "validation_error", "validation_error", param)
            assert t.people.accounts.by_email("a@b") is None

    run(scenario())


def test_an_address_has_one_account_however_many_ask_at_once(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            asked = [
                t.ask("POST", "/v1/auth/signup", body={"email": email, "password": PASSWORD})
                for email in ("a@b.test", "A@b.test", "a@B.TEST", "A@B.test")
            ]
            replies = await asyncio.gather(*asked)
            assert sorted(one.status_code for one in replies) == [201, 409, 409, 409]
            lost = next(one for one in replies if one.status_code == 409)
            refused(lost, 409, "already_exists", "already_exists", "email")
            reply = await t.ask(
                "GET", "/v1/auth/me", next(one for one in replies if one.status_code == 201).json()["token"]
            )
            assert reply.status_code == 200, "the ledger is well"

    run(scenario())


@pytest.mark.parametrize("signup", ["invite", "closed"])
def test_strangers_stay_out_unless_the_operator_says_otherwise(tmp_path, signup: str) -> None:
    async def scenario() -> None:
        async with town(tmp_path, signup) as t:
            reply = await t.ask("POST", "/v1/auth/signup", body={"email": "a@b", "password": PASSWORD})
            refused(reply, 403, "authorization_error", "signup_closed")
            organization = next(iter(t.house.store.workspaces.organizations))
            path = f"/admin/organizations/{organization}/members"
            reply = await t.ask("POST", path, t.house.token, {"email": "a@b", "role": "owner"})
            assert reply.status_code == 201
            await t.post()
            body = {"email": "a@b", "password": PASSWORD, "invitation": t.mailbox.token("a@b")}
            reply = await t.ask("POST", "/v1/auth/signup", body=body | {"organization": "Mine"})
            refused(reply, 400, "invalid_request_error", "invalid_field", "organization")
            reply = await t.ask("POST", "/v1/auth/signup", body=body | {"email": "x@y"})
            refused(reply, 400, "invalid_request_error", "invalid_field", "email")
            reply = await t.ask("POST", "/v1/auth/signup", body=body)
            if signup == "closed":
                refused(reply, 403, "authorization_error", "signup_closed")
            else:
                assert reply.status_code == 201
                assert reply.json()["data"]["memberships"][0]["organization_id"] == organization

    run(scenario())


def test_an_unknown_address_and_a_wrong_password_look_the_same(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            await t.sign_up()
            took: dict[str, list[float]] = {"jane@acme.test": [], "nobody@acme.test": []}
            bodies = set()
            for _ in range(4):
                for email, times in took.items():
                    began = time.perf_counter()
                    reply = await t.ask("POST", "/v1/auth/login", body={"email": email, "password": "a wrong password"})
                    times.append(time.perf_counter() - began)
                    assert reply.status_code == 401
                    assert reply.headers["www-authenticate"] == "Bearer"
                    bodies.add(reply.text)
            assert len(bodies) == 1
            known, unknown = (statistics.median(times) for times in took.values())
            assert 0.3 < known / unknown < 3

            bodies = set()
            for email in took:
                reply = await t.ask("POST", "/v1/auth/password/forgot", body={"email": email})
                assert reply.status_code == 202
                bodies.add(reply.text)
            assert len(bodies) == 1
            await t.post()
            assert [to for to, _, _ in t.mailbox.mails] == ["jane@acme.test"]

    run(scenario())


def test_guessing_is_slow(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            await t.sign_up()
            for _ in range(3):
                await t.log_in()
            wrong = {"email": "JANE@acme.test", "password": "a wrong password"}
            for _ in range(5):
                assert (await t.ask("POST", "/v1/auth/login", body=wrong)).status_code == 401
            reply = await t.ask("POST", "/v1/auth/login", body=wrong | {"password": PASSWORD})
            error = refused(reply, 429, "rate_limit_exceeded", "rate_limit_exceeded")
            assert error["limit"] == 5
            assert reply.headers["retry-after"] == str(error["retry_after_seconds"])
            t.later(error["retry_after_seconds"])
            await t.log_in()
            for number in range(30):
                await t.ask("POST", "/v1/auth/login", body={"email": f"x{number}@y", "password": "p"})
            reply = await t.ask("POST", "/v1/auth/login", body={"email": "y@z", "password": "p"})
            assert refused(reply, 429, "rate_limit_exceeded", "rate_limit_exceeded")["limit"] == 30

    run(scenario())


def test_a_forgotten_password_is_set_once_and_ends_every_session(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path, public_url="https://pages.test/") as t:
            first, second = await t.sign_up(), await t.log_in()
            for _ in range(2):
                assert (
                    await t.ask("POST", "/v1/auth/password/forgot", body={"email": "Jane@acme.test"})
                ).status_code == 202
            await t.post()
            assert len(t.mailbox.mails) == 1, "one mail a minute"
            token = t.mailbox.token("jane@acme.test")
            assert f"https://pages.test/reset#token={token}\n" in t.mailbox.mails[0][2]
            body = {"token": token, "password": "short"}
            refused(
                await t.ask("POST", "/v1/auth/password/reset", body=body),
                422,
                "validation_error",
                "validation_error",
                "password",
            )
            body = {"token": token, "password": OTHER}
            replies = await asyncio.gather(*(t.ask("POST", "/v1/auth/password/reset", body=body) for _ in range(3)))
            assert sorted(one.status_code for one in replies) == [200, 400, 400]
            refused(
                await t.ask("POST", "/v1/auth/password/reset", body=body),
                400,
                "invalid_request_error",
                "invalid_token",
                "token",
            )
            assert not await t.is_in(first)
            assert not await t.is_in(second)
            reply = await t.ask("POST", "/v1/auth/login", body={"email": "jane@acme.test", "password": PASSWORD})
            refused(reply, 401, "authentication_error", "invalid_credentials")
            await t.log_in(password=OTHER)
            await t.post()
            assert t.mailbox.mails[-1][1] == "Your Tollway password was changed"

    run(scenario())


def test_a_reset_lasts_an_hour_and_the_newest_counts(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            await t.sign_up()
            tokens = []
            for _ in range(2):
                await t.ask("POST", "/v1/auth/password/forgot", body={"email": "jane@acme.test"})
                await t.post()
                tokens.append(t.mailbox.token("jane@acme.test"))
                t.later(61)
            old, new = tokens
            assert old != new
            reply = await t.ask("POST", "/v1/auth/password/reset", body={"token": old, "password": OTHER})
            refused(reply, 400, "invalid_request_error", "invalid_token", "token")
            t.later(3_600 - 61)
            reply = await t.ask("POST", "/v1/auth/password/reset", body={"token": new, "password": OTHER})
            refused(reply, 400, "invalid_request_error", "invalid_token", "token")

    run(scenario())


def test_a_changed_password_ends_the_other_sessions(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            other, mine = await t.sign_up(), await t.log_in()
            wrong = {"current": "a wrong password", "new": OTHER}
            reply = await t.ask("POST", "/v1/auth/password", mine, wrong)
            refused(reply, 401, "authentication_error", "invalid_credentials")
            reply = await t.ask("POST", "/v1/auth/password", mine, {"current": PASSWORD, "new": "short"})
            refused(reply, 422, "validation_error", "validation_error", "new")
            reply = await t.ask("POST", "/v1/auth/password", mine, {"current": PASSWORD, "new": OTHER})
            assert reply.status_code == 200
            assert await t.is_in(mine)
            assert not await t.is_in(other)

    run(scenario())


def test_a_session_lasts_while_it_is_used_and_thirty_days_at_most(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            token = await t.sign_up()
            idle = await t.log_in()
            for _ in range(3):
                t.later(3_000)
                assert await t.is_in(token)
            assert not await t.is_in(idle)
            for _ in range(30 * 24 + 1):
                t.later(3_590)
                if not await t.is_in(token):
                    break
            else:
                raise AssertionError("it lasts for ever")
            await t.house.store.people.purge(int(t.house.clock.time))
            rows = await t.house.store.reader.run(lambda c: c.execute("SELECT count(*) FROM sessions").fetchone())
            assert rows == (0,)

    run(scenario())


def test_credentials_of_the_wrong_kind(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            token = await t.sign_up()
            refused(await t.ask("GET", "/v1/auth/me"), 401, "authentication_error", "missing_api_key")
            refused(await t.ask("GET", "/v1/auth/me", t.house.secret), 401, "authentication_error", "invalid_session")
            refused(await t.ask("GET", "/v1/auth/me", token[:-1]), 401, "authentication_error", "invalid_session")
            refused(
                await t.ask("GET", "/v1/auth/me", "tws_" + "x" * 47), 401, "authentication_error", "invalid_session"
            )
            refused(
                await t.ask("GET", "/v1/auth/me", authorization=f"Basic {token}"),
                401,
                "authentication_error",
                "invalid_session",
            )
            assert (await t.ask("GET", "/v1/auth/me", x_api_key=token)).status_code == 200
            reply = await t.ask("GET", "/v1/auth/me", token, x_api_key=t.house.secret)
            refused(reply, 400, "invalid_request_error", "conflicting_credentials")
            reply = await t.ask("GET", "/v1/members", t.house.secret, x_api_key=token)
            refused(reply, 400, "invalid_request_error", "conflicting_credentials")

    run(scenario())
