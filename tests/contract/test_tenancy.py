"""The tenancy matrix: every route x every kind of caller, each cell asserted (`tenancy.py` is the table)."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract.tenancy import CALLERS, FOREIGN, ROWS, SCOPES, Row, expected
from contract.tenants import CANARY, World, world
from support.gateway import Gateway
from tollway.api.openapi import HOT_PATHS

PROBES = {"GET /healthz", "GET /readyz", "GET /metrics"}
OUTSIDERS = {one.name for one in CALLERS if one.kind in ("nobody", "unknown") or one.name in FOREIGN}
"""Whoever must never read a thing of the first tenant."""
NEVER_THERE = "0190c3f0-ffff-7000-8000-ffffffffffff"


class Town:
    """The world with the loop that it lives in."""

    def __init__(self, runner: asyncio.Runner, inside: World) -> None:
        self.run, self.world = runner.run, inside


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with asyncio.Runner() as runner:
        entering = world(tmp_path_factory.mktemp("tenancy"))
        yield Town(runner, runner.run(entering.__aenter__()))
        runner.run(entering.__aexit__(None, None, None))


def told(reply) -> tuple[int, str | None]:
    """Status and error code; an error has the documented shape."""
    if reply.status_code < 400:
        return reply.status_code, None
    error = reply.json()["error"]
    assert set(error) >= {"type", "message", "code", "param"}, reply.text
    return reply.status_code, error["code"]


def own_ids(there: World) -> set[str]:
    """Ids of the first tenant's things."""
    workspaces, home = there.store.workspaces, there.home_organization_id
    found = {home, there.generation_id, *(one.id for one in workspaces.workspaces_of(home))}
    for workspace in workspaces.workspaces_of(home):
        found |= {one.id for one in workspaces.keys_of(workspace.id)}
        found |= {one.id for one in there.store.webhooks.endpoints_of(workspace.id)}
    return found | {one.user_id for one in there.store.people.members_of(home)} - {
        there.users["viewer who owns another organization"]
    }


def leaks(there: World, text: str, sent: set[str]) -> list[str]:
    """What of the first tenant stands in an answer, but for what was sent."""
    for one in sent:
        text = text.replace(one, "")
    found = [one for one in own_ids(there) if one in text]
    return found + ([CANARY] if CANARY in text else [])


def test_every_route_has_a_row_and_every_row_a_route(town: Town) -> None:
    routes = {f"{method} {path}" for path, methods in HOT_PATHS.items() for method in methods} | PROBES
    for route in town.world.server.warm().routes:
        routes |= {f"{method} {re.sub(':path}', '}', route.path)}" for method in route.methods - {"HEAD"}}
    rows = [row.route for row in ROWS]
    assert sorted(rows) == sorted(set(rows)), "a route has two rows"
    assert set(rows) - routes == set(), "rows of `tenancy.py` without a route"
    assert routes - set(rows) == set(), "routes without a row: say in `tenancy.py` who may do what"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route.replace(" ", "_"))
def test_every_cell(town: Town, row: Row) -> None:
    """Whoever may not comes first, and leaves everything as it was."""
    town.run(check(town.world, row))


async def check(there: World, row: Row) -> None:
    wrong: list[str] = []
    cells = sorted(((expected(row, one), one) for one in CALLERS), key=lambda cell: cell[0][0] < 400)
    names = await there.names(row)
    before = there.dump()
    is_untouched = True
    for answer, caller in cells:
        if answer[0] < 400 and is_untouched:
            is_untouched = False
            if row.who != "open" and row.answer[0] < 400:
                wrong += [f"a refused request changed `{table}`" for table in changed(before, there.dump())]
        names = await there.names(row)
        reply = await there.ask(row, caller, names)
        got = told(reply)
        if got != answer:
            wrong.append(f"{caller.name}: {got}, not {answer}: {reply.text[:200]}")
        if caller.name in OUTSIDERS and (found := leaks(there, reply.text, set(names.values()))):
            wrong.append(f"{caller.name} was told {found}: {reply.text[:300]}")
        if got[0] < 400 and row.method != "GET":
            there.use_up()
        if row.path == "/v1/auth/logout" and got[0] < 400:
            await there.log_in(caller.name)
    there.use_up()
    assert not wrong, f"{row.route}:\n  " + "\n  ".join(wrong)


def changed(before: dict[str, list], after: dict[str, list]) -> list[str]:
    return [table for table in before if before[table] != after[table]]


NAMING = [row for row in ROWS if row.of in ("workspace", "organization")]


