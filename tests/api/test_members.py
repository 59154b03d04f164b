"""`/v1/members`, invitations, the audit log, and the operator's way in."""

import asyncio

import pytest

from api.house import refused
from api.people import PASSWORD, town
from tollway.plans.overrides import Overrides
from tollway.workspaces.actor import By

ROLES = ("owner", "admin", "member", "viewer", "billing")


def run(scenario) -> None:
    asyncio.run(scenario)


def test_an_invitation_brings_somebody_in_once(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path, public_url="https://pages.test") as t:
            owner = await t.sign_up(name="Jane", organization="Acme")
            reply = await t.ask("POST", "/v1/members", owner, {"email": "Bob@acme.test", "role": "member"})
            assert reply.status_code == 201
            made = reply.json()["data"]
            assert (made["email"], made["role"], made["invited_by"]) == (
                "Bob@acme.test",
                "member",
                await t.user_id(owner),
            )
            await t.post()
            to, subject, text = t.mailbox.mails[-1]
            token = t.mailbox.token("Bob@acme.test")
            assert (to, subject) == ("Bob@acme.test", "Join Acme on Tollway")
            assert "Jane invites you to join the organization 'Acme' as member" in text
            assert f"https://pages.test/invitation#token={token}" in text
            assert token not in reply.text
            listed = (await t.ask("GET", "/v1/members/invitations", owner)).json()
            assert listed == {"data": [made], "has_more": False, "next_cursor": None}

            body = {"token": token, "name": "Bob", "password": PASSWORD}
            replies = await asyncio.gather(*(t.ask("POST", "/v1/auth/invitations/accept", body=body) for _ in range(3)))
            statuses = sorted(one.status_code for one in replies)
            assert statuses[0] == 200
            assert set(statuses[1:]) <= {400, 409}
            told = next(one for one in replies if one.status_code == 200).json()
            assert [one["role"] for one in told["data"]["memberships"]] == ["member"]
            refused(
                await t.ask("POST", "/v1/auth/invitations/accept", body=body),
                400,
                "invalid_request_error",
                "invalid_token",
                "token",
            )
            members = (await t.ask("GET", "/v1/members", told["token"])).json()["data"]
            assert [(one["email"], one["role"], one["name"]) for one in members] == [
                ("jane@acme.test", "owner", "Jane"),
                ("Bob@acme.test", "member", "Bob"),
            ]
            reply = await t.ask("POST", "/v1/members", owner, {"email": "bob@ACME.test", "role": "member"})
            refused(reply, 409, "already_exists", "already_exists", "email")

    run(scenario())


