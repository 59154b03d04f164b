"""commands/prices.py: the price catalogue on the command line."""

import json
import re

import pytest

from tollway.catalogue.load import PACKAGED_SNAPSHOT
from tollway.catalogue.snapshot import read_snapshot


def test_without_a_key_the_list_has_the_simulated_models(tollway):
    ran = tollway("prices", "list")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[0].split() == [
        "model",
        "provider",
        "context",
        "input",
        "/",
        "M",
        "cached",
        "/",
        "M",
        "output",
        "/",
        "M",
    ]
    assert [line.split()[0] for line in lines[1:]] == [
        f"simulated/{name}" for name in ("echo", "flaky", "large", "priced", "slow", "small")
    ]
    assert lines[4].split() == ["simulated/priced", "simulated", "128,000", "3", "0.3", "15"]
    assert "--all shows them" in ran.err


def test_a_key_adds_its_models_and_filters_narrow_them(tollway):
    tollway.set("OPENAI_API_KEY", "sk-1")
    ran = tollway("prices", "list", "--provider", "openai", "--model", "gpt-4o-mini")
    assert "openai/gpt-4o-mini" in ran.out
    assert "0.15 " in ran.out
    assert "simulated" not in ran.out
    assert tollway("prices", "list", "--provider", "nobody").out == "nothing to show\n"


def test_all_shows_why_the_rest_cannot_be_called(tollway):
    out = tollway("prices", "list", "--all", "--model", "claude-sonnet-4-5").out
    assert "dearer above 200,000, no key" in out
    assert "no price, no key" in tollway("prices", "list", "--all", "--model", "whisper-1").out
    assert "by time of day" in tollway("prices", "list", "--all", "--model", "deepseek-v4-pro").out


def test_json_has_the_contracts_pricing_object(tollway):
    (row,) = json.loads(tollway("prices", "list", "--json", "--model", "simulated/priced").out)
    assert row["pricing"] == {
        "prompt": "0.000003",
        "completion": "0.000015",
        "cache_read": "0.0000003",
        "cache_write": "0.000003",
        "reasoning": "0.000015",
    }
    assert (row["available"], row["price_list"], row["checked"]) == (True, "simulated/priced@1970-01-01", "2026-11-24")
    rows = json.loads(tollway("prices", "list", "--all", "--json").out)
    assert len(rows) > 1_300
    assert {row["available"] for row in rows} == {True, False}


def test_show_has_every_price_with_its_source(tollway):
    ran = tollway("prices", "show", "claude-sonnet-4.5")
    assert ran.code == 0
    assert "anthropic/claude-sonnet-4-5@1970-01-01  now" in ran.out
    assert "cache_write_1h  6 per million" in ran.out
    assert "web_search      0.01 per call" in ran.out
    assert "above 200,000 input tokens, for the whole request: input 6, output 22.5" in ran.out
    assert "read 2026-11-24: https://www.anthropic.com/pricing#api (genai-prices" in ran.out
    assert "daily 01:00 to 04:00 UTC" in tollway("prices", "show", "deepseek-v4-pro").out
    assert "audio_hours, which no unit of ours counts" in tollway("prices", "show", "whisper-1").out
    assert json.loads(tollway("prices", "show", "gpt-5.5", "--json").out)[0]["tiers"][0]["min_prompt_tokens"] == 272_000


def test_show_of_an_unknown_model_names_the_nearest(tollway):
    ran = tollway("prices", "show", "gpt-4o-mni")
    assert ran.code != 0
    assert "openai/gpt-4o-mini" in ran.err


def test_check_of_what_is_shipped_is_green(tollway):
    ran = tollway("prices", "check")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].startswith("0 errors, 1 warnings")
    assert "whisper-1" not in ran.out
    assert "whisper-1" in tollway("prices", "check", "--notes").out
    assert all(row["level"] for row in json.loads(tollway("prices", "check", "--json").out))


def test_diff_says_that_nothing_has_changed(tollway):
    out = tollway("prices", "diff").out
    assert re.fullmatch(r"no changes; genai-prices [\d.]+: \d,\d{3} models, \d{3} of them without a price\n", out)
    assert json.loads(tollway("prices", "diff", "--json").out) == []


@pytest.fixture
def outdated(tollway, tmp_path):
    """A data folder whose prices are older: one model was dearer, one much dearer, one is not there yet."""
    text = PACKAGED_SNAPSHOT.read_text()
    lines = text.splitlines()
    kept = [line for line in lines if '"provider":"openai","id":"gpt-4o",' not in line]
    text = "\n".join(kept)
    mini = next(line for line in kept if '"provider":"openai","id":"gpt-4o-mini",' in line)
    text = text.replace(mini, mini.replace('"input":150000,"output":600000', '"input":180000,"output":600000'))
    nano = next(line for line in kept if '"provider":"openai","id":"gpt-4.1-nano",' in line)
    text = text.replace(nano, nano.replace('"input":100000,', '"input":600000,'))
    folder = tmp_path / "tollway-data" / "prices"
    folder.mkdir(parents=True)
    (folder / "prices.json").write_text(text)
    return folder / "prices.json"


def test_diff_and_update_tell_and_keep_the_history(tollway, outdated):
    rows = {row["model"]: row for row in json.loads(tollway("prices", "diff", "--json").out)}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "openai/gpt-4o": "new",
        "openai/gpt-4o-mini": "price",
        "openai/gpt-4.1-nano": "quarantined",
    }
    assert "input 0.18 USD/M" in rows["openai/gpt-4o-mini"]["text"]
    before = outdated.read_bytes()
    assert "3 changes" in tollway("prices", "diff").out
    assert outdated.read_bytes() == before  # looking changes nothing
    ran = tollway("prices", "update")
    assert ran.code == 0
    found = {entry.key: entry for entry in read_snapshot(outdated).entries}
    assert [row.prices["input"] for row in found["openai/gpt-4o-mini"].lists] == [180_000, 150_000]
    assert "input went from 0.6 USD/M to 0.1 USD/M" in found["openai/gpt-4.1-nano"].quarantine
    assert "gpt-4.1-nano" not in tollway("prices", "list").out
    assert "input went from" in tollway("prices", "show", "gpt-4.1-nano").out


def test_update_accepts_what_it_is_told_to(tollway, outdated):
    assert tollway("prices", "update", "--accept", "openai/gpt-4.1-nano").code == 0
    found = {entry.key: entry for entry in read_snapshot(outdated).entries}
    assert found["openai/gpt-4.1-nano"].quarantine == ""
    assert found["openai/gpt-4.1-nano"].lists[-1].prices["input"] == 100_000
    ran = tollway("prices", "update", "--accept", "openai/no-such-model")
    assert ran.code == 2
    assert "no such model" in ran.err
