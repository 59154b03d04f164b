"""Who acts: every role against every scope over HTTP, and keys beside sessions."""

import asyncio
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from api.house import refused
from api.people import town
from tollway.api.acting import acting
from tollway.api.edge import said
from tollway.workspaces.actor import Actor
from tollway.workspaces.key import SCOPES
from tollway.workspaces.role import ROLES


def add_probe(router: APIRouter, scope: str) -> None:
    """An endpoint that needs one scope and says who acts."""

    async def probe(actor: Annotated[Actor, acting(scope)]) -> Response:
        return said({"kind": actor.kind, "id": actor.id, "workspace_id": actor.workspace_id, "role": actor.role})

    router.add_api_route(f"/v1/probe/{scope}", probe, methods=["GET"])


def test_every_role_and_every_scope(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            cold = t.house.server.warm()
            for scope in SCOPES:
                add_probe(cold.router, scope)
            owner = await t.sign_up()
            tokens = {"owner": owner}
            for role in ROLES:
                if role != "owner":
                    tokens[role] = await t.join(owner, f"{role}@acme.test", role)
            workspace = (await t.me(owner))["memberships"][0]["workspaces"][0]["id"]
            for role, token in tokens.items():
                for scope in SCOPES:
                    reply = await t.ask("GET", f"/v1/probe/{scope}", token)
                    if scope in ROLES[role]:
                        told = reply.json()
                        assert (told["kind"], told["workspace_id"], told["role"]) == ("member", workspace, role)
                        assert told["id"] == await t.user_id(token)
                    else:
                        error = refused(reply, 403, "authorization_error", "scope_missing")
                        assert error["scope"] == scope
                        assert f"the role `{role}`" in error["message"]
            for scope in SCOPES:
                key, secret = await t.house.store.workspaces.add_key(workspace, name="one", scopes=frozenset({scope}))
                for asked in SCOPES:
                    reply = await t.ask("GET", f"/v1/probe/{asked}", secret)
                    if asked == scope:
                        assert reply.json() == {"kind": "key", "id": key.id, "workspace_id": workspace, "role": None}
                        assert "x-ratelimit-limit" in reply.headers
                    else:
                        refused(reply, 403, "authorization_error", "scope_missing")

    asyncio.run(scenario())


def test_who_is_told_to_whom_by_the_document(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            paths = (await t.ask("GET", "/openapi.json")).json()["paths"]
            assert paths["/v1/auth/login"]["post"]["security"] == []
            assert paths["/v1/auth/me"]["get"]["security"] == [{"session": []}]
            assert paths["/v1/members"]["get"]["security"] == [{"key": []}, {"xApiKey": []}, {"session": []}]

    asyncio.run(scenario())
