# ruff: noqa: RUF001 - marks of other scripts are what is looked for
"""What the classifier sees of a prompt: cues (words that say what is asked, in many languages), words, and shape.

All of it is a name -> strength, and the names are readable, so that a verdict can be told in words. One pass over at most
2,000 characters with a few look-ups per word.
"""

import importlib.resources
import math
import re
from collections.abc import Container, Iterator, Mapping
from functools import cache

import msgspec

HEAD_WORDS = 5
"""The first words of a request, and of the last line of a long one, say what it wants more than the rest."""
LONG_WORDS = 60
WORD_STRENGTH = 0.3
_PLENTY_OF_CUES, _PLENTY_OF_WORDS = 25.0, 12.0
"""Above so many words each counts less: a long text holds every cue somewhere."""
_LAST_WORDS, _LAST_LETTERS = 2, 12
"""In a language whose verb comes last, so much of the end weighs like the beginning."""
_STEM = 2
_KNOWN = dict[str, tuple[str, ...]]()
"""Words seen before -> their concepts; a word's concepts never change, so what is remembered changes nothing but time."""
_KNOWN_MOST, _WORD_MOST = 20_000, 30
_ASCII_TOKEN = re.compile(r"[a-z]+(?:['.+#/-][a-z]+)*[+#]*|\d+(?:[.,]\d+)*")
# Vowel signs and other marks belong to the words of their scripts, though Python counts them as no letters.
_SIGNS = (
    r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f"
    r"\u0980-\u0983\u09bc-\u09cd\u0b80-\u0d4d\u0e31-\u0e4e"
)
_SIGN = re.compile(f"[{_SIGNS}]")
_TOKEN = re.compile(r"[^\W\d_]+(?:['’.+#/-][^\W\d_]+)*[+#]*|\d+(?:[.,]\d+)*")
_SIGNED_TOKEN = re.compile(_TOKEN.pattern.replace(r"[^\W\d_]", rf"(?:[^\W\d_]|[{_SIGNS}])"))
_NO_SPACES = re.compile(r"[぀-ヿ㐀-䶿一-鿿]+|[฀-๿]+")
_VERB_LAST = re.compile("[぀-ヿ가-힯ऀ-ॿ]")
_MATH = re.compile(r"[=^∑∫√∂∀∃≤≥≠∈⊂⇒→∞±×÷]|\\[a-z]+|\$[^$\n]{1,80}\$")
_SENTENCE = re.compile(r"[.!?。！？؟।](?=\s|$)|[。！？]")
_COMMA = re.compile(r"[,，、،;；]")
_CODE_LINE = re.compile(
    r"^[ \t]*(?:def |class |import |from \w+ import|#include|public |const |let |var |fn |func |SELECT\b|\}|</?\w+>)"
    r"|[;{][ \t]*$|=>|\w\(\)",
    re.MULTILINE,
)
_CODE_HINTS = (
    "()", ";", "{", "}", "=>", "</", "<", "def ", "class ", "import ", "#include", "public ", "const ", "let ", "var ",
    "fn ", "func ", "SELECT",
)  # fmt: skip
"""Without one of these no line of code is looked for: the search is the dearest of all."""
_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•]|[A-H][.)])[ \t]", re.MULTILINE)
_CAPITAL = re.compile("[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]")
_OPTION = re.compile(r"^\(?[A-E][.)] ", re.MULTILINE)


class Cues(msgspec.Struct, frozen=True):
    """The table of cues: whole words, beginnings by their first two letters, pairs of words, pieces by their first letter."""

    whole: Mapping[str, tuple[str, ...]]
    begun: Mapping[str, tuple[tuple[str, str], ...]]
    pairs: Mapping[str, tuple[str, ...]]
    firsts: frozenset[str]
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
        frozenset(word.partition(" ")[0] for word in pairs),
        {word: tuple(found) for word, found in pieces.items()},
    )


