"""commands/models.py, model_tables.py: models on the command line."""

import json

import pytest

ALL = ("models", "list", "--all")


def ids(ran) -> list[str]:
    assert ran.code == 0, ran.err
    lines = ran.out.split("\n\n")[0].splitlines()[1:]
    return [line.split()[0] for line in lines]


def test_without_a_key_the_list_has_what_answers_without_one(tollway):
    ran = tollway("models", "list")
    assert ran.out.splitlines()[0].split() == ["model", "tier", "quality", "tools", "context", "input", "/", "M", "cached", "/", "M",
                                              "output", "/", "M"]  # fmt: skip
    assert ids(ran) == [f"simulated/{name}" for name in ("echo", "flaky", "large", "priced", "slow", "small")]
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines() if line}
    assert rows["simulated/priced"] == ["simulated/priced", "standard", "~0.83", "-", "128,000", "3", "0.3", "15"]
    assert rows["simulated/echo"][1] == "-"
    assert "~ an estimate: no figure was read" in ran.out
    assert "--all shows them" in ran.err


def test_filters_narrow_the_list(tollway):
    everything = ids(tollway(*ALL))
    assert len(everything) > 900
    complex_ones = ids(tollway(*ALL, "--tier", "complex"))
    assert {"openai/gpt-5.5", "anthropic/claude-opus-4-8"} <= set(complex_ones) < set(everything)
    assert set(ids(tollway(*ALL, "--tier", "complex", "--can", "vision", "--can", "tools"))) < set(complex_ones)
    cheap = ids(tollway(*ALL, "--tier", "complex", "--max-price", "2.00"))
    assert "openai/gpt-6.1-terra" in cheap
    assert "openai/gpt-6-astra" not in cheap
    assert all(
        one.startswith("anthropic/") for one in ids(tollway(*ALL, "--provider", "anthropic", "--search", "claude-opus"))
    )
    assert tollway(*ALL, "--search", "no such model").out == "nothing to show\n"


def test_a_price_of_exactly_the_most_is_within_it(tollway):
    # 3 parts of 3 USD and 1 part of 15 USD are 6 USD.
    assert "simulated/priced" in ids(tollway("models", "list", "--max-price", "6"))
    assert "simulated/priced" not in ids(tollway("models", "list", "--max-price", "5.99"))
    wrong = tollway("models", "list", "--max-price", "cheap")
    assert wrong.code == 2
    assert "0.60" in wrong.err


@pytest.mark.parametrize(("sort", "first"), [("name", "anthropic/claude-fable-5"), ("price", "simulated/large")])
def test_order(tollway, sort, first):
    assert ids(tollway(*ALL, "--tier", "complex", "--sort", sort))[0] == first


def test_order_by_quality_at_a_task(tollway):
    ran = tollway(*ALL, "--for", "coding", "--sort", "quality", "--json")
    found = [row["quality"]["by_category"]["coding"] for row in json.loads(ran.out) if row["quality"]]
    assert found == sorted(found, reverse=True)
    assert "coding" in tollway(*ALL, "--for", "coding", "--search", "gpt-5.5").out.splitlines()[0]


def test_show_names_what_everything_rests_on(tollway):
    ran = tollway("models", "show", "claude-sonnet-4.6")
    assert ran.code == 0
    assert "model           anthropic/claude-sonnet-4-6" in ran.out
    assert "tier            standard" in ran.out
    assert "instruction following  0.88" in ran.out
    assert "/claude-sonnet-4-6.md, read 2026-11-24" in ran.out
    assert "coding              50/469    whatmodel.sh, rank in coding" in ran.out
    assert "no key" in ran.out


def test_show_says_what_is_a_guess_and_what_is_unknown(tollway):
    assert "an estimate: no figure was read" in tollway("models", "show", "zai/glm-4.6").out
    unknown = tollway("models", "show", "simulated/echo").out
    assert "unknown: `auto` does not choose it" in unknown
    assert "quality at" not in unknown
    missing = tollway("models", "show", "gpt-5.5x")
    assert missing.code == 1
    assert "openai/gpt-5.5" in missing.err


def test_show_as_json(tollway):
    row = json.loads(tollway("models", "show", "simulated/priced", "--json").out)
    assert (row["id"], row["tier"], row["available"], row["provider"]) == (
        "simulated/priced",
        "standard",
        True,
        "simulated",
    )
    assert row["pricing"]["prompt"] == "0.000003"
    assert row["quality"]["estimated"] is True
    assert row["quality"]["checked"] is None
    figures = json.loads(tollway("models", "show", "gpt-5.5", "--json").out)["quality"]["figures"]
    assert {"benchmark", "figure", "source", "checked"} == figures[0].keys()


def test_compare_stars_the_best(tollway):
    ran = tollway("models", "compare", "gpt-5.5", "claude-opus-4-8", "deepseek/deepseek-v4-pro", "simulated/echo")
    lines = {line[:24].strip(): line[24:].split() for line in ran.out.splitlines() if line.strip()}
    assert lines["tier"] == ["complex", "complex", "standard", "-"]
    assert lines["vision"][-2:] == ["-", "-"], "reads no images; nothing is known"
    assert lines["proof"][1] == "*"
    assert lines["can be called"][-1] == "yes"
    assert len(json.loads(tollway("models", "compare", "gpt-5.5", "gpt-5", "--json").out)) == 2


def test_compare_stars_nothing_where_all_are_alike(tollway):
    assert "*" not in tollway("models", "compare", "gpt-5.5").out
    assert tollway("models", "compare").code == 2
