"""The whole decision: the seed's prompts, floors and ceilings, who is left out and why, chains, and what it costs."""

import timeit
from fractions import Fraction

import pytest

from routing.world import (
    ACME,
    ALL,
    BETA,
    CORE,
    EVERYTHING,
    MARKET,
    NOW,
    STANDINGS,
    Allowing,
    Reports,
    Table,
    ask,
    catalogue,
    decided,
    model,
    models,
    offer,
    offers,
    standing,
)  # fmt: skip
from tollway.catalogue.offers import Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import (
    ContextLengthExceeded,
    InvalidField,
    ModelNotAllowed,
    ModelNotFound,
    NoHealthyOffer,
)
from tollway.request import Message, ProviderPreferences
from tollway.routing.asking import wish_of
from tollway.routing.explain import about_usd, sentences
from tollway.routing.policy import Obstacle
from tollway.routing.savings import cost_pico, percent, saving
from tollway.routing.shelf import shelf_of
from tollway.routing.standing import OfferHealth
from tollway.routing.tiers import RANK
from tollway.routing.verdict import Verdict
from tollway.routing.wish import Wish

AUTO = Wish(mode="auto")


class Says:
    """A classifier that always says the same."""

    def __init__(self, tier, confidence=0.9, category="chat"):
        self.verdict = Verdict(category, tier, confidence, "rules")

    def classify(self, task):
        del task
        return self.verdict


@pytest.mark.parametrize(
    ("prompt", "chosen", "tiers"),
    [
        ("What time is it in Tokyo?", "acme/tiny", {"nano"}),
        ("Summarize this email", "beta/flash", {"simple", "light"}),
        ("Debug this Python function", "acme/sonnet", {"standard"}),
        ("Prove sqrt(2) is irrational", "core/reason", {"standard", "complex"}),
        ("Write a legal brief", "beta/pro", {"complex"}),
    ],
)
def test_the_five_prompts_of_seed_003(prompt, chosen, tiers):
    found = decided(ask(prompt))
    assert found.tier in tiers
    assert models(found)[0] == chosen
    assert (found.margin_kind, found.margin_bps) == ("auto", 1_000)
    assert len(found.steps) == 5, "each step of the pipeline says one line"
    assert [line.split(":")[0] for line in found.steps] == ["Read", "Classify", "Filter", "Rank", "Order"]


def test_margins_by_how_the_model_was_chosen():
    assert decided(ask()).margin_bps == 1_000
    pinned = decided(ask(), Wish(mode="tier", tier="light"))
    assert (pinned.margin_kind, pinned.margin_bps, pinned.verdict.method) == ("tier", 800, "tier")
    named = decided(ask(model="acme/opus"), Wish(), margins_bps={"direct": 123})
    assert (named.margin_kind, named.margin_bps, named.verdict) == ("direct", 123, None)


@pytest.mark.parametrize(("cost", "charged"), [(100_000, 110_000), (300_000, 330_000), (6_000_000, 6_600_000), (2_000_000, 2_200_000), (25_000_000, 27_500_000)])  # fmt: skip
def test_the_cost_table_of_seed_003_to_the_digit(cost, charged):
    """0.0001 -> 0.00011, 0.0003 -> 0.00033, 0.006 -> 0.0066, 0.002 -> 0.0022, 0.025 -> 0.0275 at +10 %."""
    from tollway.metering.rating import rate  # noqa: PLC0415
    from tollway.metering.usage import Usage  # noqa: PLC0415

    prices = PriceList("x@0", 0, {INPUT: cost})  # cost_nano = 1,000 tokens x cost pico.
    assert rate(Usage({INPUT: 1_000}), prices, decided(ask()).margin_bps).charge == charged


def test_unsure_goes_one_tier_up_and_says_so():
    found = decided(ask(), classifier=Says("simple", 0.54))
    assert found.tier == "light"
    assert "unsure" in found.steps[1]
    assert decided(ask(), classifier=Says("simple", 0.55)).tier == "simple"
    assert decided(ask(), classifier=Says("complex", 0.1)).tier == "complex"


