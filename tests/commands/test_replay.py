"""`tollway replay`: a period at other terms, from a ledger on disk."""

import asyncio
import csv
import io
import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from commands.installation import DATA, installed
from store.usage_rows import insert

LAST = 1_769_903_999_999  # 2026-01-31, the last ms in UTC
PRICED = "simulated/priced"
"""3 and 15 USD per million tokens, at a provider that needs no key."""


def requests(workspace: str) -> list[dict[str, object]]:
    """Three that were charged 0.001 and 0.002 USD, and one that failed."""
    common = {"workspace_id": workspace, "margin_bps": 1_000, "input_tokens": 1_000, "output_tokens": 100}
    common |= {"created_at_ms": LAST, "price_list_id": "gone@1"}
    return [
        common | {"id": "a", "model": PRICED, "charge_nano": 1_000_000, "price_list_id": f"{PRICED}@1970-01-01"},
        common | {"id": "b", "model": "simulated/echo", "charge_nano": 1_500_000, "bad_debt_nano": 500_000},
        common | {"id": "c", "model": PRICED, "charge_nano": 2_000_000, "model_asked": "auto", "tier": "nano"},
        common | {"id": "d", "model": PRICED, "charge_nano": 0, "outcome": "void", "status": "error"},
    ]


@pytest.fixture
def used(workspace) -> str:
    insert(DATA / "tollway.db", requests(workspace))
    return workspace


SPAN = ("--from", "2026-01-01", "--to", "2026-01-31")


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_on_another_model(tollway, used) -> None:
    ran = tollway("replay", "--model", PRICED, *SPAN)
    assert (ran.code, ran.err) == (0, "")
    # 1,000 x 3 + 100 x 15 USD per million is 0.0045 USD; + 5.5 %.
    lines = words(ran.out)
    assert ran.out.startswith(
        f"3 requests of 2026-01-01 to 2026-01-31, on {PRICED}, with the margin for a named model\n"
    )
    assert lines[2:6] == [
        ["model", "requests", "charged", "USD", "would", "have", "been", "USD", "difference", "USD"],
        [PRICED, "2", "0.003", "0.009495", "0.006495", "+216.5", "%"],
        ["simulated/echo", "1", "0.002", "0.0047475", "0.0027475", "+137.4", "%"],
        ["total", "3", "0.005", "0.0142425", "0.0092425", "+184.8", "%"],
    ]
    assert "note: the same tokens are assumed" in ran.out
    assert "left out" not in ran.out


def test_on_a_plan(tollway, used) -> None:
    ran = tollway("replay", "--plan", "payg", "--catalogue", "payg", *SPAN)
    assert ran.code == 0, ran.err
    assert "1 requests" not in ran.out
    assert "left out of the sums: 2 requests, charged 0.004 USD" in ran.out
    assert "2: its receipt was dropped, and its price list is not known any more" in ran.out
    told = json.loads(tollway("replay", "--plan", "payg", "--catalogue", "payg", *SPAN, "--format", "json").out)["data"]
    margin = {part.split()[0]: Decimal(part.split()[1]) for part in told["replayed"].partition(": ")[2].split(", ")}
    assert Decimal(told["total"]["would_have_been_usd"]) == Decimal("0.0045") * (100 + margin["direct"]) / 100


@pytest.fixture
def real(used) -> str:
    """Only models of providers with keys are chosen, none of which there are."""
    Path("tollway.toml").write_text("[providers.simulated]\nenabled = false\n")
    return used


def test_routed_again_by_the_stored_tiers(tollway, real) -> None:
    """No provider has a key here: everything is told, nothing guessed."""
    ran = tollway("replay", "--auto", *SPAN)
    assert ran.code == 0, ran.err
    assert "routed again by auto" in ran.out
    assert "left out of the sums: 3 requests, charged 0.005 USD" in ran.out
    assert "2: its model was named, so that no tier is kept" in ran.out
    assert "prompts are not kept" in ran.out


