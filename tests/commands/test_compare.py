"""`tollway compare`: order, choice, and what is left out."""

import json

import pytest

OWN = """
[providers.mine]
url = "http://127.0.0.1:9/v1"
[[providers.mine.models]]
id = "dear"
prices = {input = "3", output = "15"}
[[providers.mine.models]]
id = "cheap"
prices = {input = "0.5", output = "1.5"}
[[providers.mine.models]]
id = "half"
prices = {input = "0.1"}
"""


@pytest.fixture(autouse=True)
def own(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN)


def test_the_cheapest_comes_first(tollway):
    ran = tollway(
        "compare", "mine/dear", "mine/cheap", "--input", 1000, "--output", 1000, "--requests", 100, "--margin-bps", 0
    )
    assert ran.out == (
        "asked   100 requests of 1,000 input and 1,000 output tokens\n"
        "margin  0 %\n"
        "\n"
        "model       provider  input / M  output / M  one request  total USD\n"
        "mine/cheap  mine           0.50        1.50        0.002       0.20\n"
        "mine/dear   mine           3.00       15.00        0.018       1.80\n"
    )
    assert ran.err == ""


def test_what_has_no_price_is_said(tollway):
    ran = tollway("compare", "mine/half", "--input", 1, "--output", 1)
    assert ran.code == 0
    assert "nothing to compare" in ran.out
    assert ran.err == "mine/half: 1 x output used, but price list mine/half@1970-01-01 does not price it\n"


def test_all_models_that_can_be_called(tollway):
    ran = tollway("compare", "--all", "--usable", "--input", 1000, "--output", 1000, "--json", "--top", 0)
    rows = json.loads(ran.out)
    names = [row["offer"] for row in rows]
    assert {"mine/cheap", "mine/dear", "simulated/small"} <= set(names)
    assert "openai/gpt-4o-mini" not in names
    assert all(row["available"] for row in rows)
    totals = [float(row["cost_usd"]) for row in rows]
    assert totals == sorted(totals)


def test_all_at_some_providers_cut_to_the_top(tollway):
    ran = tollway(
        "compare", "--all", "--provider", "openai", "--provider", "mine", "--input", 1, "--output", 1, "--top", 2
    )
    assert len(ran.out.strip().split("\n")) == 6
    assert "more; --top 0 shows all" in ran.err
    assert "cannot be paid from a wallet" in ran.err


def test_sorted_by_model_or_provider(tollway):
    arguments = [
        "compare",
        "mine/dear",
        "simulated/small",
        "mine/cheap",
        "--input",
        1,
        "--output",
        1,
        "--json",
        "--sort",
    ]
    by_model = [row["model"] for row in json.loads(tollway(*arguments, "model").out)]
    assert by_model == ["mine/cheap", "mine/dear", "simulated/small"]
    by_provider = [row["provider"] for row in json.loads(tollway(*arguments, "provider").out)]
    assert by_provider == ["mine", "mine", "simulated"]


def test_a_provider_that_is_switched_off_is_not_there(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN + "[providers.simulated]\nenabled = false\n")
    ran = tollway("compare", "--all", "--usable", "--input", 1, "--output", 1, "--json")
    assert {row["provider"] for row in json.loads(ran.out)} == {"mine"}


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ([], 2, "name models, or give --all"),
        (["x", "--all"], 2, "name models, or give --all"),
        (["mine/chaep"], 1, "did you mean mine/cheap"),
    ],
)
def test_what_cannot_be_answered(tollway, *, arguments, code, problem):
    ran = tollway("compare", *arguments, "--input", 1, "--output", 1)
    assert ran.code == code
    assert problem in ran.err
