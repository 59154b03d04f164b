"""Pipeline step 2, classify, by rules alone: markers add up to a difficulty, and the strongest subject is the category.

The fallback where no trained weights can be loaded, and the yardstick beside them. Difficulty is a weighted sum; tiers are
bands of it, and confidence falls toward a band's edge. A subject that is dear to get wrong - law, medicine, proof - pushes
up by itself, whatever the length.
"""

import math
from collections.abc import Mapping

from tollway.routing.tiers import TIERS, Category, Tier
from tollway.routing.verdict import Task, Verdict

EDGES = (1.0, 2.0, 3.2, 5.2)
"""Difficulty at which each tier above nano begins."""
LOADS: Mapping[str, tuple[float, str]] = {
    "code": (2.8, "code"),
    "debug": (2.6, "a bug to find"),
    "sql": (1.4, "a database query"),
    "math": (1.7, "mathematics"),
    "proof": (3.6, "a proof"),
    "science": (1.8, "science"),
    "legal": (4.6, "law"),
    "medical": (2.2, "medicine"),
    "finance": (2.0, "finance"),
    "summary": (1.6, "a summary"),
    "translate": (1.5, "a translation"),
    "extract": (1.2, "an extraction"),
    "write": (1.6, "writing"),
    "longform": (3.2, "a long text"),
    "plan": (2.8, "a plan or design"),
    "research": (2.4, "research"),
    "reason": (1.8, "reasoning words"),
    "steps": (1.2, "several steps"),
    "constraints": (1.2, "constraints"),
    "hard": (2.6, "hard technical terms"),
}
"""Marker -> how much a full one adds, and what it is called. Half of it comes with the first word."""
_SUBJECTS: tuple[tuple[str, Category, float], ...] = (
    ("proof", "proof", 1.6),
    ("debug", "debugging", 2.2),
    ("sql", "coding", 1.1),
    ("code", "coding", 1.0),
    ("legal", "longform", 1.2),
    ("longform", "longform", 1.0),
    ("math", "math", 1.0),
    ("translate", "translation", 1.6),
    ("summary", "summarizing", 1.5),
    ("extract", "extraction", 0.8),
    ("research", "research", 1.1),
    ("plan", "planning", 0.9),
    ("science", "science", 1.1),
    ("medical", "science", 0.9),
    ("reason", "reasoning", 0.8),
    ("finance", "reasoning", 0.9),
    ("write", "writing", 0.8),
    ("constraints", "instruction_following", 0.4),
    ("factual", "factual", 0.35),
    ("chat", "chat", 0.6),
)
_BASE = 0.35
_LENGTH_LOAD, _LENGTH_UNIT = 0.42, 160
_FEATURES_MAX = 6
CONFIDENCE_LEAST, CONFIDENCE_MOST = 0.4, 0.95


class RulesClassifier:
    """Classifies by the markers of a task."""

    def classify(self, task: Task) -> Verdict:
        """See `Classifier.classify`."""
        category = category_of(task)
        loads = _loads(task)
        score = _BASE + sum(load for _, load in loads)
        rank = sum(score >= edge for edge in EDGES)
        tier: Tier = TIERS[rank]
        return Verdict(category, tier, _confidence(score, rank), "rules", _features(loads))


def category_of(task: Task) -> Category:
    """The subject that a task shows most of."""
    if "vision" in task.needs or "video" in task.needs:
        return "vision"
    if task.is_agentic or task.tools > 2:
        return "tool_use"
    best = 0.0
    found: Category = "chat"
    markers = task.markers
    for marker, category, weight in _SUBJECTS:
        strength = markers.get(marker, 0.0) * weight
        if strength > best:
            best, found = strength, category
    if not best:
        found = "multilingual" if "latin" not in task.scripts else "factual" if "questions" in markers else "chat"
    return found


def _loads(task: Task) -> list[tuple[str, float]]:
    """What makes it harder or easier, in words, with how much."""
    found = list[tuple[str, float]]()
    for marker, strength in task.markers.items():
        load = LOADS.get(marker)
        if load is not None:
            found.append((load[1], load[0] * (0.5 + strength / 2) if strength < 1 else load[0]))
    if found:
        # Subjects overlap - code that is debugged - so the second counts half, the third a quarter.
        found.sort(key=lambda one: -one[1])
        found = [(words, load / 2**at) for at, (words, load) in enumerate(found)]
    length = math.log2(1 + task.characters / _LENGTH_UNIT) * _LENGTH_LOAD
    found.append(("length", length))
    if task.tools:
        found.append((f"{task.tools} tools", min(0.6 + 0.15 * task.tools, 1.8)))
    if task.is_agentic:
        found.append(("tool results in the conversation", 1.2))
    if len(task.context) > 1_000:
        found.append(("a long system prompt or history", 0.5))
    if task.needs & {"vision", "video", "audio", "file"}:
        found.append(("media to read", 1.2))
    if "latin" not in task.scripts:
        # A character of these says more than one of Latin, and small models know them less.
        found.append(("a script other than Latin", 0.5 + length))
    if "chat" in task.markers and len(found) == 1:
        found.append(("small talk", -0.3))
    return found


def _confidence(score: float, rank: int) -> float:
    """How far from the edges of its band a score lies, in [0.4, 0.95]."""
    distance = min((abs(score - edge) for edge in EDGES[max(rank - 1, 0) : rank + 1]), default=1.0)
    return round(min(CONFIDENCE_LEAST + 0.7 * distance, CONFIDENCE_MOST), 3)


def _features(loads: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    shown = sorted(((words, round(load, 2)) for words, load in loads), key=lambda one: -abs(one[1]))
    return tuple(one for one in shown if abs(one[1]) >= 0.05)[:_FEATURES_MAX]
