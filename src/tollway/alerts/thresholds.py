"""Thresholds: which ones a number has passed, and what a workspace has set.

Money and tokens are counted up inside a window, so a percentage is passed once per window. A balance and a storage go up
and down, so theirs is passed once per fall: it counts again when the number has been on the other side of it. All
arithmetic is on integers.
"""

from collections.abc import Collection, Iterable

import msgspec

from tollway.errors import ValidationFailed
from tollway.money.amount import NANO_PER_CENT, NANO_PER_USD

PERCENTS: tuple[int, ...] = (50, 80, 100)
LOW_BALANCE_NANO = 5 * NANO_PER_USD
EMPTY_NANO = NANO_PER_CENT
"""A wallet with less than a cent is empty: no request's worst case is known to fit into less."""
PERCENTS_MAX = 10
_PERCENT_MAX = 1_000


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace wants to be told about.

    *_percent: of the limit, ascending; empty: nothing. low_balance_nano: nano-USD, 0: only when the wallet is empty.
    email: mails go to the owners, admins and billing members of the organization.
    """

    budget_percent: tuple[int, ...] = PERCENTS
    tokens_percent: tuple[int, ...] = PERCENTS
    storage_percent: tuple[int, ...] = PERCENTS
    low_balance_nano: int = LOW_BALANCE_NANO
    email: bool = True


DEFAULTS = AlertSettings()


def passed(used: int, limit: int, percents: Iterable[int], told: Collection[int]) -> tuple[int, ...]:
    """The percentages of `limit` that `used` has reached and nobody was told of, ascending.

    A limit of zero or less is none: nothing is ever reached.
    """
    if limit <= 0:
        return ()
    return tuple(sorted(one for one in percents if used * 100 >= limit * one and one not in told))


def cleared(used: int, limit: int, told: Iterable[int]) -> tuple[int, ...]:
    """Of the percentages that were told, those that `used` is below again, ascending."""
    return tuple(sorted(one for one in told if limit <= 0 or used * 100 < limit * one))


def levels(settings: AlertSettings) -> tuple[int, ...]:
    """The balances to tell of, nano-USD, from the highest: what the workspace has set, and 0 for an empty wallet."""
    return (settings.low_balance_nano, 0) if settings.low_balance_nano > 0 else (0,)


def fallen(balance_nano: int, marks: Iterable[int], told: Collection[int]) -> tuple[int, ...]:
    """The levels that a balance is at or below and nobody was told of, from the highest."""
    return tuple(
        sorted((one for one in marks if balance_nano <= _mark(one) and one not in told), reverse=True),
    )


def risen(balance_nano: int, told: Iterable[int]) -> tuple[int, ...]:
    """Of the levels that were told, those that a balance is above again."""
    return tuple(one for one in told if balance_nano > _mark(one))


def _mark(level_nano: int) -> int:
    return level_nano or EMPTY_NANO - 1


def checked_percents(percents: Collection[int], param: str) -> tuple[int, ...]:
    """Percentages as they are kept: ascending, each once.

    Raises:
        ValidationFailed: too many, or one out of range; with `param`.
    """
    if len(percents) > PERCENTS_MAX:
        raise ValidationFailed(f"`{param}` has at most {PERCENTS_MAX} percentages, not {len(percents)}.", param=param)
    for one in percents:
        if not 1 <= one <= _PERCENT_MAX:
            raise ValidationFailed(f"`{param}`: {one} is not a percentage from 1 to {_PERCENT_MAX}.", param=param)
    return tuple(sorted(set(percents)))