def observe(text: str, known: Container[str] | None = None) -> dict[str, float]:
    """The features of a text of at most 2,000 characters: name -> strength, about 0 to 3, never negative.

    `c:concept` is asked anywhere, `h:concept` where it weighs; `s:` is shape; `w:` a word, two words, or two characters of a
    script without spaces. Words that are not `known` are left out; None leaves none out.
    """
    low = text.lower()
    words = _words(low)
    runs: list[str] = [] if low.isascii() else _NO_SPACES.findall(low)
    # Two characters of a script without spaces say about what one word does.
    size = len(words) + sum(map(len, runs)) / 2
    found = _shape(text, words, size)
    _add_cues(found, low, words, size, has_runs=bool(runs))
    strength = WORD_STRENGTH * min(1.0, math.sqrt(_PLENTY_OF_WORDS / max(size, 1.0)))
    names = list[str]()
    before = "^"
    for word in words:
        names += ("w:" + word, f"w:{before} {word}")
        before = word
    for run in runs:
        names += ["w:" + run[at : at + 2] for at in range(len(run) - 1)]
    if known is not None:
        names = [name for name in names if name in known]
    found.update(dict.fromkeys(names, strength))
    return found


def _add_cues(found: dict[str, float], low: str, words: list[str], size: float, *, has_runs: bool) -> None:
    strength = min(1.0, math.sqrt(_PLENTY_OF_CUES / max(size, 1.0)))
    tail = len(words)
    if len(words) > LONG_WORDS:
        tail = len(words) - len(_words(low.rstrip().rpartition("\n")[2]))
    elif not low.isascii() and _VERB_LAST.search(low):
        tail = len(words) - _LAST_WORDS
    pairs, firsts, known = cues().pairs, cues().firsts, _KNOWN.get
    before = ""
    for at, word in enumerate(words):
        hits = known(word)
        if hits is None:
            hits = _concepts(word)
        if before in firsts:
            hits = (*hits, *pairs.get(f"{before} {word}", ()))
        before = word
        for concept in hits:
            name = "c:" + concept
            found[name] = 1.5 * strength if name in found else strength
            if at < HEAD_WORDS or tail <= at < tail + HEAD_WORDS:
                found["h:" + concept] = 1.0
    for concept, is_head in _pieces(low) if has_runs else ():
        name = "c:" + concept
        found[name] = 1.5 * strength if name in found else strength
        if is_head:
            found["h:" + concept] = 1.0


def _concepts(word: str) -> tuple[str, ...]:
    table = cues()
    begun = table.begun.get(word[:_STEM], ())
    hits = (*table.whole.get(word, ()), *(concept for stem, concept in begun if word.startswith(stem)))
    if len(_KNOWN) < _KNOWN_MOST and len(word) <= _WORD_MOST:
        _KNOWN[word] = hits
    return hits


def _words(low: str) -> list[str]:
    if low.isascii():
        return _ASCII_TOKEN.findall(low)
    return (_SIGNED_TOKEN if _SIGN.search(low) else _TOKEN).findall(low)


def _pieces(low: str) -> Iterator[tuple[str, bool]]:
    pieces = cues().pieces
    head, tail = 2 * HEAD_WORDS, len(low) if not _VERB_LAST.search(low) else len(low.rstrip()) - _LAST_LETTERS
    for run in _NO_SPACES.finditer(low):
        for at in range(run.start(), run.end()):
            for piece, concept in pieces.get(low[at], ()):
                if low.startswith(piece, at):
                    yield concept, at < head or at >= tail


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
        "s:code": min(len(_CODE_LINE.findall(text)), 6) / 3 if any(hint in text for hint in _CODE_HINTS) else 0.0,
        "s:math": min(len(_MATH.findall(text)), 6) / 3,
        "s:items": min(len(_ITEM.findall(text)), 6) / 3,
        "s:options": 1.0 if len(_OPTION.findall(text)) >= 3 else 0.0,
        "s:capitals": 3 * len(_CAPITAL.findall(text)) / max(len(text), 1),
    }
    return {name: strength for name, strength in shape.items() if strength}
