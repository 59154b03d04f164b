"""routing/standings.py, rating.py: the shipped facts hold together, the formula does what it says, mistakes are told where."""

from types import SimpleNamespace

import pytest

from tollway.catalogue.load import load_catalogue
from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.catalogue.yamlfile import YamlFile
from tollway.errors import ConfigurationError
from tollway.routing.rating import Rating, StandingRow, StandingsFile, mean
from tollway.routing.standings import NOTHING_KNOWN, PACKAGED, blended, load_standings
from tollway.routing.tiers import CATEGORIES, RANK, TIERS


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(environment={})


@pytest.fixture(scope="module")
def standings(catalogue):
    return load_standings(catalogue)


@pytest.fixture(scope="module")
def shipped():
    return YamlFile(PACKAGED).read(StandingsFile)


# --- what is shipped ---


def test_every_entry_is_whole(standings):
    assert len(standings) > 150
    for known in standings:
        standing = known.standing
        assert tuple(standing.quality) == CATEGORIES
        assert all(0 <= share <= 1 for share in standing.quality.values()), known.model
        assert standing.tool_calling is None or 0 <= standing.tool_calling <= 1
        assert standing.source
        # Where a page was read, it is named with the day; where none was, no day is given and the reason says so.
        assert bool(standing.checked) == bool(known.scores)
        assert all(score.source.startswith("https://") for score in known.scores)
        if known.is_estimate:
            told = known.note.lower()
            assert "estimate" in told or told.startswith("made up"), known.model


def test_no_key_stands_twice_and_every_model_is_in_the_catalogue(standings):
    assert YamlFile(PACKAGED).duplicates() == []
    assert standings.strays == (), "the price package renamed or dropped them: follow it"


def test_tiers_rise_in_mean_quality(standings):
    means = [
        [mean(known.standing.quality) for known in standings if known.standing.tier == tier and known.scores]
        for tier in TIERS
    ]
    averages = [sum(each) / len(each) for each in means]
    assert averages == sorted(averages)
    assert all(above - below > 0.05 for below, above in zip(averages, averages[1:], strict=False))


def test_the_tier_is_that_of_the_overall_score(shipped):
    rating = Rating(shipped)
    scored = [
        (row.id, row.tier, float(reading.scores["overall"]))
        for row in shipped.models
        for reading in row.read
        if "overall" in reading.scores
    ]
    assert len(scored) > 90
    assert [one for one in scored if rating.tier_of(one[2]) != one[1]] == []


def test_most_models_rest_on_what_was_read(shipped):
    assert sum(bool(row.read) for row in shipped.models) >= 100
    makers = {row.id.partition("/")[0] for row in shipped.models}
    assert makers >= {"openai", "anthropic", "google", "deepseek", "mistral", "x-ai", "meta-llama", "qwen", "zai",
                      "moonshot", "minimax", "cohere", "simulated", "local"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("novita/zai-org/glm-4.7-flash", "nano"),
        ("google/gemini-3.1-flash-lite", "light"),
        ("anthropic/claude-sonnet-4-6", "standard"),
        ("deepseek/deepseek-v4-pro", "standard"),
        ("anthropic/claude-opus-4-8", "complex"),
    ],
)
def test_the_five_models_of_the_worked_examples(standings, name, tier):
    assert standings.standing(name).tier == tier


def test_what_fails_on_purpose_is_not_chosen(standings):
    assert standings.standing("simulated/flaky") is None
    assert standings.standing("no/such") is None
    assert NOTHING_KNOWN.standing("openai/gpt-5.5") is None


def test_a_model_that_reads_no_images_is_worth_nothing_at_them(standings):
    assert standings.standing("deepseek/deepseek-v4-pro").quality["vision"] == 0
    assert standings.standing("openai/gpt-5.5").quality["vision"] > 0.8


def test_the_same_weights_under_another_id_stand_alike(standings):
    one, other = (
        standings.standing(name) for name in ("novita/zai-org/glm-4.7-flash", "openrouter/z-ai/glm-4.7-flash")
    )
    assert one.quality["coding"] == other.quality["coding"]