@pytest.mark.parametrize(
    ("wish", "tier"),
    [
        (Wish(mode="auto", floor="standard"), "standard"),
        (Wish(mode="auto", chat_quality=1), "light"),
        (Wish(mode="auto", chat_quality=2), "standard"),
        (Wish(mode="auto", code_quality=2), "nano"),
        (Wish(mode="auto", chat_quality=1, floor="complex"), "complex"),
        (Wish(mode="auto", chat_quality=2, ceiling="simple"), "simple"),
    ],
)
def test_floors_raise_and_the_ceiling_wins(wish, tier):
    found = decided(ask("hi"), wish)
    assert found.tier == tier
    least = RANK[found.tier] if tier != "nano" else 0
    assert all(RANK[STANDINGS[one].tier] >= least for one in models(found))


@pytest.mark.parametrize(("level", "tier"), [(1, "standard"), (2, "complex")])
def test_code_has_its_own_quality_floor(level, tier):
    prompt = "```python\nprint(1)\n```"
    assert (
        decided(ask(prompt), Wish(mode="auto", code_quality=level, chat_quality=0), classifier=Says("nano")).tier
        == tier
    )


def test_history_holds_the_tier():
    turns = (
        Message("user", "Fix this python function ```def f()```"), Message("assistant", "```python\ndef f(): ...```"),
        Message("user", "thanks"),
    )  # fmt: skip
    assert decided(ask(messages=turns), classifier=Says("nano")).tier == "standard"
    assert decided(ask("thanks"), classifier=Says("nano"), history_floor="complex").tier == "complex"
    # A ceiling is a promise about money: it wins.
    assert decided(ask(messages=turns), Wish(mode="auto", ceiling="light"), classifier=Says("nano")).tier == "light"


def test_the_reference_model_comes_last_as_the_safety_net():
    found = decided(ask(), classifier=Says("complex"))
    assert models(found) == ["beta/pro", "acme/opus"]
    assert found.reference == "acme/opus"


def test_a_lower_tier_serves_only_where_it_is_as_good():
    table = Table(STANDINGS | {"beta/flash": standing("simple", 0.6, math=0.92)})
    found = decided(ask(), classifier=Says("standard", category="math"), standings=table)
    assert "beta/flash" not in models(found), "0.92 is not within 0.02 of 0.95"
    table = Table(STANDINGS | {"beta/flash": standing("simple", 0.6, math=0.94)})
    found = decided(ask(), classifier=Says("standard", category="math"), standings=table)
    assert models(found)[0] == "beta/flash"
    assert "stands below standard, but is as good at math" in found.steps[3]


@pytest.mark.parametrize(("knob", "first"), [(0.0, "core/reason"), (0.5, "acme/sonnet"), (1.0, "acme/sonnet")])
def test_the_knob_between_cost_and_quality(knob, first):
    found = decided(ask(), Wish(mode="auto", quality_knob=knob), classifier=Says("standard", category="debugging"))
    assert models(found)[0] == first


def test_where_a_tier_is_empty_the_strongest_stands_in():
    small = catalogue(*(one for one in MARKET.models.values() if one.id in {"acme/tiny", "beta/flash"}))
    found = decided(ask(), catalogue=small, classifier=Says("complex"))
    assert models(found) == ["beta/flash"]
    assert "stands in" in found.steps[3]
    with pytest.raises(InvalidField) as caught:
        decided(ask(), Wish(mode="tier", tier="complex"), catalogue=small)
    assert caught.value.param == "tier"


