"""What the classifier is trained to say: the four bands of the public file, and our categories for its own and others'."""

import importlib.resources
from collections.abc import Iterator, Mapping

import msgspec

from tollway.routing.tiers import CATEGORIES, Category
from tollway.training.data import MANY_TRAIN, STEPS_TRAIN, TIERS_TRAIN, Folder, Scores, Steps, Tiered

BANDS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
CATEGORY_OF: Mapping[str, Category] = {
    "agentic-task": "tool_use", "algorithm-proof": "proof", "architecture": "planning", "brainstorming": "writing",
    "classification": "extraction", "code-review": "debugging", "code-snippet-qa": "coding", "comparison": "factual",
    "complex-code": "coding", "creative": "writing", "data-analysis": "research", "debugging": "debugging",
    "definition": "factual", "documentation": "writing", "edge-noise": "chat", "edge-short": "chat",
    "explanation": "science", "extraction": "extraction", "factual-qa": "factual", "formal-logic": "reasoning",
    "formal-proof": "proof", "game-theory": "reasoning", "greeting": "chat", "infrastructure": "coding",
    "logic-puzzle": "reasoning", "math-derivation": "math", "math-word-problem": "math", "migration": "planning",
    "ml-pipeline": "coding", "performance": "coding", "rewrite": "writing", "security-analysis": "coding",
    "simple-code": "coding", "structured-output": "extraction", "summary": "summarizing", "system-design": "planning",
    "testing": "coding", "translation": "translation",
}  # fmt: skip
"""The public file's categories -> ours."""
TASK_OF: Mapping[str, tuple[str, Category]] = {
    "agentverse-mgsm": ("MEDIUM", "math"), "commongen": ("MEDIUM", "instruction_following"),
    "natural_qa": ("SIMPLE", "factual"), "trivia_qa": ("SIMPLE", "factual"), "mmlu": ("MEDIUM", "science"),
    "openbook_qa": ("SIMPLE", "science"), "arc_challenge": ("SIMPLE", "science"), "mbpp": ("MEDIUM", "coding"),
    "human_eval": ("MEDIUM", "coding"), "gsm8k": ("MEDIUM", "math"), "commonsense_qa": ("SIMPLE", "reasoning"),
    "math": ("REASONING", "math"),
}  # fmt: skip
"""Tasks of the nine-model file -> the band and category that fit them as a whole."""
OTHERS_COUNT = 0.2
"""A row of another file counts so much beside one that people gave a tier."""
OTHERS_STRIDE, STEPS_STRIDE = 3, 25
WRITTEN_COUNT = 3.0


class Example(msgspec.Struct, frozen=True):
    """A prompt with its band and category; weight: how much it counts."""

    prompt: str
    band: int
    category: int
    weight: float = 1.0


def tiered(rows: tuple[Tiered, ...]) -> Iterator[Example]:
    """The public file's rows."""
    for row in rows:
        category = CATEGORY_OF.get(row.category, "factual")
        yield Example(row.prompt, BANDS.index(row.expected_tier), CATEGORIES.index(category))


def examples(folder: Folder) -> list[Example]:
    """All that the packaged classifier is trained on, in a fixed order."""
    found = list(tiered(folder.rows(TIERS_TRAIN, Tiered)))
    for row in folder.rows(MANY_TRAIN, Scores)[::OTHERS_STRIDE]:
        if row.task in TASK_OF:
            band, category = TASK_OF[row.task]
            found.append(Example(row.prompt, BANDS.index(band), CATEGORIES.index(category), OTHERS_COUNT))
    found.extend(
        Example(row.prompt, BANDS.index("MEDIUM"), CATEGORIES.index("math"), OTHERS_COUNT)
        for row in folder.rows(STEPS_TRAIN, Steps)[::STEPS_STRIDE]
    )
    found.extend(written())
    return found


def written() -> Iterator[Example]:
    """Our own examples, of `examples.txt`."""
    names = list[str](CATEGORIES)
    text = importlib.resources.files("tollway.training").joinpath("examples.txt").read_text("utf-8")
    for line in text.splitlines():
        head, found, prompt = line.partition(" | ")
        if found and not line.startswith("#"):
            band, category = head.split()
            yield Example(prompt, BANDS.index(band), names.index(category), WRITTEN_COUNT)
