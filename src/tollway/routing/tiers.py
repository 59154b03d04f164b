"""The five difficulty tiers, cheapest first, and the categories of tasks: the words that routing speaks."""

from typing import Literal, get_args

Tier = Literal["nano", "simple", "light", "standard", "complex"]
TIERS: tuple[Tier, ...] = get_args(Tier)
RANK: dict[str, int] = {tier: rank for rank, tier in enumerate(TIERS)}

Category = Literal[
    "coding", "debugging", "math", "proof", "reasoning", "science", "writing", "longform", "summarizing", "extraction",
    "translation", "chat", "factual", "planning", "research", "vision", "multilingual", "tool_use",
    "instruction_following",
]  # fmt: skip
CATEGORIES: tuple[Category, ...] = get_args(Category)


def tier_of(text: str) -> Tier | None:
    """The tier that a text names, whatever its case; None if it names none."""
    found = text.strip().lower()
    return TIERS[RANK[found]] if found in RANK else None


def higher(one: Tier, other: Tier) -> Tier:
    """The more capable of two tiers."""
    return TIERS[max(RANK[one], RANK[other])]


def lower(one: Tier, other: Tier) -> Tier:
    """The cheaper of two tiers."""
    return TIERS[min(RANK[one], RANK[other])]
