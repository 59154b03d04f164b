"""Counting tokens: exactly where a package ships the vocabulary, else by the documented estimate (money.md R6).

`o200k` and `cl100k` are counted by rs-bpe, about 20 ns per character. Every other vocabulary is estimated as 1.35 times
the o200k count, rounded up: on mixed text the others spread from 1.00 to 1.21 times (1,451 o200k; 1,601 cl100k, qwen,
tekken; 1,751 the first Claude vocabulary). No byte-level vocabulary makes more tokens than there are UTF-8 bytes.
"""

from collections.abc import Callable, Sequence

from tollway.metering.usage import UsageSource
from tollway.money.rounding import ceiling

EXACT_LENGTH_MAX = 48_000
"""Characters. Counting more would hold the event loop for over 1.5 ms, so the quick count samples instead. rs-bpe lets
go of the interpreter lock: who wants a long text exactly calls `count` in a thread."""
MESSAGE_BYTES = 8
"""What the hard bound adds per message: no chat format has more control tokens around one (R6)."""

_ESTIMATE_PERCENT = 135
_SAMPLE_PERCENT = 110
"""What a sampled count adds for its own error, over the estimate's."""
_SAMPLED_EXACT_PERCENT = 135
_WINDOWS = 24
_WINDOW = 512
_SAMPLED_LENGTH_MIN = 2 * _WINDOWS * _WINDOW

_REMEMBERED_LENGTH_MIN = 100
_KNOWN_MAX = 20_000

_counters: dict[str, Callable[[str], int]] = {}
_known: dict[tuple[int, int, str], int] = {}


def is_exact(tokenizer: str) -> bool:
    """We have this vocabulary."""
    return tokenizer in {"o200k", "cl100k"}


def count(text: str, tokenizer: str) -> tuple[int, UsageSource]:
    """Tokens of a text, and how far to believe them. Linear in its length; see EXACT_LENGTH_MAX.

    Args:
        text: any text, lone surrogates included.
        tokenizer: an offer's vocabulary: `o200k`, `cl100k`, or "" (or any other) for the estimate.
    """
    if is_exact(tokenizer):
        return _count(text, tokenizer), UsageSource.TOKENIZER
    return estimate(_count(text, "o200k")), UsageSource.HEURISTIC


def estimate(o200k_tokens: int) -> int:
    """The documented estimate for a vocabulary that we do not have: 1.35 times, rounded up (R6)."""
    return ceiling(o200k_tokens * _ESTIMATE_PERCENT, 100)


def upper_bound_bytes(text_bytes: int, messages: int) -> int:
    """The hard bound of any byte-level vocabulary: UTF-8 bytes of all text, and 8 per message (R6)."""
    return text_bytes + MESSAGE_BYTES * messages


def utf8_length(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def count_bound(texts: Sequence[str], tokenizer: str, *, is_long: bool) -> tuple[int, int, UsageSource]:
    """(upper bound, what it is at least, source) of the tokens of several texts, never slow.

    Every text is counted, or, when they are long, 24 windows of 512 characters are, and the mean density of tokens is
    applied to the whole with a factor: 1.35 for a vocabulary that we have, 1.35 x 1.10 for others. The second value is
    what a refusal may rest on: no factor in it.

    Args:
        texts: counted one by one, as if control tokens stood between them.
        tokenizer: as in `count`.
        is_long: there is too much to count on the event loop (EXACT_LENGTH_MAX).
    """
    has_vocabulary = is_exact(tokenizer)
    name = tokenizer if has_vocabulary else "o200k"
    if is_long and len(text := "\n".join(texts)) >= _SAMPLED_LENGTH_MIN:
        sampled = _sample(text, name)
        percent = _SAMPLED_EXACT_PERCENT * 100 if has_vocabulary else _ESTIMATE_PERCENT * _SAMPLE_PERCENT
        # A provider refuses what is really too long; from a sample we only refuse what is far beyond doubt.
        return ceiling(sampled * percent, 10_000), sampled * 4 // 5, UsageSource.HEURISTIC
    exact = 0
    for text in texts:
        exact += _count(text, name) if len(text) < _REMEMBERED_LENGTH_MIN else _remembered(text, name)
    if has_vocabulary:
        return exact, exact, UsageSource.TOKENIZER
    return estimate(exact), exact, UsageSource.HEURISTIC


def _remembered(text: str, tokenizer: str) -> int:
    """The count of a text that may come again: a conversation sends all its earlier turns with every new one.

    Only hashes are kept, never a text; a lookup takes a hundredth of counting. The hash is keyed by what Python draws at
    each start, so nobody can make two texts of one length meet, and what it gives is a bound, never a charge.
    """
    place = hash(text), len(text), tokenizer
    found = _known.get(place)
    if found is None:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        found = _known[place] = _count(text, tokenizer)
    return found


def _sample(text: str, tokenizer: str) -> int:
    stratum = len(text) // _WINDOWS
    # Where the windows lie depends on every character, under the key that Python draws for hash() at each start: a
    # prompt cannot be made that looks sparse here and is dense where nobody looked.
    place = hash(text)
    tokens = characters = 0
    for number in range(_WINDOWS):
        place = (place * 6364136223846793005 + 1442695040888963407) & 0xFFFF_FFFF_FFFF_FFFF
        start = number * stratum + (place >> 33) % (stratum - _WINDOW)
        tokens += _count(text[start : start + _WINDOW], tokenizer)
        characters += _WINDOW
    return ceiling(tokens * len(text), characters)


def _count(text: str, tokenizer: str) -> int:
    counter = _counters.get(tokenizer) or _load(tokenizer)
    try:
        return counter(text)
    except UnicodeEncodeError:
        # A lone surrogate: JSON can smuggle one in, UTF-8 cannot carry it; providers read a replacement character.
        return counter(text.encode("utf-8", "replace").decode())


def _load(tokenizer: str) -> Callable[[str], int]:
    # Loaded at the first count, not at import: a start should not wait for two vocabularies.
    from rs_bpe import bpe  # noqa: PLC0415

    vocabulary = bpe.openai.o200k_base() if tokenizer == "o200k" else bpe.openai.cl100k_base()
    counter: Callable[[str], int] = vocabulary.count
    _counters[tokenizer] = counter
    return counter
