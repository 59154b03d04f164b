"""Requests, models and prices for these tests; nano-USD of whole numbers, so that every sum can be done by hand."""

from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.learning.traffic import Request
from tollway.routing.standing import Standing
from tollway.routing.tiers import CATEGORIES, RANK

ACME = Provider("acme", "Acme", WireSpec("openai", "https://acme.test/v1"), is_usable=True)
BETA = Provider("beta", "Beta", WireSpec("openai", "https://beta.test/v1"), is_usable=True)
DARK = Provider("dark", "Dark", WireSpec("openai", "https://dark.test/v1"))


def prices(offer_id: str, into: int, out: int, since: int = 0, **more: int) -> PriceList:
    """Pico-USD per token."""
    return PriceList(f"{offer_id}@{since}", since, {INPUT: into, OUTPUT: out, **more})


def offer(model: str, *lists: tuple[int, ...], at: Provider = ACME, region: str = "") -> Offer:
    """Each list: input, output, and from when."""
    name = f"{at.id}/{model}"
    return Offer(name, model, at, model, prices=tuple(prices(name, *one) for one in lists), region=region)


def model(name: str, *offers: Offer, **facts: object) -> Model:
    return Model(name, name, offers, **facts)


SMALL = model("small", offer("small", (1_000, 2_000)), aliases=("tiny",))
LARGE = model("large", offer("large", (10_000, 50_000)), offer("large", (9_000, 50_000), at=BETA, region="eu"))
GIANT = model("giant", offer("giant", (90_000, 90_000)))
LATER = model("later", offer("later", (5_000, 5_000, 1_000), (1_000, 1_000, 2_000)))
AWAY = model("away", offer("away", (1, 1), at=DARK))
TALK = model("talk", offer("talk", (1, 1)), output_modalities=("audio",))


def catalogue(*models: Model) -> Catalogue:
    by_id = {one.id: one for one in models}
    return Catalogue(by_id, by_id | {alias: one for one in models for alias in one.aliases}, {})


class Standings:
    """Tiers by model."""

    def __init__(self, **tiers: str) -> None:
        self._tiers = tiers

    def standing(self, model_id: str) -> Standing | None:
        tier = self._tiers.get(model_id)
        quality = None if tier is None else (RANK[tier] + 1) / len(RANK)
        return None if tier is None else Standing(tier, dict.fromkeys(CATEGORIES, quality))


STANDINGS = Standings(small="simple", large="standard", giant="complex", away="nano", talk="nano")


def request(number: int = 1, **facts: object) -> Request:
    """1,000 in and 100 out, to `large` by name."""
    fields = {
        "id": f"r{number}", "workspace_id": "w", "at": 1_500, "model_asked": "large", "model": "large", "offer_id": "acme/large",
        "tier": "", "price_list_id": "acme/large@0", "margin_bps": 1_000, "charge_nano": 16_500,
        "counts": {INPUT: 1_000, OUTPUT: 100}, "cost_pico": 15_000_000,
    }  # fmt: skip
    return Request(**{**fields, **facts})


def by_tier(tier: str, number: int = 1, **facts: object) -> Request:
    return request(number, **{"model_asked": "auto", "tier": tier, **facts})