# --- the formula ---


def rated(shipped, **row):
    return Rating(shipped).quality(StandingRow(**{"id": "m", "tier": "light", "because": "A test.", **row}))


def reading(**scores):
    return SimpleNamespace(source="https://a.test", checked="2026-11-24", scores=scores)


def test_without_a_figure_it_is_the_tiers_mean(shipped):
    for rank, tier in enumerate(TIERS):
        assert rated(shipped, tier=tier) == {name: shipped.categories[name][rank] for name in CATEGORIES}


def test_a_figure_moves_only_what_it_speaks_of_and_counts_half(shipped):
    row = shipped.categories["coding"]
    found = rated(shipped, read=[reading(swe_bench_verified=78.0)])
    # A typical `complex` score, two tiers up, of weight 2 against the tier's 2: one tier up.
    assert found["coding"] == row[3]
    assert found["math"] == shipped.categories["math"][2]


def test_a_doubted_rank_counts_half(shipped):
    sure = rated(shipped, read=[reading(coding="1/469")])["coding"]
    doubted = rated(shipped, read=[reading(coding="1/469*")])["coding"]
    assert shipped.categories["coding"][2] < doubted < sure


def test_guesses_lean_and_statements_win(shipped):
    assert rated(shipped, lean={"coding": 1})["coding"] > rated(shipped)["coding"] > rated(shipped, place=-1)["coding"]
    assert rated(shipped, quality={"coding": 0.99}, lean={"coding": -2})["coding"] == 0.99


def test_nothing_leaves_the_scale(shipped):
    low = rated(shipped, tier="nano", place=-2, read=[reading(overall=0.0, coding="469/469", gpqa_diamond=0.0)])
    high = rated(shipped, tier="complex", place=2, read=[reading(overall=100.0, coding="1/469", gpqa_diamond=100.0)])
    for name in CATEGORIES:
        row = shipped.categories[name]
        assert 0 <= low[name] <= row[0] < row[4] <= high[name] <= 1


# --- of the operator ---

OWN = """\
models:
  - id: simulated/echo
    tier: light
    because: We tried it.
    quality: {coding: 0.9}
    tool_calling: 0.5
"""


