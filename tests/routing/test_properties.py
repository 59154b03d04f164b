"""What holds for every request and every wish: nothing outside the rules, narrower is never wider, and determinism."""

import dataclasses

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.world import BETA, EVERYTHING, MARKET, NOW, STANDINGS, Allowing, Reports, ask, catalogue, decided, offer
from tollway.catalogue.offers import Model
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import TollwayError
from tollway.request import Message
from tollway.routing.filters import Bounds, Sieve, worst_nano
from tollway.routing.policy import Candidate
from tollway.routing.shelf import place_of, shelf_of
from tollway.routing.standing import OfferHealth
from tollway.routing.task import read_task
from tollway.routing.tiers import RANK, TIERS
from tollway.routing.wish import Wish, merged

PROMPTS = [
    "hi",
    "Prove sqrt(2) is irrational",
    "Debug this Python function",
    "Write a legal brief",
    "翻译一下",
    "x " * 900,
]
TOOLS = msgspec.Raw(b'[{"type":"function","function":{"name":"f"}}]')
IDS = sorted(MARKET.models)
OFFERS = [one.id for each in MARKET.models.values() for one in each.offers]
providers = st.frozensets(st.sampled_from(["acme", "beta", "core"]), min_size=1)


@st.composite
def wishes(draw):
    tier = draw(st.sampled_from(["", *TIERS]))
    floor, ceiling = draw(st.sampled_from([("", ""), ("light", ""), ("", "standard"), ("simple", "standard")]))
    return Wish(
        mode="tier" if tier else "auto",
        tier=tier,
        floor="" if tier else floor,
        ceiling="" if tier else ceiling,
        max_cost_nano=draw(st.sampled_from([None, 1_000, 1_000_000, 20_000_000, 10**12])),
        tool_calling_min=draw(st.sampled_from([0.0, 0.5, 0.85])),
        needs=draw(st.frozensets(st.sampled_from(["vision", "tools"]))),
        quality_knob=draw(st.sampled_from([None, 0.0, 0.3, 1.0])),
        allowed_models=draw(st.none() | st.frozensets(st.sampled_from(IDS), min_size=1)),
        allowed_providers=draw(st.none() | providers),
        ignored_providers=draw(st.frozensets(st.sampled_from(["acme", "beta"]), max_size=1)),
        max_price=draw(st.sampled_from([{}, {INPUT: 1_000_000}, {OUTPUT: 6_000_000}])),
        sort=draw(st.sampled_from(["", "price", "latency"])),
        region=draw(st.sampled_from(["", "", "eu"])),
    )


@st.composite
def chats(draw):
    content = draw(st.sampled_from(PROMPTS))
    parts = [{"type": "text", "text": content}, {"type": "image_url"}]
    message = Message("user", parts if draw(st.booleans()) else content)
    return ask(
        messages=(message,),
        fields={"tools": TOOLS} if draw(st.booleans()) else {},
        max_tokens=draw(st.sampled_from([None, 10, 5_000])),
    )


lists = st.just(EVERYTHING) | st.frozensets(st.sampled_from(IDS), min_size=1).map(lambda names: Allowing(*names))
reports = st.dictionaries(
    st.sampled_from(OFFERS), st.sampled_from([OfferHealth("open"), OfferHealth("half_open")])
).map(Reports)


@settings(max_examples=300, deadline=None)
@given(chats(), wishes(), lists, lists, reports, st.floats(0, 1, exclude_max=True))
def test_no_candidate_is_outside_the_rules(chat, wish, key, plan, health, draw):
    try:
        found = decided(chat, wish, key=key, plan=plan, health=health, draw=draw)
    except TollwayError as error:
        refused = error.status
    else:
        refused = 0
    if refused:
        assert refused in {400, 403, 503}
        return
    task = found.task
    assert found.margin_kind == wish.mode
    assert found.margin_bps == {"auto": 1_000, "tier": 800}[wish.mode]
    assert len({one.offer.id for one in found.candidates}) == len(found.candidates)
    for one in found.candidates:
        model, stands = MARKET.models[one.offer.model], STANDINGS[one.offer.model]
        place = place_of(model, Candidate(one.offer, one.prices))
        rank = RANK[stands.tier]
        assert not wish.tier or stands.tier == wish.tier
        assert not wish.floor or rank >= RANK[wish.floor]
        assert not wish.ceiling or rank <= RANK[wish.ceiling]
        for allowed in (key.allowed_models, plan.allowed_models, wish.allowed_models):
            assert allowed is None or model.id in allowed
        assert task.needs | wish.needs <= set(model.capabilities)
        assert "tools" not in task.needs or (stands.tool_calling or 0) >= wish.tool_calling_min
        assert wish.allowed_providers is None or one.offer.provider.id in wish.allowed_providers
        assert one.offer.provider.id not in wish.ignored_providers
        assert not wish.region or one.offer.region == wish.region
        assert health.of(one.offer.id, NOW).state != "open"
        for unit, most in wish.max_price.items():
            assert one.prices.at(100)[unit] <= most
        if wish.max_cost_nano is not None:
            output = chat.max_tokens or 4_096
            assert worst_nano(place, 100, output, found.margin_bps) <= wish.max_cost_nano
    assert found == decided(chat, wish, key=key, plan=plan, health=health, draw=draw), "the same again"
    # Nothing disappears: whoever is on the shelf may answer, or has a reason.
    assert all(one.reason for one in (*found.exclusions, *found.absent))


