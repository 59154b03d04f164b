"""A customer meets the limits of the Hobby plan one by one, reads each message, and is upgraded by the operator."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from support.gateway import Gateway

SETTINGS = """
[people]
signup = "open"
[plans]
upgrade_url = "https://tollway.test/upgrade"
"""
ECHO = "simulated/echo"


class Customer:
    """Somebody who has signed up: `token` is their session, `key` their first key."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        person = {"email": "ada@acme.test", "password": "correct horse battery", "organization": "Acme"}
        status, told, _ = gateway.ask("POST", "/v1/auth/signup", person, key="")
        assert status == 201, told
        self.token = told["token"]
        self.organization = told["data"]["memberships"][0]["organization_id"]
        status, made, _ = gateway.ask("POST", "/v1/keys", {"name": "first"}, key=self.token)
        assert status == 201, made
        self.key = made["key"]

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, told, headers = self.gateway.ask(method, path, body, key=self.token)
        assert "x-ratelimit-limit" in headers, (path, headers)
        return status, told

    @property
    def limits(self) -> dict[str, Any]:
        status, told = self.ask("GET", "/v1/limits")
        assert status == 200
        return told["data"]

    def refused(self, method: str, path: str, body: Any) -> dict[str, Any]:
        status, told = self.ask(method, path, body)
        assert status == 403, told
        assert told["error"]["type"] == "tier_limit_exceeded"
        assert told["error"]["upgrade_url"] == "https://tollway.test/upgrade"
        return told["error"]

    def chat(self, text: str = "Hello", **fields: Any) -> Any:
        with openai.OpenAI(base_url=self.gateway.base_url, api_key=self.key, max_retries=0) as client:
            messages = [{"role": "user", "content": text}]
            return client.chat.completions.create(model=ECHO, messages=messages, **fields)


@pytest.fixture(scope="module")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    folder: Path = tmp_path_factory.mktemp("limits")
    with Gateway(folder, SETTINGS) as gateway:
        yield Customer(gateway)
        gateway.audit()


def whole_minute() -> None:
    """So that what follows falls into one UTC minute."""
    if (left := 60 - time.time() % 60) < 20:
        time.sleep(left + 0.1)


def test_a_new_customer_sees_the_plan_they_are_on(customer: Customer) -> None:
    limits = customer.limits
    assert (limits["tier"], limits["plan_name"], limits["allowed_models"]) == ("hobby", "Hobby", "all")
    assert (limits["limits"]["requests_per_minute"], limits["limits"]["tokens_per_day"]) == (10, 100_000)
    assert limits["usage"]["api_keys"] == limits["usage"]["workspaces"] == limits["usage"]["members"] == 1
    assert limits["over_limit"] == []
    status, tiers, headers = customer.gateway.ask("GET", "/v1/limits/tiers", key="")
    assert [tier["id"] for tier in tiers["data"]] == ["hobby", "pro", "team", "enterprise"]
    assert (status, headers["cache-control"]) == (200, "public, max-age=86400")


def test_a_second_key_needs_pro(customer: Customer) -> None:
    error = customer.refused("POST", "/v1/keys", {"name": "second"})
    assert (error["limit_name"], error["limit"], error["current"], error["required_tier"]) == ("api_keys", 1, 1, "pro")
    assert "Pro" in error["message"]


def test_a_second_workspace_needs_pro(customer: Customer) -> None:
    error = customer.refused("POST", "/v1/workspaces", {"name": "second"})
    assert (error["limit_name"], error["limit"], error["required_tier"]) == ("workspaces", 1, "pro")


def test_a_prompt_beyond_the_plans_context(customer: Customer) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        customer.chat("word " * 9_000)
    error = json.loads(refused.value.response.text)["error"]
    assert (error["type"], error["limit_name"], error["limit"]) == ("tier_limit_exceeded", "max_context_tokens", 8_000)
    assert error["current"] > 8_000
    assert "Hobby" in error["message"]


def test_more_tokens_than_a_day_has(customer: Customer) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        customer.chat(max_tokens=1_000, n=100)
    error = json.loads(refused.value.response.text)["error"]
    assert (error["code"], error["limit"], error["limit_source"]) == ("tokens_per_day_exceeded", 100_000, "plan")
    assert int(refused.value.response.headers["retry-after"]) == error["retry_after_seconds"] > 0


def test_the_eleventh_request_of_a_minute_waits_until_an_upgrade_counts_at_once(customer: Customer) -> None:
    whole_minute()
    for _ in range(10):
        customer.chat()
    with pytest.raises(openai.RateLimitError) as refused:
        customer.chat()
    headers = refused.value.response.headers
    error = json.loads(refused.value.response.text)["error"]
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("10", "0")
    assert int(headers["retry-after"]) == error["retry_after_seconds"] <= 60
    assert int(headers["x-ratelimit-reset"]) == error["reset"]
    assert "your plan allows 10 requests per minute" in error["message"]
    usage = customer.limits["usage"]
    # What was refused above counted nowhere.
    assert (usage["requests_this_minute"], usage["requests_today"]) == (10, 10)
    assert 0 < usage["tokens_today"] < 1_000

    # The operator upgrades: what was refused a moment ago passes, in the same minute.
    customer.gateway.cli("plans", "set", customer.organization, "pro", "--reason", "paid by invoice")
    customer.chat()
    limits = customer.limits
    assert (limits["tier"], limits["limits"]["requests_per_minute"]) == ("pro", 60)
    assert limits["usage"]["requests_this_minute"] == 11
    assert customer.ask("POST", "/v1/keys", {"name": "second"})[0] == 201
    assert customer.ask("POST", "/v1/workspaces", {"name": "second"})[0] == 201


def test_after_a_downgrade_nothing_is_deleted_and_nothing_can_be_added(customer: Customer) -> None:
    customer.gateway.cli("plans", "set", customer.organization, "hobby", "--reason", "stopped paying")
    over = {one["limit"]: one for one in customer.limits["over_limit"]}
    assert {name: (one["allowed"], one["current"]) for name, one in over.items()} == {
        "api_keys": (1, 2),
        "workspaces": (1, 2),
    }
    assert all(one["reason"] and one["effect"] for one in over.values())
    status, told = customer.ask("GET", "/v1/keys")
    assert (status, len(told["data"])) == (200, 2)
    assert customer.refused("POST", "/v1/keys", {"name": "third"})["current"] == 2
    assert customer.refused("POST", "/v1/workspaces", {"name": "third"})["current"] == 2
    assert "api_keys" in customer.gateway.cli("plans", "of", customer.organization)