def test_the_operator_adds_and_replaces(catalogue, tmp_path):
    file = tmp_path / "own.yml"
    file.write_text(OWN + "  - id: gpt-5.5\n    tier: standard\n    because: Too dear for more.\n")
    found = load_standings(catalogue, file)
    echo = found.known("simulated/echo")
    assert (echo.standing.tier, echo.standing.tool_calling, echo.origin, echo.is_estimate) == (
        "light",
        0.5,
        "own",
        False,
    )
    assert (echo.standing.quality["coding"], echo.standing.source) == (0.9, "We tried it.")
    assert found.standing("openai/gpt-5.5").tier == "standard", "an alias names its model"
    assert found.standing("openai/gpt-6-astra").tier == "complex"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "problem", "fix"),
    [
        ("light", "enormous", 3, "models[0].tier", "Invalid enum value", "rate-a-model"),
        ("coding: 0.9", "coding: 1.9", 5, "models[0].quality", "<= 1.0", "rate-a-model"),
        ("coding: 0.9", "cooking: 0.9", 5, "models[0].quality", "cooking", "rate-a-model"),
        ("because", "reason", 4, "models[0].reason", "unknown field", "rate-a-model"),
        ("    because: We tried it.\n", "", 2, "models[0]", "rests on nothing", "because"),
        ("simulated/echo", "simulated/eccho", 2, "models[0].id", "no model simulated/eccho", "simulated/echo"),
        ("    because", "    also: [simulated/echo]\n    because", 4, "models[0].also[0]", "twice", "merge"),
        ("because: We tried it.", "read: [{source: x, checked: 2026-11-24, scores: {iq: 3}}]", 4,
         "models[0].read[0].scores.iq", "no such benchmark", "bfcl_v4"),
        ("because: We tried it.", "read: [{source: x, checked: 2026-11-24, scores: {coding: 3}}]", 4,
         "models[0].read[0].scores.coding", "not a rank", "6/313"),
        ("because: We tried it.", "read: [{source: x, checked: 2026-11-24, scores: {coding: 9/3}}]", 4,
         "models[0].read[0].scores.coding", "not a rank", "6/313"),
        ("because: We tried it.", "read: [{source: x, checked: 2026-11-24, scores: {overall: 3/9}}]", 4,
         "models[0].read[0].scores.overall", "a number", "quotes"),
        ("because: We tried it.", "read: [{source: x, checked: '', scores: {overall: 3}}]", 4,
         "models[0].read[0]", "needs `source`", "when"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(catalogue, tmp_path, old, new, line, key, problem, fix):
    file = tmp_path / "own.yml"
    file.write_text(OWN.replace(old, new))
    with pytest.raises(ConfigurationError) as raised:
        load_standings(catalogue, file)
    wrong = raised.value
    assert (wrong.file, wrong.line, wrong.key) == (str(file), line, key)
    assert problem in wrong.problem
    assert fix in wrong.fix


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("  coding: [0.42, 0.58", "  coding: [0.62, 0.58", "categories.coding", "do not rise"),
        ("    at: [52, 62, 67.5", "    at: [52, 52, 67.5", "benchmarks.overall.at", "do not rise"),
        ("  proof: [0.20, 0.36, 0.52, 0.70, 0.86]\n", "", "categories", "without proof"),
        ("nano: 0, ", "", "tiers", "without nano"),
    ],
)
def test_the_shipped_file_is_checked_too(catalogue, tmp_path, old, new, key, problem):
    text = PACKAGED.read_text()
    assert old in text
    file = tmp_path / "standings.yml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as raised:
        load_standings(catalogue, shipped=file)
    assert raised.value.key == key
    assert problem in raised.value.problem


# --- of models without an entry ---


def test_nothing_is_guessed_unless_the_operator_lets_it(catalogue, standings):
    guessed = load_standings(catalogue, estimate_unlisted=True)
    more = [known for known in guessed if known.origin == "estimate"]
    assert len(more) > 200
    assert all(standings.standing(known.model) is None for known in more)
    for known in more:
        assert known.is_estimate
        assert known.standing.tool_calling is None
        assert RANK[known.standing.tier] <= RANK["standard"], "a price alone makes nothing the best"
        assert "price" in known.standing.source
        assert known.standing.checked == ""
        assert blended(catalogue.models[known.model])


def model(name, dollars, *capabilities):
    where = Provider("acme", "Acme", WireSpec("openai", "https://a.test"), is_usable=True)
    prices = {INPUT: int(dollars * 1_000_000), OUTPUT: int(dollars * 1_000_000)}
    offer = Offer(name, name, where, name, prices=(PriceList(f"{name}@0", 0, prices),))
    return Model(name, name, (offer,), capabilities=capabilities)


def test_an_estimate_is_the_middle_of_its_neighbours_in_price(tmp_path):
    tiers = {"a": ("nano", 1), "b": ("nano", 2), "c": ("light", 3), "d": ("standard", 4), "e": ("complex", 5)}
    mine = [model(name, dollars) for name, (_, dollars) in tiers.items()]
    new = [model("new", 3, "reasoning"), model("plain", 3, "tools"), model("free", 0)]
    by_id = {one.id: one for one in [*mine, *new]}
    file = tmp_path / "own.yml"
    rows = [f"  - {{id: {name}, tier: {tier}, because: A test.}}" for name, (tier, _) in tiers.items()]
    file.write_text("models:\n" + "\n".join(rows) + "\n")
    found = load_standings(Catalogue(by_id, by_id, {}), file, estimate_unlisted=True)
    assert found.standing("new").tier == "light"
    assert found.standing("plain").tier == "simple", "known not to reason: one lower"
    assert found.standing("free") is None, "a price of nothing tells nothing"
