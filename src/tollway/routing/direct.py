"""Direct mode: the models that a request names, in its order; their offers as `choice.py` orders them.

The usual case - one model, one offer, no wishes - is decided without building anything. A variant after the name
(`:free`, `:nitro`, `:floor`) is one unless the catalogue has a model of that whole name. A profile's rules hold for named
models too.
"""

from collections.abc import Sequence

import msgspec

from tollway.catalogue.offers import Catalogue, Model
from tollway.request import ChatRequest
from tollway.routing.choice import ordered
from tollway.routing.decision import Decision
from tollway.routing.filters import Bounds, Sieve, exclusion_of, nothing_left, ruled_out_as
from tollway.routing.policy import AllowList, Candidate, route
from tollway.routing.shelf import Row, place_of, row_of
from tollway.routing.standing import Health, Standings
from tollway.routing.task import read_task
from tollway.routing.tiers import RANK, TIERS
from tollway.routing.verdict import Task
from tollway.routing.wish import PLAIN, VARIANTS, Variant, Wish


def decide_direct(
    chat: ChatRequest,
    wish: Wish,
    allowed: tuple[AllowList, AllowList],
    catalogue: Catalogue,
    standings: Standings,
    health: Health,
    now: float,
    input_tokens: int,
    margin_bps: int,
    *,
    default_output: int,
    draw: float,
    sticky: str,
) -> Decision:
    """The offers of the named models. Raises as `decide`."""
    variants = _variants(chat, catalogue)
    asked = chat
    if variants or chat.provider is not None:
        # Preferences are the wish's from here on.
        names = [_plain(name, variants) for name in (chat.model, *chat.models)]
        asked = msgspec.structs.replace(chat, model=names[0], models=tuple(names[1:]), provider=None)
    found = route(asked, allowed[0], catalogue, int(now), allowed[1])
    if len(found.candidates) == 1 and not variants and (wish is PLAIN or wish == PLAIN):
        told = tuple(ruled_out_as(one) for one in found.exclusions)
        return Decision(candidates=found.candidates, ruled_out=told, margin_bps=margin_bps)
    task = read_task(chat, input_tokens)
    bounds = Bounds((chat.max_tokens or default_output) * chat.choices, chat.max_tokens or 0, margin_bps)
    floor, top = RANK[wish.floor or TIERS[0]], RANK[wish.ceiling or TIERS[-1]]
    candidates = list[Candidate]()
    ruled_out = [ruled_out_as(one) for one in found.exclusions]
    for row in _rows(found.candidates, asked, catalogue, standings):
        variant = _variant_of(row.model, variants, catalogue) or wish.variant
        own = wish if variant == wish.variant else msgspec.structs.replace(wish, variant=variant)
        sieve = Sieve(task, own, allowed, bounds, is_named=True)
        for survivor in sieve.sift([row], floor, top):
            # Offers that are out stay: the road asks them last, and one at a time, when nobody else can answer.
            places = ordered(
                list(survivor.places), task, health=health, now=now, draw=draw, sticky=sticky, order=wish.order,
                sort=VARIANTS.get(variant) or wish.sort,
            )  # fmt: skip
            kept = places if wish.fallbacks or wish.order else places[:1]
            candidates += [place.candidate for place in kept]
        ruled_out += sieve.ruled_out
    if not candidates:
        raise nothing_left(chat.model, tuple(map(exclusion_of, ruled_out)), (), task)
    return Decision(
        candidates=tuple(candidates),
        ruled_out=tuple(ruled_out),
        task=task,
        steps=(_line(chat, candidates, task),),
        margin_bps=margin_bps,
        profile=wish.profile,
    )


def _variants(chat: ChatRequest, catalogue: Catalogue) -> dict[str, tuple[str, Variant]]:
    """Name as asked -> (the name without its variant, the variant); only names that have one."""
    found = dict[str, tuple[str, Variant]]()
    for name in (chat.model, *chat.models):
        if ":" in name and name not in catalogue.names:
            plain, _, last = name.rpartition(":")
            if last == "free" or last == "nitro" or last == "floor":  # noqa: PLR1714
                found[name] = plain, last
    return found


def _plain(name: str, variants: dict[str, tuple[str, Variant]]) -> str:
    return variants[name][0] if name in variants else name


def _variant_of(model: Model, variants: dict[str, tuple[str, Variant]], catalogue: Catalogue) -> Variant:
    for plain, variant in variants.values():
        named = catalogue.find(plain)
        if named is not None and named.id == model.id:
            return variant
    return ""


def _rows(candidates: Sequence[Candidate], chat: ChatRequest, catalogue: Catalogue, standings: Standings) -> list[Row]:
    """The candidates by model, in the order asked."""
    by_model = dict[str, list[Candidate]]()
    for one in candidates:
        by_model.setdefault(one.offer.model, []).append(one)
    models = {
        str(model.id): model for name in (chat.model, *chat.models) if (model := catalogue.find(name)) is not None
    }
    return [
        row_of(models[name], standings.standing(name), tuple(place_of(models[name], one) for one in there))
        for name, there in by_model.items()
    ]


def _line(chat: ChatRequest, candidates: Sequence[Candidate], task: Task) -> str:
    first, rest = candidates[0].offer, len(candidates) - 1
    more = f"; {rest} other offer{'s' if rest > 1 else ''} may follow" if rest else ""
    return f"Named: {chat.model}, {task.input_tokens:,} input tokens; {first.provider.name} is asked first{more}."
