"""What classification says of a request, and what it is asked with."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tollway.routing.tiers import Category, Tier


class Task(msgspec.Struct, frozen=True, gc=False):
    """What routing reads of a request, once. Made by `routing/task.py`; nothing later looks at the request again.

    text: of the last turn that a person wrote, at most its first 1,500 and last 500 characters. context: the same of the
    system prompt and earlier turns. input_tokens: estimate of the whole prompt. output_tokens: named or expected.
    needs: capabilities without which it cannot be answered: `tools`, `json_schema`, `vision`, `audio`, `file`.
    markers: name -> strength in [0, 1] of what was found (`code`, `math`, `proof`, `legal`, `medical`, `steps`, ...).
    scripts: writing systems seen, `latin` first if there. turns: of the conversation. is_agentic: tool results are in it.
    history_floor: the tier below which an ongoing conversation must not fall; "" if none.
    """

    text: str
    context: str
    characters: int
    input_tokens: int
    output_tokens: int
    needs: frozenset[str] = frozenset()
    markers: Mapping[str, float] = {}
    scripts: tuple[str, ...] = ("latin",)
    tools: int = 0
    turns: int = 1
    is_agentic: bool = False
    history_floor: Tier | str = ""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """A category and a difficulty. confidence in [0, 1]. method: `model`, `rules`, or `tier` when it was asked for.

    features: what mattered, strongest first: (words for a person, signed weight; positive pushes up).
    """

    category: Category
    tier: Tier
    confidence: float
    method: str
    features: tuple[tuple[str, float], ...] = ()


class Classifier(Protocol):
    """Says how hard a task is and of what kind. Pure, and under a millisecond."""

    def classify(self, task: Task) -> Verdict:
        """The verdict; the same for the same task."""
        ...