@pytest.mark.parametrize("row", NAMING, ids=lambda row: row.route.replace(" ", "_"))
def test_what_is_anothers_looks_like_what_never_was(town: Town, row: Row) -> None:
    """An id that exists elsewhere and one that nobody has get the same answer, word for word."""

    async def scenario() -> None:
        there = town.world
        for caller in [one for one in CALLERS if one.name in (*FOREIGN, "operator")]:
            real = await there.names(row)
            made_up = dict.fromkeys(real, NEVER_THERE)
            absent = await there.ask(row, caller, made_up)
            if caller.name == "operator":
                answer = row.astray if row.who == "operator" else expected(row, caller)
                assert told(absent) == answer, absent.text
                continue
            present = await there.ask(row, caller, real)
            texts = []
            for reply, names in ((absent, made_up), (present, real)):
                text = reply.text
                for one in sorted(names.values(), key=len, reverse=True):
                    text = text.replace(one, "ID")
                texts.append((reply.status_code, text))
            assert texts[0] == texts[1], caller.name
        there.use_up()

    town.run(scenario())


def test_head_tells_no_more_than_get(town: Town) -> None:
    async def scenario() -> None:
        there = town.world
        for row in (one for one in ROWS if one.method == "GET"):
            for caller in (one for one in CALLERS if one.name in ("nobody", "viewer's session", *FOREIGN)):
                names = await there.names(row)
                reply = await there.ask(replace(row, route=f"HEAD {row.path}"), caller, names)
                assert (reply.status_code, reply.content) == (expected(row, caller)[0], b""), (row.route, caller.name)

    town.run(scenario())


def test_money_of_a_deleted_workspace_goes_to_no_other_tenant(town: Town) -> None:
    async def scenario() -> None:
        there = town.world
        answers = set()
        for target in (there.other_id, NEVER_THERE):
            workspace_id = await there.new_workspace_id()
            await there.store.wallets.credit(workspace_id, 10**9, kind="grant", reason="test")
            path, query = f"/v1/workspaces/{workspace_id}", {"move_to": target}
            reply = await there.client.delete(path, params=query, headers=there.tokens["owner's session"])
            assert told(reply) == (422, "validation_error")
            answers.add(reply.text.replace(target, "ID").replace(workspace_id, "OWN"))
            assert there.store.workspaces.workspace(workspace_id).is_live
        shown = {re.sub(r"there are: .*?\.", "", one) for one in answers}
        assert len(shown) == 1, shown

    town.run(scenario())


SMOKE = ("POST /v1/chat/completions", "GET /v1/keys/{key_id}", "GET /v1/wallet", "GET /v1/members", "GET /admin/keys/{key_id}")  # fmt: skip


@pytest.mark.servers
def test_a_real_gateway_answers_the_same(tmp_path) -> None:
    rows = [one for one in ROWS if one.route in SMOKE]
    assert len(rows) == len(SMOKE)
    with Gateway(tmp_path, toml='[people]\nsignup = "open"\n') as gateway:
        home = gateway.ask("GET", "/v1/key")[1]["data"]["workspace_id"]

        def key(name: str, workspace_id: str = home, scopes: tuple[str, ...] = SCOPES) -> tuple[str, str]:
            body = {"workspace_id": workspace_id, "name": name, "scopes": list(scopes)}
            status, made, _ = gateway.ask("POST", "/admin/keys", body, gateway.admin)
            assert status == 201, made
            return made["key"], made["data"]["id"]

        account = {"email": "stranger@acme.test", "password": "correct horse battery"}
        status, stranger, _ = gateway.ask("POST", "/v1/auth/signup", account, "")
        assert status == 201, stranger
        elsewhere = stranger["data"]["memberships"][0]["workspaces"][0]["id"]
        disabled, revoked = key("disabled"), key("revoked")
        gateway.ask("PATCH", f"/admin/keys/{disabled[1]}", {"disabled": True}, gateway.admin)
        gateway.ask("DELETE", f"/admin/keys/{revoked[1]}", None, gateway.admin)
        secrets = {
            "nobody": "",
            "unknown key": "tw_" + "0" * 47,
            "unknown session": "tws_" + "0" * 47,
            "unknown operator": "twa_" + "0" * 47,
            "garbage": "garbage",
            "disabled key": disabled[0],
            "revoked key": revoked[0],
            "key of all scopes": key("all")[0],
            "key of usage alone": key("usage", scopes=("usage",))[0],
            "key of all but keys": key("no keys", scopes=tuple(one for one in SCOPES if one != "keys"))[0],
            FOREIGN[0]: key("elsewhere", elsewhere)[0],
            FOREIGN[1]: stranger["token"],
            "operator": gateway.admin,
        }
        target = key("target")[1]
        gateway.ask(
            "POST", f"/admin/wallets/{elsewhere}/credit", {"usd": "1", "kind": "grant", "reason": "x"}, gateway.admin
        )
        for row in rows:
            body = None if row.body is None else {**row.body, "model": "simulated/echo"}
            for caller in (one for one in CALLERS if one.name in secrets):
                path = row.path.format(key_id=target) if "{" in row.path else row.path
                status, reply, _ = gateway.ask(row.method, path, body, secrets[caller.name])
                code = reply["error"]["code"] if status >= 400 else None
                assert (status, code) == expected(row, caller), (row.route, caller.name, reply)
