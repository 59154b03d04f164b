"""kill -9 in the middle of a delivery: after the restart it is sent again, under the same id, and nothing is lost."""

import time
from pathlib import Path

import pytest

from support.gateway import Gateway
from support.receiver import Receiver

TOML = """
[webhooks]
allow_http = true
allow_private_addresses = true
"""
pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


def hooked(gateway: Gateway, receiver: Receiver) -> tuple[str, str, str]:
    """A key with the scope, a webhook at the receiver, and its secret."""
    _, found, _ = gateway.ask("GET", "/admin/organizations", key=gateway.admin)
    workspace = found["data"][0]["workspaces"][0]["id"]
    scopes = ["webhooks", "usage", "workspaces", "chat"]
    body = {"workspace_id": workspace, "name": "hooks", "scopes": scopes, "budget_usd": "0.0001"}
    status, made, _ = gateway.ask("POST", "/admin/keys", body, key=gateway.admin)
    assert status == 201, made
    key = made["key"]
    status, made, _ = gateway.ask("POST", "/v1/webhooks", {"url": receiver.url}, key=key)
    assert status == 201, made
    return key, made["data"]["id"], made["secret"]


def delivered(gateway: Gateway, key: str, webhook: str) -> list[dict]:
    """The deliveries of a webhook, once none is pending."""
    deadline = time.monotonic() + 20
    while True:
        _, found, _ = gateway.ask("GET", f"/v1/webhooks/{webhook}/deliveries", key=key)
        if found["data"] and all(one["status"] != "pending" for one in found["data"]):
            return found["data"]
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_a_crash_during_a_delivery_sends_it_again(tmp_path: Path) -> None:
    with Receiver(delay_s=3) as receiver, Gateway(tmp_path, TOML) as gateway:
        key, webhook, secret = hooked(gateway, receiver)
        # 4 tokens of 15 USD per million, and 5 of the question: over half of 0.0001 USD.
        status, _, _ = gateway.ask(
            "POST",
            "/v1/chat/completions",
            {"model": "simulated/priced", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]},
            key=key,
        )
        assert status == 200
        receiver.wait(1)
        gateway.kill()
        gateway.process.stop()
        receiver.delay_s = 0
        gateway.start()
        first, second = receiver.wait(2)[:2]
        assert second.id == first.id
        assert second.body == first.body
        event = second.verified(secret)
        assert (event["type"], event["data"]["threshold_percent"]) == ("budget.threshold", 50)
        (one,) = delivered(gateway, key, webhook)
        assert (one["status"], one["event_id"]) == ("delivered", first.id)
        # And the alert itself was not told again.
        time.sleep(2.5)
        _, found, _ = gateway.ask("GET", "/v1/alerts", key=key)
        assert [(one["type"], one["mail"]) for one in found["data"]] == [("budget.threshold", "sent")]
        assert len(receiver.received) == 2
        assert "Traceback" not in gateway.log
        gateway.audit()


def test_the_operator_replays_what_was_given_up(tmp_path: Path) -> None:
    with Receiver(410) as receiver, Gateway(tmp_path, TOML) as gateway:
        key, webhook, secret = hooked(gateway, receiver)
        gateway.ask("PUT", "/v1/alerts/settings", {"low_balance_usd": "10"}, key=key)
        body = {"model": "simulated/priced", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
        assert gateway.ask("POST", "/v1/chat/completions", body, key=key)[0] == 200
        receiver.wait(1)
        dead = [one for one in delivered_or_dead(gateway, key, webhook) if one["status"] == "dead"]
        assert dead[0]["log"][0]["status"] == 410
        assert "dead" in gateway.cli("webhooks", "deliveries", "--status", "dead")
        assert "it answered 410: it is gone" in gateway.cli("webhooks", "list")
        receiver.status = 200
        assert gateway.ask("PATCH", f"/v1/webhooks/{webhook}", {"enabled": True}, key=key)[0] == 200
        gateway.cli("webhooks", "replay", dead[0]["id"])
        done = delivered(gateway, key, webhook)
        assert {one["status"] for one in done} == {"delivered"}
        assert all(one.is_signed(secret) for one in receiver.received)
        assert "Traceback" not in gateway.log


def delivered_or_dead(gateway: Gateway, key: str, webhook: str) -> list[dict]:
    deadline = time.monotonic() + 20
    while True:
        _, found, _ = gateway.ask("GET", f"/v1/webhooks/{webhook}/deliveries", key=key)
        if any(one["status"] == "dead" for one in found["data"]):
            return found["data"]
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
