"""Which requests a question about usage is about: a period of time, and names to filter by."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from tollway.api.edge import Asked, iso
from tollway.errors import InvalidField
from tollway.store.usage import MS_MAX, Filters

DAYS_DEFAULT = 30
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_EPOCH_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = date(2999, 12, 31)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LOST_PLUS = re.compile(r" (\d{2}:?\d{2})$", re.ASCII)
_WRITE = "write a day, 2026-11-24, or an instant with its offset, 2026-11-24T12:00:00Z, of the years 1970 to 2999"
_STATUSES = {"success": "ok"}


def moment_ms(text: str, *, is_end: bool = False) -> int:
    """Unix ms of a day or an instant in ISO 8601. A day means 00:00 UTC; as an end, 00:00 of the day after.

    Raises:
        ValueError: it is neither; says what to write.
    """
    try:
        if _DAY.fullmatch(text):
            ms = _day_ms(date.fromisoformat(text)) + (_DAY_MS if is_end else 0)
        else:
            # In a URL a plus that is not escaped arrives as a space.
            instant = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
            ms = -1 if instant.tzinfo is None else (instant - _EPOCH_INSTANT) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(_WRITE) from None
    if not 0 <= ms <= _day_ms(_LAST) + _DAY_MS:
        raise ValueError(_WRITE)
    return ms


def _checked(text: str) -> str:
    moment_ms(text)
    return text


def _day(value: object) -> object:
    # Without this, pydantic takes a number for seconds or milliseconds of Unix time.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("write a UTC day, such as 2026-11-24")
    return value


Day = Annotated[
    date | None, BeforeValidator(_day), Field(description="UTC day, YYYY-MM-DD, included.", ge=_EPOCH, le=_LAST)
]
Names = Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=50)]
"""Values of one filter; any of them fits. A parameter is named again for each."""


class PeriodQuery(Asked):
    """A period: whole UTC days, or from one instant to another."""

    start_date: Day = None
    end_date: Day = None
    from_: Annotated[
        Annotated[str, AfterValidator(_checked)] | None,
        Field(alias="from", description="Instead of `start_date`: a day or an instant in ISO 8601, included."),
    ] = None
    to: Annotated[
        Annotated[str, AfterValidator(_checked)] | None,
        Field(description="Instead of `end_date`: a day, included, or an instant, not included."),
    ] = None


class FilterQuery(PeriodQuery):
    """A period, and which requests of it."""

    key_id: Names = ()
    model: Names = ()
    provider: Names = ()
    user_id: Names = ()
    status: Annotated[tuple[Literal["success", "error", "cancelled", "expired"], ...], Field(max_length=50)] = ()
    assistant_id: Names = ()
    tier: Names = ()

    def filters(self, span: "Span", until_seq: int) -> Filters:
        """As the store takes them."""
        return Filters(
            span.start_ms,
            span.end_ms,
            until_seq,
            keys=self.key_id,
            models=self.model,
            providers=self.provider,
            users=self.user_id,
            statuses=[_STATUSES.get(one, one) for one in self.status],
            assistants=self.assistant_id,
            tiers=self.tier,
        )


class Span(NamedTuple):
    """[start_ms, end_ms), unix ms."""

    start_ms: int
    end_ms: int

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last UTC day of it, YYYY-MM-DD."""
        return iso(self.start_ms)[:10], iso(max(self.end_ms - 1, self.start_ms))[:10]


def span_of(asked: PeriodQuery) -> Span:
    """The period asked for; from the beginning and to the end of time where a side is left out.

    Raises:
        InvalidField: a side is named twice, or it ends before it begins.
    """
    for one, other in (("start_date", "from"), ("end_date", "to")):
        if getattr(asked, one) is not None and (asked.from_ if other == "from" else asked.to) is not None:
            raise InvalidField(f"`{one}` and `{other}` say the same; send one of them", param=other)
    start_ms, end_ms = 0, MS_MAX
    if asked.start_date is not None:
        start_ms = _day_ms(asked.start_date)
    elif asked.from_ is not None:
        start_ms = moment_ms(asked.from_)
    if asked.end_date is not None:
        end_ms = _day_ms(asked.end_date) + _DAY_MS
    elif asked.to is not None:
        end_ms = moment_ms(asked.to, is_end=True)
    if start_ms >= end_ms:
        begins = "start_date" if asked.start_date is not None else "from"
        ends = "end_date" if asked.end_date is not None else "to"
        raise InvalidField(f"the period is empty: `{begins}` is not before the end of `{ends}`", param=begins)
    return Span(start_ms, end_ms)


def recent_span_of(asked: PeriodQuery, now: float) -> Span:
    """As `span_of`, but the last 30 UTC days up to `now` (unix seconds), or to the end that is named."""
    start_ms, end_ms = span_of(asked)
    if end_ms == MS_MAX:
        # A period that begins in the future is empty, not wrong.
        end_ms = max(int(now * 1000), start_ms) // _DAY_MS * _DAY_MS + _DAY_MS
    if asked.start_date is None and asked.from_ is None:
        start_ms = max((end_ms - 1) // _DAY_MS * _DAY_MS - (DAYS_DEFAULT - 1) * _DAY_MS, 0)
    return Span(start_ms, end_ms)


def _day_ms(day: date) -> int:
    return (day - _EPOCH).days * _DAY_MS
