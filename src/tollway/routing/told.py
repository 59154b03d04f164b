"""Features in words, for a person who asks why."""

from collections.abc import Mapping

_CUES: Mapping[str, str] = {
    "prove": "asks for a proof", "derive": "asks to derive something", "theorem": "speaks of a theorem",
    "induction": "names a method of proof", "irrational": "speaks of irrational numbers",
    "formal": "asks for rigour", "convergence": "uses terms of higher mathematics", "game": "speaks of game theory",
    "puzzle": "is a puzzle", "complexity": "speaks of complexity", "solve": "asks to compute something",
    "design": "asks for a design", "build": "asks to build something", "system": "is about a whole system",
    "including": "lists what to include", "scale": "must scale or not fail", "enterprise": "has needs of a large company",
    "migrate": "is a migration", "strategy": "asks for a plan", "write": "asks to write something",
    "implement": "asks to implement something", "function": "is about a function or script", "code": "is about code",
    "debug": "speaks of an error", "fix": "asks to repair something", "review": "asks for a review",
    "refactor": "asks to refactor", "test": "is about tests", "optimize": "is about performance",
    "explain": "asks for an explanation", "why": "asks why", "compare": "compares things",
    "difference_between": "asks for a difference", "summarize": "asks for a summary", "brainstorm": "asks for ideas",
    "rewrite": "asks to reword a text", "extract": "asks to extract something", "classify": "asks to classify something",
    "format": "names a format", "creative": "asks for creative writing", "document": "asks for a document",
    "email": "is about a message", "legal": "is about law", "medical": "is about medicine", "research": "is research",
    "analyze": "asks for an analysis", "conversion": "asks to convert something", "what_is": "asks what something is",
    "who": "asks who", "when": "asks when", "where": "asks where", "how_many": "asks for a number",
    "which": "asks which", "is_it": "asks yes or no", "capital": "asks for a known fact", "define": "asks for a definition",
    "translate": "asks for a translation", "greeting": "is a greeting", "clock": "asks for time or weather",
    "steps": "asks for steps", "constraint": "sets conditions",
}  # fmt: skip
_SHAPE: Mapping[str, str] = {
    "length": "its length", "words": "its length", "short": "a few words only", "commas": "a list of demands",
    "lists": "a list of demands", "question": "is a question", "sentences": "number of sentences",
    "lines": "number of lines", "numbers": "numbers in it", "fence": "a block of code", "code": "lines of code",
    "math": "formulas", "items": "a numbered list", "options": "options to choose from", "capitals": "capital letters",
}  # fmt: skip


def told(name: str) -> str:
    """A feature's name in words; features that mean the same have the same words."""
    kind, _, rest = name.partition(":")
    if kind == "w":
        return f"the word “{rest.removeprefix('^ ')}”"
    return (_SHAPE if kind == "s" else _CUES).get(rest, rest.replace("_", " "))