def sifted(chat, wish):
    task = read_task(chat, 100)
    floor = RANK[wish.tier or wish.floor or "nano"]
    top = RANK[wish.tier or wish.ceiling or "complex"]
    bounds = Bounds((chat.max_tokens or 4_096), chat.max_tokens or 0, 1_000)
    sieve = Sieve(task, wish, (EVERYTHING, EVERYTHING), bounds)
    rows = shelf_of(MARKET, STANDINGS, NOW).rows
    left = {place.offer.id for one in sieve.sift(rows, floor, top) for place in one.places}
    # Each offer of the shelf is left, or is out by itself, or is out with its model.
    out = {name if not offer_id else offer_id for name, offer_id, _ in sieve.ruled_out}
    for row in rows:
        for place in row.places:
            assert (place.offer.id in left) != (place.offer.id in out or row.id in out)
    return left


@settings(max_examples=300, deadline=None)
@given(chats(), wishes(), wishes())
def test_a_narrower_wish_never_lets_through_what_a_wider_one_keeps_out(chat, wish, other):
    other = msgspec.structs.replace(other, mode="auto", tier="")
    try:
        both = merged(other, wish)
    except TollwayError:
        return
    assert sifted(chat, both) <= sifted(chat, wish)
    assert sifted(chat, both) <= sifted(chat, other)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(0, 10**10), st.sampled_from([0, 550, 1_000]))
def test_the_cap_is_exact_to_the_nano(tokens, output, cap, margin):
    place = place_of(MARKET.models["acme/opus"], _only(MARKET.models["acme/opus"]))
    task = msgspec.structs.replace(read_task(ask(), 1), input_tokens=tokens)
    wish = Wish(mode="auto", max_cost_nano=cap)
    sieve = Sieve(task, wish, (EVERYTHING, EVERYTHING), Bounds(output, output, margin), is_named=True)
    row = next(row for row in shelf_of(MARKET, STANDINGS, NOW).rows if row.id == "acme/opus")
    assert bool(sieve.sift([row], 0, 4)) == (worst_nano(place, tokens, output, margin) <= cap)


def _only(model: Model) -> Candidate:
    return Candidate(model.offers[0], model.offers[0].prices[0])


def test_worst_case_is_the_one_that_a_hold_takes():
    from tollway.catalogue.prices import PriceList, PriceTier  # noqa: PLC0415
    from tollway.catalogue.units import CACHE_WRITE_5M, REASONING  # noqa: PLC0415
    from tollway.metering.rating import worst_case  # noqa: PLC0415

    tiers = (PriceTier(200, {INPUT: 90, OUTPUT: 70}),)
    for prices in (
        PriceList("a", 0, {INPUT: 30, OUTPUT: 50, CACHE_WRITE_5M: 40, REASONING: 60}, tiers),
        PriceList("b", 0, {INPUT: 30, OUTPUT: 50, CACHE_WRITE_5M: 40}),
    ):
        own = dataclasses.replace(offer(BETA, "m", 1, 1), prices=(prices,))
        model = Model("m", "m", (own,))
        assert catalogue(model).find("m") is model
        for tokens in (100, 200, 201, 5_000):
            place = place_of(model, Candidate(own, prices))
            assert worst_nano(place, tokens, 77, 1_000) == worst_case(
                prices, 1_000, input_tokens=tokens, output_tokens=77
            )
