"""The part of a receipt that tells how a model was chosen: kept with the request, so that the choice can be asked about later."""

from tollway.gateway.passage import Passage
from tollway.jsontypes import JSON, JSONObject
from tollway.money.amount import format_usd
from tollway.routing.decision import Decision

CONSIDERED_MAX = 12
EXCLUDED_MAX = 20


def chosen(decision: Decision, passage: Passage) -> JSONObject:
    """A decision as JSON. Costs are expected ones before margin, exact decimal USD; quality is predicted, 0 to 1.

    The first models considered and ruled out are told, and how many there were. savings_pct: a decimal number as text, of
    this request's own tokens; null before there are any.
    """
    verdict, excluded = decision.verdict, decision.exclusions
    saved = None
    if passage.usage is not None and passage.charge is not None:
        saved = decision.savings_pct(passage.usage.counts, passage.candidate)
    candidates: list[JSON] = [one.offer.id for one in decision.candidates]
    considered: list[JSON] = [
        {
            "model": one.model,
            "offer": one.offer,
            "quality": round(one.quality, 4),
            "cost_usd": format_usd(one.cost_nano),
            "place": one.place,
        }
        for one in decision.ranked[:CONSIDERED_MAX]
    ]
    return {
        "method": "direct" if verdict is None else verdict.method,
        "tier": decision.tier or None,
        "category": None if verdict is None else verdict.category,
        "confidence": None if verdict is None else round(verdict.confidence, 3),
        "features": [] if verdict is None else [[name, round(weight, 3)] for name, weight in verdict.features],
        "profile": decision.profile or None,
        "steps": list[JSON](decision.steps),
        "candidates": candidates,
        "considered": considered,
        "considered_count": len(decision.ranked),
        "excluded": [{"model": one.name, "reason": one.reason} for one in excluded[:EXCLUDED_MAX]],
        "excluded_count": len(excluded),
        "alternatives": [
            {"tier": one.tier, "model": one.model, "cost_usd": format_usd(one.cost_nano)}
            for one in decision.counterfactuals
        ],
        "baseline_model": decision.baseline_model,
        "savings_pct": saved,
    }
