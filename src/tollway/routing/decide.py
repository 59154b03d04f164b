"""The decision: read, classify, filter, rank, order; each step adds one line, and nothing is called, awaited or held.

Which tier: the classifier's, which leans up where it is unsure, since an answer that is too weak costs more than a model that
is too strong; never below the conversation's floor, the profile's or the request's; never above the ceiling, which wins over
all. Which models: those up to that tier, best value first, and the tier's reference model last as a safety net. Where an
installation has none of that tier, the strongest that it has within the range answers, and the decision says so.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tollway.catalogue.offers import Catalogue
from tollway.request import ChatRequest
from tollway.routing.chain import Choosing
from tollway.routing.choice import ordered
from tollway.routing.decision import Decision
from tollway.routing.direct import decide_direct
from tollway.routing.filters import Bounds, Sieve, Survivor, exclusion_of, nothing_left
from tollway.routing.policy import AllowList, Candidate, price_of
from tollway.routing.shelf import Shelf, shelf_of
from tollway.routing.standing import Health, Standings
from tollway.routing.task import read_task
from tollway.routing.tiers import RANK, TIERS, Category, Tier, higher, lower, tier_of
from tollway.routing.verdict import Classifier, Task, Verdict
from tollway.routing.wish import Wish

UNSURE_BELOW = 0.55
"""A verdict of the rules that is less confident goes one tier up; the model's tier has that weighed in already."""
OFFERS_MAX = 3
"""Offers of one model in a chain that routing chose; a model that is named is tried everywhere."""
MARGINS_BPS: Mapping[str, int] = {"auto": 1_000, "tier": 800, "direct": 550}
_TOP = len(TIERS) - 1


