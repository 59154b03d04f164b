"""The official npm SDK against the running gateway: one script makes all calls (tests/npm/openai_contract.mjs)."""

import json
import os
import subprocess
from decimal import Decimal
from typing import Any

import pytest

from contract.bill import available, by_hand, offer_prices
from contract.talk import AIMOCK
from support.gateway import Gateway
from support.upstreams import npm_folder

pytestmark = pytest.mark.servers

HELLO = "Hello from the simulator: one plain answer, its usage fixed by the fixture."


@pytest.fixture(scope="module", params=list(AIMOCK))
def node(request: pytest.FixtureRequest, house: Gateway) -> dict[str, Any]:
    """What the script found at one upstream dialect, and what the wallet lost meanwhile."""
    model = AIMOCK[request.param]
    variables = {"BASE_URL": house.base_url, "API_KEY": house.key, "MODEL": model}
    before = available(house)
    done = subprocess.run(
        ["node", "openai_contract.mjs"],
        cwd=npm_folder(),
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {"model": model, "spent": before - available(house), **json.loads(done.stdout)}


def test_plain(house: Gateway, node: dict[str, Any]) -> None:
    plain = node["plain"]
    assert plain["text"] == HELLO
    assert (plain["usage"]["prompt_tokens"], plain["usage"]["completion_tokens"]) == (1234, 567)
    assert plain["id"] == plain["told"]["generation_id"]
    prices = offer_prices(house, node["model"], plain["told"]["provider"])
    assert Decimal(plain["told"]["cost_usd"]) == by_hand(prices, {"input": 1234, "output": 567})


def test_streams(node: dict[str, Any]) -> None:
    stream = node["stream"]
    assert (stream["text"], stream["usages"]) == (HELLO, 1)
    assert stream["usage"]["total_tokens"] == 1801
    assert stream["told"]["cost_usd"] == node["plain"]["told"]["cost_usd"]
    assert node["helper"]["text"] == HELLO
    assert node["helper"]["usage"]["total_tokens"] == 1801


def test_tools(node: dict[str, Any]) -> None:
    assert node["tools"] == {"reason": "tool_calls", "city": "Paris", "text": "It is 21 degrees in Paris."}
    assert node["runner"] == "It is 21 degrees in Paris."


def test_models(node: dict[str, Any]) -> None:
    assert node["model"] in node["models"]
    assert node["retrieved"] == "openai/gpt-4o"


def test_error_classes(node: dict[str, Any]) -> None:
    told = {name: (one["kind"], one["status"], one["code"]) for name, one in node["errors"].items()}
    assert told == {
        "stranger": ("AuthenticationError", 401, "invalid_api_key"),
        "field": ("BadRequestError", 400, "invalid_field"),
        "model": ("BadRequestError", 400, "model_not_found"),
        "missing": ("NotFoundError", 404, "not_found"),
        "budget": ("BadRequestError", 400, "invalid_field"),
        "broken": ("InternalServerError", 502, "upstream_error"),
        "stream": ("APIError", None, "upstream_error"),
    }
    assert node["errors"]["field"]["param"] == "max_tokens"
    assert node["errors"]["budget"]["param"] == "max_price"


def test_every_answer_was_charged_and_no_failure_was(house: Gateway, node: dict[str, Any]) -> None:
    prices = offer_prices(house, node["model"], node["plain"]["told"]["provider"])
    hello = by_hand(prices, {"input": 1234, "output": 567})
    tools = by_hand(prices, {"input": 80, "output": 17}) + by_hand(prices, {"input": 120, "output": 11})
    assert node["spent"] == 3 * hello + 2 * tools
