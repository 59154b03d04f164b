"""Golden files: bodies of the shapes that providers document, and where their usage is."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from tollway.api.wire import read_chat
from tollway.catalogue.offers import Offer, Provider, ProviderId, UsageSpec, WireSpec
from tollway.catalogue.units import Unit
from tollway.request import ChatRequest

HERE = pathlib.Path(__file__).parent


def usage_spec(paths: Mapping[str, str | Sequence[str]], inside: Sequence[tuple[str, str]] = ()) -> UsageSpec:
    """A spec from dotted paths, as data files write it; a list of paths is the total first, then the unit's own number."""
    pairs = [
        (Unit(unit), tuple(path.split(".")))
        for unit, given in paths.items()
        for path in ([given] if isinstance(given, str) else given)
    ]
    return UsageSpec(tuple(pairs), tuple((Unit(part), Unit(holder)) for part, holder in inside))


OPENAI = usage_spec(
    {
        "input": "usage.prompt_tokens",
        "cache_read": "usage.prompt_tokens_details.cached_tokens",
        "cache_write_5m": "usage.prompt_tokens_details.cache_write_tokens",
        "input_audio": "usage.prompt_tokens_details.audio_tokens",
        "output": "usage.completion_tokens",
        "reasoning": "usage.completion_tokens_details.reasoning_tokens",
        "output_audio": "usage.completion_tokens_details.audio_tokens",
    },
    [
        ("cache_read", "input"),
        ("cache_write_5m", "input"),
        ("input_audio", "input"),
        ("reasoning", "output"),
        ("output_audio", "output"),
    ],
)
ANTHROPIC = usage_spec(
    {
        "input": "usage.input_tokens",
        "cache_read": "usage.cache_read_input_tokens",
        "cache_write_5m": ["usage.cache_creation_input_tokens", "usage.cache_creation.ephemeral_5m_input_tokens"],
        "cache_write_1h": "usage.cache_creation.ephemeral_1h_input_tokens",
        "output": "usage.output_tokens",
        "reasoning": "usage.output_tokens_details.thinking_tokens",
        "web_search": "usage.server_tool_use.web_search_requests",
    },
    [("cache_write_1h", "cache_write_5m"), ("reasoning", "output")],
)
GEMINI = usage_spec(
    {
        "input": "usageMetadata.promptTokenCount",
        "cache_read": "usageMetadata.cachedContentTokenCount",
        "cache_read_audio": "usageMetadata.cacheTokensDetails.AUDIO.tokenCount",
        "input_audio": "usageMetadata.promptTokensDetails.AUDIO.tokenCount",
        "output": "usageMetadata.candidatesTokenCount",
        "output_image": "usageMetadata.candidatesTokensDetails.IMAGE.tokenCount",
        "reasoning": "usageMetadata.thoughtsTokenCount",
    },
    [
        ("cache_read", "input"),
        ("input_audio", "input"),
        ("cache_read_audio", "cache_read"),
        ("cache_read_audio", "input_audio"),
        ("output_image", "output"),
    ],
)


def chat(body: Mapping[str, object]) -> ChatRequest:
    """The request that a client's JSON body asks."""
    return read_chat(json.dumps({"model": "any", **body}).encode(), 64 * 1024 * 1024)


def offer(upstream_id: str, *, max_output_tokens: int = 0, wire: WireSpec | None = None) -> Offer:
    """An offer of a provider with a key, for a model that the provider calls `upstream_id`."""
    wire = wire or WireSpec("test", "https://upstream.test/v1", auth="header", auth_name="x-api-key")
    provider = Provider(ProviderId("acme"), "Acme", wire, is_usable=True, key="key-of-ours")
    return Offer(f"acme/{upstream_id}", "any", provider, upstream_id, max_output_tokens=max_output_tokens)
