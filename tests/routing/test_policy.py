"""Which offers may answer, in which order, and what a caller is told when none may."""

import timeit

import pytest

from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import InvalidField, ModelNotAllowed, ModelNotFound, ModelNotPriced
from tollway.request import ChatRequest, Message, ProviderPreferences
from tollway.routing.nearest import nearest
from tollway.routing.policy import Candidate, Exclusion, Obstacle, Route, route
from tollway.workspaces.key import Key

NOW = 1_790_000_000
KEY = Key("key_1", "ws_1", "org_1", "test", "tw_test")
SECRET_NAME = "ACME_API_KEY"


def provider(name, *, usable=True):
    wire = WireSpec("openai", f"https://{name}.test/v1", secret=SECRET_NAME)
    return Provider(name, name.title(), wire, is_usable=usable)


ACME, BETA, CORE, DARK = provider("acme"), provider("beta"), provider("core"), provider("dark", usable=False)


def priced(offer_id, dollars_in, dollars_out, since=0):
    return PriceList(f"{offer_id}@{since}", since, {INPUT: dollars_in * 1_000_000, OUTPUT: dollars_out * 1_000_000})


def offer(where, model, price=(1, 2), since=0):
    offer_id = f"{where.id}/{model}"
    return Offer(offer_id, model, where, model, prices=() if price is None else (priced(offer_id, *price, since),))


def catalogue(*models):
    by_id = {model.id: model for model in models}
    names = dict(by_id) | {alias: model for model in models for alias in model.aliases}
    return Catalogue(by_id, names, {})


def model(name, *offers, aliases=()):
    return Model(name, name, offers, aliases=aliases)


ONE = model("m/one", offer(ACME, "m/one"), aliases=("one",))
MANY = model(
    "m/many",
    offer(ACME, "m/many", (3, 15)),
    offer(BETA, "m/many", (1, 4)),
    offer(CORE, "m/many", (2, 10)),
    offer(DARK, "m/many", (0, 0)),
)
UNPRICED = model("m/unpriced", offer(ACME, "m/unpriced", None))
FUTURE = model("m/future", offer(ACME, "m/future", (1, 1), NOW + 1))
UNREACHABLE = model("m/unreachable", offer(DARK, "m/unreachable"))
EMPTY = model("m/empty")
ALL = catalogue(ONE, MANY, UNPRICED, FUTURE, UNREACHABLE, EMPTY)


def ask(name, *models, **provider_preferences):
    wanted = ProviderPreferences(**provider_preferences) if provider_preferences else None
    return ChatRequest(name, (Message("user", "hi"),), {}, models=models, provider=wanted)


def offers(found):
    return [one.offer.id for one in found.candidates]


def test_one_offer_is_the_route():
    only = ONE.offers[0]
    assert route(ask("m/one"), KEY, ALL, NOW) == Route((Candidate(only, only.prices[0]),))
    assert offers(route(ask("one"), KEY, ALL, NOW)) == ["acme/m/one"]


def test_cheapest_first_and_the_reason_of_what_is_out():
    found = route(ask("m/many"), KEY, ALL, NOW)
    assert offers(found) == ["beta/m/many", "core/m/many", "acme/m/many"]
    assert found.exclusions == (
        Exclusion("m/many", "dark/m/many", Obstacle.NO_CREDENTIAL, "the operator has no key for Dark"),
    )


def test_the_price_in_force_is_pinned():
    old, new = priced("acme/p", 1, 1), priced("acme/p", 9, 9, NOW)
    both = Offer("acme/p", "p", ACME, "p", prices=(old, new))
    there = catalogue(model("p", both))
    assert route(ask("p"), KEY, there, NOW - 1).candidates[0].prices is old
    assert route(ask("p"), KEY, there, NOW).candidates[0].prices is new


def test_fallback_models_follow_in_order_and_once():
    found = route(ask("m/one", "m/many", "one", "m/one"), KEY, ALL, NOW)
    assert offers(found) == ["acme/m/one", "beta/m/many", "core/m/many", "acme/m/many"]


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ({"sort": "price"}, ["beta", "core", "acme"]),
        ({"order": ("acme",)}, ["acme", "beta", "core"]),
        ({"order": ("core", "acme")}, ["core", "acme", "beta"]),
        ({"order": ("CORE", "nobody")}, ["core", "beta", "acme"]),
        ({"order": ("core", "acme"), "allow_fallbacks": False}, ["core", "acme"]),
        ({"allow_fallbacks": False}, ["beta"]),
        ({"only": ("acme", "core")}, ["core", "acme"]),
        ({"ignore": ("Beta",)}, ["core", "acme"]),
        ({"only": ("acme", "core"), "ignore": ("core",), "order": ("acme",)}, ["acme"]),
    ],
)
def test_provider_preferences(preferences, expected):
    found = route(ask("m/many", **preferences), KEY, ALL, NOW)
    assert [one.offer.provider.id for one in found.candidates] == expected
    # Whatever is not a candidate has its reason: nothing disappears.
    assert {one.offer_id for one in found.exclusions} | set(offers(found)) == {one.id for one in MANY.offers}


