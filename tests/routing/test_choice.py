"""The order of one model's offers: shared by price among the steady, sorted on request, sticky where a cache pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.world import ACME, BETA, CORE, NOW, Reports, ask, model, offer, standing
from tollway.catalogue.offers import Model
from tollway.routing.choice import ordered
from tollway.routing.policy import Candidate
from tollway.routing.shelf import place_of, row_of
from tollway.routing.standing import AllWell, OfferHealth
from tollway.routing.task import read_task

TASK = read_task(ask(), 100)
MANY = model("m", offer(ACME, "m", 2, 2), offer(BETA, "m", 1, 1), offer(CORE, "m", 4, 4))


def places(of: Model):
    return row_of(
        of, standing("nano", 0.5), tuple(place_of(of, Candidate(one, one.prices[0])) for one in of.offers)
    ).places


def order_of(of=MANY, **how):
    how = {"health": AllWell(), "now": NOW, **how}
    return [place.provider for place in ordered(places(of), TASK, **how)]


@pytest.mark.parametrize(
    ("draw", "first"),
    # Weights 1, 1/4, 1/16 of 21/16: 76.2 %, 19.0 %, 4.8 %.
    [(0.0, "beta"), (0.76, "beta"), (0.77, "acme"), (0.95, "acme"), (0.96, "core"), (0.999, "core")],
)
def test_drawn_with_the_weight_of_one_over_price_squared(draw, first):
    found = order_of(draw=draw)
    assert found[0] == first
    assert [one for one in found if one != first] == [one for one in ("beta", "acme", "core") if one != first]


def test_the_share_of_each_over_many_draws():
    firsts = [order_of(draw=at / 2_100)[0] for at in range(2_100)]
    assert [firsts.count(one) for one in ("beta", "acme", "core")] == [1_600, 400, 100]


def test_one_that_failed_in_the_last_thirty_seconds_goes_last():
    def after(seconds):
        return order_of(health=Reports({"beta/m": OfferHealth(failed_at=NOW - seconds)}))

    assert after(29.9) == ["acme", "core", "beta"]
    assert after(30) == ["beta", "acme", "core"]


def test_sorts_switch_the_drawing_off():
    health = Reports({
        "acme/m": OfferHealth(p50_ms=900, tokens_per_s=30), "core/m": OfferHealth(p50_ms=300, tokens_per_s=80),
    })  # fmt: skip
    assert order_of(sort="price", draw=0.999) == ["beta", "acme", "core"]
    # What has not been measured comes last.
    assert order_of(sort="latency", draw=0.999, health=health) == ["core", "acme", "beta"]
    assert order_of(sort="throughput", draw=0.999, health=health) == ["core", "acme", "beta"]
    assert order_of(order=("core",), draw=0.999) == ["core", "beta", "acme"]


def test_a_conversation_stays_where_its_cache_is():
    assert order_of(sticky="core/m") == ["core", "beta", "acme"]
    assert order_of(sticky="core/m", sort="price") == ["core", "beta", "acme"]
    assert order_of(sticky="core/m", order=("acme",)) == ["acme", "beta", "core"]
    shaky = Reports({"core/m": OfferHealth(failed_at=NOW - 1)})
    assert order_of(sticky="core/m", health=shaky) == ["beta", "acme", "core"]


def test_a_free_offer_is_always_first():
    free = model("m", offer(ACME, "m", 1, 1), offer(BETA, "m", 0, 0))
    assert order_of(free, draw=0.99) == ["beta", "acme"]


@given(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["", "price", "latency", "throughput"]),
    st.sampled_from(["", "acme/m", "core/m", "gone"]),
)
def test_every_offer_is_there_once(draw, sort, sticky):
    assert sorted(order_of(draw=draw, sort=sort, sticky=sticky)) == ["acme", "beta", "core"]