def test_routed_again_with_keys(tollway, real) -> None:
    tollway.set("OPENAI_API_KEY", "sk-x")
    told = json.loads(tollway("replay", "--auto", *SPAN, "--format", "json").out)["data"]
    assert told["total"]["requests"] == 1
    assert Decimal(told["total"]["would_have_been_usd"]) > 0
    bounds = told["left_out"]["bounds"]
    assert bounds["requests"] == 2
    assert 0 < Decimal(bounds["least_usd"]) < Decimal(bounds["most_usd"])
    ran = tollway("replay", "--auto", *SPAN)
    assert f"2 of them would have cost between {bounds['least_usd']} and {bounds['most_usd']} USD, by tier" in ran.out


def profile(workspace: str, name: str, rules: dict[str, object]) -> None:
    connection = sqlite3.connect(DATA / "tollway.db")
    row = (f"id-{workspace}-{name}", workspace, name, json.dumps(rules))
    connection.execute("INSERT INTO routing_profiles (id, workspace_id, name, rules, created_at, changed_at) VALUES (?, ?, ?, ?, 1, 1)", row)  # fmt: skip
    connection.commit()
    connection.close()


def test_under_a_profile(tollway, real) -> None:
    tollway.set("OPENAI_API_KEY", "sk-x")
    profile(real, "careful", {"tier_floor": "complex"})
    plain, careful = (
        json.loads(tollway("replay", *asked, *SPAN, "--format", "json").out)["data"]
        for asked in (("--auto",), ("--profile", "careful"))
    )
    assert careful["replayed"] == "routed again under the profile careful"
    assert Decimal(careful["total"]["would_have_been_usd"]) > Decimal(plain["total"]["would_have_been_usd"])
    by_id = tollway("replay", "--profile", f"id-{real}-careful", *SPAN, "--format", "json").out
    assert json.loads(by_id)["data"] == careful
    ran = tollway("replay", "--profile", "carefull", *SPAN)
    assert (ran.code, ran.err) == (1, "Error: there is no routing profile carefull; there are: careful\n")


def test_workspaces_apart_and_together(tollway) -> None:
    first, second = asyncio.run(installed(2))
    insert(DATA / "tollway.db", requests(second))
    for where, count in ((("--workspace", first), "0"), (("--workspace", second), "3"), ((), "3")):
        assert tollway("replay", "--model", PRICED, *SPAN, *where).out.split()[0] == count
    assert "nothing to compare" in tollway("replay", "--model", PRICED, *SPAN, "--workspace", first).out
    ran = tollway("replay", "--model", PRICED, "--workspace", "typo")
    assert (ran.code, ran.err) == (1, "Error: there is no workspace typo\n")
    profile(first, "p", {})
    profile(second, "p", {})
    assert "2 workspaces have a profile p; name one with --workspace" in tollway("replay", "--profile", "p").err
    assert tollway("replay", "--profile", "p", *SPAN, "--workspace", second).out.startswith("3 requests")


def test_files_say_the_same(tollway, used) -> None:
    asked = ("replay", "--model", PRICED, *SPAN)
    told = json.loads(tollway(*asked, "--format", "json").out)["data"]
    assert told["period"] == {"from": "2026-01-01T00:00:00.000Z", "to": "2026-02-01T00:00:00.000Z"}
    lines = list(csv.DictReader(io.StringIO(tollway(*asked, "--format", "csv").out, newline="")))
    assert lines == [{name: str(value) for name, value in one.items()} for one in told["models"]]
    for name in ("charged_usd", "would_have_been_usd", "difference_usd"):
        assert sum(Decimal(one[name]) for one in lines) == Decimal(told["total"][name])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "one of --model MODEL, --plan PLAN, --profile P and --auto"),
        (("--auto", "--plan", "free"), 2, "one of --model MODEL"),
        (("--auto", "--catalogue", "payg"), 2, "--catalogue says where --plan is from"),
        (("--model", "simulated/prized"), 1, "did you mean simulated/priced"),
        (("--plan", "enterprize"), 1, "did you mean `enterprise`"),
        (("--profile", "p"), 1, "there is no routing profile p; there is none"),
        (("--auto", "--from", "2026-02-02", "--to", "2026-02-01"), 2, "the period is empty"),
        (("--auto", "--from", "yesterday"), 2, "--from"),
        (("--auto", "--data", "typo"), 2, "no ledger here"),
    ],
)
def test_what_cannot_be_asked(tollway, workspace, arguments, code, told) -> None:
    ran = tollway("replay", *arguments)
    assert ran.code == code
    assert told in ran.err
