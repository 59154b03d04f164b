"""What the classifier sees of a prompt: cues (words that say what is asked, in many languages), words, and shape.

All of it is a name -> strength, and the names are readable, so that a verdict can be told in words. One pass over at most
2,000 characters with a few look-ups per word.
"""

import importlib.resources
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

HEAD_WORDS = 5
"""The first words of a request, and of the last line of a long one, say what it wants more than the rest."""
LONG_WORDS = 60
WORD_STRENGTH = 0.3
_PLENTY_OF_CUES, _PLENTY_OF_WORDS = 25.0, 12.0
"""Above so many words each counts less: a long text holds every cue somewhere."""
_STEM = 2
_TOKEN = re.compile(r"[^\W\d_]+(?:['’.+#/-][^\W\d_]+)*[+#]*|\d+(?:[.,]\d+)*")
_NO_SPACES = re.compile(r"[぀-ヿ㐀-䶿一-鿿]+|[฀-๿]+")
_MATH = re.compile(r"[=^∑∫√∂∀∃≤≥≠∈⊂⇒→∞±×÷]|\\[a-z]+|\$[^$\n]{1,80}\$")
_SENTENCE = re.compile(r"[.!?。！？؟।](?=\s|$)|[。！？]")
_COMMA = re.compile(r"[,，、،;；]")
_CODE_LINE = re.compile(
    r"^[ \t]*(?:def |class |import |from \w+ import|#include|public |const |let |var |fn |func |SELECT\b|\}|</?\w+>)"
    r"|[;{][ \t]*$|=>|\w\(\)",
    re.MULTILINE,
)
_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•]|[A-H][.)])[ \t]", re.MULTILINE)
_OPTION = re.compile(r"^\(?[A-E][.)] ", re.MULTILINE)


class Cues(msgspec.Struct, frozen=True):
    """The table of cues: whole words, beginnings by their first two letters, pairs of words, pieces by their first letter."""

    whole: Mapping[str, tuple[str, ...]]
    begun: Mapping[str, tuple[tuple[str, str], ...]]
    pairs: Mapping[str, tuple[str, ...]]
    pieces: Mapping[str, tuple[tuple[str, str], ...]]


@cache
def cues() -> Cues:
    """The packaged table."""
    place = importlib.resources.files("tollway.routing").joinpath("weights", "cues.txt")
    return read_cues(place.read_text("utf-8"))


def read_cues(text: str) -> Cues:
    """A table from its text: lines of `concept: words`, as the head of `weights/cues.txt` says."""
    whole, pairs = dict[str, list[str]](), dict[str, list[str]]()
    begun, pieces = dict[str, list[tuple[str, str]]](), dict[str, list[tuple[str, str]]]()
    for line in text.splitlines():
        concept, found, words = line.partition(":")
        if line.startswith("#") or not found:
            continue
        for word in dict.fromkeys(words.lower().split()):
            if _NO_SPACES.fullmatch(word):
                pieces.setdefault(word[0], []).append((word, concept))
            elif word.endswith("*"):
                begun.setdefault(word[:_STEM], []).append((word[:-1], concept))
            elif "_" in word:
                pairs.setdefault(word.replace("_", " "), []).append(concept)
            else:
                whole.setdefault(word, []).append(concept)
    return Cues(
        {word: tuple(found) for word, found in whole.items()},
        {word: tuple(found) for word, found in begun.items()},
        {word: tuple(found) for word, found in pairs.items()},
        {word: tuple(found) for word, found in pieces.items()},
    )


def observe(text: str) -> dict[str, float]:
    """The features of a text of at most 2,000 characters: name -> strength, about 0 to 3, never negative.

    `c:concept` is asked anywhere, `h:concept` where it weighs; `s:` is shape; `w:` a word, two words, or two characters of a
    script without spaces.
    """
    low = text.lower()
    words: list[str] = _TOKEN.findall(low)
    runs: list[str] = [] if low.isascii() else _NO_SPACES.findall(low)
    # Two characters of a script without spaces say about what one word does.
    size = len(words) + sum(map(len, runs)) / 2
    found = _shape(text, words, size)
    _add_cues(found, low, words, size, has_runs=bool(runs))
    strength = WORD_STRENGTH * min(1.0, math.sqrt(_PLENTY_OF_WORDS / max(size, 1.0)))
    before = "^"
    for word in words:
        found["w:" + word] = found[f"w:{before} {word}"] = strength
        before = word
    for run in runs:
        for at in range(len(run) - 1):
            found["w:" + run[at : at + 2]] = strength
    return found


def _add_cues(found: dict[str, float], low: str, words: list[str], size: float, *, has_runs: bool) -> None:
    table = cues()
    whole, begun, pairs = table.whole, table.begun, table.pairs
    strength = min(1.0, math.sqrt(_PLENTY_OF_CUES / max(size, 1.0)))
    tail = len(words)
    if len(words) > LONG_WORDS:
        tail = len(words) - len(_TOKEN.findall(low.rstrip().rpartition("\n")[2]))
    before = ""
    for at, word in enumerate(words):
        hits = whole.get(word, ())
        for stem, concept in begun.get(word[:_STEM], ()):
            if word.startswith(stem):
                hits = (*hits, concept)
        if before:
            hits = (*hits, *pairs.get(f"{before} {word}", ()))
        for concept in hits:
            name = "c:" + concept
            found[name] = 1.5 * strength if name in found else strength
            if at < HEAD_WORDS or tail <= at < tail + HEAD_WORDS:
                found["h:" + concept] = 1.0
        before = word
    for concept, is_head in _pieces(low) if has_runs else ():
        name = "c:" + concept
        found[name] = 1.5 * strength if name in found else strength
        if is_head:
            found["h:" + concept] = 1.0


def _pieces(low: str) -> Iterator[tuple[str, bool]]:
    pieces = cues().pieces
    for run in _NO_SPACES.finditer(low):
        for at in range(run.start(), run.end()):
            for piece, concept in pieces.get(low[at], ()):
                if low.startswith(piece, at):
                    yield concept, at < 2 * HEAD_WORDS


def _shape(text: str, words: list[str], size: float) -> dict[str, float]:
    commas = len(_COMMA.findall(text))
    shape = {
        "s:length": math.log1p(len(text)) / 3,
        "s:words": math.log1p(size) / 2,
        "s:short": 1.0 if size <= 4 else 0.0,
        "s:commas": min(commas, 6) / 3,
        "s:lists": 1.0 if commas >= 2 else 0.0,
        "s:question": 1.0 if "?" in text or "？" in text or "؟" in text else 0.0,
        "s:sentences": math.log1p(len(_SENTENCE.findall(text))) / 2,
        "s:lines": math.log1p(text.count("\n")) / 2,
        "s:numbers": math.log1p(sum(word[0].isdigit() for word in words)) / 2,
        "s:fence": 1.0 if "```" in text else 0.0,
        "s:code": min(len(_CODE_LINE.findall(text)), 6) / 3,
        "s:math": min(len(_MATH.findall(text)), 6) / 3,
        "s:items": min(len(_ITEM.findall(text)), 6) / 3,
        "s:options": 1.0 if len(_OPTION.findall(text)) >= 3 else 0.0,
        "s:capitals": 3 * sum(map(str.isupper, text)) / max(len(text), 1),
    }
    return {name: strength for name, strength in shape.items() if strength}
