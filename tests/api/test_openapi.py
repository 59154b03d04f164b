"""`/openapi.json` and `/docs`: complete, consistent, and without anything from another host."""

import asyncio
import re

import pytest
from fastapi.openapi.models import OpenAPI

from api.house import opened


def run(scenario) -> None:
    asyncio.run(scenario)


async def document(house) -> dict:
    reply = await house.get("/openapi.json", headers={})
    assert reply.status_code == 200
    return reply.json()


def references(value) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for one in value.values() for found in references(one)]
    return [found for one in value for found in references(one)] if isinstance(value, list) else []


KINDS = {
    "object": dict, "array": list, "string": str, "integer": int, "number": int | float, "boolean": bool, "null": type(None),
}  # fmt: skip


def check(value, schema: dict, schemas: dict, where: str = "$") -> None:
    """What our answers use of JSON Schema; and no member of an answer may be left undescribed."""
    if "$ref" in schema:
        return check(value, schemas[schema["$ref"].removeprefix("#/components/schemas/")], schemas, where)
    if "anyOf" in schema:
        errors = []
        for one in schema["anyOf"]:
            try:
                return check(value, one, schemas, where)
            except AssertionError as error:
                errors.append(error)
        raise AssertionError(f"{where}: {errors}")
    if kind := schema.get("type"):
        kinds = [kind] if isinstance(kind, str) else kind
        assert any(isinstance(value, KINDS[one]) for one in kinds), f"{where}: {value!r} is no {kind}"
        assert not isinstance(value, bool) or "boolean" in kinds, where
    if isinstance(value, dict):
        described = schema.get("properties", {})
        assert set(schema.get("required", ())) <= set(value), where
        for name, member in value.items():
            rest = schema.get("additionalProperties", {}) if "additionalProperties" in schema or not described else None
            assert name in described or rest is not None, f"{where}.{name} is not described"
            check(member, described.get(name, rest if isinstance(rest, dict) else {}), schemas, f"{where}.{name}")
    if isinstance(value, list):
        for at, one in enumerate(value):
            check(one, schema.get("items", {}), schemas, f"{where}[{at}]")
    return None


