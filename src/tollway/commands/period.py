"""The period that a command about usage is asked for."""

from typing import TYPE_CHECKING

import click

from tollway.errors import InvalidField

if TYPE_CHECKING:
    from tollway.api.periods import Span


def span(now: float, start: str | None, end: str | None) -> "Span":
    """The period, as `/v1/usage` reads it. Raises UsageError.

    Args:
        now: unix seconds.
        start: the first day, or an instant; None: 29 days before the last one.
        end: the last day, or the instant after; None: today.
    """
    from tollway.api.periods import PeriodQuery, moment_ms, recent_span_of

    for hint, text in (("--from", start), ("--to", end)):
        try:
            moment_ms(text or "1970-01-01")
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=hint) from None
    try:
        return recent_span_of(PeriodQuery.model_validate({"from": start, "to": end}), now)
    except InvalidField:
        raise click.UsageError("the period is empty: --from is not before the end of --to") from None
