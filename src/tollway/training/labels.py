"""What the classifier is trained to say: the four bands of the public file, and our categories for its own and others'."""

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tollway.routing.tiers import CATEGORIES, Category
from tollway.training.data import MANY_TRAIN, MMLU_TRAIN, STEPS_TRAIN, TIERS_TRAIN, Folder, Pair, Scores, Steps, Tiered

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
_SUBJECTS: tuple[tuple[Category, tuple[str, ...]], ...] = (
    ("math", ("mathematics", "statistics", "algebra")),
    ("reasoning", ("logic", "moral", "fallac", "law", "jurisprudence")),
    ("factual", ("history", "geography", "miscellaneous", "religion", "global", "government", "foreign", "prehistory")),
)
"""Parts of names of subjects -> our category; other subjects are science."""
OTHERS_COUNT = 0.2
"""A row of another file counts so much beside one that people gave a tier."""
OTHERS_STRIDE, STEPS_STRIDE, SUBJECTS_STRIDE = 3, 25, 5
WRITTEN_COUNT = 3.0
PASSAGE_STRIDE, PASSAGE_LEAST, PASSAGE_MOST = 3, 500, 1_200
"""Every third row with a tier is also seen around a passage of so many characters: what is asked decides, not what it is
asked about."""


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
    many = folder.rows(MANY_TRAIN, Scores)
    found.extend(_with_passages(found, [row.prompt for row in many if len(row.prompt) >= PASSAGE_LEAST]))
    for row in many[::OTHERS_STRIDE]:
        if row.task in TASK_OF:
            band, category = TASK_OF[row.task]
            found.append(Example(row.prompt, BANDS.index(band), CATEGORIES.index(category), OTHERS_COUNT))
    found.extend(
        Example(row.prompt, BANDS.index("MEDIUM"), CATEGORIES.index("math"), OTHERS_COUNT)
        for row in folder.rows(STEPS_TRAIN, Steps)[::STEPS_STRIDE]
    )
    found.extend(
        Example(row.prompt, BANDS.index("MEDIUM"), CATEGORIES.index(category_of_subject(row.subject)), OTHERS_COUNT)
        for row in folder.rows(MMLU_TRAIN, Pair)[::SUBJECTS_STRIDE]
    )
    found.extend(written())
    return found


def _with_passages(rows: Sequence[Example], passages: Sequence[str]) -> list[Example]:
    if not passages:
        return []
    found = list[Example]()
    for at, row in enumerate(rows[::PASSAGE_STRIDE]):
        passage = passages[at % len(passages)][:PASSAGE_MOST]
        prompt = f"{row.prompt}\n\n{passage}" if at % 2 else f"{passage}\n\n{row.prompt}"
        found.append(Example(prompt, row.band, row.category, OTHERS_COUNT))
    return found


def category_of_subject(subject: str) -> Category:
    """Ours for a subject of the school and university questions."""
    for category, parts in _SUBJECTS:
        if any(part in subject for part in parts):
            return category
    return "science"


def written() -> Iterator[Example]:
    """Our own examples, of `examples.txt`."""
    names = list[str](CATEGORIES)
    text = importlib.resources.files("tollway.training").joinpath("examples.txt").read_text("utf-8")
    for line in text.splitlines():
        head, found, prompt = line.partition(" | ")
        if found and not line.startswith("#"):
            band, category = head.split()
            yield Example(prompt, BANDS.index(band), names.index(category), WRITTEN_COUNT)
