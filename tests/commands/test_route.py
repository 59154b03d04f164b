"""`tollway route`: the reasoning in sentences, then the table; nothing is called."""

import json

import pytest


@pytest.mark.parametrize(
    ("prompt", "tiers"),
    [
        ("What time is it in Tokyo?", {"nano"}),
        ("Summarize this email", {"simple", "light"}),
        ("Debug this Python function", {"standard"}),
        ("Prove sqrt(2) is irrational", {"standard", "complex"}),
        ("Write a legal brief", {"complex"}),
    ],
)
def test_the_five_prompts_of_seed_003(tollway, prompt, tiers):
    ran = tollway("route", prompt, "--any-provider", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["tier"] in tiers
    assert told["candidates"][0]["model"] == told["model"]
    assert told["savings_pct"] is not None


def test_sentences_first_then_the_table(tollway):
    ran = tollway("route", "Debug this Python function", "--any-provider")
    assert ran.code == 0, ran.err
    first, second = ran.out.split("\n\n")[:2]
    assert first.startswith("This looks like a debugging task of standard difficulty")
    assert "I would ask " in first
    assert second.split("\n")[0].split()[:4] == ["model", "provider", "quality", "value"]
    assert "Classify: debugging, standard" in ran.out


def test_a_tier_a_cap_and_a_file(tollway, tmp_path):
    (tmp_path / "mail.txt").write_text("Dear all, the meeting is moved to Monday.")
    ran = tollway(
        "route", "Summarize this", "--file", tmp_path / "mail.txt", "--tier", "nano", "--any-provider", "--json"
    )
    told = json.loads(ran.out)
    assert (told["method"], told["tier"], told["margin_bps"]) == ("tier", "nano", 800)
    capped = tollway("route", "Write a legal brief", "--max-cost", "0.01", "--any-provider")
    assert "ruled out" in capped.out


def test_what_cannot_be_routed(tollway):
    assert tollway("route").code == 2
    ran = tollway("route", "hi", "--max-cost", "0.000000001", "--any-provider")
    assert ran.code == 1
    assert "Raise `max_cost`" in ran.err
    assert "there is no profile `p`" in tollway("route", "hi", "--profile", "p").err
    assert "cheapest, balanced, best, fastest" in tollway("route", "hi", "--quality", "good").err
