"""What a caller is told beside the answer: the usage object of the OpenAI shape and the `tollway` object (contract.md)."""

from collections.abc import Mapping

import msgspec

from tollway.gateway.passage import Passage
from tollway.jsontypes import JSON
from tollway.metering.usage import Usage, UsageSource
from tollway.money.amount import format_usd
from tollway.routing.decision import Decision

_encode = msgspec.json.encode
_PROVIDER_ONLY = ("cost", "cost_details", "is_byok", "cost_in_usd_ticks", "estimated_cost")
"""What a provider says about its own price; a customer never sees provider cost."""


class Extension(msgspec.Struct, gc=False):
    """The `tollway` object of every chat answer; fields without meaning for a direct model are null."""

    generation_id: str
    model: str
    provider: str
    cost_usd: str
    margin_bps: int
    usage_source: str
    fallback_used: bool
    warnings: list[str]
    method: str = "direct"
    tier: str | None = None
    profile: str | None = None
    confidence: float | None = None
    savings_pct: msgspec.Raw | None = None
    baseline_model: str | None = None
    tools_used: list[str] = []
    conversation_id: str | None = None


def told(passage: Passage, theirs: bytes = b"") -> tuple[bytes, bytes]:
    """What is said beside a good answer, as JSON: its usage object, and the `tollway` object.

    theirs: the provider's usage object of the OpenAI shape, b"" if it speaks another or gave none.
    """
    cost_usd = _cost_usd(passage)
    return _usage_object(passage, theirs, cost_usd.encode()), _extension(passage, cost_usd)


def extension(passage: Passage) -> bytes:
    """The `tollway` object, as JSON."""
    return _extension(passage, _cost_usd(passage))


def _cost_usd(passage: Passage) -> str:
    charge = passage.charge
    return "0" if charge is None else format_usd(charge.charge)


def _extension(passage: Passage, cost_usd: str) -> bytes:
    usage, offer, warnings = passage.usage, passage.candidate.offer, passage.warnings
    if usage is not None and usage.warnings:
        warnings = [*warnings, *usage.warnings]
    told = Extension(
        passage.id,
        offer.model,
        offer.provider.id,
        cost_usd,
        passage.caller.margin_bps,
        "" if usage is None else usage.source,
        passage.is_fallback,
        warnings,
    )
    if passage.decision is not None:
        _explain(told, passage, passage.decision)
    return _encode(told)


def _explain(told: Extension, passage: Passage, decision: Decision) -> None:
    """How the model was chosen, where it was not simply named."""
    told.profile = decision.profile or None
    verdict = decision.verdict
    if verdict is None:
        return
    told.method, told.confidence, told.tier = verdict.method, round(verdict.confidence, 3), decision.tier or None
    told.baseline_model = decision.baseline_model
    if passage.usage is not None and passage.charge is not None:
        saved = decision.savings_pct(passage.usage.counts, passage.candidate)
        told.savings_pct = None if saved is None else msgspec.Raw(saved.encode())


def _usage_object(passage: Passage, theirs: bytes, cost: bytes) -> bytes:
    """The usage object with `cost`, an exact JSON number of USD: the provider's own one where there is one, else ours."""
    usage = passage.usage
    # What was not billed is not told: a report that could not be used, or was corrected, gives way to our own.
    if len(theirs) > 2 and (usage is None or (usage.source is UsageSource.PROVIDER and not usage.warnings)):
        if b'cost"' not in theirs and b"is_byok" not in theirs:
            return b"".join((theirs.rstrip()[:-1], b',"cost":', cost, b"}"))
        kept = msgspec.json.decode(theirs, type=dict[str, msgspec.Raw])
        for name in _PROVIDER_ONLY:
            kept.pop(name, None)
        return _encode({**kept, "cost": msgspec.Raw(cost)})
    return b"{}" if usage is None else _encode({**openai_usage(usage), "cost": msgspec.Raw(cost)})


def openai_usage(usage: Usage) -> Mapping[str, JSON]:
    """Usage in the OpenAI shape: totals with the parts inside them."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }
