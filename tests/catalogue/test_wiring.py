"""catalogue/wiring.py, yamlfile.py, pricerows.py, grouping.py: a mistake in a file is told with its file, line, key and fix."""

import pathlib
import re

import pytest

from tollway.catalogue import load
from tollway.catalogue.grouping import read_models
from tollway.catalogue.load import load_catalogue
from tollway.catalogue.wiring import read_wiring
from tollway.catalogue.yamlfile import YamlFile
from tollway.errors import ConfigurationError

GOOD = """\
id: acme
name: Acme
source: https://acme.test/docs
checked: 2026-11-24
wire:
  dialect: openai
  url: https://api.acme.test/v1
  auth: {secret: ACME_API_KEY}
usage:
  input: usage.prompt_tokens
  cache_read: usage.prompt_tokens_details.cached_tokens
  output: usage.completion_tokens
  inside: {cache_read: input}
offers:
  - upstream_id: a-1
    prices:
      - from: 2026-01-01
        source: https://acme.test/pricing
        checked: 2026-11-24
        per_million: {input: "0.59", output: "0.79"}
"""


@pytest.fixture
def write(tmp_path):
    def written(text, name="acme.yml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def test_a_good_file(write):
    wiring = read_wiring(write(GOOD), {"ACME_API_KEY": "k"})
    provider = wiring.provider
    assert (provider.id, provider.is_usable, provider.key, provider.checked) == ("acme", True, "k", "2026-11-24")
    assert provider.wire.usage.paths == (
        ("input", ("usage", "prompt_tokens")),
        ("cache_read", ("usage", "prompt_tokens_details", "cached_tokens")),
        ("output", ("usage", "completion_tokens")),
    )
    assert provider.wire.usage.inside == (("cache_read", "input"),)


@pytest.mark.parametrize(
    ("good", "bad", "line", "key", "problem"),
    [
        ("name: Acme\n", "", 1, "", "name"),
        ("id: acme", "id: Acme Inc", 1, "id", "matching regex"),
        ("  dialect: openai", "  dialect: klingon", 6, "wire.dialect", "klingon"),
        ("  auth: {secret: ACME_API_KEY}", "  auth: {sekret: ACME_API_KEY}", 8, "wire.auth.sekret", "unknown field"),
        ("  auth: {secret: ACME_API_KEY}", "  auth: {scheme: hope}", 8, "wire.auth.scheme", "hope"),
        (
            "  url: https://api.acme.test/v1",
            "  url: https://api.acme.test/v1\n  drip: [n]",
            8,
            "wire.drip",
            "unknown field",
        ),
        ("checked: 2026-11-24\nwire", "wire", 3, "source", "`checked` is missing"),
        ("checked: 2026-11-24\nwire", "checked: yesterday\nwire", 4, "checked", "matching regex"),
        (
            "  output: usage.completion_tokens",
            "  outptu: usage.completion_tokens",
            12,
            "usage.outptu",
            "not a billable unit",
        ),
        (
            "  inside: {cache_read: input}",
            "  inside: {cache_write_5m: input}",
            13,
            "usage.inside.cache_write_5m",
            "has no path",
        ),
        ("wire:\n", "wire: [\n", 7, "", "not YAML"),
    ],
)
def test_a_mistake_in_the_wiring_is_told_with_its_line(write, good, bad, line, key, problem):
    path = write(GOOD.replace(good, bad, 1))
    with pytest.raises(ConfigurationError) as raised:
        read_wiring(path, {})
    error = raised.value
    assert (error.file, error.key) == (str(path), key)
    assert error.line == line
    assert problem in error.problem
    assert error.fix


@pytest.mark.parametrize(
    ("good", "bad", "line", "key", "problem"),
    [
        ('input: "0.59"', "input: 0.59", 20, "offers[0].prices[0].per_million", "Expected `str`, got `float`"),
        ('input: "0.59"', 'input: "0,59"', 20, "offers[0].prices[0].per_million.input", "not an amount"),
        ('input: "0.59"', 'input: "-0.59"', 20, "offers[0].prices[0].per_million.input", "below zero"),
        ('input: "0.59"', 'input: "0.0000001"', 20, "offers[0].prices[0].per_million.input", "finer than"),
        ('input: "0.59"', 'inptu: "0.59"', 20, "offers[0].prices[0].per_million.inptu", "not a billable unit"),
        (
            'input: "0.59"',
            'web_search: "10", input: "0.59"',
            20,
            "offers[0].prices[0].per_million.web_search",
            "not priced per million",
        ),
        ("from: 2026-01-01", "from: 2026-13-01", 17, "offers[0].prices[0].from", "not a day"),
        ("from: 2026-01-01", 'window_utc: "25:00-01:00"', 17, "offers[0].prices[0].window_utc", "part of the day"),
        (
            'per_million: {input: "0.59", output: "0.79"}',
            "per_million: {}",
            17,
            "offers[0].prices[0]",
            "no price at all",
        ),
    ],
)
def test_a_mistake_in_a_price_is_told_with_its_line(write, monkeypatch, good, bad, line, key, problem):
    path = write(GOOD.replace(good, bad, 1))
    monkeypatch.setattr(load, "PROVIDERS", path.parent)
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={})
    error = raised.value
    assert (error.file, error.key) == (str(path), key)
    assert error.line == line
    assert problem in error.problem
    assert error.fix


