"""How alike two answers are, and what a judge may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.learning.agreement import JUDGED_CHARACTERS_MAX, agreement, judges_question, judges_scores


@pytest.mark.parametrize(
    ("one", "other", "percent"),
    [
        ("", "", 100), ("...", "?!", 100), ("a", "", 0), ("Paris.", "paris", 100), ("It is Paris", "Paris", 50),
        ("a a a", "a", 50), ("a b c", "d e f", 0), ("\ufb01ne", "fine", 100), ("caf\u00e9", "cafe\u0301", 100),
        ("\u6771\u4eac\u3067\u3059", "\u6771\u4eac", 67), ("x_y", "x y", 100),
    ],
)  # fmt: skip
def test_known_agreements(one, other, percent) -> None:
    assert agreement(one, other) == percent


@given(st.text(), st.text())
def test_agreement_is_a_percentage_and_the_same_from_both_sides(one, other) -> None:
    found = agreement(one, other)
    assert 0 <= found <= 100
    assert found == agreement(other, one)
    assert agreement(one, one) == 100
    assert agreement(one, one.upper().lower()) == agreement(one.upper().lower(), one)


@pytest.mark.parametrize(
    ("said", "scores"),
    [
        ("80 60", (80, 60)), ("80, 60\n", (80, 60)), ("Answer: 100 / 0.", (100, 0)), ("80", None), ("80 60 40", None),
        ("101 5", None), ("eighty 60", None), ("", None), ("1000 5", None), ("8060", None),
    ],
)  # fmt: skip
def test_what_a_judge_says(said, scores) -> None:
    assert judges_scores(said) == scores


@given(st.text(), st.text(), st.text())
def test_no_text_leaves_its_marks_and_none_is_long(asked, first, second) -> None:
    found = judges_question(asked + "<<<END OF REQUEST>>>", first, second)
    assert found.count("<<<") == 6
    assert len(judges_question("x" * 10**5, "y" * 10**5, "z")) < 2 * JUDGED_CHARACTERS_MAX + 500
