"""Budgets: what a key may spend in a window of UTC days, as a view over days.

Spending is counted per key and UTC day, and a window is the sum of its days (money.md R13). Nothing is ever reset: a
new window is other days, and a hold counts for ever in the day it was opened in. Weeks start on Monday.
"""

from datetime import date
from typing import Literal, NamedTuple

from tollway.errors import Broken

Window = Literal["day", "week", "month", "lifetime"]
_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS = 86_400
_KEPT_DAYS = 40


class Budget(NamedTuple):
    """A limit of nano-USD per window."""

    limit_nano: int
    window: Window


def window_start(window: Window, day: int) -> int:
    """The first day number (unix days) of the window that contains `day`; 0 for `lifetime`."""
    if window == "day":
        return day
    if window == "week":
        return day - (day + 3) % 7  # day 0 was a Thursday
    if window == "month":
        return date.fromordinal(day + _EPOCH).replace(day=1).toordinal() - _EPOCH
    return 0


def window_end(window: Window, day: int) -> int | None:
    """Unix seconds at which the window that contains `day` ends; None: never."""
    if window == "lifetime":
        return None
    start = window_start(window, day)
    length = {"day": 1, "week": 7, "month": 0}[window]
    return (start + length if length else window_start("month", start + 31)) * _SECONDS


class Spend:
    """What one key has spent and holds, per day and over its whole life, nano-USD."""

    __slots__ = ("_cached", "_day", "_start", "_window", "days", "held_nano", "spent_nano")

    def __init__(self, spent_nano: int = 0, held_nano: int = 0) -> None:
        """Totals over the key's life; `load` adds single days that are part of these totals."""
        self.spent_nano = spent_nano
        self.held_nano = held_nano
        self.days: dict[int, tuple[int, int]] = {}
        self._window: Window | None = None
        self._day: int = 0
        self._start: int = 0
        self._cached: int = 0

    def load(self, day: int, spent_nano: int, held_nano: int) -> None:
        """Take in a stored day; its amounts are in the totals already."""
        self.days[day] = (spent_nano, held_nano)
        self._window = None

    def knows(self, day: int) -> bool:
        """This day has a row."""
        return day in self.days

    def move(self, day: int, spent_nano: int, held_nano: int) -> None:
        """Add signed amounts to a day.

        Raises:
            Broken: the day would hold or have spent less than nothing.
        """
        spent, held = self.days.get(day, (0, 0))
        spent += spent_nano
        held += held_nano
        if spent < 0 or held < 0:
            raise Broken(f"a key's day {day} would come to {spent} spent and {held} held nano-USD")
        self.days[day] = (spent, held)
        self.spent_nano += spent_nano
        self.held_nano += held_nano
        if day >= self._start:
            self._cached += spent_nano + held_nano

    def used(self, window: Window, day: int) -> int:
        """Spent plus held in the window that contains `day`, nano-USD."""
        if window == "lifetime":
            return self.spent_nano + self.held_nano
        if window != self._window or day != self._day:
            start = window_start(window, day)
            self._cached = sum(spent + held for at, (spent, held) in self.days.items() if at >= start)
            self._window, self._day, self._start = window, day, start
        return self._cached

    def forget_before(self, day: int) -> None:
        """Drop days that no window of `day` can contain and that hold nothing; the totals keep them."""
        oldest = day - _KEPT_DAYS
        for at in [at for at, (_, held) in self.days.items() if at < oldest and not held]:
            del self.days[at]
