"""Pipeline step 2, classify: the packaged model says how hard a task is and of what kind. Plain Python, deterministic.

The model knows four bands of difficulty (those of its training data); the product has five tiers, so a band's probability is
spread over the tiers it may mean. The tier is then the two-thirds quantile: going one tier too low costs twice what
going one too high costs, and for such costs that quantile is the cheapest choice. Facts of the request that the text
does not show (tools, images, length, history) set a floor below which the tier does not fall.
"""

import math
from collections.abc import Mapping, Sequence

from tollway.routing.features import observe
from tollway.routing.lanes import OFFSET, packed, sums
from tollway.routing.tiers import CATEGORIES, RANK, TIERS, Category, Tier, tier_of
from tollway.routing.told import told
from tollway.routing.verdict import Classifier, Task, Verdict
from tollway.routing.weights import Weights, packaged

UNDER_COST, OVER_COST = 2.0, 1.0
"""Per tier: what it costs to choose too low, and too high."""
QUANTILE = UNDER_COST / (UNDER_COST + OVER_COST)
UNSURE = 0.02
"""Of every prompt it is assumed with this probability that it is like nothing in training."""
FEATURES_TOLD = 6
_TOLD_FROM = 0.25
_NOT_TOLD = frozenset({"s:capitals", "s:sentences"})
"""Nobody would understand what these have to do with it."""
_USUAL: Mapping[str, float] = {"s:length": 1.25, "s:words": 1.1}
"""Strengths of a usual short prompt: what is told of length is how far it is from them."""
_BAND_RANK: Mapping[str, float] = {"SIMPLE": 0.0, "MEDIUM": 1.0, "COMPLEX": 2.0, "REASONING": 2.0}
_LIGHT: Mapping[str, float] = {
    "coding": 0.2, "debugging": 0.1, "math": 0.3, "proof": 0.1, "reasoning": 0.2, "science": 0.8, "writing": 0.75,
    "longform": 0.1, "summarizing": 0.85, "extraction": 0.8, "translation": 0.85, "chat": 0.9, "factual": 0.85,
    "planning": 0.25, "research": 0.3, "vision": 0.5, "multilingual": 0.6, "tool_use": 0.1, "instruction_following": 0.7,
}  # fmt: skip
"""Of a medium task of a category, the share that a light model does; the others need a standard one."""
_STANDARD_COMPLEX, _STANDARD_REASONING, _STANDARD_LONG_REASONING = 0.2, 0.72, 0.4
"""Of complex tasks, of reasoning tasks, and of reasoning tasks in many words, the share that a standard model does."""
_NANO_BY_WORDS: tuple[tuple[int, float], ...] = ((14, 0.85), (30, 0.4))
"""A simple task in at most so many words is nano with this probability; in more words 0.1."""
_FLOORS_BY_TOKENS: tuple[tuple[int, Tier], ...] = ((32_000, "standard"), (8_000, "light"), (2_000, "simple"))
_BY_NAME: Mapping[str, Category] = {name: name for name in CATEGORIES}
_SPOKEN = frozenset[Category]({"chat", "factual", "writing", "summarizing", "longform", "instruction_following"})
_ASKED_OF_TOOLS = frozenset[Category](
    {"chat", "factual", "instruction_following", "extraction", "planning", "research"}
)