@pytest.mark.parametrize(
    ("chat", "wish", "settings", "error", "param", "obstacle"),
    [
        ({}, {}, {"key": Allowing("nothing")}, ModelNotAllowed, "model", Obstacle.NOT_ALLOWED),
        ({}, {}, {"plan": Allowing("nothing")}, ModelNotAllowed, "model", Obstacle.NOT_ALLOWED),
        ({}, {"allowed_models": frozenset({"nothing"})}, {}, ModelNotAllowed, "model", Obstacle.NOT_ALLOWED),
        ({}, {"needs": frozenset({"audio"})}, {}, InvalidField, "model", Obstacle.CAPABILITY),
        ({}, {"allowed_providers": frozenset({"none"})}, {}, InvalidField, "provider", Obstacle.PREFERENCES),
        ({}, {"ignored_providers": frozenset({"acme", "beta", "core"})}, {}, InvalidField, "provider", Obstacle.PREFERENCES),
        ({}, {"region": "moon"}, {}, InvalidField, "provider", Obstacle.REGION),
        ({}, {"max_price": {INPUT: 1}}, {}, InvalidField, "provider", Obstacle.PREFERENCES),
        ({}, {"variant": "free"}, {}, InvalidField, "provider", Obstacle.PREFERENCES),
        ({}, {"max_cost_nano": 1}, {}, InvalidField, "max_cost", Obstacle.COST),
        ({}, {}, {"input_tokens": 300_000}, ContextLengthExceeded, "messages", Obstacle.CONTEXT),
        ({"max_tokens": 40_000}, {}, {}, ContextLengthExceeded, "messages", Obstacle.CONTEXT),
        ({}, {}, {"catalogue": catalogue()}, ModelNotFound, "model", None),
    ],
)  # fmt: skip
def test_an_empty_list_says_why(chat, wish, settings, error, param, obstacle):
    with pytest.raises(error) as caught:
        decided(ask(**chat), Wish(mode="auto", **wish), **settings)
    assert caught.value.param == param
    if obstacle is not None:
        assert caught.value.details["excluded"]


def test_all_failing_is_a_503_with_when_to_come_back():
    down = Reports({one.id: OfferHealth("open") for each in MARKET.models.values() for one in each.offers})
    with pytest.raises(NoHealthyOffer) as caught:
        decided(ask(), health=down)
    assert caught.value.details["retry_after_seconds"] == 5
    # A named one stays: the road tries it when nobody else can answer, one request at a time.
    assert [one.offer.id for one in decided(ask(model="acme/opus"), Wish(), health=down).candidates] == [
        "acme/acme/opus"
    ]


def test_what_is_failing_is_left_out_with_its_reason():
    found = decided(ask(), health=Reports({"acme/acme/tiny": OfferHealth("open")}))
    assert models(found)[0] == "beta/flash"
    assert [(one.name, one.obstacle) for one in found.exclusions] == [("acme/tiny", Obstacle.UNHEALTHY)]


def test_what_nobody_knows_or_can_call_is_not_chosen():
    absent = {one.name: one.obstacle for one in decided(ask()).absent}
    assert absent == {
        "beta/unheard-of": Obstacle.NO_STANDING, "dark/matter": Obstacle.NO_CREDENTIAL, "beta/embed": Obstacle.NO_TEXT,
    }  # fmt: skip


def test_what_only_pretends_to_answer_is_chosen_only_alone():
    pretends = Provider("simulated", "Simulated", WireSpec("simulated", "local"), is_usable=True)
    large = model("simulated/large", offer(pretends, "simulated/large", 0, 0))
    table = Table(STANDINGS | {"simulated/large": standing("complex", 0.99)})
    both = catalogue(*MARKET.models.values(), large)
    assert "simulated/large" not in models(decided(ask(), catalogue=both, standings=table))
    assert models(decided(ask(), catalogue=catalogue(large), standings=table)) == ["simulated/large"]


def test_tools_keep_to_the_floor_of_tool_calling():
    import msgspec  # noqa: PLC0415

    fields = {"tools": msgspec.Raw(b'[{"type":"function","function":{"name":"f"}}]')}
    wish = Wish(mode="auto", tool_calling_min=0.75)
    found = decided(ask(fields=fields), wish)
    assert set(models(found)) <= {"acme/haiku", "acme/sonnet", "acme/opus", "beta/pro"}
    assert "core/light" in {one.name for one in found.exclusions if one.obstacle is Obstacle.TOOL_CALLING}
    # Without tools in the request there is nothing to call.
    assert models(decided(ask(), wish))[0] == "acme/tiny"


def test_named_fallbacks_end_the_chain_and_pass_the_same_filters():
    found = decided(ask("hi", models=("opus", "beta/unheard-of", "acme/tiny")))
    assert models(found)[-1] == "acme/opus"
    capped = decided(ask("hi", models=("opus",)), Wish(mode="auto", ceiling="light"))
    assert "acme/opus" not in models(capped)


