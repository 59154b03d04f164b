"""Token counts against published values, and the bounds around them."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.metering import tokens
from tollway.metering.tokens import count, count_bound, estimate, is_exact, upper_bound_bytes, utf8_length
from tollway.metering.usage import UsageSource

# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken, "Comparing encodings".
PUBLISHED = [
    ("antidisestablishmentarianism", 6, 6),
    ("2 + 2 = 4", 7, 7),
    ("お誕生日おめでとう", 9, 8),
]


@pytest.mark.parametrize(("text", "cl100k", "o200k"), PUBLISHED)
def test_published_counts(text, cl100k, o200k):
    assert count(text, "cl100k") == (cl100k, UsageSource.TOKENIZER)
    assert count(text, "o200k") == (o200k, UsageSource.TOKENIZER)


@pytest.mark.parametrize(("o200k", "estimated"), [(0, 0), (1, 2), (6, 9), (7, 10), (8, 11), (20, 27), (100, 135)])
def test_estimate_is_1_35_times_rounded_up(o200k, estimated):
    assert estimate(o200k) == estimated


@pytest.mark.parametrize("tokenizer", ["", "claude", "gemini"])
def test_a_vocabulary_we_lack_is_estimated_and_says_so(tokenizer):
    assert not is_exact(tokenizer)
    assert count("antidisestablishmentarianism", tokenizer) == (9, UsageSource.HEURISTIC)  # ceil(6 x 1.35)
    assert count("", tokenizer) == (0, UsageSource.HEURISTIC)


def test_the_factor_covers_the_measured_spread():
    # money.md R6: the same mixed text is 1,451 o200k tokens, 1,601 in cl100k, qwen and tekken, 1,751 in the first Claude's.
    assert estimate(1451) == 1959
    assert estimate(1451) >= 1751


def test_hard_bound():
    assert utf8_length("héé") == 5
    assert utf8_length("abc") == 3
    assert upper_bound_bytes(5, 2) == 5 + 16


@settings(deadline=None)
@given(st.text(max_size=400), st.sampled_from(["o200k", "cl100k"]))
def test_no_text_has_more_tokens_than_bytes(text, tokenizer):
    assert count(text, tokenizer)[0] <= utf8_length(text)


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8), st.sampled_from(["o200k", "cl100k"]))
def test_texts_are_counted_one_by_one(texts, tokenizer):
    whole = sum(count(text, tokenizer)[0] for text in texts)
    assert count_bound(texts, tokenizer, is_long=False) == (whole, whole, UsageSource.TOKENIZER)


def test_a_lone_surrogate_is_counted_as_a_replacement_character():
    assert count("a\ud800b", "o200k") == count("a?b", "o200k")
    assert count_bound(["a\ud800b"], "o200k", is_long=False)[0] == count("a?b", "o200k")[0]
    assert utf8_length("a\ud800b") == 3


PROSE = (
    "The gateway meters every call against a catalogue, and the ledger keeps what it cost. Ünïcode, 12,345 numbers.\n"
)
DENSE = "".join(random.Random(7).choice(string.printable) for _ in range(200_000))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (PROSE * 1000, "prose"),
        (DENSE, "noise"),
        (PROSE * 700 + DENSE[:60_000], "half and half"),
        ("字幕組" * 30_000, "chinese"),
        (" " * 90_000, "blanks"),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)
@pytest.mark.parametrize("tokenizer", ["o200k", "cl100k", ""])
def test_a_long_text_is_sampled_on_the_safe_side(text, name, tokenizer):
    vocabulary = tokenizer or "o200k"
    exact = count(text, vocabulary)[0]
    bound, least, source = count_bound([text], tokenizer, is_long=True)
    assert source is UsageSource.HEURISTIC
    assert least <= exact <= bound <= exact * 1.6 + 200


def test_sampling_reads_little_of_a_long_text(monkeypatch):
    read = []

    def counting(text, tokenizer):
        read.append(len(text))
        return len(text) // 4

    monkeypatch.setattr(tokens, "_count", counting)
    bound, least, _ = count_bound([PROSE] * 50_000, "o200k", is_long=True)
    assert sum(read) == 24 * 512
    # 5,599,999 characters with the line feeds between, a quarter of a token each: 1,400,000; 1.35 times that, and 0.8.
    assert (bound, least) == (1_890_000, 1_120_000)


def test_extras_that_are_short_are_counted_even_in_a_long_request():
    assert count_bound(["2 + 2 = 4"], "o200k", is_long=True) == (7, 7, UsageSource.TOKENIZER)


def test_a_text_that_comes_again_counts_the_same_and_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict[tuple[int, int, str], int]()
    monkeypatch.setattr(tokens, "_known", known)
    monkeypatch.setattr(tokens, "_KNOWN_MAX", 3)
    texts = [f"{number} {'Who is passing, and who has paid? ' * 5}" for number in range(5)]
    for text in [*texts, *texts, "a lone surrogate \ud800 " * 9]:
        for name in ("o200k", "cl100k"):
            exact = tokens.count(text, name)[0]
            assert tokens.count_bound([text], name, is_long=False)[0] == exact
    assert 0 < len(known) <= 3
    assert {type(part) for kept in known for part in kept[:2]} == {int}
