"""Pipeline step 5, order: which offer of one model is tried first, and which follow.

Offers that have been well share the load by price: one is drawn with the weight 1 / price^2, the others follow by price. One
that failed within the last 30 seconds goes last. A sort, or an order of providers, switches the drawing off; an offer
that already has this conversation in its cache goes first, unless providers are ordered.
"""

from collections.abc import Sequence

from tollway.routing.shelf import Place
from tollway.routing.standing import Health, OfferHealth
from tollway.routing.verdict import Task
from tollway.routing.wish import Sort

SHAKY_S = 30.0
"""Seconds after a failure during which an offer goes last."""


def ordered(
    places: Sequence[Place],
    task: Task,
    *,
    health: Health,
    now: float,
    draw: float = 0.0,
    sticky: str = "",
    order: Sequence[str] = (),
    sort: Sort = "",
) -> list[Place]:
    """The offers of one model in the order to try them; the same for the same arguments.

    Args:
        places: the offers that may answer.
        task: what is asked; prices are compared by what it costs.
        health, now: how the offers have been, as of `now` in unix seconds.
        draw: a fresh random number in [0, 1); 0 draws the cheapest.
        sticky: id of the offer that answered this conversation last; "" none.
        order: providers to try first, in lower case. sort: instead of drawing.
    """
    if len(places) == 1:
        return list(places)
    known = {place.offer.id: health.of(place.offer.id, now) for place in places}
    cost = {place.offer.id: place.cost_pico(task.input_tokens, task.output_tokens) for place in places}
    by_price = sorted(places, key=lambda place: (cost[place.offer.id], place.offer.id))
    steady = [place for place in by_price if not _is_shaky(known[place.offer.id], now)]
    shaky = [place for place in by_price if _is_shaky(known[place.offer.id], now)]
    if sort in {"latency", "throughput"}:
        steady.sort(key=lambda place: _pace(known[place.offer.id], sort))
    elif not sort and not order:
        drawn = _drawn([cost[place.offer.id] for place in steady], draw)
        if drawn:
            steady.insert(0, steady.pop(drawn))
    found = steady + shaky
    if order:
        ranks = {provider: rank for rank, provider in enumerate(order)}
        found.sort(key=lambda place: ranks.get(place.provider, len(ranks)))
    elif sticky:
        # Stable: whatever is not the sticky offer keeps its place.
        found.sort(key=lambda place: place.offer.id != sticky or place in shaky)
    return found


def _is_shaky(health: OfferHealth, now: float) -> bool:
    return health.failed_at > 0 and now - health.failed_at < SHAKY_S


def _pace(health: OfferHealth, sort: Sort) -> tuple[bool, float]:
    """The faster the smaller; what has not been measured comes after what has."""
    if sort == "throughput":
        return not health.tokens_per_s, -health.tokens_per_s
    seen = health.p50_ms or health.latency_ms
    return not seen, seen


def _drawn(costs: Sequence[int], draw: float) -> int:
    """The place that is drawn among costs in ascending order, with the weight 1 / cost^2. A free one is always it."""
    if len(costs) < 2 or not costs[0]:
        return 0
    cheapest = costs[0]
    weights = [(cheapest / cost) ** 2 for cost in costs]
    left = draw * sum(weights)
    for at, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return at
    return 0
