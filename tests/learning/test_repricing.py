"""Requests at other terms, by hand; what cannot be priced says why."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from learning.shop import (
    AWAY,
    GIANT,
    LARGE,
    LATER,
    SMALL,
    TALK,
    by_tier,
    catalogue,
    model,
    offer,
    prices,
    request,
)
from tollway.catalogue.offers import Offer
from tollway.catalogue.units import INPUT, OUTPUT, REASONING, REQUEST, WEB_SEARCH
from tollway.learning.repricing import OnModel, OnPlan
from tollway.metering.rating import rate
from tollway.metering.usage import Usage
from tollway.plans.plan import Plan

MARGINS = {"direct": 550, "auto": 1_000, "tier": 800}
ALL = catalogue(SMALL, LARGE, GIANT, LATER, AWAY, TALK)


def flat(bps: int):
    return lambda _: bps


# --- another model ---


def test_the_same_tokens_on_another_model() -> None:
    # 1,000 x 1,000 + 100 x 2,000 pico = 1,200 nano; + 10 %.
    assert OnModel(SMALL, flat(1_000))(request()) == (1_320, "small", "")
    # The cheaper offer: 1,000 x 9,000 + 100 x 50,000.
    assert OnModel(LARGE, flat(0))(request()) == (14_000, "large", "")


def test_offers_without_a_key_count_only_where_none_has_one() -> None:
    both = model("both", *AWAY.offers, offer("both", (7_000, 0)))
    assert OnModel(both, flat(0))(request()).charge_nano == 7_000
    assert OnModel(AWAY, flat(0))(request(counts={INPUT: 5_000})).charge_nano == 5


def test_the_prices_of_then_or_of_now() -> None:
    on = OnModel(LATER, flat(0))
    assert on(request(at=999)) == (None, "later", "later had no price then")
    assert on(request(at=1_999)).charge_nano == 5_500
    assert on(request(at=2_000)).charge_nano == 1_100
    assert OnModel(LATER, flat(0), now=5_000)(request(at=0)).charge_nano == 1_100


def test_a_unit_without_a_price_is_told_and_another_offer_may_have_it() -> None:
    searched = request(counts={INPUT: 1_000, WEB_SEARCH: 2})
    assert OnModel(SMALL, flat(0))(searched) == (None, "small", "small does not price web_search")
    dear = Offer("acme/s", "small", offer("x").provider, "s", prices=(prices("acme/s", 9, 9, web_search=10**9),))
    assert OnModel(model("small", *SMALL.offers, dear), flat(0))(searched).charge_nano == 2_000_009


def test_a_price_per_request_is_the_other_models_own() -> None:
    fee = Offer("acme/f", "fee", offer("x").provider, "f", prices=(prices("acme/f", 0, 0, **{REQUEST: 7_000_000}),))
    assert OnModel(model("fee", fee), flat(0))(request()).charge_nano == 7_000


# --- another plan ---


def plan(**facts: object) -> Plan:
    return Plan(**{"id": "pro", "name": "Pro", "limits": {}, "features": {}, **facts})


def test_another_margin_on_the_same_cost() -> None:
    on = OnPlan(plan(margins_bps={"auto": 400}), ALL, MARGINS)
    assert on(request()).charge_nano == 15_825
    assert on(by_tier("nano")).charge_nano == 15_600
    assert on(request(model_asked="auto:nano")).charge_nano == 16_200


def test_without_a_receipt_the_pinned_price_list_is_asked() -> None:
    on = OnPlan(plan(), ALL, MARGINS)
    dropped = request(cost_pico=None)
    # The price list of then, at the dearer offer: 10,000 + 5,000 nano.
    assert on(dropped).charge_nano == 15_825
    gone = on(msgspec.structs.replace(dropped, price_list_id="acme/large@7"))
    assert gone == (None, "large", "its receipt was dropped, and its price list is not known any more")
    searched = on(msgspec.structs.replace(dropped, counts={WEB_SEARCH: 1}))
    assert searched.reason == "its receipt was dropped, and acme/large@0 does not price its units"


def test_a_plan_without_the_model() -> None:
    on = OnPlan(plan(allowed_models=("tiny",)), ALL, MARGINS)
    assert on(request(model="small")).charge_nano == 15_825
    assert on(request()) == (None, "large", "the plan pro does not include large")
    assert on(request(model="unknown")).reason == "the plan pro does not include unknown"


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**5)
)
def test_the_margin_of_then_gives_the_charge_of_then(into, out, thinking, price, bps) -> None:
    """Whatever was rated once comes out again, from its receipt and from its price list, to the last nano-USD."""
    offers = offer("m", (price, 3 * price))
    then = rate(Usage({INPUT: into, OUTPUT: out, REASONING: thinking}), offers.prices[0], bps)
    cost = sum(count * each for _, count, each in then.lines)
    asked = request(model="m", counts={unit: count for unit, count, _ in then.lines}, cost_pico=cost, price_list_id="acme/m@0")  # fmt: skip
    shop = catalogue(model("m", offers))
    on = OnPlan(plan(), shop, {**MARGINS, "direct": bps})
    for one in (asked, msgspec.structs.replace(asked, cost_pico=None)):
        assert on(one).charge_nano == then.charge
    assert OnModel(shop.models["m"], flat(bps))(asked).charge_nano == then.charge
