"""The official SDK raises the right class for every error, with what a program needs to react; and nothing is charged."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from contract.bill import Bill
from contract.conftest import provider
from contract.talk import AIMOCK, ask, client, heard
from support import upstreams
from support.gateway import Gateway
from support.upstreams import FaultUpstream

pytestmark = pytest.mark.servers

DIALECTS = ("openai", "anthropic", "gemini")


def refused(sdk: openai.OpenAI, kind: type[openai.APIStatusError], status: int, code: str, **fields: Any) -> Any:
    """The error that a request raises: exactly of this class, in the documented shape."""
    asked = {"model": AIMOCK["openai"], "messages": ask("Hello"), **fields}
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.chat.completions.create(**asked)
    error = raised.value
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code), error
    assert error.body["message"]
    assert error.request_id == error.response.headers["x-request-id"]
    return error


def make_key(house: Gateway, **fields: Any) -> str:
    """A key of the first workspace, as an operator makes one."""
    return make_key_of(house, workspace_of(house), **fields)


def make_key_of(house: Gateway, workspace_id: str, **fields: Any) -> str:
    body = {"workspace_id": workspace_id, "name": "contract", **fields}
    status, made, _ = house.ask("POST", "/admin/keys", body, house.admin)
    assert status == 201, made
    return made["key"]


def workspace_of(house: Gateway) -> str:
    return house.ask("GET", "/v1/key")[1]["data"]["workspace_id"]


def poor_key(house: Gateway, usd: str) -> str:
    """A key of a new workspace with so much in its wallet."""
    organization = house.ask("GET", "/admin/organizations", key=house.admin)[1]["data"][0]["id"]
    body = {"organization_id": organization, "name": f"with {usd}"}
    workspace = house.ask("POST", "/admin/workspaces", body, house.admin)[1]["data"]["id"]
    credit = {"usd": usd, "kind": "grant", "reason": "a test"}
    status, told, _ = house.ask("POST", f"/admin/wallets/{workspace}/credit", credit, house.admin)
    assert status == 200, told
    return make_key_of(house, workspace)


# 401, 403: who asks.


@pytest.mark.parametrize("key", ["sk-somebody-elses", "tw_" + "x" * 47, "tw_"])
def test_an_unknown_key(house: Gateway, key: str) -> None:
    with client(house, key) as sdk:
        error = refused(sdk, openai.AuthenticationError, 401, "invalid_api_key")
        assert error.type == "authentication_error"
        with pytest.raises(openai.AuthenticationError):
            sdk.models.list()


def test_no_key(house: Gateway) -> None:
    status, body, headers = house.ask("POST", "/v1/chat/completions", {"model": "simulated/echo"}, key="")
    assert (status, body["error"]["code"], headers["www-authenticate"]) == (401, "missing_api_key", "Bearer")
    # The SDK insists on a key of its own, but sends no header that it is told to leave out.
    with client(house) as sdk:
        refused(sdk, openai.AuthenticationError, 401, "missing_api_key", extra_headers={"Authorization": openai.Omit()})


def test_a_revoked_key(house: Gateway) -> None:
    key = make_key(house)
    with client(house, key) as sdk:
        sdk.chat.completions.create(model="simulated/echo", messages=ask("hi"))
        listed = house.ask("GET", "/admin/keys?limit=100", key=house.admin)[1]["data"]
        identity = next(one["id"] for one in listed if key.startswith(one["prefix"]))
        assert house.ask("DELETE", f"/admin/keys/{identity}", key=house.admin)[0] == 200
        refused(sdk, openai.AuthenticationError, 401, "api_key_disabled")


def test_a_key_may_be_limited_to_models(house: Gateway) -> None:
    with client(house, make_key(house, allowed_models=["simulated/echo", "openai/gpt-4o"])) as sdk:
        assert sorted(model.id for model in sdk.models.list()) == ["openai/gpt-4o", "simulated/echo"]
        sdk.chat.completions.create(model="gpt-4o", messages=ask("Hello"))
        error = refused(sdk, openai.PermissionDeniedError, 403, "model_not_allowed", model=AIMOCK["gemini"])
        assert error.param == "model"
        assert "openai/gpt-4o" in error.message


def test_a_key_may_lack_a_scope(house: Gateway) -> None:
    with client(house, make_key(house, scopes=["models"])) as sdk:
        assert sdk.models.retrieve("simulated/echo").id == "simulated/echo"
        error = refused(sdk, openai.PermissionDeniedError, 403, "scope_missing")
        assert error.type == "authorization_error"
        assert error.body["scope"] == "chat"


# 400, 404: what is asked.


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"extra_body": {"max_price": "cheap"}}, "max_price"),
        ({"extra_body": {"provider": {"orders": ["openai"]}}}, "provider.orders"),
        ({"extra_body": {"base_url": "http://elsewhere.test"}}, "base_url"),
    ],
)
def test_a_wrong_field_is_named(sdk: openai.OpenAI, fields: dict[str, Any], param: str) -> None:
    error = refused(sdk, openai.BadRequestError, 400, "invalid_field", **fields)
    assert error.param == param
    assert error.type == "invalid_request_error"


def test_an_unknown_model_names_the_nearest(sdk: openai.OpenAI) -> None:
    error = refused(sdk, openai.BadRequestError, 400, "model_not_found", model="openai/gpt-4oo")
    assert error.param == "model"
    assert "openai/gpt-4o" in error.body["nearest"]
    assert "openai/gpt-4o" in error.message


def test_a_model_without_credential_is_not_reachable(sdk: openai.OpenAI) -> None:
    error = refused(sdk, openai.BadRequestError, 400, "model_not_found", model="deepseek/deepseek-chat")
    assert "no key" in error.message


def test_not_found(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        sdk.models.retrieve("openai/gpt-4oo")
    assert raised.value.type == "not_found"
    with pytest.raises(openai.NotFoundError):
        sdk.embeddings.create(model="openai/gpt-4o", input="not in this version")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_providers_refusal_reaches_the_caller_in_its_words(
    house: Gateway, sdk: openai.OpenAI, dialect: str
) -> None:
    with Bill(house) as bill:
        error = refused(
            sdk, openai.BadRequestError, 400, "upstream_refused", model=AIMOCK[dialect], messages=ask("fail with 400")
        )
    assert error.body["message"] == "The simulator refuses this request."
    assert [one["reason"] for one in error.body["attempts"]] == ["bad_request"]
    assert bill.spent() == 0


# 402, 429: what may be spent.


def test_an_empty_wallet(house: Gateway) -> None:
    with client(house, poor_key(house, "0.001")) as sdk:
        error = refused(sdk, openai.APIStatusError, 402, "insufficient_balance", max_tokens=1000)
        assert error.type == "insufficient_balance"
        assert error.body["available_usd"] == "0.001"
        # 1,000 tokens of output at 10 USD a million, the few of input at 2.50, and 5.5 %.
        assert 0.01055 < float(error.body["needed_usd"]) < 0.0107
        # What it can pay is answered.
        sdk.chat.completions.create(model=AIMOCK["openai"], messages=ask("Think first"), max_tokens=30)


def test_a_spent_budget(house: Gateway) -> None:
    with client(house, make_key(house, budget_usd="0.001", budget_window="day")) as sdk:
        error = refused(sdk, openai.APIStatusError, 402, "budget_exceeded", max_tokens=1000)
        assert error.body["limit_source"] == "key"


def test_max_price(sdk: openai.OpenAI) -> None:
    limit = {"max_price": "0.01"}
    error = refused(sdk, openai.BadRequestError, 400, "invalid_field", max_tokens=1000, extra_body=limit)
    assert error.param == "max_price"
    assert float(error.body["needed_usd"]) > 0.01
    sdk.chat.completions.create(model=AIMOCK["openai"], messages=ask("Hello"), max_tokens=900, extra_body=limit)


def test_too_many_requests(house: Gateway) -> None:
    with client(house, make_key(house, requests_per_minute=2)) as sdk:
        # The limit is per UTC minute: do not begin just before one ends.
        time.sleep(max(0.0, time.time() % 60 - 55) and 60 - time.time() % 60)
        for left in (1, 0):
            raw = sdk.chat.completions.with_raw_response.create(model="simulated/echo", messages=ask("hi"))
            assert raw.headers["x-ratelimit-limit"] == "2"
            assert raw.headers["x-ratelimit-remaining"] == str(left)
        error = refused(sdk, openai.RateLimitError, 429, "rate_limit_exceeded", model="simulated/echo")
        headers = error.response.headers
        wait = int(headers["retry-after"])
        assert 0 < wait <= 60
        assert abs(int(headers["x-ratelimit-reset"]) - time.time() - wait) < 2
        assert int(headers["x-ratelimit-reset"]) % 60 == 0


# 502, 503, 504: the provider's matter.


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("behaviour", "status", "code", "reasons"),
    [
        ("status-500", 502, "upstream_error", ["server", "server"]),
        ("reset-0", 502, "upstream_error", ["connection", "connection"]),
        ("malformed", 502, "upstream_error", ["malformed", "malformed"]),
        ("status-401", 502, "upstream_error", ["no_auth"]),
        ("status-404", 502, "upstream_error", ["not_found"]),
        ("status-503", 503, "no_offer_available", ["overloaded", "overloaded"]),
    ],
)
def test_a_broken_provider(
    house: Gateway, sdk: openai.OpenAI, dialect: str, behaviour: str, status: int, code: str, reasons: list[str]
) -> None:
    model = f"fault-{dialect}/fault-{behaviour}"
    with Bill(house) as bill:
        error = refused(sdk, openai.InternalServerError, status, code, model=model)
    assert [one["reason"] for one in error.body["attempts"]] == reasons
    assert {one["provider"] for one in error.body["attempts"]} == {f"fault-{dialect}"}
    assert "127.0.0.1" not in str(error.body)
    assert "not-a-secret" not in str(error.body)
    assert bill.spent() == 0
    receipt = house.receipt(error.request_id)["data"]
    assert (receipt["status"], receipt["error_code"], receipt["charge_usd"]) == ("error", code, "0")
    assert receipt["hold"]["outcome"] == "void"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", ["status-401", "status-500", "reset-0"])
def test_a_stream_that_never_begins_raises_at_the_call(
    house: Gateway, sdk: openai.OpenAI, dialect: str, behaviour: str
) -> None:
    model = f"fault-{dialect}/fault-{behaviour}"
    with Bill(house) as bill:
        refused(sdk, openai.InternalServerError, 502, "upstream_error", model=model, stream=True)
    assert bill.spent() == 0


def test_a_busy_provider_says_when_to_come_back(house: Gateway, sdk: openai.OpenAI) -> None:
    with Bill(house) as bill:
        error = refused(
            sdk, openai.InternalServerError, 503, "no_offer_available", model="fault-openai/fault-status-429"
        )
    assert error.response.headers["retry-after"] == "1"
    assert error.body["retry_after_seconds"] == 1
    assert bill.spent() == 0


def test_the_sdks_own_retries_honour_retry_after(house: Gateway, faulty: FaultUpstream) -> None:
    """Two tries of ours end in 503 with Retry-After; the SDK waits that long and asks again, which is charged once."""
    faulty.program("fault-status-429", "fault-status-429", "ok")
    began = time.monotonic()
    with Bill(house) as bill, client(house, max_retries=1) as sdk:
        reply = sdk.chat.completions.create(model="fault-openai/ok", messages=ask("hi"))
    # One second before our second try, and one before the SDK's.
    assert time.monotonic() - began >= 2
    first, second, third = faulty.ended(3)
    assert [one["behaviour"] for one in (first, second, third)] == ["status-429", "status-429", "ok"]
    bill.agrees(reply, input=1234, output=567)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_failure_is_repeated_within_the_request(house: Gateway, faulty: FaultUpstream, dialect: str) -> None:
    faulty.program("fault-status-500", "ok")
    with Bill(house) as bill, client(house) as sdk:
        reply = sdk.chat.completions.create(model=f"fault-{dialect}/ok", messages=ask("hi"))
    receipt = bill.agrees(reply, input=1234, output=567)
    assert [one["reason"] for one in receipt["receipt"]["attempts"]] == ["server", "ok"]


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, fault_server: FaultUpstream) -> Iterator[Gateway]:
    """A gateway that waits a second for a provider, once; behind it, a simulator that cuts its streams short."""
    toml = "[upstream]\nattempt_timeout_s = 1\nidle_timeout_s = 1\ntotal_timeout_s = 2\nretries_per_offer = 0\n"
    toml += provider("acme", "openai", fault_server.openai, ("ok", "fault-hang", "fault-hang-mid"))
    with upstreams.llmock("--stream-fault", "truncate=1") as cut:
        toml += provider("cut-openai", "openai", cut.openai, ("gpt-4o",))
        toml += provider("cut-anthropic", "anthropic", cut.anthropic, ("claude-sonnet-4-5",))
        toml += provider("cut-gemini", "gemini", cut.gemini, ("gemini-2.5-flash",))
        with Gateway(tmp_path_factory.mktemp("hasty"), toml=toml) as running:
            yield running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_silent_provider(hasty: Gateway, stream: bool) -> None:
    with client(hasty) as sdk, Bill(hasty) as bill:
        error = refused(
            sdk, openai.InternalServerError, 504, "upstream_timeout", model="acme/fault-hang", stream=stream
        )
    assert error.type == "upstream_timeout"
    assert [one["reason"] for one in error.body["attempts"]] == ["timeout"]
    assert bill.spent() == 0


def test_a_stream_that_falls_silent(hasty: Gateway) -> None:
    with client(hasty) as sdk, Bill(hasty) as bill:
        stream = sdk.chat.completions.create(model="acme/fault-hang-mid", messages=ask("hi"), stream=True)
        with pytest.raises(openai.APIError) as raised:
            list(stream)
    assert raised.value.code == "upstream_timeout"
    assert bill.spent() == 0


@pytest.mark.parametrize(
    "model", ["cut-openai/gpt-4o", "cut-anthropic/claude-sonnet-4-5", "cut-gemini/gemini-2.5-flash"]
)
def test_a_stream_that_ends_early_is_not_taken_for_an_answer(hasty: Gateway, model: str) -> None:
    """The simulator just stops, with a correct end of HTTP; asked directly, the SDK would take that for all there is.

    It stops after one to six chunks; its answers to this question are longer.
    """
    with client(hasty) as sdk, Bill(hasty) as bill, pytest.raises(openai.APIError) as raised:
        heard(sdk.chat.completions.create(model=model, messages=ask("Say it"), stream=True))
    assert raised.value.code == "upstream_error"
    assert bill.spent() == 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_simulator_that_breaks_off(house: Gateway, sdk: openai.OpenAI, dialect: str) -> None:
    with Bill(house) as bill, pytest.raises(openai.APIError) as raised:
        heard(sdk.chat.completions.create(model=AIMOCK[dialect], messages=ask("stream and break off"), stream=True))
    assert raised.value.code == "upstream_error"
    assert bill.spent() == 0


def test_the_callers_own_patience(house: Gateway, faulty: FaultUpstream) -> None:
    """The SDK gives up first: the provider is told to stop, what it was asked is charged (R8c), nothing stays held."""
    with Bill(house) as bill:
        with client(house, timeout=0.5) as sdk, pytest.raises(openai.APITimeoutError):
            sdk.chat.completions.create(model="fault-openai/fault-hang", messages=ask("hi"))
        assert faulty.ended(model="fault-hang")[0]["client_closed_early"]
        deadline = time.monotonic() + 5
        while house.wallet()["reserved_usd"] != "0" and time.monotonic() < deadline:
            time.sleep(0.02)
    # One token of prompt at 3 USD a million.
    assert bill.spent() == Decimal("0.000003165")


# A stream that breaks after its first byte.


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", ["error-frame-mid", "reset-mid", "malformed"])
def test_a_broken_stream_raises_in_the_loop(house: Gateway, sdk: openai.OpenAI, dialect: str, behaviour: str) -> None:
    with Bill(house) as bill:
        stream = sdk.chat.completions.create(
            model=f"fault-{dialect}/fault-{behaviour}", messages=ask("hi ((chunk_ms=40))"), stream=True
        )
        said: list[Any] = []
        with pytest.raises(openai.APIError) as raised:
            said.extend(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said).startswith("word0 word1")
    assert type(raised.value) is openai.APIError
    assert raised.value.type in {"upstream_error", "service_unavailable"}
    assert raised.value.body["attempts"][0]["provider"] == f"fault-{dialect}"
    assert bill.spent() == 0
