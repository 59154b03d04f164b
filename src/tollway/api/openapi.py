"""The OpenAPI document: FastAPI's own for its routes, and what it cannot know: hot endpoint, probes, answers, keys."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from tollway.api import (
    account,
    activity,
    admin,
    admin_plans,
    alerts,
    auth,
    feedback,
    generations,
    keys,
    limits,
    members,
    models,
    offers,
    presets,
    profiles,
    quotes,
    route,
    usage,
    webhooks,
    workspaces,
)
from tollway.api.chat_schema import CHAT_OPERATION, CHAT_SCHEMAS

HOT_PATHS: Mapping[str, tuple[str, ...]] = {"/v1/chat/completions": ("POST",)}
"""Paths that are answered before the framework, and their methods."""
_REPLIES: tuple[type[msgspec.Struct], ...] = (
    *models.REPLIES,
    *account.REPLIES,
    *generations.REPLIES,
    *feedback.REPLIES,
    *usage.REPLIES,
    *activity.REPLIES,
    *quotes.REPLIES,
    *route.REPLIES,
    *auth.REPLIES,
    *members.REPLIES,
    *limits.REPLIES,
    *keys.REPLIES,
    *profiles.REPLIES,
    *presets.REPLIES,
    *workspaces.REPLIES,
    *webhooks.REPLIES,
    *alerts.REPLIES,
    *admin.REPLIES,
    *admin_plans.REPLIES,
    *offers.REPLIES,
)
_BODIES = (
    *feedback.BODIES,
    *quotes.BODIES,
    *route.BODIES,
    *auth.BODIES,
    *members.BODIES,
    *keys.BODIES,
    *profiles.BODIES,
    *presets.BODIES,
    *workspaces.BODIES,
    *webhooks.BODIES,
    *alerts.BODIES,
    *admin.BODIES,
    *admin_plans.BODIES,
)
_REFERENCE = "#/components/schemas/{name}"
_BODY_REFERENCE = "#/components/schemas/{model}"
_INTRODUCTION = (
    "An OpenAI-compatible gateway that meters every call and keeps a ledger. Point an SDK's base URL at `/v1` and send "
    "`Authorization: Bearer tw_...`. Every reply carries `X-Request-ID`, which names a chat's receipt, and "
    "`X-RateLimit-*`. Money is exact decimal text, USD; what ends in `_cents` is an exact number, possibly fractional."
)
_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "Every error, on every path.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message", "code", "param"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string", "description": "What is wrong, and what to do."},
                "code": {"type": "string", "description": "For programs."},
                "param": {"type": ["string", "null"], "description": "The field it is about."},
            },
        }
    },
}
_SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, `tw_...`."},
    "xApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
    "session": {"type": "http", "scheme": "bearer", "description": "The token of a login, `tws_...`."},
    "operator": {"type": "http", "scheme": "bearer", "description": "An operator token, `twa_...`."},
    "metrics": {"type": "http", "scheme": "bearer", "description": "The metrics key, where one is set."},
}
_KEYS: list[dict[str, list[str]]] = [{"key": []}, {"xApiKey": []}]
_OPERATOR: list[dict[str, list[str]]] = [{"operator": []}]
_ERRORS = {
    "default": {
        "description": "An error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, as JSON values."""
    found = get_openapi(title=app.title, version=app.version, description=_INTRODUCTION, routes=app.routes)
    _, schemas = msgspec.json.schema_components(_REPLIES, ref_template=_REFERENCE)
    _, asked = models_json_schema([(body, "validation") for body in _BODIES], ref_template=_BODY_REFERENCE)
    components = found.setdefault("components", {})
    components["schemas"] = {**schemas, **asked.get("$defs", {}), **CHAT_SCHEMAS, "Error": _ERROR}
    components["securitySchemes"] = _SCHEMES
    paths: dict[str, dict[str, Any]] = found["paths"]
    paths["/v1/chat/completions"] = {"post": CHAT_OPERATION}
    paths |= _PROBES
    security = _security(app)
    for path, methods in paths.items():
        for operation in methods.values():
            _complete(path, operation, security)
    found["paths"] = dict(sorted(paths.items(), key=lambda one: (one[0].startswith("/admin"), one[0])))
    return found


def _security(app: FastAPI) -> dict[str, Any]:
    """Operation id -> who may ask, where the dependency that asks who calls says so (`acting.py`)."""
    found = dict[str, Any]()
    for known in app.routes:
        if isinstance(known, APIRoute):
            told = [getattr(one.call, "security", None) for one in known.dependant.dependencies]
            if any(told):
                found[known.unique_id] = next(one for one in told if one)
    return found


def _complete(path: str, operation: dict[str, Any], security: Mapping[str, Any]) -> None:
    """Our errors instead of the framework's, and who may ask."""
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    responses |= _ERRORS
    if "security" not in operation:
        usual = _OPERATOR if path.startswith("/admin") else [] if path.startswith("/v1/auth/") else _KEYS
        operation["security"] = security.get(operation.get("operationId", ""), usual)


def _probe(summary: str, media: str, *, security: list[dict[str, list[str]]], **more: str) -> dict[str, Any]:
    schema = {"type": "object"} if media == "application/json" else {"type": "string"}
    responses = {"200": {"description": "It is.", "content": {media: {"schema": schema}}}}
    for status, text in more.items():
        responses[status.removeprefix("_")] = {"description": text, "content": {media: {"schema": schema}}}
    return {"get": {"tags": ["probes"], "summary": summary, "security": security, "responses": responses}}


_PROBES = {
    "/healthz": _probe("The process is up", "application/json", security=[]),
    "/readyz": _probe(
        "Requests are served: ledger, catalogue, no drain",
        "application/json",
        security=[],
        _503="Not now; `checks` says why.",
    ),
    "/metrics": _probe("Prometheus metrics", "text/plain", security=[{}, {"metrics": []}]),
}
