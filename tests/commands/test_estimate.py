"""`tollway estimate`: seed 004's examples, models of the catalogue, and what cannot be answered."""

import json

import pytest

OWN = """
[providers.mine]
url = "http://127.0.0.1:9/v1"
key = "k-0123456789"
[[providers.mine.models]]
id = "m"
tokenizer = "o200k"
prices = {input = "3", output = "15", cache_read = "0.3"}
[[providers.mine.models]]
id = "free"
free = true
"""

SEED_004 = [
    (10_000, 100, 150, "0.20", "0.60", "$1.10"),
    (50, 500, 2_000, "10", "30", "$3.25"),
    (20, 200, 400, "0.30", "0.60", "$0.006"),
]


@pytest.mark.parametrize(("requests", "tokens_in", "tokens_out", "price_in", "price_out", "total"), SEED_004)
def test_the_examples_of_seed_004(tollway, *, requests, tokens_in, tokens_out, price_in, price_out, total):
    ran = tollway(
        "estimate", "--requests", requests, "--input", tokens_in, "--output", tokens_out,
        "--input-price", price_in, "--output-price", price_out,
    )  # fmt: skip
    assert ran.code == 0
    assert ran.out.split("\n")[-2].split() == ["all", total]
    assert ran.out.count(total.removeprefix("$")) >= 3  # sum, exact and charged


def test_a_model_of_the_catalogue_line_by_line(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN)
    ran = tollway(
        "estimate", "--model", "mine/m", "--input", 1000, "--cached", 400, "--output", 200, "--reasoning", 50,
        "--requests", 3,
    )  # fmt: skip
    # By hand: 600 x 3 + 400 x 0.3 + 200 x 15 = 4,920 USD per million = 0.00492 per request; x 3 x 1.055.
    assert ran.out == (
        "asked       3 requests of 1,000 input (400 cached) and 200 output tokens (50 thinking)\n"
        "model       mine/m\n"
        "offer       mine/m\n"
        "price list  mine/m@1970-01-01\n"
        "\n"
        "unit            per request  price               amount USD\n"
        "input                   600   3.00  per million   0.0054\n"
        "cache_read              400   0.30  per million   0.00036\n"
        "output                  150  15.00  per million   0.00675\n"
        "reasoning                50  15.00  per million   0.00225\n"
        "sum                                               0.01476\n"
        "margin 5.5 %                                      0.0008118\n"
        "total, exact                                      0.0155718\n"
        "total, charged                                    0.0155718\n"
        "\n"
        "one request  $0.0051906, rounded once, to a nano-USD\n"
        "its hold     $0.00633 while it runs, if these counts are its limits\n"
        "all          $0.0155718\n"
    )


def test_json(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN)
    ran = tollway("estimate", "--model", "mine/m", "--input", 10, "--output", 1, "--margin-bps", 0, "--json")
    assert json.loads(ran.out) == {
        "model": "mine/m",
        "offer": "mine/m",
        "available": True,
        "price_list": "mine/m@1970-01-01",
        "requests": 1,
        "input_tokens": 10,
        "input_source": "given",
        "output_tokens": 1,
        "margin_bps": 0,
        "lines": [
            {"unit": "input", "count": 10, "price_usd": "0.000003", "amount_usd": "0.00003"},
            {"unit": "output", "count": 1, "price_usd": "0.000015", "amount_usd": "0.000015"},
        ],
        "sum_usd": "0.000045",
        "cost_usd": "0.000045",
        "charge_usd": "0.000045",
        "charge_per_request_usd": "0.000045",
        "hold_usd": "0.000045",
    }


def test_exact_and_charged_may_differ(tollway):
    ran = tollway(
        "estimate", "--input", 1, "--output", 0, "--input-price", "0.0375", "--output-price", 1,
        "--margin-bps", 1000, "--requests", 1_000_000,
    )  # fmt: skip
    ends = {line.rpartition("  ")[0].strip(): line.split()[-1] for line in ran.out.split("\n") if line}
    assert (ends["total, exact"], ends["total, charged"]) == ("0.04125", "0.041")
    assert "all          $0.041\n" in ran.out


def test_a_prompt_is_counted_with_the_models_vocabulary(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN)
    (tmp_path / "prompt.txt").write_text("Hello there")
    by_text = tollway("estimate", "--model", "mine/m", "--prompt", "Hello there", "--output", 1)
    by_file = tollway("estimate", "--model", "mine/m", "--file", "prompt.txt", "--output", 1)
    # 2 tokens, 4 for the message and 3 to prime the reply.
    assert (
        "1 request of 9 input and 1 output tokens (input counted with o200k, with the frame of one message)"
        in by_text.out
    )
    assert by_file.out == by_text.out


def test_a_free_model_costs_nothing(tollway, tmp_path):
    (tmp_path / "tollway.toml").write_text(OWN)
    ran = tollway("estimate", "--model", "mine/free", "--input", 10, "--output", 10)
    assert "all          $0.00\n" in ran.out


def test_an_offer_without_a_key_is_said_to_have_none(tollway):
    ran = tollway("estimate", "--model", "gpt-4o-mini", "--provider", "openai", "--input", 1, "--output", 1)
    assert ran.code == 0
    assert "offer       openai/gpt-4o-mini  (no key)" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--output", 1], 2, "one of --input N, --prompt TEXT and --file FILE"),
        (["--input", 1, "--prompt", "x", "--output", 1], 2, "one of --input N"),
        (["--input", 1], 2, "Missing option '--output'"),
        (["--input", 1, "--output", 1], 2, "name a --model, or give both"),
        (["--input", 1, "--output", 1, "--input-price", 1], 2, "give both --input-price and --output-price"),
        (["--input", 1, "--output", 1, "--model", "x", "--input-price", 1], 2, "not both"),
        (
            ["--input", 1, "--output", 1, "--input-price", "1e", "--output-price", 1],
            2,
            "--input-price: '1e' is not an amount",
        ),
        (["--input", 1, "--output", 1, "--input-price", "-1", "--output-price", 1], 2, "a price is not negative"),
        (
            ["--input", 1, "--cached", 2, "--output", 1, "--input-price", 1, "--output-price", 1],
            2,
            "more than the 1 input",
        ),
        (["--input", -1, "--output", 1, "--input-price", 1, "--output-price", 1], 2, "Invalid value for '--input'"),
        (["--input", 1, "--output", 1, "--model", "gpt-4o-mni"], 1, "did you mean openai/gpt-4o-mini"),
        (
            ["--input", 1, "--output", 1, "--model", "gpt-4o-mini", "--provider", "x"],
            1,
            "x has no offer of gpt-4o-mini",
        ),
    ],
)
def test_what_cannot_be_answered(tollway, *, arguments, code, problem):
    ran = tollway("estimate", *arguments)
    assert ran.code == code
    assert problem in " ".join(ran.err.split())