class Circumstances(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of the moment a decision depends on. default_output: tokens held for an answer of which no bound is named.

    draw: a fresh random number in [0, 1). sticky: id of the offer that answered this conversation last.
    history_floor: the tier that this conversation had, if it is remembered.
    """

    default_output: int = 4_096
    draw: float = 0.0
    sticky: str = ""
    history_floor: str = ""


USUAL = Circumstances()


def decide(
    chat: ChatRequest,
    wish: Wish,
    *,
    key: AllowList,
    plan: AllowList,
    catalogue: Catalogue,
    standings: Standings,
    health: Health,
    classifier: Classifier,
    baseline: str,
    margins_bps: Mapping[str, int] = MARGINS_BPS,
    now: float,
    input_tokens: int,
    circumstances: Circumstances = USUAL,
) -> Decision:
    """The offers that may answer a request, in the order to try them, and why.

    Args:
        chat, wish: what is asked, and what is wished beside it.
        key, plan: whose allow-lists apply, both.
        catalogue, standings, health, classifier: what there is, what it is worth, how it has been, who classifies.
        baseline: the model that savings are measured against.
        margins_bps: basis points by `auto`, `tier`, `direct`.
        now: unix seconds.
        input_tokens: estimate of the whole prompt.

    Raises:
        ModelNotFound, ModelNotPriced, ModelNotAllowed, InvalidField, ContextLengthExceeded, NoHealthyOffer: nothing may
            answer; the error lists the reasons.
    """
    margin = margins_bps.get(wish.mode, MARGINS_BPS[wish.mode])
    if wish.mode == "direct":
        return decide_direct(
            chat, wish, (key, plan), catalogue, standings, health, now, input_tokens, margin,
            default_output=circumstances.default_output, draw=circumstances.draw, sticky=circumstances.sticky,
        )  # fmt: skip
    shelf = shelf_of(catalogue, standings, int(now))
    found = _chosen(chat, wish, (key, plan), shelf, health, classifier, now, input_tokens, margin, circumstances)
    direct_bps = margins_bps.get("direct", MARGINS_BPS["direct"])
    return msgspec.structs.replace(
        found, baseline=_baseline(catalogue, baseline, int(now)), baseline_margin_bps=direct_bps
    )


def _chosen(
    chat: ChatRequest,
    wish: Wish,
    allowed: tuple[AllowList, AllowList],
    shelf: Shelf,
    health: Health,
    classifier: Classifier,
    now: float,
    input_tokens: int,
    margin: int,
    moment: Circumstances,
) -> Decision:
    """The decision where the models are chosen, but for the baseline."""
    task = read_task(chat, input_tokens, moment.history_floor)
    steps = [_read_line(task)]
    verdict = classifier.classify(task)
    if wish.tier:
        verdict = Verdict(verdict.category, wish.tier, 1.0, "tier", verdict.features)
    tier, floor = _tier(task, wish, verdict, steps)
    top = RANK[wish.tier or wish.ceiling or TIERS[_TOP]]
    bounds = Bounds((chat.max_tokens or moment.default_output) * chat.choices, chat.max_tokens or 0, margin)
    sieve = Sieve(task, wish, allowed, bounds)
    survivors = sieve.sift(shelf.rows, RANK[floor], top)
    steps.append(_filter_line(shelf, survivors))
    found = Choosing(task, wish, verdict.category, shelf, survivors, health, now)
    chain = [*found.chain(RANK[tier], steps), *found.named(chat.models, shelf.catalogue)]
    ruled_out = (*sieve.ruled_out, *found.ruled_out)
    if not chain:
        raise nothing_left(chat.model, tuple(map(exclusion_of, ruled_out)), shelf.absent, task)
    candidates = _candidates(chain, wish, task, health, now, moment, steps)
    return Decision(
        candidates=candidates,
        ruled_out=ruled_out,
        absent=shelf.absent,
        task=task,
        verdict=verdict,
        tier=tier,
        ranked=found.considered(),
        steps=tuple(steps),
        reference="" if found.reference is None else found.reference.id,
        counterfactuals=found.counterfactuals(RANK[tier], margin),
        margin_kind=wish.mode,
        margin_bps=margin,
        profile=wish.profile,
    )


def _read_line(task: Task) -> str:
    what = [f"{task.input_tokens:,} input tokens"]
    if task.turns > 1:
        what.append(f"{task.turns} turns")
    if task.tools:
        what.append(f"{task.tools} tool{'s' if task.tools > 1 else ''}")
    if task.needs:
        what.append("needs " + ", ".join(sorted(task.needs)))
    if task.scripts != ("latin",):
        what.append("written in " + " and ".join(task.scripts))
    return f"Read: {', '.join(what)}; about {task.output_tokens:,} tokens of answer are expected."


def _tier(task: Task, wish: Wish, verdict: Verdict, steps: list[str]) -> tuple[Tier, Tier]:
    """(the tier to serve, the least tier of a model)."""
    if wish.tier:
        steps.append(f"Classify: the tier {wish.tier} was asked for; the task looks like {_said(verdict.category)}.")
        return wish.tier, wish.tier
    tier = verdict.tier
    line = f"Classify: {_said(verdict.category)}, {tier}, confidence {verdict.confidence:.2f} by {verdict.method}"
    if verdict.method == "rules" and verdict.confidence < UNSURE_BELOW and RANK[tier] < _TOP:
        tier = TIERS[RANK[tier] + 1]
        line += f"; that is unsure, so one tier up, {tier}"
    history = tier_of(task.history_floor)
    if history is not None and RANK[history] > RANK[tier]:
        tier = history
        line += f"; the conversation so far needs {tier}"
    floor = _floor(task, wish, verdict.category)
    if RANK[floor] > RANK[tier]:
        tier = floor
        line += f"; the floor raises it to {tier}"
    if wish.ceiling and RANK[tier] > RANK[wish.ceiling]:
        tier = wish.ceiling
        line += f"; the ceiling lowers it to {tier}"
    steps.append(f"{line}.")
    return tier, floor


def _floor(task: Task, wish: Wish, category: Category) -> Tier:
    """The least tier of a model: the higher of the tier floor and the quality floor, at most the ceiling."""
    looks_like_code = category in {"coding", "debugging"} or task.markers.get("code", 0.0) > 0.5
    level = wish.code_quality if looks_like_code else wish.chat_quality
    quality: Tier = TIERS[(0, 3, 4)[level]] if looks_like_code else TIERS[(0, 2, 3)[level]]
    floor = higher(wish.floor or TIERS[0], quality)
    return lower(floor, wish.ceiling) if wish.ceiling else floor


def _said(category: Category) -> str:
    return category.replace("_", " ")


def _filter_line(shelf: Shelf, survivors: Sequence[Survivor]) -> str:
    out = len(shelf.rows) - len(survivors)
    were = "was" if out == 1 else "were"
    return f"Filter: {len(survivors)} of {len(shelf.rows)} models may answer; {out} {were} ruled out."


def _candidates(
    chain: Sequence[Survivor],
    wish: Wish,
    task: Task,
    health: Health,
    now: float,
    moment: Circumstances,
    steps: list[str],
) -> tuple[Candidate, ...]:
    found = list[Candidate]()
    for one in chain:
        places = ordered(
            one.places, task, health=health, now=now, draw=moment.draw, sticky=moment.sticky, order=wish.order, sort=wish.sort
        )  # fmt: skip
        found += [place.candidate for place in places[:OFFERS_MAX]]
    if not wish.fallbacks:
        del found[1:]
    steps.append(_order_line(found))
    return tuple(found)


def _order_line(found: Sequence[Candidate]) -> str:
    first = found[0].offer
    models = list(dict.fromkeys(one.offer.model for one in found))
    then = f"; then {', '.join(models[1:])}" if models[1:] else "; nothing follows"
    return f"Order: {first.model} at {first.provider.name} first{then}."


def _baseline(catalogue: Catalogue, name: str, now: int) -> Candidate | None:
    """The baseline model at its cheapest offer, whether it can be called here or not."""
    model = catalogue.find(name)
    if model is None:
        return None
    priced = [Candidate(offer, prices) for offer in model.offers if (prices := offer.price_list(now)) is not None]
    return min(priced, key=price_of, default=None)