class LexicalClassifier:
    """The packaged model. See `Classifier`."""

    def __init__(self, weights: Weights) -> None:
        self._bands, self._categories = weights.bands, weights.categories
        split = len(weights.bands)
        self._width = width = split + len(weights.categories)
        self._constants = weights.constants
        self._scales = [weights.scales[0]] * split + [weights.scales[1]] * len(weights.categories)
        self._temperature = weights.temperature
        self._rows = dict[str, int]()
        self._pushes = dict[str, float]()
        ranks = [_BAND_RANK.get(band, 1.0) for band in weights.bands]
        middle = sum(ranks) / split
        for at, name in enumerate(weights.features):
            row = weights.rows[at * width : (at + 1) * width]
            self._rows[name] = packed(row)
            push = sum((rank - middle) * (one - OFFSET) for rank, one in zip(ranks, row, strict=False))
            if name not in _NOT_TOLD:
                self._pushes[name] = push * weights.scales[0]

    def classify(self, task: Task) -> Verdict:
        """See `Classifier.classify`."""
        seen = observe(task.text, self._rows)
        bands, categories = self.chances(seen)
        category = _category(task, self._categories[max(range(len(categories)), key=categories.__getitem__)])
        light = sum(chance * _LIGHT.get(name, 0.5) for name, chance in zip(self._categories, categories, strict=True))
        tiers = spread(dict(zip(self._bands, bands, strict=True)), light, words=_words(seen))
        tier, floors = quantile(tiers), floors_of(task)
        for floor, _ in floors:
            if RANK[floor] > RANK[tier]:
                tier = floor
        return Verdict(category, tier, max(bands), "model", self._told(seen, floors))

    def chances(self, seen: Mapping[str, float]) -> tuple[list[float], list[float]]:
        """Probability per band, calibrated, and per category."""
        raw = sums(self._rows, seen, self._width)
        scores = [one * scale + free for one, scale, free in zip(raw, self._scales, self._constants, strict=True)]
        split = len(self._bands)
        bands = _softmax([one / self._temperature for one in scores[:split]])
        return [one * (1 - UNSURE) + UNSURE / split for one in bands], _softmax(scores[split:])

    def _told(self, seen: Mapping[str, float], floors: Sequence[tuple[Tier, str]]) -> tuple[tuple[str, float], ...]:
        known, found = self._pushes, list[tuple[float, str, float]]()
        for name, strength in seen.items():
            if name in known:
                push = known[name] * (strength - _USUAL.get(name, 0.0))
                if push > _TOLD_FROM or push < -_TOLD_FROM:
                    found.append((-abs(push), name, push))
        pushes = dict[str, float]()
        for _, name, push in sorted(found)[: 3 * FEATURES_TOLD]:
            words = told(name)
            pushes[words] = pushes.get(words, 0.0) + push
        strongest = sorted(pushes.items(), key=lambda one: (-abs(one[1]), one[0]))[:FEATURES_TOLD]
        facts = tuple((f"{words}: at least {floor}", 1.0) for floor, words in floors)
        return (*facts, *((words, round(push, 3)) for words, push in strongest))


def spread(bands: Mapping[str, float], light: float, *, words: float) -> list[float]:
    """Probability per tier, cheapest first, of those of the four bands.

    Args:
        bands: probability per band.
        light: of a medium task like this one, the share that a light model does.
        words: of the prompt.
    """
    nano = next((share for most, share in _NANO_BY_WORDS if words <= most), 0.1)
    standard = _STANDARD_REASONING if words <= _NANO_BY_WORDS[-1][0] else _STANDARD_LONG_REASONING
    simple, medium = bands.get("SIMPLE", 0.0), bands.get("MEDIUM", 0.0)
    hard, reasoning = bands.get("COMPLEX", 0.0), bands.get("REASONING", 0.0)
    return [
        simple * nano,
        simple * (1 - nano),
        medium * light,
        medium * (1 - light) + hard * _STANDARD_COMPLEX + reasoning * standard,
        hard * (1 - _STANDARD_COMPLEX) + reasoning * (1 - standard),
    ]


def quantile(tiers: Sequence[float]) -> Tier:
    """The lowest tier that is enough with the probability `QUANTILE`; the least expected cost."""
    below = 0.0
    for tier, chance in zip(TIERS, tiers, strict=True):
        below += chance
        if below >= QUANTILE:
            return tier
    return TIERS[-1]


def floors_of(task: Task) -> list[tuple[Tier, str]]:
    """The tiers below which a request's facts do not let it fall, with the fact in words; strongest first."""
    floors = list[tuple[Tier, str]]()
    history = tier_of(task.history_floor)
    if history is not None:
        floors.append((history, "the conversation so far"))
    if task.is_agentic:
        floors.append(("standard", "an agent at work with tool results"))
    elif task.tools:
        floors.append(("light", "tools are offered"))
    if task.needs & {"vision", "audio", "video", "file"}:
        floors.append(("light", "more than text is attached"))
    if "json_schema" in task.needs:
        floors.append(("simple", "an answer by a schema"))
    if "```" in task.text or "```" in task.context:
        floors.append(("light", "a block of code"))
    for tokens, tier in _FLOORS_BY_TOKENS:
        if task.input_tokens >= tokens:
            floors.append((tier, f"over {tokens:,} tokens to read"))
            break
    return sorted(floors, key=lambda one: -RANK[one[0]])


def load_classifier() -> Classifier:
    """The packaged model; rules alone where an installation has no weights."""
    weights = packaged()
    if weights is None:
        from tollway.routing.rules import RulesClassifier  # noqa: PLC0415 - read only where it is needed

        return RulesClassifier()
    return LexicalClassifier(weights)


def _category(task: Task, name: str) -> Category:
    found: Category = _BY_NAME.get(name, "chat")
    if "vision" in task.needs:
        return "vision"
    if (task.is_agentic or task.tools) and found in _ASKED_OF_TOOLS:
        return "tool_use"
    if task.scripts and task.scripts[0] != "latin" and found in _SPOKEN:
        return "multilingual"
    return found


def _words(seen: Mapping[str, float]) -> float:
    return math.expm1(2 * seen.get("s:words", 0.0))


def _softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    raised = [math.exp(one - top) for one in scores]
    total = sum(raised)
    return [one / total for one in raised]
