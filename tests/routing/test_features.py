"""Features of a prompt: cues in many languages, where they weigh, and shape."""

import re

import pytest

from tollway.routing.features import cues, observe, read_cues
from tollway.routing.told import told


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("Please prove it", "prove"),
        ("Beweisen Sie den Satz", "prove"),
        ("请证明这个定理", "prove"),
        ("証明してください", "prove"),
        ("เขียนฟังก์ชัน", "write"),
        ("मुझे एक कविता लिखें", "creative"),
        ("what is a comet", "what_is"),
        ("Qu'est-ce que la vie ?", "what_is"),
        ("翻译这句话", "translate"),
        ("my query crashes", "debug"),
        ("クイックソートの正しさを証明してください", "prove"),
        ("이 정렬 알고리즘이 항상 끝난다는 것을 증명하시오", "prove"),
    ],
)
def test_a_cue_is_found_where_it_stands(text, cue):
    assert observe(text)["h:" + cue] == 1.0


def test_a_word_that_only_begins_alike_is_no_cue():
    assert "c:how_many" not in observe("quantum")
    assert "c:debug" not in observe("failover")


def test_the_last_line_of_a_long_text_weighs_like_its_beginning():
    filler = "The shed is green and old. " * 30
    found = observe(f"{filler}\nSummarize it")
    assert found["h:summarize"] == 1.0
    assert "h:summarize" not in observe(f"Well then, we all agree. {filler} Summarize it now {filler}")


def test_words_of_a_long_text_weigh_less():
    short, long = observe("shed is here"), observe("the shed is here " * 60)
    assert short["w:shed"] > 3 * long["w:shed"]


def test_shape():
    found = observe("1. one\n2. two\n```\nx = f()\n```\nA, b, c? 12 + 3 = 15")
    for name in ("fence", "code", "math", "items", "lists", "question", "numbers", "lines"):
        assert found["s:" + name] > 0, name
    assert observe("") == {"s:short": 1.0}


def test_strengths_are_never_negative_and_small():
    for text in ("x" * 2_000, "😀" * 500, "1,2;3 " * 300, "漢字" * 1_000):
        assert all(0 <= strength < 10 for strength in observe(text).values())


def test_every_cue_has_words_for_a_person():
    table = cues()
    named = {concept for found in table.whole.values() for concept in found}
    assert all(re.search(r"[a-z] [a-z]", told("c:" + concept)) for concept in named)
    assert told("w:shed") == "the word “shed”"
    assert told("s:length") == "its length"


def test_a_table_is_read_as_it_says():
    table = read_cues("# a comment\n\ngo: walk* run go_on 走る\n")
    assert table.begun["wa"] == (("walk", "go"),)
    assert table.whole["run"] == ("go",)
    assert table.pairs["go on"] == ("go",)
    assert table.pieces["走"] == (("走る", "go"),)