def test_preferences_that_leave_nothing():
    with pytest.raises(InvalidField) as refused:
        route(ask("m/many", only=("nobody",)), KEY, ALL, NOW)
    assert refused.value.param == "provider"
    assert "Beta is not in `provider.only`" in refused.value.message
    assert len(refused.value.details["excluded"]) == 4


def test_unknown_model_with_the_nearest_names():
    with pytest.raises(ModelNotFound) as refused:
        route(ask("m/mny"), KEY, ALL, NOW)
    assert refused.value.status == 400
    assert refused.value.param == "model"
    assert refused.value.details["nearest"][0] == "m/many"
    assert "did you mean `m/many`" in refused.value.message


def test_what_can_be_called_is_suggested_first():
    there = catalogue(model("m/tuna", offer(DARK, "m/tuna")), model("m/tunas", offer(ACME, "m/tunas")), model("m/tun"))
    assert nearest(there, "m/tuna") == ["m/tunas", "m/tuna", "m/tun"]


def test_a_name_like_nothing():
    with pytest.raises(ModelNotFound) as refused:
        route(ask("zzzzzzzz"), KEY, ALL, NOW)
    assert refused.value.details["nearest"] == []
    assert "`GET /v1/models`" in refused.value.message


def test_unpriced_is_refused_never_free():
    for name in ("m/unpriced", "m/future"):
        with pytest.raises(ModelNotPriced) as refused:
            route(ask(name), KEY, ALL, NOW)
        assert "has no price at Acme" in refused.value.message
    # ... and left out where something else may answer.
    found = route(ask("m/unpriced", "m/one"), KEY, ALL, NOW)
    assert offers(found) == ["acme/m/one"]
    assert [one.obstacle for one in found.exclusions] == [Obstacle.UNPRICED]


def test_no_credential_says_so_without_the_name_of_the_variable():
    with pytest.raises(ModelNotFound) as refused:
        route(ask("m/unreachable"), KEY, ALL, NOW)
    assert "the operator has no key for Dark" in refused.value.message
    assert SECRET_NAME not in str(refused.value.body())


def test_an_unpriced_offer_beside_one_without_credential_is_the_operators_price():
    mixed = model("x", offer(DARK, "x"), offer(ACME, "x", None))
    with pytest.raises(ModelNotPriced):
        route(ask("x"), KEY, catalogue(mixed), NOW)


def test_a_model_without_offers():
    with pytest.raises(ModelNotFound):
        route(ask("m/empty"), KEY, ALL, NOW)


def test_allow_list():
    by_id = Key("k", "w", "o", "n", "tw_test", allowed_models=frozenset({"m/one"}))
    by_alias = Key("k", "w", "o", "n", "tw_test", allowed_models=frozenset({"one"}))
    nothing = Key("k", "w", "o", "n", "tw_test", allowed_models=frozenset())
    for key in (by_id, by_alias):
        for name in ("m/one", "one"):
            assert offers(route(ask(name), key, ALL, NOW)) == ["acme/m/one"]
        with pytest.raises(ModelNotAllowed) as refused:
            route(ask("m/many"), key, ALL, NOW)
        assert refused.value.status == 403
    with pytest.raises(ModelNotAllowed):
        route(ask("m/one"), nothing, ALL, NOW)
    found = route(ask("m/many", "m/one"), by_id, ALL, NOW)
    assert offers(found) == ["acme/m/one"]
    assert [one.obstacle for one in found.exclusions] == [Obstacle.NOT_ALLOWED]


def test_the_error_is_about_the_name_asked_first():
    with pytest.raises(ModelNotFound):
        route(ask("nobody/knows", "m/unpriced"), KEY, ALL, NOW)
    with pytest.raises(ModelNotPriced) as refused:
        route(ask("m/unpriced", "nobody/knows"), KEY, ALL, NOW)
    assert len(refused.value.details["excluded"]) == 2


def test_nearest_is_quick_on_a_real_catalogue():
    from genai_prices.data import providers

    names = {f"{one.id}/{it.id}" for one in providers for it in one.models}
    full = catalogue(*[model(name) for name in sorted(names)])
    assert nearest(full, "openai/gpt5")[0] == "openai/gpt-5"
    assert "anthropic/claude-sonnet-4-0" in nearest(full, "claude-sonet-4-0", 5)
    assert nearest(full, "x" * 5000) == []
    slow = min(timeit.repeat(lambda: nearest(full, "anthropic/claude-3-5-sonnet-20241022-v2-eu"), number=1, repeat=5))
    assert slow < 0.02  # a tenth of that in practice; comparing with every name takes 70 ms