def test_without_fallbacks_there_is_one_candidate():
    assert len(decided(ask(), Wish(mode="auto", fallbacks=False)).candidates) == 1


def test_counterfactuals_tell_a_tier_up_and_down():
    found = decided(ask(), classifier=Says("simple"))
    down, up = found.counterfactuals
    assert (down.direction, down.tier, down.model) == ("down", "nano", "acme/tiny")
    assert (up.direction, up.tier) == ("up", "light")
    assert down.cost_nano < up.cost_nano
    # The range keeps the other tiers out, and they are told all the same.
    assert len(decided(ask(), Wish(mode="tier", tier="light")).counterfactuals) == 2
    assert len(decided(ask(), classifier=Says("nano")).counterfactuals) == 1


def test_savings_are_honest():
    found = decided(ask(), classifier=Says("complex"))
    # By hand, per token: pro 4 and 18 with +10 %, opus 5 and 25 with +5.5 %; 100 tokens in, 150 out.
    paid, full = (400 + 150 * 18) * 11_000, (500 + 150 * 25) * 10_550
    assert found.expected_saving() == Fraction(full - paid, full)
    counts = {INPUT: 1_000, OUTPUT: 10}
    assert found.savings_pct(counts, found.candidates[0]) == percent(saving(4_180, 1_000, 5_250, 550)) == "17.0"
    # The baseline itself, chosen by auto, costs more than when it is named.
    assert found.savings_pct(counts, found.candidates[-1]) == "-4.3"
    assert decided(ask(), baseline="no/such").savings_pct(counts, found.candidates[0]) is None


@pytest.mark.parametrize(
    ("part", "text"),
    [(Fraction(1, 3), "33.3"), (Fraction(-1, 3), "-33.3"), (Fraction(0), "0.0"), (Fraction(1), "100.0"),
     (Fraction(1, 2_000), "0.0"), (Fraction(3, 2_000), "0.2"), (Fraction(-5), "-500.0"), (None, None)],
)  # fmt: skip
def test_a_part_as_percent(part, text):
    assert percent(part) == text


def test_a_usage_without_a_price_has_no_saving():
    assert cost_pico(PriceList("x@0", 0, {INPUT: 1}), {OUTPUT: 1}) is None
    assert saving(1, 0, 0, 0) is None


# --- named models ---


def test_a_named_model_is_the_plain_route():
    found = decided(ask(model="opus"), Wish())
    assert offers(found) == ["acme/acme/opus"]
    assert found.margin_kind == "direct"


def test_variants_of_a_named_model():
    health = Reports(
        {"core/beta/flash": OfferHealth(tokens_per_s=90.0), "beta/beta/flash": OfferHealth(tokens_per_s=20.0)}
    )
    assert offers(decided(ask(model="flash:nitro"), Wish(), health=health)) == ["core/beta/flash", "beta/beta/flash"]
    assert offers(decided(ask(model="flash:floor"), Wish(), draw=0.99)) == ["beta/beta/flash", "core/beta/flash"]
    with pytest.raises(InvalidField):
        decided(ask(model="flash:free"), Wish())
    own = model("beta/x:free", offer(BETA, "beta/x:free", 0, 0))
    assert offers(decided(ask(model="beta/x:free"), Wish(), catalogue=catalogue(own))) == ["beta/beta/x:free"]


def test_preferences_of_a_named_model():
    wish = wish_of("acme/sonnet", {"provider": {"order": ["beta"], "allow_fallbacks": False}})
    chat = ask(model="acme/sonnet", provider=ProviderPreferences(order=("acme",)))
    assert offers(decided(chat, wish)) == ["beta/acme/sonnet"]
    assert offers(decided(ask(model="acme/sonnet"), Wish(region="eu"))) == ["beta/acme/sonnet"]


