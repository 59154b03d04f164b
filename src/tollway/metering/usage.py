"""Usage: disjoint, non-negative counts of billable units that add up to the provider's own totals.

The one canonical record that every dialect's reply becomes, whole or streamed (pains C-1). Absent is not zero: a reply
without usage is `None` until it is counted by ourselves, and the source says so (money.md R8d).
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from tollway.catalogue.units import (
    CACHE_READ,
    CACHE_READ_AUDIO,
    CACHE_READ_IMAGE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT_UNITS,
    OUTPUT_AUDIO,
    OUTPUT_UNITS,
    REASONING,
    Unit,
)


class UsageSource(StrEnum):
    """Who counted (money.md R8)."""

    PROVIDER = "provider"
    PROVIDER_PARTIAL = "provider_partial"
    """The provider's input count, our own count of what was delivered."""
    TOKENIZER = "tokenizer"
    HEURISTIC = "heuristic"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """counts: unit -> how many, disjoint; an absent unit is zero. warnings: what did not add up, for the receipt."""

    counts: Mapping[Unit, int]
    source: UsageSource = UsageSource.PROVIDER
    warnings: tuple[str, ...] = ()

    def tokens(self) -> tuple[int, int]:
        """(all input tokens, all output tokens), in one pass: this runs on every request."""
        inputs = outputs = 0
        for unit, count in self.counts.items():
            if unit in _INPUT:
                inputs += count
            elif unit in _OUTPUT:
                outputs += count
        return inputs, outputs

    @property
    def input_tokens(self) -> int:
        """All input tokens, cached or not."""
        return self.tokens()[0]

    @property
    def output_tokens(self) -> int:
        """All output tokens, thinking included."""
        return self.tokens()[1]

    @property
    def cached_tokens(self) -> int:
        """Input tokens read from a cache."""
        counts = self.counts
        return counts.get(CACHE_READ, 0) + counts.get(CACHE_READ_AUDIO, 0) + counts.get(CACHE_READ_IMAGE, 0)

    @property
    def cache_write_tokens(self) -> int:
        """Input tokens written to a cache."""
        return self.counts.get(CACHE_WRITE_5M, 0) + self.counts.get(CACHE_WRITE_1H, 0)

    @property
    def reasoning_tokens(self) -> int:
        """Output tokens spent on thinking."""
        return self.counts.get(REASONING, 0)

    @property
    def output_audio_tokens(self) -> int:
        """Audio output tokens."""
        return self.counts.get(OUTPUT_AUDIO, 0)


_INPUT = frozenset(INPUT_UNITS)
_OUTPUT = frozenset(OUTPUT_UNITS)
