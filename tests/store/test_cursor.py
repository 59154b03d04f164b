"""Cursors: what was written is read, and nothing else is."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import InvalidField
from tollway.store.cursor import RowCursor, SumCursor, question_of, read, written

WHOLE = st.integers(0, 2**62)


@given(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, st.lists(st.text(), max_size=3))
def test_what_was_written_is_read(start, end, until, one, other, group) -> None:
    rows = RowCursor("q", start, end, until, one, other)
    assert read(written(rows), RowCursor, "q") == rows
    try:
        sums = SumCursor("q", start, end, until, one, other % 2**40, group)
        text = written(sums)
    except UnicodeEncodeError:
        return  # a lone surrogate cannot be in a database either
    assert read(text, SumCursor, "q") == sums
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=200))
def test_anything_else_is_refused(text) -> None:
    with pytest.raises(InvalidField) as raised:
        read(text, RowCursor, "q")
    assert raised.value.param == "after"


@pytest.mark.parametrize(
    "values",
    [
        [], ["q"], ["q", 0, 0, 0, 0], ["q", 0, 0, 0, 0, 0, 0], ["q", 0, 0, 0, -1, 0], ["q", 0, 0, 0, 2**63, 0],
        ["q", "0", 0, 0, 0, 0], ["q", 0.5, 0, 0, 0, 0], ["q", 0, 0, 0, 0, 10**400], {"question": "q"}, None,
    ],
)  # fmt: skip
def test_values_of_another_shape_are_refused(values) -> None:
    text = base64.urlsafe_b64encode(
        msgspec.json.encode(values) if values != ["q", 0, 0, 0, 0, 10**400] else str(values).replace("'", '"').encode()
    )
    with pytest.raises(InvalidField):
        read(text.decode(), RowCursor, "q")


def test_a_cursor_of_another_question_is_refused() -> None:
    ours, theirs = question_of("usage", "w1", [("model", ("m",))]), question_of("usage", "w1", [("model", ("n",))])
    assert ours != theirs
    assert ours == question_of("usage", "w1", [("model", ("m",))])
    with pytest.raises(InvalidField, match="another question"):
        read(written(RowCursor(theirs, 0, 0, 0, 0, 0)), RowCursor, ours)
