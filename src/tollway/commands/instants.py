"""Times that are named on the command line: a date, an instant, or days from now."""

import re
from datetime import UTC, datetime, timedelta

import click

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


def when(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """An option that `unix_seconds` can read. Raises BadParameter."""
    try:
        if text is not None and not _DAYS.fullmatch(text):
            datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is neither a date such as 2027-06-30 nor days such as 30d"
        raise click.BadParameter(problem, context, parameter) from None
    return text


def unix_seconds(text: str, now: float, option: str) -> int:
    """The first second of a date (UTC), an instant with its offset, or days from now. Raises UsageError: it has passed."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return int(now) + int(timedelta(days=int(days[1])).total_seconds())
    named = datetime.fromisoformat(text)
    at = int((named if named.tzinfo is not None else named.replace(tzinfo=UTC)).timestamp())
    if at <= now:
        raise click.UsageError(f"{option} {text} has passed")
    return at
