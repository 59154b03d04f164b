"""Who may do what, to whose things: one row per route, one column per caller, and what each cell must answer.

Everything here is written by hand, nothing is read from the gateway: a route that is added without a row fails
`test_tenancy.py`, and so does a row without a route.
"""

from dataclasses import dataclass, field

Answer = tuple[int, str | None]
"""Status, and the code of the error, None where there is none."""

SCOPES = ("chat", "models", "usage", "wallet", "keys", "workspaces", "members", "webhooks", "billing", "transfer")
ROLES = {
    "owner": " ".join(SCOPES),
    "admin": " ".join(SCOPES),
    "member": "chat models usage wallet keys",
    "viewer": "models usage wallet",
    "billing": "usage wallet billing transfer",
}
_VIEWING = "models usage wallet"
"""What a key or a person must have to give or take the role `viewer`."""


@dataclass(frozen=True)
class Row:
    """A route.

    who: `open` to all; `key`: API keys; `account`: API keys and sessions; `session`; `operator`.
    needs: all the scopes that its example takes. of: whose the things are that it names: of a `workspace`, of an
    `organization`, the `same` for everybody, or "" if it names none. Whoever is of another one gets `astray`.
    body, query: an example; `{name}` stands for a fresh thing of the world, and `given` says where a name in the path
    stands for another. answer: of whoever may. but: column -> answer, where it is another one.
    """

    route: str
    who: str
    needs: str = ""
    of: str = ""
    body: dict | None = None
    query: str = ""
    given: dict[str, str] = field(default_factory=dict)
    answer: Answer = (200, None)
    astray: Answer = (404, "not_found")

    @property
    def method(self) -> str:
        return self.route.split()[0]

    @property
    def path(self) -> str:
        return self.route.split()[1]


MADE: Answer = (201, None)
LATER: Answer = (202, None)
CHAT = {"model": "estimate/echo", "messages": [{"role": "user", "content": "Hello"}]}
TOKENS = {"input_tokens": 10, "output_tokens": 10}
PAST = {"token": "twi_" + "0" * 47, "password": "correct horse battery"}
WHY = {"reason": "a test"}
WS, ORG, SAME = "workspace", "organization", "same"

