"""A gateway that counts in Valkey, and the Valkey goes away."""

import time

import pytest

from support.gateway import Gateway
from support.valkey import Valkey


def limits(store: Valkey, policy: str) -> str:
    return f'[limits]\nrequests_per_minute = 1000\nvalkey_url = "{store.url}"\non_store_down = "{policy}"\n'


def down(gateway: Gateway) -> bool:
    text = gateway.ask("GET", "/metrics", key="")[1]
    return "tollway_limiter_down 1.0" in text.splitlines()


@pytest.mark.parametrize("policy", ["closed", "local"])
def test_the_policy_holds_and_nothing_is_charged_for_a_refusal(tmp_path, policy) -> None:
    with Valkey() as store, Gateway(tmp_path, limits(store, policy)) as gateway:
        status, _, headers = gateway.chat()
        assert (status, headers["x-ratelimit-remaining"]) == (200, "999")
        assert b"tollway:{" in store.ask("KEYS", "*")
        assert not down(gateway)
        before = gateway.wallet()["available_usd"]
        store.kill()
        status, body, headers = gateway.chat()
        if policy == "closed":
            assert (status, body["error"]["code"]) == (503, "limiter_unavailable"), body
            assert (headers["retry-after"], headers["x-ratelimit-remaining"]) == ("1", "0")
            assert gateway.ask("GET", "/v1/limits")[1]["error"]["code"] == "limiter_unavailable"
        else:
            assert (status, headers["x-ratelimit-remaining"]) == (200, "999"), body
        assert down(gateway)
        assert gateway.ask("GET", "/readyz", key="")[0] == 200
        store.start()
        deadline = time.monotonic() + 10
        while down(gateway):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert gateway.chat()[0] == 200
        assert gateway.wallet()["available_usd"] == before
        assert gateway.log.count("the store of limits does not answer") == 1
        assert gateway.log.count("the store of limits answers again") == 1
        assert "Traceback" not in gateway.log
        gateway.stop()
        gateway.audit()


def test_a_restart_keeps_what_was_counted(tmp_path) -> None:
    with Valkey() as store, Gateway(tmp_path, limits(store, "closed")) as gateway:
        assert gateway.chat()[0] == gateway.chat()[0] == 200
        counted = gateway.ask("GET", "/v1/limits")[1]["data"]["usage"]
        gateway.stop()
        gateway.start()
        again = gateway.ask("GET", "/v1/limits")[1]["data"]["usage"]
        assert again["tokens_today"] == counted["tokens_today"] > 0
        assert again["requests_today"] == 2