def test_the_document_is_valid_and_every_reference_leads_somewhere(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            told = await document(house)
            OpenAPI.model_validate(told)
            schemas = told["components"]["schemas"]
            found = references(told)
            assert len(found) > 50
            assert {one.removeprefix("#/components/schemas/") for one in found} <= set(schemas)

    run(scenario())


WHO = {
    "key xApiKey": """
        POST /v1/chat/completions
        POST /v1/compare
        POST /v1/estimate
        POST /v1/route
        GET /v1/key
        GET /v1/models
        GET /v1/models/compare
        GET /v1/models/{model_id}
        GET /v1/models/{model_id}/offers
    """,
    "key xApiKey session": """
        GET /v1/activity
        GET /v1/alerts
        GET PUT /v1/alerts/settings
        GET /v1/audit-log
        GET /v1/credits
        GET /v1/generation
        GET /v1/generations/{generation_id}
        GET POST /v1/generations/{generation_id}/feedback
        GET POST /v1/keys
        GET PATCH DELETE /v1/keys/{key_id}
        POST /v1/keys/{key_id}/rotate
        GET POST /v1/aliases
        GET PATCH DELETE /v1/aliases/{alias_id}
        GET POST /v1/presets
        GET PATCH DELETE /v1/presets/{preset_name}
        GET /v1/presets/{preset_name}/versions
        GET POST /v1/profiles
        GET PATCH DELETE /v1/profiles/{profile_id}
        POST /v1/profiles/{profile_id}/key
        GET /v1/limits
        GET POST /v1/members
        GET /v1/members/invitations
        DELETE /v1/members/invitations/{invitation_id}
        PATCH DELETE /v1/members/{user_id}
        GET PATCH /v1/organization
        GET /v1/usage
        GET /v1/usage/daily
        GET /v1/usage/recent
        GET /v1/wallet
        GET /v1/wallet/transactions
        POST /v1/wallet/transfer
        GET POST /v1/webhooks
        POST /v1/webhooks/deliveries/{delivery_id}/replay
        GET PATCH DELETE /v1/webhooks/{webhook_id}
        GET /v1/webhooks/{webhook_id}/deliveries
        POST /v1/webhooks/{webhook_id}/rotate
        POST /v1/webhooks/{webhook_id}/test
        GET POST /v1/workspaces
        GET PATCH DELETE /v1/workspaces/{workspace_id}
        GET /v1/workspaces/{workspace_id}/export
        POST /v1/workspaces/{workspace_id}/restore
    """,
    "session": """
        POST /v1/auth/logout
        GET /v1/auth/me
        POST /v1/auth/password
    """,
    "": """
        GET /healthz
        GET /readyz
        POST /v1/auth/invitations/accept
        POST /v1/auth/login
        POST /v1/auth/password/forgot
        POST /v1/auth/password/reset
        POST /v1/auth/signup
        GET /v1/limits/tiers
    """,
    "operator": """
        GET POST /admin/keys
        GET PATCH DELETE /admin/keys/{key_id}
        POST /admin/keys/{key_id}/rotate
        GET POST /admin/organizations
        PATCH /admin/organizations/{organization_id}
        GET POST /admin/organizations/{organization_id}/members
        PATCH DELETE /admin/organizations/{organization_id}/members/{user_id}
        GET PUT DELETE /admin/organizations/{organization_id}/overrides
        GET PUT /admin/organizations/{organization_id}/plan
        GET DELETE /admin/offers/health
        GET /admin/plans
        POST /admin/plans/migrate
        POST /admin/profiles
        PATCH DELETE /admin/profiles/{profile_id}
        GET /admin/wallets
        POST /admin/wallets/transfer
        POST /admin/wallets/{workspace_id}/credit
        POST /admin/webhooks/deliveries/{delivery_id}/replay
        POST /admin/workspaces
        PATCH DELETE /admin/workspaces/{workspace_id}
        GET /admin/workspaces/{workspace_id}/export
        POST /admin/workspaces/{workspace_id}/restore
    """,
    "metrics": """
        GET /metrics
    """,
}  # fmt: skip
"""Who may ask -> methods and path, one endpoint a line: a new one must be put here."""
PROBES = {"GET /healthz", "GET /readyz", "GET /metrics"}
WITHOUT_BODY = ("/logout", "/replay", "/restore", "/test", "/v1/webhooks/{webhook_id}/rotate", "/key")


def expected() -> dict[str, set[str]]:
    """Operation -> schemes."""
    found = {}
    for schemes, lines in WHO.items():
        for line in lines.split("\n"):
            *methods, path = line.split() or [""]
            found |= {f"{method} {path}": set(schemes.split()) for method in methods}
    return found


def test_every_endpoint_is_in_it_with_who_may_ask(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            told = await document(house)
            operations = {
                f"{method.upper()} {path}": one
                for path, methods in told["paths"].items()
                for method, one in methods.items()
            }
            schemes = {name: {kind for need in one["security"] for kind in need} for name, one in operations.items()}
            assert schemes == expected()
            for name, one in operations.items():
                assert one["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
                assert "422" not in one["responses"], "the framework's own error shape is not ours"
                assert one.get("description") or one["summary"]
                if name.startswith("POST") and not name.endswith(WITHOUT_BODY):
                    assert one["requestBody"]["content"]["application/json"]["schema"], name
            named = [one["operationId"] for name, one in operations.items() if name not in PROBES]
            assert len(set(named)) == len(named)

    run(scenario())


def test_the_chat_endpoint_is_described(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            told = await document(house)
            request = told["components"]["schemas"]["ChatRequest"]
            assert request["required"] == ["model", "messages"]
            assert {"model", "messages", "stream", "max_tokens", "models", "provider", "metadata", "max_price"} <= set(
                request["properties"]
            )

    run(scenario())


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/compare?ids=gpt,acme/mini", "/v1/models/gpt", "/v1/models/gpt/offers", "/v1/wallet", "/v1/wallet/transactions", "/v1/key", "/v1/credits",
             "/v1/generations/{id}", "/v1/generation?id={id}", "/v1/usage", "/v1/usage/daily", "/v1/usage/recent", "/admin/wallets",
             "/admin/organizations", "/admin/keys"]
)  # fmt: skip
def test_answers_are_as_described(tmp_path, path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**9, kind="topup")
            name = await house.asked(7, input_tokens=5)
            reply = await house.get(path.format(id=name), headers=house.operator if "/admin" in path else None)
            told = await document(house)
            template = {"/v1/models/gpt": "/v1/models/{model_id}", "/v1/models/gpt/offers": "/v1/models/{model_id}/offers",
                        "/v1/generations/{id}": "/v1/generations/{generation_id}"}.get(path, path.partition("?")[0])  # fmt: skip
            schema = told["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            check(reply.json(), schema, told["components"]["schemas"])
            refusal = (await house.get(path.format(id=name), headers={})).json()
            check(
                refusal["error"],
                told["components"]["schemas"]["Error"]["properties"]["error"] | {"additionalProperties": True},
                {},
            )

    run(scenario())


def test_the_page_needs_no_network_and_runs_no_script(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get("/docs", headers={})
            assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert re.findall(r"https?://|<script|<link|<img|@import", reply.text) == []
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            for name in ("/v1/chat/completions", "/v1/models/{model_id}", "/admin/keys", "operator token"):
                assert name in reply.text
            anchors = set(re.findall(r'href="#([^"]+)"', reply.text))
            assert anchors <= set(re.findall(r'id="([^"]+)"', reply.text))

    run(scenario())
