"""Kept requests routed again by their stored tier, under the rules of a wish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.shop import AWAY, GIANT, LARGE, LATER, SMALL, STANDINGS, TALK, Standings, by_tier, catalogue, request
from tollway.catalogue.units import INPUT, OUTPUT, WEB_SEARCH
from tollway.learning.rerouting import NO_TIER, Reroute, Terms, _rounded_up
from tollway.routing.tiers import TIERS
from tollway.routing.wish import PLAIN, Wish

TERMS = Terms({"direct": 550, "auto": 0, "tier": 800})
CHARGES = {"small": 1_200, "large": 14_000, "giant": 99_000}
"""Of 1,000 tokens in and 100 out, without margin, at the cheapest offer."""


def rerouted(
    wish: Wish = PLAIN, standings: Standings = STANDINGS, terms: Terms = TERMS, now: int | None = None
) -> Reroute:
    return Reroute(catalogue(SMALL, LARGE, GIANT, AWAY, TALK), standings, wish, lambda _: terms, now=now)


@pytest.mark.parametrize(
    ("tier", "knob", "model"), [("nano", 0.5, "small"), ("simple", 0.0, "small"), ("complex", 1.0, "giant")]
)
def test_a_model_for_the_tier_answers(tier, knob, model) -> None:
    """`away` has no key, and `talk` writes no text."""
    assert rerouted(Wish(quality_knob=knob))(by_tier(tier)) == (CHARGES[model], model, "")


def test_without_a_tier_nothing_is_guessed() -> None:
    on = rerouted()
    assert on(request()) == on(by_tier("")) == (None, "", NO_TIER)
    assert on.bounds(request()) == (1_200, on(by_tier("complex")).charge_nano)


@pytest.mark.parametrize(
    ("wish", "tier", "models"),
    [
        (Wish(floor="standard"), "nano", {"large"}),
        (Wish(ceiling="simple"), "complex", {"small"}),
        (Wish(allowed_models=frozenset({"giant"})), "nano", {"giant"}),
        (Wish(allowed_models=frozenset({"tiny"})), "complex", {"small"}),
        (Wish(region="eu"), "complex", {"large"}),
        (Wish(max_cost_nano=15_000), "complex", {"small", "large"}),
    ],
)
def test_the_rules_of_a_profile_hold(wish, tier, models) -> None:
    found = rerouted(wish)(by_tier(tier))
    assert found.model in models
    assert found.charge_nano == CHARGES[found.model]


def test_the_offers_that_a_wish_allows_give_the_price() -> None:
    only = Wish(floor="standard", ceiling="standard", ignored_providers=frozenset({"beta"}))
    assert rerouted(only)(by_tier("standard")) == (15_000, "large", "")


def test_the_margin_and_the_models_of_the_plan() -> None:
    terms = Terms({"direct": 0, "auto": 1_000, "tier": 0}, frozenset({"giant"}))
    assert rerouted(terms=terms)(by_tier("nano")) == (108_900, "giant", "")
    # The margin of a pinned tier is the caller's choice, which nobody made here.
    assert rerouted(terms=terms)(request(model_asked="auto:nano", tier="nano")).charge_nano == 108_900


def test_what_may_not_be_answered_says_why() -> None:
    found = rerouted(Wish(allowed_models=frozenset({"unknown"})))(by_tier("nano"))
    assert (found.charge_nano, found.model) == (None, "")
    assert found.reason.startswith("nothing may answer: ")
    assert "does not allow it" in found.reason
    searched = rerouted(Wish(ceiling="simple"))(by_tier("nano", counts={INPUT: 5, WEB_SEARCH: 1}))
    assert searched == (None, "small", "small, which would answer, does not price all that was used")
    assert rerouted(Wish(allowed_models=frozenset({"unknown"}))).bounds(request()) is None


def test_the_prices_of_then_or_of_now() -> None:
    """In the order of time; `later` costs 5,000 from 1,000 on and 1,000 from 2,000 on."""

    def charges(now: int | None) -> list[int | None]:
        on = Reroute(catalogue(LATER), Standings(later="nano"), PLAIN, lambda _: TERMS, now=now)
        return [on(by_tier("nano", at=at)).charge_nano for at in (1_000, 1_999, 2_000)]

    assert charges(None) == [5_500, 5_500, 1_100]
    assert charges(2_500) == [1_100] * 3
    assert charges(999) == [None] * 3


@given(st.sampled_from(TIERS), st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 1))
def test_every_tier_lies_within_the_bounds_and_is_the_same_again(tier, into, out, knob) -> None:
    wish = Wish(quality_knob=knob)
    one = by_tier(tier, counts={INPUT: into % 7_000, OUTPUT: out % 1_000})
    on = rerouted(wish)
    least, most = on.bounds(one)
    assert least <= on(one).charge_nano <= most
    assert on(one) == rerouted(wish)(one)


@given(st.integers(0, 10**12))
def test_lengths_are_rounded_up_by_an_eighth_at_most(tokens) -> None:
    found = _rounded_up(tokens)
    assert tokens <= found <= tokens + tokens // 8
    assert _rounded_up(found) == found
