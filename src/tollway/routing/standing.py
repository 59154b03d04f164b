"""What is known of a model's worth, and of an offer's health: the two tables that ranking reads."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from tollway.routing.tiers import Category, Tier


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A model's place: its tier, its quality per category in [0, 1], and how well it calls tools in [0, 1] (None: unknown).

    source, checked: where the figures come from, and when they were read (ISO date).
    """

    tier: Tier
    quality: Mapping[Category, float]
    tool_calling: float | None = None
    source: str = ""
    checked: str = ""


class Standings(Protocol):
    """Models by id."""

    def standing(self, model_id: str) -> Standing | None:
        """None: nothing is known of it, and `auto` does not choose it."""
        ...


class OfferHealth(msgspec.Struct, frozen=True, gc=False):
    """How an offer has done lately. Latency and first byte in ms, 0 unknown; throughput in output tokens per second.

    state: `closed` is healthy; `open` is out until its pause is over; `half_open` may be tried once. failed_at: unix
    seconds of the last failure, 0 none. samples: in the window.
    """

    state: Literal["closed", "open", "half_open"] = "closed"
    error_rate: float = 0.0
    latency_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    ttft_ms: float = 0.0
    tokens_per_s: float = 0.0
    failed_at: float = 0.0
    samples: int = 0


UNKNOWN = OfferHealth()


class Health(Protocol):
    """The health of offers, as of now."""

    def of(self, offer_id: str, now: float) -> OfferHealth:
        """`UNKNOWN` for one that has not been called."""
        ...


class AllWell:
    """Nothing is known to be wrong."""

    def of(self, offer_id: str, now: float) -> OfferHealth:
        """See `Health.of`."""
        return UNKNOWN