ROWS = (
    # --- open to all; a credential changes nothing ---
    Row("GET /healthz", "open"),
    Row("GET /readyz", "open"),
    Row("GET /metrics", "open"),
    Row("GET /docs", "open"),
    Row("GET /openapi.json", "open"),
    Row("GET /v1/limits/tiers", "open"),
    Row("POST /v1/auth/signup", "open", body={"email": "{email}", "password": "correct horse battery"}, answer=MADE),
    Row(
        "POST /v1/auth/login",
        "open",
        body={"email": "{email}", "password": "wrong"},
        answer=(401, "invalid_credentials"),
    ),
    Row("POST /v1/auth/invitations/accept", "open", body=PAST, answer=(400, "invalid_token")),
    Row("POST /v1/auth/password/forgot", "open", body={"email": "{email}"}, answer=LATER),
    Row("POST /v1/auth/password/reset", "open", body=PAST, answer=(400, "invalid_token")),
    # --- people alone ---
    Row("GET /v1/auth/me", "session"),
    Row("POST /v1/auth/logout", "session"),
    Row(
        "POST /v1/auth/password",
        "session",
        body={"current": "wrong", "new": "battery horse correct"},
        answer=(401, "invalid_credentials"),
    ),
    # --- keys alone ---
    Row("POST /v1/chat/completions", "key", "chat", body=CHAT),
    Row("GET /v1/models", "key", "models"),
    Row("GET /v1/models/compare", "key", "models", query="?ids=gpt"),
    Row("GET /v1/models/{model_id}", "key", "models", of=SAME),
    Row("GET /v1/models/{model_id}/offers", "key", "models", of=SAME),
    Row("POST /v1/estimate", "key", "models", body={"model": "gpt", **TOKENS}),
    Row("POST /v1/compare", "key", "models", body={"models": ["gpt"], **TOKENS}),
    Row("POST /v1/route", "key", "models", body={"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}),
    Row("GET /v1/key", "key", "usage"),
    # --- what a workspace has used and may use ---
    Row("GET /v1/wallet", "account", "wallet"),
    Row("GET /v1/wallet/transactions", "account", "wallet"),
    Row("GET /v1/credits", "account", "wallet"),
    Row("GET /v1/generations/{generation_id}", "account", "usage", of=WS),
    Row("GET /v1/generations/{generation_id}/feedback", "account", "usage", of=WS),
    Row("POST /v1/generations/{generation_id}/feedback", "account", "usage", of=WS, body={"score": 80}, answer=MADE),
    Row("GET /v1/generation", "account", "usage", of=WS, query="?id={generation_id}"),
    Row("GET /v1/usage", "account", "usage", query="?group_by=key&key_id={used_key_id}"),
    Row("GET /v1/usage/daily", "account", "usage"),
    Row("GET /v1/usage/recent", "account", "usage", query="?key={used_key_id}"),
    Row("GET /v1/activity", "account", "usage", query="?key_id={used_key_id}"),
    Row("GET /v1/limits", "account", "usage"),
    Row("GET /v1/alerts", "account", "usage"),
    Row("GET /v1/alerts/settings", "account", "usage"),
    Row("PUT /v1/alerts/settings", "account", "workspaces", body={"email": False}),
    # --- keys of a workspace; nobody gives what they do not have ---
    Row("GET /v1/keys", "account", "keys", query="?limit=100"),
    Row("POST /v1/keys", "account", "keys models", body={"name": "new", "scopes": ["models"]}, answer=MADE),
    Row("GET /v1/keys/{key_id}", "account", "keys", of=WS),
    Row("PATCH /v1/keys/{key_id}", "account", "keys models", of=WS, body={"name": "renamed"}),
    Row("DELETE /v1/keys/{key_id}", "account", "keys", of=WS),
    Row("POST /v1/keys/{key_id}/rotate", "account", "keys models", of=WS),
    # --- routing profiles with keys of their own, aliases and presets of a workspace ---
    Row("GET /v1/profiles", "account", "models", query="?limit=100"),
    Row("POST /v1/profiles", "account", "keys chat", body={"name": "{profile_name}"}, answer=MADE),
    Row("GET /v1/profiles/{profile_id}", "account", "models", of=WS),
    Row("PATCH /v1/profiles/{profile_id}", "account", "keys models", of=WS, body={"tier_floor": "light"}),
    Row("DELETE /v1/profiles/{profile_id}", "account", "keys", of=WS),
    Row("POST /v1/profiles/{profile_id}/key", "account", "keys models", of=WS),
    Row("GET /v1/aliases", "account", "models", query="?limit=100"),
    Row("POST /v1/aliases", "account", "keys", body={"name": "{alias_name}", "target": "auto"}, answer=MADE),
    Row("GET /v1/aliases/{alias_id}", "account", "models", of=WS),
    Row("PATCH /v1/aliases/{alias_id}", "account", "keys", of=WS, body={"target": "auto:nano"}),
    Row("DELETE /v1/aliases/{alias_id}", "account", "keys", of=WS),
    Row("GET /v1/presets", "account", "models", query="?limit=100"),
    Row("POST /v1/presets", "account", "keys", body={"name": "{fresh_name}"}, answer=MADE),
    Row("GET /v1/presets/{preset_name}", "account", "models", of=WS),
    Row("PATCH /v1/presets/{preset_name}", "account", "keys", of=WS, body={"system": "changed"}),
    Row("DELETE /v1/presets/{preset_name}", "account", "keys", of=WS),
    Row("GET /v1/presets/{preset_name}/versions", "account", "models", of=WS),
    # --- workspaces of an organization ---
    Row("GET /v1/organization", "account", "usage"),
    Row("PATCH /v1/organization", "account", "workspaces", body={"name": "renamed"}),
    Row("GET /v1/workspaces", "account", "usage", query="?limit=100"),
    Row("POST /v1/workspaces", "account", "workspaces", body={"name": "new"}, answer=MADE),
    Row("GET /v1/workspaces/{workspace_id}", "account", "usage", of=ORG),
    Row("PATCH /v1/workspaces/{workspace_id}", "account", "workspaces", of=ORG, body={"name": "renamed"}),
    Row("DELETE /v1/workspaces/{workspace_id}", "account", "workspaces", of=ORG),
    Row(
        "POST /v1/workspaces/{workspace_id}/restore", "account", "workspaces", of=ORG, given={"workspace_id": "gone_id"}
    ),
    Row("GET /v1/workspaces/{workspace_id}/export", "account", "workspaces", of=ORG, given={"workspace_id": "home_id"}),
    Row(
        "POST /v1/wallet/transfer",
        "account",
        "transfer",
        of=ORG,
        body={"to": "{workspace_id}", "usd": "0.01", **WHY},
    ),
    # --- people of an organization; nobody gives or takes a role beyond their own ---
    Row("GET /v1/members", "account", "usage", query="?limit=100"),
    Row("POST /v1/members", "account", f"members {_VIEWING}", body={"email": "{email}", "role": "viewer"}, answer=MADE),
    Row("PATCH /v1/members/{user_id}", "account", f"members {_VIEWING}", of=ORG, body={"role": "viewer"}),
    Row("DELETE /v1/members/{user_id}", "account", f"members {_VIEWING}", of=ORG),
    Row("GET /v1/members/invitations", "account", "members", query="?limit=100"),
    Row("DELETE /v1/members/invitations/{invitation_id}", "account", "members", of=ORG),
    Row("GET /v1/audit-log", "account", "members", query="?limit=100"),
    # --- webhooks of a workspace ---
    Row("GET /v1/webhooks", "account", "webhooks", query="?limit=100"),
    Row("POST /v1/webhooks", "account", "webhooks", body={"url": "https://example.com/"}, answer=MADE),
    Row("GET /v1/webhooks/{webhook_id}", "account", "webhooks", of=WS),
    Row("PATCH /v1/webhooks/{webhook_id}", "account", "webhooks", of=WS, body={"description": "changed"}),
    Row("DELETE /v1/webhooks/{webhook_id}", "account", "webhooks", of=WS),
    Row("POST /v1/webhooks/{webhook_id}/rotate", "account", "webhooks", of=WS),
    Row("POST /v1/webhooks/{webhook_id}/test", "account", "webhooks", of=WS),
    Row("GET /v1/webhooks/{webhook_id}/deliveries", "account", "webhooks", of=WS),
    Row("POST /v1/webhooks/deliveries/{delivery_id}/replay", "account", "webhooks", of=WS),
    # --- the operator's ---
    Row("GET /admin/organizations", "operator"),
    Row("POST /admin/organizations", "operator", body={"name": "new"}, answer=MADE),
    Row("PATCH /admin/organizations/{organization_id}", "operator", of=ORG, body={"name": "renamed"}),
    Row("GET /admin/organizations/{organization_id}/plan", "operator", of=ORG),
    Row("PUT /admin/organizations/{organization_id}/plan", "operator", of=ORG, body={"plan": "pro", **WHY}),
    Row("GET /admin/organizations/{organization_id}/overrides", "operator", of=ORG),
    Row(
        "PUT /admin/organizations/{organization_id}/overrides",
        "operator",
        of=ORG,
        body={"limits": {"api_keys": 7}, **WHY},
    ),
    Row("DELETE /admin/organizations/{organization_id}/overrides", "operator", of=ORG),
    Row("GET /admin/organizations/{organization_id}/members", "operator", of=ORG),
    Row(
        "POST /admin/organizations/{organization_id}/members",
        "operator",
        of=ORG,
        body={"email": "{email}", "role": "owner"},
        answer=MADE,
    ),
    Row(
        "PATCH /admin/organizations/{organization_id}/members/{user_id}",
        "operator",
        of=ORG,
        body={"role": "admin"},
        given={"organization_id": "home_organization_id"},
    ),
    Row(
        "DELETE /admin/organizations/{organization_id}/members/{user_id}",
        "operator",
        of=ORG,
        given={"organization_id": "home_organization_id"},
    ),
    Row("GET /admin/wallets", "operator"),
    Row("POST /admin/wallets/{workspace_id}/credit", "operator", of=ORG, body={"usd": "1", "kind": "grant", **WHY}),
    Row(
        "POST /admin/wallets/transfer",
        "operator",
        of=ORG,
        body={"from": "{home_id}", "to": "{workspace_id}", "usd": "0.01", **WHY},
    ),
    Row(
        "POST /admin/workspaces",
        "operator",
        of=ORG,
        body={"organization_id": "{organization_id}", "name": "new"},
        answer=MADE,
    ),
    Row("PATCH /admin/workspaces/{workspace_id}", "operator", of=ORG, body={"name": "renamed"}),
    Row("DELETE /admin/workspaces/{workspace_id}", "operator", of=ORG),
    Row("POST /admin/workspaces/{workspace_id}/restore", "operator", of=ORG, given={"workspace_id": "gone_id"}),
    Row("GET /admin/workspaces/{workspace_id}/export", "operator", of=ORG, given={"workspace_id": "home_id"}),
    Row("GET /admin/keys", "operator", query="?limit=100"),
    Row("POST /admin/keys", "operator", of=ORG, body={"workspace_id": "{workspace_id}", "name": "new"}, answer=MADE),
    Row("GET /admin/keys/{key_id}", "operator", of=WS),
    Row("PATCH /admin/keys/{key_id}", "operator", of=WS, body={"name": "renamed"}),
    Row("DELETE /admin/keys/{key_id}", "operator", of=WS),
    Row("POST /admin/keys/{key_id}/rotate", "operator", of=WS),
    Row("GET /admin/offers/health", "operator"),
    Row("DELETE /admin/offers/health", "operator"),
    Row("GET /admin/plans", "operator"),
    Row("POST /admin/plans/migrate", "operator", body={}),
    Row(
        "POST /admin/profiles",
        "operator",
        of=ORG,
        body={"workspace_id": "{workspace_id}", "name": "{profile_name}"},
        answer=MADE,
    ),
    Row("PATCH /admin/profiles/{profile_id}", "operator", of=WS, body={"tier_floor": "light"}),
    Row("DELETE /admin/profiles/{profile_id}", "operator", of=WS),
    Row("POST /admin/webhooks/deliveries/{delivery_id}/replay", "operator", of=WS),
)


@dataclass(frozen=True)
class Caller:
    """A column. kind: `nobody`, `unknown`, `key`, `session` or `operator`.

    scopes: what it may do. home: whether it is of the `same` workspace as the things that are named, of a `sibling` of
    the same organization, or of `another` organization. refusal: what it gets from everything that takes its kind.
    token: a credential of it, None where the world has to make one.
    """

    name: str
    kind: str
    scopes: str = ""
    home: str = "same"
    refusal: Answer | None = None


_ALL = " ".join(SCOPES)
DEAD_KEYS: dict[str, Answer] = {
    "disabled key": (401, "api_key_disabled"),
    "revoked key": (401, "api_key_disabled"),
    "key of a deleted workspace": (401, "api_key_disabled"),
    "replaced text of a rotated key": (401, "invalid_api_key"),
    "expired key": (401, "api_key_expired"),
}
FOREIGN = ("key of another tenant", "owner of another organization")
CALLERS = (
    Caller("nobody", "nobody"),
    Caller("unknown key", "unknown"),
    Caller("unknown session", "unknown"),
    Caller("unknown operator", "unknown"),
    Caller("garbage", "unknown"),
    Caller("another scheme", "unknown"),
    *(Caller(name, "key", _ALL, refusal=answer) for name, answer in DEAD_KEYS.items()),
    Caller("key for another address", "key", _ALL, refusal=(403, "ip_not_allowed")),
    Caller("ended session", "session", _ALL, refusal=(401, "invalid_session")),
    Caller("member who was taken out", "session", _ALL, refusal=(401, "invalid_session")),
    *(Caller(f"{role}'s session", "session", scopes) for role, scopes in ROLES.items()),
    Caller("viewer who owns another organization", "session", ROLES["viewer"]),
    Caller("owner who names another's workspace", "session", _ALL, refusal=(404, "not_found")),
    Caller("key of all scopes", "key", _ALL),
    *(Caller(f"key of {one} alone", "key", one) for one in SCOPES),
    *(Caller(f"key of all but {one}", "key", " ".join(each for each in SCOPES if each != one)) for one in SCOPES),
    Caller("key of a sibling workspace", "key", _ALL, home="sibling"),
    Caller(FOREIGN[0], "key", _ALL, home="another"),
    Caller(FOREIGN[1], "session", _ALL, home="another"),
    Caller("operator", "operator"),
    Caller("command line of this machine", "operator"),
)
_MISSING: Answer = (401, "missing_api_key")
_NO_KEY: Answer = (401, "invalid_api_key")
_NO_SESSION: Answer = (401, "invalid_session")


def expected(row: Row, caller: Caller) -> Answer:
    """The cell."""
    if row.who == "open":
        return row.answer
    if caller.kind == "nobody":
        return _MISSING
    if row.who == "operator":
        return row.answer if caller.kind == "operator" else _NO_KEY
    return _of_a_tenant(row, caller)


def _of_a_tenant(row: Row, caller: Caller) -> Answer:
    takes = {"key": ("key",), "session": ("session",), "account": ("key", "session")}[row.who]
    if caller.kind not in takes:
        is_session = row.who == "session" or (row.who == "account" and caller.name == "unknown session")
        return _NO_SESSION if is_session else _NO_KEY
    if row.who == "session":
        # Which workspace is named, and in what role, does not matter to a person's own account.
        return caller.refusal if caller.refusal == _NO_SESSION else row.answer
    lacks_scope = not set(row.needs.split()) <= set(caller.scopes.split())
    if caller.refusal is not None:
        return caller.refusal
    if lacks_scope:
        return 403, "scope_missing"
    is_astray = row.of in ("workspace", "organization") and caller.home == "another"
    if is_astray or (row.of == "workspace" and caller.home == "sibling"):
        return row.astray
    return row.answer
