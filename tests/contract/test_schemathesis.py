"""schemathesis over the whole OpenAPI document against a real gateway: no server error, and every answer as documented.

What is asked is derived from the document alone, the same at each run. Names in paths, and where a body is otherwise
good its references, are those of things that exist, so that a request gets further than "there is no such thing".
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test

from api.house import opened
from contract.tenancy import SCOPES
from support.gateway import Gateway

TOML = """
[people]
signup = "open"
[limits]
api_requests_per_minute = -1
[webhooks]
allow_http = true
allow_private_addresses = true
"""
NOWHERE = "http://127.0.0.1:9/"
PASSWORD = "correct horse battery"
DOCUMENTED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
REFUSING = [*DOCUMENTED, checks.negative_data_rejection]
"""And what the document does not allow is refused."""
CHATS = ("POST /v1/chat/completions", "POST /v1/estimate", "POST /v1/compare", "POST /v1/route")
"""Of a chat body the gateway judges what it reads; the rest is the provider's to judge."""
MODES = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.COVERAGE, HypothesisTestMode.FUZZING]


class Site:
    """A gateway, an account of every kind on it, and things to name."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.http = gateway, requests.Session()
        self.turns, self.counts = itertools.count(), Counter[int]()
        person = {"email": "owner@acme.test", "password": PASSWORD}
        made = self.ask("POST", "/v1/auth/signup", person, "")
        place = made["data"]["memberships"][0]
        self.session, self.organization_id = made["token"], place["organization_id"]
        self.parting = self.ask("POST", "/v1/auth/login", person, "")["token"]
        self.home, self.pond = place["workspaces"][0]["id"], ""
        plan = {"plan": "enterprise", "reason": "test"}
        self.admin("PUT", f"/admin/organizations/{self.organization_id}/plan", plan)
        self.admin("POST", f"/admin/wallets/{self.home}/credit", {"usd": "1000", "kind": "grant", "reason": "test"})
        self.key = self.admin("POST", "/admin/keys", {**self._key(), "scopes": list(SCOPES)})["key"]
        self.pond = self.ask("POST", "/v1/workspaces", {"name": "pond"}, self.session)["data"]["id"]
        chat = {"model": "simulated/echo", "messages": [{"role": "user", "content": "Hello"}]}
        generation_id = self.gateway.ask("POST", "/v1/chat/completions", chat, self.key)[2]["x-request-id"]
        self.makers: dict[str, Callable[[], str]] = {
            "key_id": lambda: self.admin("POST", "/admin/keys", self._key())["data"]["id"],
            "workspace_id": self._restored,
            "webhook_id": self._webhook,
            "profile_id": lambda: self._named("/v1/profiles")["id"],
            "alias_id": lambda: self._named("/v1/aliases", target="auto")["id"],
            "preset_name": lambda: self._named("/v1/presets")["name"],
            "delivery_id": self._delivery,
            "invitation_id": self._invitation,
            "organization_id": lambda: self.organization_id,
            "user_id": lambda: made["data"]["user"]["id"],
            "generation_id": lambda: generation_id,
            "model_id": lambda: "simulated/echo",
        }
        self.known: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        status, reply, _ = self.gateway.ask(method, path, body, key)
        assert status < 300, (method, path, reply)
        return reply

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        return self.ask(method, path, body, self.gateway.admin)

    def _key(self) -> dict[str, str]:
        return {"workspace_id": self.home, "name": "of the test"}

    def _named(self, path: str, **fields: str) -> Any:
        return self.ask("POST", path, {"name": f"of-the-test-{next(self.turns)}", **fields}, self.key)["data"]

    def _restored(self) -> str:
        self.admin("POST", f"/admin/workspaces/{self.pond}/restore")
        return self.pond

    def _webhook(self) -> str:
        for one in self.ask("GET", "/v1/webhooks?limit=100", key=self.key)["data"]:
            self.ask("DELETE", f"/v1/webhooks/{one['id']}", key=self.key)
        return self.ask("POST", "/v1/webhooks", {"url": NOWHERE}, self.key)["data"]["id"]

    def _delivery(self) -> str:
        return self.ask("POST", f"/v1/webhooks/{self.real('webhook_id')}/test", key=self.key)["data"]["delivery"]["id"]

    def _invitation(self) -> str:
        body = {"email": f"guest-{next(self.turns)}@acme.test", "role": "viewer"}
        path = f"/admin/organizations/{self.organization_id}/members"
        return self.admin("POST", path, body)["data"]["id"]

    def real(self, name: str) -> str:
        """The id of a thing that exists."""
        if name not in self.known:
            self.known[name] = self.makers[name]()
        return self.known[name]

    def references(self) -> dict[str, Any]:
        """Fields of bodies that name something."""
        return {
            "workspace_id": self.home,
            "from": self.home,
            "to": self.real("workspace_id"),
            "organization_id": self.organization_id,
            "organization": self.organization_id,
            "plan": "enterprise",
            "model": "simulated/echo",
            "models": ["simulated/echo", "simulated/priced"],
            "allowed_models": ["simulated/echo"],
            "fallbacks": ["simulated/echo"],
            "target": "simulated/echo",
        }

    def call(self, case: schemathesis.Case) -> schemathesis.Response:
        """Send it as somebody who may; about things that exist, where that is not what is wrong with it."""
        operation, turn = case.operation, next(self.turns)
        modes = {place: part.mode for place, part in (case.meta.components if case.meta else {}).items()}
        wrong = {
            str(getattr(place, "value", place)) for place, mode in modes.items() if mode is GenerationMode.NEGATIVE
        }
        if case.path_parameters and "path" not in wrong:
            case.path_parameters = {name: self.real(name) for name in case.path_parameters}
        if isinstance(case.body, dict):
            # Nothing that a test sends leaves the machine.
            if str(case.body.get("url", "")).startswith("http"):
                case.body = {**case.body, "url": NOWHERE}
            if "body" not in wrong and turn % 2:
                known = self.references()
                case.body = {name: known.get(name, value) for name, value in case.body.items()}
        headers = {"Authorization": f"Bearer {self._token(operation, turn)}"}
        reply = case.call(base_url=self.gateway.url, session=self.http, headers=headers)
        self.counts[reply.status_code] += 1
        if case.method == "DELETE" and reply.status_code < 300:
            self.known.clear()
        return reply

    def _token(self, operation: Any, turn: int) -> str:
        if operation.path == "/v1/auth/logout":
            return self.parting
        schemes = {name for one in operation.definition.raw.get("security", []) for name in one}
        if "operator" in schemes:
            return self.gateway.admin
        return self.session if "session" in schemes and ("key" not in schemes or turn % 4 < 2) else self.key


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    with Gateway(tmp_path, toml=TOML) as gateway:
        made = Site(gateway)
        yield made
        made.http.close()


def beside(case: schemathesis.Case, reply: schemathesis.Response) -> list:
    """Checks that are beside the point of this request."""
    found = []
    if reply.headers.get("content-type", [""])[0].startswith("text/event-stream"):
        # The document describes the text of the stream, the check wants the shape of each event.
        found.append(checks.response_schema_conformance)
    if any(isinstance(value, list) for value in (case.query or {}).values()):
        # A parameter that is named again: the last one counts.
        found.append(checks.negative_data_rejection)
    return found


def probe(site: Site, told: list[str], wanted: list) -> Callable[[schemathesis.Case], None]:
    """Ask, and note in `told` what is not as it should be."""

    def asked(case: schemathesis.Case) -> None:
        reply = site.call(case)
        try:
            case.validate_response(reply, checks=[one for one in wanted if one not in beside(case, reply)])
        except BaseExceptionGroup as error:
            told.append(str(error))

    return asked


def explore(site: Site, examples: int) -> None:
    """Every operation: its examples, the edges of its schema, and as many invented requests."""
    api = schemathesis.openapi.from_url(f"{site.gateway.url}/openapi.json")
    api.config.generation.update(with_security_parameters=False)  # we send good ones
    settings = hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    problems, operations = dict[str, list[str]](), 0
    for found in api.get_all_operations():
        operation = found.ok()
        told = problems.setdefault(operation.label, [])
        refusing = DOCUMENTED if operation.label in CHATS else REFUSING

        config = HypothesisTestConfig(project=api.config, modes=MODES, settings=settings)
        create_test(operation=operation, test_func=probe(site, told, refusing), config=config)()
        operations += 1
    wrong = [text for texts in problems.values() for text in texts]
    summary = [f"{label}: {len(texts)}" for label, texts in problems.items() if texts]
    assert not wrong, "\n".join([*summary, *wrong[:10]])
    assert operations > 85
    # It got somewhere: a gateway that refuses everything would pass as well.
    assert site.counts[200] > operations * 5 < site.counts[400], site.counts
    assert site.counts[401] < site.counts.total() / 10, site.counts
    assert site.gateway.ask("GET", "/readyz", key="")[0] == 200
    assert "Traceback" not in site.gateway.log
    site.gateway.audit()


FOUND = [
    ("POST", "/admin/keys", {"expires_at": "9999-12-31T23:59:59-12:00"}, 400, "expires_at"),
    ("PATCH", "/admin/keys/{key}", {"expires_at": "9999-12-31T23:59:59-12:00"}, 400, "expires_at"),
    ("PATCH", "/admin/keys/{key}", {"expires_at": "4102444800"}, 400, "expires_at"),
    ("PUT", "/admin/organizations/{organization}/overrides", {"until": "9999-12-31T23:59:59-12:00"}, 400, "until"),
    ("GET", "/v1/usage?start_date=0", None, 400, "start_date"),
    ("GET", "/v1/activity?end_date=86400", None, 400, "end_date"),
    ("OPTIONS", "/v1/members/invitations", None, 405, None),
]
"""What was once answered otherwise: with a 500, or as if it were good."""


@pytest.mark.parametrize(("method", "path", "body", "status", "param"), FOUND)
def test_what_was_found_stays_mended(
    tmp_path, method: str, path: str, body: Any, status: int, param: str | None
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            named = path.format(key=house.key.id, organization=house.key.organization_id)
            more = {"workspace_id": house.workspace_id, "name": "x"} if method == "POST" else {}
            more = {"reason": "x", "limits": {"api_keys": 1}} if method == "PUT" else more
            sent = None if body is None else more | body
            headers = house.operator if path.startswith("/admin") else house.headers
            reply = await house.client.request(method, named, json=sent, headers=headers)
            assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
            if status == 405:
                assert reply.json()["error"]["allowed"] == ["GET", "HEAD"]

    asyncio.run(scenario())


@pytest.mark.servers
def test_the_whole_document_without_a_server_error(site: Site) -> None:
    explore(site, examples=3)


@pytest.mark.full
@pytest.mark.servers
@pytest.mark.timeout(1_800)
def test_a_long_time_over_the_whole_document(site: Site) -> None:
    explore(site, examples=60)
