"""`auto` on a real gateway: a choice with its reasons, its margin and its receipt; tiers, a profile's key, aliases, presets."""

from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest

from support.gateway import Gateway

PROOF = "Prove that the square root of 2 is irrational."


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Only the simulated models: one each of the tiers nano, standard and complex."""
    with Gateway(tmp_path_factory.mktemp("routing"), "[providers.local]\nenabled = false\n") as running:
        yield running
        running.audit()


def asked(gateway: Gateway, text: str = "Hi there", key: str | None = None, **fields: object) -> dict:
    status, answer, _ = (
        gateway.chat(text=text, **{"model": "auto", **fields})
        if key is None
        else gateway.ask(
            "POST",
            "/v1/chat/completions",
            {"model": "auto", "messages": [{"role": "user", "content": text}], **fields},
            key=key,
        )
    )
    assert status == 200, answer
    return answer["tollway"]


def receipt(gateway: Gateway, told: dict) -> dict:
    status, found, _ = gateway.ask("GET", f"/v1/generations/{told['generation_id']}")
    assert status == 200
    return found["data"]


def test_auto_chooses_charges_its_margin_and_says_why(gateway: Gateway) -> None:
    told = asked(gateway, PROOF, max_tokens=40)
    assert told["method"] in {"model", "rules"}
    assert told["tier"] in {"standard", "complex"}
    assert 0 < told["confidence"] <= 1
    assert told["margin_bps"] == 1_000
    kept = receipt(gateway, told)
    routing = kept["receipt"]["routing"]
    assert (kept["receipt"]["model_asked"], routing["tier"], routing["category"]) == ("auto", told["tier"], "proof")
    assert [line.split(":")[0] for line in routing["steps"]] == ["Read", "Classify", "Filter", "Rank", "Order"]
    assert routing["considered"][0]["model"] == told["model"]
    shown = gateway.cli("receipt", told["generation_id"])
    assert "Classify: proof" in shown
    assert "What mattered: " in shown
    assert f"1  {told['model']}" in shown
    status, usage, _ = gateway.ask("GET", "/v1/usage?group_by=tier")
    assert status == 200
    assert told["tier"] in {row["tier"] for row in usage["data"]["buckets"]}


def test_a_pinned_tier_costs_eight_percent_and_is_the_tier(gateway: Gateway) -> None:
    for fields in ({"model": "auto:nano"}, {"routor_profile": "tier", "routor_tier": "NANO"}):
        told = asked(gateway, **fields)
        assert (told["method"], told["tier"], told["margin_bps"]) == ("tier", "nano", 800)


def test_a_named_model_is_not_second_guessed(gateway: Gateway) -> None:
    told = asked(gateway, PROOF, model="simulated/echo")
    assert (told["method"], told["tier"], told["margin_bps"], told["savings_pct"]) == ("direct", None, 550, None)


def test_the_official_client_asks_for_auto_and_streams(gateway: Gateway) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "What time is it in Tokyo?"}], stream=True
        )
        chunks = list(stream)
    last = chunks[-1].model_extra["tollway"]
    assert (last["tier"], last["margin_bps"]) == ("nano", 1_000)
    with (
        openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client,
        pytest.raises(openai.BadRequestError, match="tier_floor"),
    ):
        client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "Hi"}],
            extra_body={"tier_floor": "complex", "tier_ceiling": "nano"},
        )


def test_a_cost_cap_is_never_passed(gateway: Gateway) -> None:
    status, told, _ = gateway.chat(model="auto", text="word " * 200, max_cost="0.000000001", tier="standard")
    assert status in {400, 403}
    assert told["error"]["excluded"], told


def test_a_profiles_key_follows_its_rules(gateway: Gateway) -> None:
    status, made, _ = gateway.ask(
        "POST", "/v1/profiles", {"name": "thrifty", "tier_ceiling": "nano"}, key=manager(gateway)
    )
    assert status == 201, made
    told = asked(gateway, PROOF, key=made["key"])
    assert (told["profile"], told["tier"]) == ("thrifty", "nano")
    status, refused, _ = gateway.ask(
        "POST",
        "/v1/chat/completions",
        {"model": "auto", "tier_floor": "complex", "messages": [{"role": "user", "content": "Hi"}]},
        key=made["key"],
    )
    assert (status, refused["error"]["param"]) == (400, "tier_floor")
    assert "thrifty" in refused["error"]["message"]


def test_an_alias_and_a_preset_stand_for_what_they_say(gateway: Gateway) -> None:
    key = manager(gateway)
    assert gateway.ask("POST", "/v1/aliases", {"name": "house", "target": "simulated/echo"}, key=key)[0] == 201
    told = asked(gateway, model="house")
    assert (told["model"], receipt(gateway, told)["receipt"]["model_asked"]) == ("simulated/echo", "house")
    preset = {"name": "short", "model": "simulated/priced", "parameters": {"max_tokens": 3}}
    assert gateway.ask("POST", "/v1/presets", preset, key=key)[0] == 201
    status, answer, _ = gateway.chat(model="@preset/short")
    assert (status, answer["usage"]["completion_tokens"], answer["tollway"]["model"]) == (200, 3, "simulated/priced")
    assert Decimal(answer["tollway"]["cost_usd"]) > 0


def test_the_command_line_reasons_like_a_colleague(gateway: Gateway) -> None:
    said = gateway.cli("route", PROOF)
    assert "This looks like a proof" in said
    assert "I would ask" in said


def manager(gateway: Gateway) -> str:
    """A key that may manage keys, profiles and names."""
    body = {
        "workspace_id": workspace(gateway),
        "name": "manager",
        "scopes": ["chat", "models", "usage", "wallet", "keys", "workspaces"],
    }
    status, made, _ = gateway.ask("POST", "/admin/keys", body, key=gateway.admin)
    assert status == 201, made
    return made["key"]


def workspace(gateway: Gateway) -> str:
    return gateway.ask("GET", "/v1/key")[1]["data"]["workspace_id"]
