"""A small market for the routing tests: models of every tier with round prices, at providers that are up."""

from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.request import ChatRequest, Message
from tollway.routing.decide import Circumstances, decide
from tollway.routing.rules import RulesClassifier
from tollway.routing.standing import AllWell, OfferHealth, Standing
from tollway.routing.tiers import CATEGORIES
from tollway.routing.wish import Wish

NOW = 1_790_000_000
BASELINE = "acme/opus"
ALL = ("tools", "json_schema", "vision")


def provider(name: str, *, usable: bool = True) -> Provider:
    wire = WireSpec("openai", f"https://{name}.test/v1", secret=f"{name.upper()}_API_KEY")
    return Provider(name, name.title(), wire, is_usable=usable)


ACME, BETA, CORE, DARK = provider("acme"), provider("beta"), provider("core"), provider("dark", usable=False)


def offer(where: Provider, model: str, dollars_in: float, dollars_out: float, **facts: object) -> Offer:
    """Dollars per million tokens."""
    offer_id = f"{where.id}/{model}"
    prices = {INPUT: round(dollars_in * 1_000_000), OUTPUT: round(dollars_out * 1_000_000)}
    facts = {"context_tokens": 200_000, "max_output_tokens": 32_000, **facts}
    return Offer(offer_id, model, where, model, prices=(PriceList(f"{offer_id}@0", 0, prices),), **facts)


def model(name: str, *offers: Offer, can: tuple[str, ...] = ALL, **facts: object) -> Model:
    return Model(name, name, offers, capabilities=can, **facts)


def catalogue(*models: Model) -> Catalogue:
    by_id = {one.id: one for one in models}
    names = dict(by_id) | {alias: one for one in models for alias in one.aliases}
    return Catalogue(by_id, names, {})


def standing(tier: str, quality: float, tool_calling: float | None = 0.8, **more: float) -> Standing:
    return Standing(tier, dict.fromkeys(CATEGORIES, quality) | more, tool_calling)


class Table(dict[str, Standing]):
    """Standings by id."""

    def standing(self, model_id: str) -> Standing | None:
        return self.get(model_id)


class Reports(dict[str, OfferHealth]):
    """Health by offer id."""

    def of(self, offer_id: str, now: float) -> OfferHealth:
        del now
        return self.get(offer_id, OfferHealth())


MARKET = catalogue(
    model("acme/tiny", offer(ACME, "acme/tiny", 0.05, 0.2), can=("tools",)),
    model("beta/flash", offer(BETA, "beta/flash", 0.1, 0.4), offer(CORE, "beta/flash", 0.2, 0.8), aliases=("flash",)),
    model("core/light", offer(CORE, "core/light", 0.3, 1.2)),
    model("acme/haiku", offer(ACME, "acme/haiku", 1, 5)),
    model("acme/sonnet", offer(ACME, "acme/sonnet", 3, 15), offer(BETA, "acme/sonnet", 3, 15, region="eu")),
    model("core/reason", offer(CORE, "core/reason", 0.6, 2.4), can=("tools",)),
    model("acme/opus", offer(ACME, "acme/opus", 5, 25), aliases=("opus",)),
    model("beta/pro", offer(BETA, "beta/pro", 4, 18)),
    model("beta/unheard-of", offer(BETA, "beta/unheard-of", 0.01, 0.01)),
    model("dark/matter", offer(DARK, "dark/matter", 0.01, 0.01)),
    Model("beta/embed", "Embed", (offer(BETA, "beta/embed", 0.01, 0.01),), output_modalities=("embedding",)),
)
STANDINGS = Table({
    "acme/tiny": standing("nano", 0.55, 0.4),
    "beta/flash": standing("simple", 0.68, 0.6),
    "core/light": standing("light", 0.74, None),
    "acme/haiku": standing("light", 0.78, 0.75),
    "acme/sonnet": standing("standard", 0.86, 0.9, coding=0.93, debugging=0.93),
    "core/reason": standing("standard", 0.84, 0.7, math=0.95, proof=0.95, reasoning=0.94),
    "acme/opus": standing("complex", 0.93, 0.92),
    "beta/pro": standing("complex", 0.91, 0.88),
    "dark/matter": standing("complex", 0.99),
    "beta/embed": standing("complex", 0.99),
})  # fmt: skip


class Allowing:
    """The allow-list of a key or plan."""

    def __init__(self, *names: str) -> None:
        self.allowed_models = frozenset(names) if names else None


EVERYTHING = Allowing()


def ask(prompt: str | None = "What time is it in Tokyo?", model: str = "auto", *, messages=(), **more) -> ChatRequest:
    given = tuple(messages) or (Message("user", prompt),)
    fields = more.pop("fields", {})
    return ChatRequest(model, given, fields, **more)


def decided(chat: ChatRequest, wish: Wish | None = None, **more):
    """`decide` in this market; `draw`, `sticky` and the like go to the circumstances."""
    moment = {name: more.pop(name) for name in Circumstances.__struct_fields__ if name in more}
    settings = {
        "key": EVERYTHING, "plan": EVERYTHING, "catalogue": MARKET, "standings": STANDINGS, "health": AllWell(),
        "classifier": RulesClassifier(), "baseline": BASELINE, "now": NOW, "input_tokens": 100,
    }  # fmt: skip
    settings |= more
    return decide(chat, wish or Wish(mode="auto"), circumstances=Circumstances(**moment), **settings)


def offers(decision) -> list[str]:
    return [one.offer.id for one in decision.candidates]


def models(decision) -> list[str]:
    return list(dict.fromkeys(one.offer.model for one in decision.candidates))