def test_who_has_an_account_joins_with_it(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            acme, bob = await t.sign_up(organization="Acme"), await t.sign_up("bob@b.test", organization="Bobs")
            eve = await t.sign_up("eve@e.test")
            await t.ask("POST", "/v1/members", acme, {"email": "bob@b.test", "role": "viewer"})
            await t.post()
            t.later(1)
            accept, token = "/v1/auth/invitations/accept", t.mailbox.token("bob@b.test")
            refused(
                await t.ask("POST", accept, body={"token": token}),
                400,
                "invalid_request_error",
                "invalid_field",
                "password",
            )
            reply = await t.ask("POST", accept, body={"token": token, "password": "a wrong password"})
            refused(reply, 401, "authentication_error", "invalid_credentials")
            refused(
                await t.ask("POST", accept, eve, {"token": token}),
                400,
                "invalid_request_error",
                "invalid_token",
                "token",
            )
            reply = await t.ask("POST", accept, bob, {"token": token})
            assert reply.status_code == 200
            places = reply.json()["data"]["memberships"]
            assert [(one["organization_name"], one["role"]) for one in places] == [
                ("Bobs", "owner"),
                ("Acme", "viewer"),
            ]

            # The header decides where he is; without it, where he was first.
            there = places[1]["workspaces"][0]["id"]
            mine = (await t.ask("GET", "/v1/members", bob)).json()["data"]
            theirs = (await t.ask("GET", "/v1/members", bob, tollway_workspace=there)).json()["data"]
            assert (len(mine), len(theirs)) == (1, 2)
            reply = await t.ask("POST", "/v1/members", bob, {"email": "x@y", "role": "viewer"}, tollway_workspace=there)
            assert refused(reply, 403, "authorization_error", "scope_missing")["scope"] == "members"
            for stranger in (t.house.workspace_id, "nobody", "x" * 500):
                reply = await t.ask("GET", "/v1/members", bob, tollway_workspace=stranger)
                refused(reply, 404, "not_found", "not_found")

    run(scenario())


def test_invitations_end_after_a_week_are_replaced_and_taken_back(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            await t.sign_up()
            tokens = []
            for role in ("member", "viewer"):
                owner = await t.log_in()
                made = await t.ask("POST", "/v1/members", owner, {"email": "bob@b.test", "role": role})
                await t.post()
                tokens.append(t.mailbox.token("bob@b.test"))
            body = {"token": tokens[0], "password": PASSWORD}
            accept = "/v1/auth/invitations/accept"
            refused(await t.ask("POST", accept, body=body), 400, "invalid_request_error", "invalid_token", "token")
            path = f"/v1/members/invitations/{made.json()['data']['id']}"
            stranger = await t.sign_up("eve@e.test")
            refused(await t.ask("DELETE", path, stranger), 404, "not_found", "not_found")
            assert (await t.ask("DELETE", path, owner)).status_code == 200
            refused(await t.ask("DELETE", path, owner), 404, "not_found", "not_found")
            body = {"token": tokens[1], "password": PASSWORD}
            refused(await t.ask("POST", accept, body=body), 400, "invalid_request_error", "invalid_token", "token")

            await t.ask("POST", "/v1/members", owner, {"email": "bob@b.test", "role": "viewer"})
            await t.post()
            t.later(7 * 86_400)
            body = {"token": t.mailbox.token("bob@b.test"), "password": PASSWORD}
            refused(await t.ask("POST", accept, body=body), 400, "invalid_request_error", "invalid_token", "token")
            owner = await t.log_in()
            assert (await t.ask("GET", "/v1/members/invitations", owner)).json()["data"] == []
            await t.people.purge(int(t.house.clock.time))
            rows = await t.house.store.reader.run(lambda c: c.execute("SELECT count(*) FROM invitations").fetchone())
            assert rows == (0,)

    run(scenario())


@pytest.mark.parametrize("by", ROLES)
def test_who_may_invite_change_and_remove_whom(tmp_path, by: str) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            await t.join(owner, "other.owner@acme.test", "owner")
            actor = owner if by == "owner" else await t.join(owner, "actor@acme.test", by)
            for role in ROLES:
                may = by == "owner" or (by == "admin" and role != "owner")
                reply = await t.ask("POST", "/v1/members", actor, {"email": f"{role}@x.test", "role": role})
                assert reply.status_code == (201 if may else 403), (by, role)
                token = await t.join(owner, f"new.{role}@acme.test", role)
                path = f"/v1/members/{await t.user_id(token)}"
                for new in ROLES:
                    may_change = may and (new != "owner" or by == "owner")
                    reply = await t.ask("PATCH", path, actor, {"role": new})
                    assert reply.status_code == (200 if may_change else 403), (by, role, new)
                    if may_change and new != role:
                        assert (await t.ask("PATCH", path, owner, {"role": role})).status_code == 200
                assert (await t.ask("DELETE", path, actor)).status_code == (200 if may else 403), (by, role)
                t.later(60)

    run(scenario())


def test_a_key_gives_no_more_than_it_has_and_makes_no_owner(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            workspace = (await t.me(owner))["memberships"][0]["workspaces"][0]["id"]
            workspaces = t.house.store.workspaces
            _, some = await workspaces.add_key(
                workspace, name="some", scopes=frozenset({"members", "usage", "models", "wallet"})
            )
            _, none = await workspaces.add_key(workspace, name="none")
            ask = "/v1/members"
            assert (await t.ask("GET", ask, none)).status_code == 200
            error = refused(
                await t.ask("POST", ask, none, {"email": "a@b", "role": "viewer"}),
                403,
                "authorization_error",
                "scope_missing",
            )
            assert error["scope"] == "members"
            assert (await t.ask("POST", ask, some, {"email": "a@b", "role": "viewer"})).status_code == 201
            for role in ("owner", "admin", "member", "billing"):
                reply = await t.ask("POST", ask, some, {"email": "c@d", "role": role})
                refused(reply, 403, "authorization_error", "scope_missing")
            reply = await t.ask("DELETE", f"{ask}/{await t.user_id(owner)}", some)
            refused(reply, 403, "authorization_error", "scope_missing")
            event = (await t.ask("GET", "/v1/audit-log", some)).json()["data"][0]
            assert (event["actor"]["kind"], event["actor"]["name"], event["action"]) == (
                "key",
                "some",
                "invitation.create",
            )

    run(scenario())


def test_one_owner_stays(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            mine = f"/v1/members/{await t.user_id(owner)}"
            admin = await t.join(owner, "admin@acme.test", "admin")
            reply = await t.ask("PATCH", mine, admin, {"role": "member"})
            assert "only an owner" in refused(reply, 403, "authorization_error", "forbidden")["message"]
            refused(await t.ask("DELETE", mine, owner), 409, "invalid_request_error", "last_owner")
            refused(await t.ask("PATCH", mine, owner, {"role": "admin"}), 409, "invalid_request_error", "last_owner")
            second = await t.join(owner, "second@acme.test", "owner")
            # Both at once: one of them must stay.
            asked = (t.ask("DELETE", mine, owner), t.ask("DELETE", f"/v1/members/{await t.user_id(second)}", second))
            replies = await asyncio.gather(*asked)
            assert sorted(one.status_code for one in replies) == [200, 409]

    run(scenario())


def test_a_changed_role_and_a_removal_end_sessions_at_once(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            admin = await t.join(owner, "admin@acme.test", "admin")
            also = await t.log_in("admin@acme.test")
            path = f"/v1/members/{await t.user_id(admin)}"
            await t.ask("POST", "/v1/members", admin, {"email": "friend@x.test", "role": "admin"})
            await t.post()
            friend = {"token": t.mailbox.token("friend@x.test"), "password": PASSWORD}
            assert (await t.ask("PATCH", path, owner, {"role": "admin"})).status_code == 200
            assert await t.is_in(admin), "nothing has changed"
            assert (await t.ask("PATCH", path, owner, {"role": "viewer"})).status_code == 200
            assert not await t.is_in(admin)
            assert not await t.is_in(also)
            reply = await t.ask("POST", "/v1/auth/invitations/accept", body=friend)
            refused(reply, 400, "invalid_request_error", "invalid_token", "token")
            viewer = await t.log_in("admin@acme.test")
            refused(await t.ask("GET", "/v1/audit-log", viewer), 403, "authorization_error", "scope_missing")
            assert (await t.ask("DELETE", path, owner)).status_code == 200
            refused(await t.ask("GET", "/v1/members", viewer), 401, "authentication_error", "invalid_session")
            nowhere = await t.log_in("admin@acme.test")
            assert (await t.me(nowhere))["memberships"] == []
            refused(await t.ask("GET", "/v1/members", nowhere), 403, "authorization_error", "forbidden")

    run(scenario())


def test_people_of_another_organization_are_not_found(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            path = f"/v1/members/{await t.user_id(await t.sign_up())}"
            stranger = await t.sign_up("eve@e.test")
            refused(await t.ask("PATCH", path, stranger, {"role": "viewer"}), 404, "not_found", "not_found")
            refused(await t.ask("DELETE", path, stranger), 404, "not_found", "not_found")
            assert [one["email"] for one in (await t.ask("GET", "/v1/members", stranger)).json()["data"]] == [
                "eve@e.test"
            ]

    run(scenario())


def test_anybody_may_leave(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            viewer = await t.join(owner, "v@acme.test", "viewer")
            refused(
                await t.ask("DELETE", f"/v1/members/{await t.user_id(owner)}", viewer),
                403,
                "authorization_error",
                "scope_missing",
            )
            assert (await t.ask("DELETE", f"/v1/members/{await t.user_id(viewer)}", viewer)).status_code == 200
            assert not await t.is_in(viewer)

    run(scenario())


def test_the_plan_has_room_for_so_many(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            organization = (await t.me(owner))["memberships"][0]["organization_id"]
            plans = t.house.store.plans
            await plans.set_overrides(
                organization, Overrides(limits={"members": 3}), actor="op", reason="test", until=None
            )
            for email in ("a@b", "c@d", "a@b"):
                assert (
                    await t.ask("POST", "/v1/members", owner, {"email": email, "role": "viewer"})
                ).status_code == 201
            reply = await t.ask("POST", "/v1/members", owner, {"email": "e@f", "role": "viewer"})
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["limit"], error["current"]) == (
                403,
                "tier_limit_exceeded",
                3,
                3,
            )
            await t.post()
            # What was invited before a downgrade finds the door closed, and no account is left behind.
            await plans.set_overrides(
                organization, Overrides(limits={"members": 1}), actor="op", reason="test", until=None
            )
            body = {"token": t.mailbox.token("a@b"), "password": PASSWORD}
            reply = await t.ask("POST", "/v1/auth/invitations/accept", body=body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "tier_limit_exceeded")
            assert t.people.accounts.by_email("a@b") is None
            await plans.set_overrides(
                organization, Overrides(limits={"members": 2}), actor="op", reason="test", until=None
            )
            assert (await t.ask("POST", "/v1/auth/invitations/accept", body=body)).status_code == 200

    run(scenario())


def test_the_audit_log_tells_who_did_what(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            me = await t.me(owner)
            viewer = await t.join(owner, "v@acme.test", "viewer")
            user = await t.user_id(viewer)
            await t.ask("PATCH", f"/v1/members/{user}", owner, {"role": "admin"})
            organization = me["memberships"][0]["organization_id"]
            reply = await t.ask("DELETE", f"/admin/organizations/{organization}/members/{user}", t.house.token)
            assert reply.status_code == 200
            other = await t.sign_up("eve@e.test")
            await t.people.audit(organization, By("member", me["user"]["id"]), "thing.do", "thing", {"n": 1})

            seen, cursor = [], ""
            while True:
                told = (await t.ask("GET", f"/v1/audit-log?limit=2{cursor}", owner)).json()
                seen += told["data"]
                if not told["has_more"]:
                    break
                cursor = f"&after={told['next_cursor']}"
            known = [
                (one["action"], one["actor"]["kind"], one["details"])
                for one in seen
                if not one["action"].startswith("workspace")
            ]
            assert known == [
                ("thing.do", "member", {"n": 1}),
                ("member.remove", "operator", {"role": "admin"}),
                ("member.role", "member", {"from": "viewer", "to": "admin"}),
                ("member.join", "member", {"role": "viewer"}),
                ("invitation.create", "member", {"email": "v@acme.test", "role": "viewer"}),
                ("member.join", "member", {"role": "owner"}),
            ]
            assert seen[0]["actor"] == {"kind": "member", "id": me["user"]["id"], "name": "jane@acme.test"}
            theirs = (await t.ask("GET", "/v1/audit-log", other)).json()["data"]
            assert {one["actor"]["name"] for one in theirs} <= {"eve@e.test", ""}
            for bad in ("x", "-1", "9" * 19, "٣"):
                reply = await t.ask("GET", f"/v1/audit-log?after={bad}", owner)
                refused(reply, 400, "invalid_request_error", "invalid_field", "after")

    run(scenario())


def test_the_operator_lets_the_first_one_in(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path, "invite") as t:
            made = (await t.ask("POST", "/admin/organizations", t.house.token, {"name": "New"})).json()["data"]
            path = f"/admin/organizations/{made['id']}/members"
            reply = await t.ask("POST", path, t.house.token, {"email": "a@b", "role": "owner"})
            assert reply.status_code == 201
            await t.post()
            body = {"token": t.mailbox.token("a@b"), "password": PASSWORD}
            reply = await t.ask("POST", "/v1/auth/invitations/accept", body=body)
            (place,) = reply.json()["data"]["memberships"]
            assert (place["role"], [one["name"] for one in place["workspaces"]]) == ("owner", ["Default"])
            token = reply.json()["token"]
            listed = (await t.ask("GET", path, t.house.token)).json()["data"]
            assert [(one["email"], one["role"]) for one in listed] == [("a@b", "owner")]
            one = f"{path}/{await t.user_id(token)}"
            refused(
                await t.ask("PATCH", one, t.house.token, {"role": "viewer"}), 409, "invalid_request_error", "last_owner"
            )
            refused(await t.ask("GET", path.replace(made["id"], "none"), t.house.token), 404, "not_found", "not_found")
            refused(
                await t.ask("PATCH", f"{path}/none", t.house.token, {"role": "viewer"}), 404, "not_found", "not_found"
            )
            refused(await t.ask("GET", path, token), 401, "authentication_error", "invalid_api_key")

    run(scenario())