def test_a_profile_holds_for_named_models_too():
    with pytest.raises(InvalidField) as caught:
        decided(ask(model="acme/opus"), Wish(ceiling="light"))
    assert "complex model, above light" in caught.value.message
    with pytest.raises(ModelNotFound):
        decided(ask(model="beta/unheard-of"), Wish(ceiling="light"))
    with pytest.raises(ModelNotAllowed):
        decided(ask(model="acme/opus"), Wish(allowed_models=frozenset({"acme/tiny"})))
    assert offers(decided(ask(model="acme/opus", models=("acme/tiny",)), Wish(ceiling="light"))) == ["acme/acme/tiny"]


def test_required_parameters_of_a_named_model():
    parts = (Message("user", [{"type": "image_url"}]),)
    assert offers(decided(ask(model="acme/tiny", messages=parts), Wish())) == ["acme/acme/tiny"]
    with pytest.raises(InvalidField) as caught:
        decided(ask(model="acme/tiny", messages=parts), Wish(requires_parameters=True))
    assert "read images" in caught.value.message


# --- the words, and the time ---


def test_it_reads_like_a_colleague():
    told = " ".join(sentences(decided(ask("Debug this Python function"))))
    for words in (
        "This looks like a debugging task of standard difficulty", "I am fairly sure", "What makes it harder: code",
        "I would ask acme/sonnet at Acme: it scores 0.93 at debugging and is what this tier is measured by",
        "% less than acme/opus", "If it fails,", "One tier down (light)", "one tier up (complex)",
    ):  # fmt: skip
        assert words in told
    assert "You named the model" in " ".join(sentences(decided(ask(model="acme/sonnet"), Wish(sort="price"))))
    assert "Ruled out:" in " ".join(sentences(decided(ask(), Wish(mode="auto", ceiling="light"))))


@pytest.mark.parametrize(("nano", "text"), [(0, "nothing"), (110_000, "$0.00011"), (25_000_000, "$0.025"), (12_300_000_000, "$12.30"), (1, "$0.000000001")])  # fmt: skip
def test_amounts_for_reading(nano, text):
    assert about_usd(nano) == text


def test_a_shelf_is_made_once_per_catalogue_and_price_change():
    early, late = (
        PriceList("acme/p@0", 0, {INPUT: 1, OUTPUT: 1}),
        PriceList("acme/p@1", NOW + 60, {INPUT: 9, OUTPUT: 9}),
    )
    import dataclasses  # noqa: PLC0415

    both = dataclasses.replace(offer(ACME, "p", 1, 1), prices=(early, late))
    there, table = catalogue(model("p", both)), Table({"p": standing("nano", 0.5)})
    first = shelf_of(there, table, NOW)
    assert shelf_of(there, table, NOW + 59) is first
    assert shelf_of(there, table, NOW + 60) is not first
    assert decided(ask(), catalogue=there, standings=table, now=NOW + 60).candidates[0].prices is late


def market(count):
    found, table = [], Table()
    for at in range(count):
        name = f"x/m{at}"
        sellers = (ACME, BETA, CORE)[: 1 + at % 3]
        found.append(model(name, *(offer(one, name, 0.1 + at % 7, 1 + at % 11) for one in sellers), can=ALL))
        table[name] = standing(("nano", "simple", "light", "standard", "complex")[at % 5], (at * 37 % 100) / 100)
    return catalogue(*found), table


def test_a_decision_among_hundreds_takes_less_than_a_millisecond():
    many, table = market(400)
    prompt = ("Write a python function that computes the odds of two aces, and explain why it is correct. " * 6)[:500]
    chat = ask(prompt)
    for wish in (AUTO, Wish(mode="tier", tier="light"), Wish(mode="auto", ceiling="standard")):
        times = timeit.repeat(
            lambda wish=wish: decided(chat, wish, catalogue=many, standings=table), number=1, repeat=150
        )
        # The best of many: this machine may be busy with other things.
        assert min(times) < 0.001
    named = timeit.repeat(
        lambda: decided(ask(model="x/m0"), Wish(), catalogue=many, standings=table), number=1, repeat=50
    )
    assert min(named) < 0.000_05


def test_the_same_request_is_decided_the_same():
    assert decided(ask("Write a legal brief")) == decided(ask("Write a legal brief"))
    assert EVERYTHING.allowed_models is None
