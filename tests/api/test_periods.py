"""Periods as they are asked for: days and instants, in UTC, both ends."""

import pytest
from pydantic import ValidationError

from store.world import NOW
from tollway.api.periods import FilterQuery, PeriodQuery, Span, moment_ms, recent_span_of, span_of
from tollway.errors import InvalidField
from tollway.store.usage import MS_MAX

DAY = 86_400_000
START = 1_799_884_800_000  # 2027-01-14 00:00 UTC


@pytest.mark.parametrize(
    ("text", "ms", "end"),
    [
        ("2027-01-14", START, START + DAY),
        ("2027-01-14T00:00:00Z", START, START),
        ("2027-01-14T01:00:00+01:00", START, START),
        ("2027-01-14T01:00:00 01:00", START, START),
        ("2027-01-14T00:00:00.001Z", START + 1, START + 1),
        ("1970-01-01", 0, DAY),
        ("2999-12-31", 32_503_593_600_000, 32_503_593_600_000 + DAY),
    ],
)
def test_a_moment(text, ms, end) -> None:
    assert (moment_ms(text), moment_ms(text, is_end=True)) == (ms, end)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2027-02-30", "2027-01-14T00:00:00", "1969-12-31", "3000-01-02", "0001-01-01T00:00:00+14:00", "1e9", "\u0662\u0660\u0662\u0667-01-14"],
)  # fmt: skip
def test_no_moment(text) -> None:
    with pytest.raises(ValueError, match="write a day"):
        moment_ms(text)
    with pytest.raises(ValidationError):
        PeriodQuery.model_validate({"from": text})


def test_spans() -> None:
    def span(**asked: str) -> Span:
        return span_of(PeriodQuery.model_validate(asked))

    assert span() == (0, MS_MAX)
    assert span(start_date="2027-01-14", end_date="2027-01-14") == (START, START + DAY)
    assert span(**{"from": "2027-01-14", "to": "2027-01-14"}) == (START, START + DAY)
    assert span(**{"from": "2027-01-14", "to": "2027-01-14T12:00Z"}) == (START, START + DAY // 2)
    assert span(start_date="2027-01-14", to="2027-01-15").days == ("2027-01-14", "2027-01-15")
    for asked, param in (
        ({"start_date": "2027-01-14", "from": "2027-01-14"}, "from"),
        ({"end_date": "2027-01-14", "to": "2027-01-14"}, "to"),
        ({"start_date": "2027-01-15", "end_date": "2027-01-14"}, "start_date"),
        ({"from": "2027-01-15", "to": "2027-01-14"}, "from"),
        ({"from": "2027-01-15T00:00Z", "to": "2027-01-15T00:00Z"}, "from"),
    ):
        with pytest.raises(InvalidField) as raised:
            span(**asked)
        assert raised.value.param == param


def test_the_last_thirty_days() -> None:
    def span(**asked: str) -> tuple[str, str]:
        return recent_span_of(PeriodQuery.model_validate(asked), NOW).days

    assert span() == ("2026-12-17", "2027-01-15")
    assert span(end_date="2027-01-10") == ("2026-12-12", "2027-01-10")
    assert span(to="2027-01-10T00:00Z") == ("2026-12-11", "2027-01-09")
    assert span(start_date="2027-01-14") == ("2027-01-14", "2027-01-15")
    assert span(start_date="2028-01-14") == ("2028-01-14", "2028-01-14")
    assert span(end_date="1970-01-02") == ("1970-01-01", "1970-01-02")


def test_filters() -> None:
    asked = FilterQuery(model=("a", "b"), status=("success", "error"), key_id=("k",), user_id=("u",), tier=("t",))
    filters = asked.filters(Span(1, 2), 3)
    assert (filters.start_ms, filters.end_ms, filters.until_seq) == (1, 2, 3)
    assert (filters.models, filters.statuses, filters.keys, filters.users, filters.tiers) == (
        ("a", "b"), ["ok", "error"], ("k",), ("u",), ("t",),
    )  # fmt: skip
