"""What a caller is told beside the answer: the usage object of the OpenAI shape and the `tollway` object (contract.md)."""

from collections.abc import Mapping

import msgspec

from tollway.gateway.passage import Passage
from tollway.jsontypes import JSON
from tollway.metering.usage import Usage
from tollway.money.amount import format_usd

_encode = msgspec.json.encode
_PROVIDER_ONLY = ("cost", "cost_details", "is_byok", "cost_in_usd_ticks", "estimated_cost")
"""What a provider says about its own price; a customer never sees provider cost."""


class Extension(msgspec.Struct):
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
    savings_pct: float | None = None
    baseline_model: str | None = None
    tools_used: list[str] = []
    conversation_id: str | None = None


def extension(passage: Passage) -> bytes:
    """The `tollway` object, as JSON."""
    charge, usage = passage.charge, passage.usage
    return _encode(
        Extension(
            generation_id=passage.id,
            model=passage.candidate.offer.model,
            provider=passage.candidate.offer.provider.id,
            cost_usd=format_usd(0 if charge is None else charge.charge),
            margin_bps=passage.caller.margin_bps,
            usage_source="" if usage is None else usage.source,
            fallback_used=passage.is_fallback,
            warnings=[*passage.warnings, *(() if usage is None else usage.warnings)],
        )
    )


def usage_object(passage: Passage, theirs: bytes = b"") -> bytes:
    """The usage object with `cost`, an exact JSON number of USD: the provider's own one where there is one, else ours.

    theirs: the provider's usage object of the OpenAI shape, b"" if it speaks another or gave none.
    """
    cost = format_usd(0 if passage.charge is None else passage.charge.charge).encode()
    if len(theirs) > 2:
        if b'cost"' not in theirs and b"is_byok" not in theirs:
            return theirs.rstrip()[:-1] + b',"cost":' + cost + b"}"
        kept: dict[str, JSON | msgspec.Raw] = msgspec.json.decode(theirs, type=dict[str, msgspec.Raw])
        for name in _PROVIDER_ONLY:
            kept.pop(name, None)
        return _encode({**kept, "cost": msgspec.Raw(cost)})
    usage = passage.usage
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