def test_a_price_written_as_a_number_is_told_to_be_quoted(write):
    with pytest.raises(ConfigurationError, match=r'put it in quotes.*"0\.59"'):
        read_wiring(write(GOOD.replace('"0.59"', "0.59")), {})


def test_a_price_per_thousand_and_tiers(write, monkeypatch):
    text = GOOD.replace(
        'per_million: {input: "0.59", output: "0.79"}',
        'per_million: {input: "0.59", output: "0.79"}\n        per_thousand: {web_search: "10"}\n'
        '        tiers: [{above: 200000, per_million: {input: "1.18"}}]\n        window_utc: "16:30-00:30"',
    )
    monkeypatch.setattr(load, "PROVIDERS", write(text).parent)
    prices = load_catalogue(environment={}).find("acme/a-1").offers[0].prices[0]
    assert prices.prices == {"input": 590_000, "output": 790_000, "web_search": 10_000_000_000}
    assert (prices.at(200_000)["input"], prices.at(200_001)["input"]) == (590_000, 1_180_000)
    assert prices.window_utc == (59_400, 1_800)
    assert prices.id == "acme/a-1@2026-01-01#1"


def test_a_key_that_stands_twice_is_found(write):
    file = YamlFile(write(GOOD + "name: Other\n"))
    assert file.duplicates() == [(21, "name")]


def test_dates_stay_text(write):
    assert YamlFile(write("a: 2026-11-24\n")).read(dict) == {"a": "2026-11-24"}


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        YamlFile(tmp_path / "none.yml")
    assert raised.value.line is None


def test_an_offer_is_in_one_model_only(write):
    text = "models:\n  - {id: a/b, name: B, offers: [x/1]}\n  - id: a/c\n    name: C\n    offers: [y/1,\n      x/1]\n"
    path = write(text, "models.yml")
    with pytest.raises(ConfigurationError) as raised:
        read_models(path)
    assert (raised.value.line, raised.value.key) == (6, "models[1].offers[1]")


# --- the operator's corrections ---


def test_a_correction_wins_and_keeps_what_it_does_not_name(tmp_path):
    path = tmp_path / "corrections.yml"
    path.write_text(
        "offers:\n"
        "  - offer: openai/gpt-4o-mini\n"
        "    max_output_tokens: 100\n"
        "    prices:\n"
        '      - {from: 2026-12-01, checked: 2026-11-30, per_million: {input: "0.2", output: "0.8"}}\n'
        "  - offer: google/gemma-4-31b-it\n"
        '    prices: [{checked: 2026-11-30, per_million: {input: "0", output: "0"}}]\n'
        "models:\n"
        "  - {id: house/small, name: House, offers: [openai/gpt-4.1-nano, groq/llama-3.1-8b-instant], aliases: [small]}\n"
    )
    catalogue = load_catalogue(environment={}, corrections=path)
    offer = catalogue.find("gpt-4o-mini").offers[0]
    assert (offer.max_output_tokens, offer.context_tokens, offer.upstream_id) == (100, 128_000, "gpt-4o-mini")
    assert offer.price_list(1_796_083_199).prices["input"] == 150_000
    assert offer.price_list(1_796_083_200).prices["input"] == 200_000
    assert offer.price_list(1_796_083_200).source == "corrections.yml"
    assert (
        offer.price_list(1_796_083_199).source == "https://developers.openai.com/api/docs/pricing (genai-prices 0.2.3)"
    )
    assert catalogue.find("google/gemma-4-31b-it").offers[0].prices[0].prices["input"] == 0
    assert [offer.id for offer in catalogue.find("small").offers] == [
        "openai/gpt-4.1-nano",
        "groq/llama-3.1-8b-instant",
    ]


def test_a_wrong_correction_is_told_with_its_line(tmp_path):
    path = tmp_path / "corrections.yml"
    path.write_text("offers:\n  - offer: openai/gpt-4o\n    prices:\n      - per_million:\n          input: free\n")
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={}, corrections=path)
    assert (raised.value.file, raised.value.line) == (str(path), 5)


def test_the_examples_of_the_guide_load(tmp_path, monkeypatch):
    guide = pathlib.Path(__file__).parents[2] / "docs" / "how-to" / "add-a-provider.md"
    corrections, provider = re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
    (tmp_path / "corrections.yml").write_text(corrections)
    catalogue = load_catalogue(environment={}, corrections=tmp_path / "corrections.yml")
    assert catalogue.find("azure/gpt-4o").offers[0].prices[-1].id == "azure/gpt-4o@2026-12-01"
    assert len(catalogue.find("small").offers) == 2
    (tmp_path / "acme.yml").write_text(provider)
    (tmp_path / "corrections.yml").unlink()
    monkeypatch.setattr(load, "PROVIDERS", tmp_path)
    assert load_catalogue(environment={}).find("acme/a-2").offers[0].prices[0].prices["input"] == 590_000


def test_a_correction_of_nothing_stops_the_start(tmp_path):
    path = tmp_path / "corrections.yml"
    path.write_text('offers:\n  - offer: simulated/prized\n    prices: [{per_million: {input: "9", output: "9"}}]\n')
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={}, corrections=path)
    assert (raised.value.file, raised.value.line) == (str(path), 2)
    assert "simulated/priced" in raised.value.fix
    assert load_catalogue(environment={}, corrections=path, disabled=["simulated"]).models
