"""How sure one may be: 95 % intervals for a mean score, for a difference of two, and for what was saved.

No draws: the same numbers give the same interval. Every interval contains its estimate, and gets narrower the more there
is of the same.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, sqrt
from typing import NamedTuple

from tollway.money.rounding import half_even

SCORE_MAX = 100
Z = 1.959963984540054
"""Of 95 %, two-sided, in standard deviations of a normal variable."""
_Z2 = Z * Z
_Z2_EXACT = Fraction(Z) ** 2
LEAST_REQUESTS = 30
"""Below so many requests, what was saved is told without an interval."""
BPS = 10_000


class Interval(NamedTuple):
    """Scores of 100, or differences of them: the estimate lies in [lower, upper]."""

    estimate: float
    lower: float
    upper: float

    @property
    def has_zero(self) -> bool:
        """Zero is possible: of a difference, that there is none."""
        return self.lower <= 0 <= self.upper


@dataclass(slots=True)
class Scores:
    """Sums over scores of 0..100: how many, their sum, and the sum of their squares."""

    count: int = 0
    total: int = 0
    squares: int = 0

    def add(self, score: int) -> None:
        """One more. `score`: 0..100."""
        self.count += 1
        self.total += score
        self.squares += score * score

    def interval(self) -> Interval | None:
        """The mean score with its 95 % interval within 0..100; None where there are no scores.

        Wilson's interval (Wilson 1927, JASA 22), which is for scores of 0 and 100 alone, with as many more ratings as
        the scores spread less than such ones would. The spread is taken with one 0 and one 100 added, so that a few
        equal scores do not look like certainty; for scores of 0 and 100 alone, it is Wilson's own.
        """
        count = self.count
        if not count:
            return None
        number, total, squares = count + 2, self.total + SCORE_MAX, self.squares + SCORE_MAX**2
        spread = (number * squares - total * total) / (total * (SCORE_MAX * number - total))
        effective = count / spread
        mean = self.total / (SCORE_MAX * count)
        shrunk = 1 + _Z2 / effective
        centre = (mean + _Z2 / (2 * effective)) / shrunk
        half = Z / shrunk * sqrt(mean * (1 - mean) / effective + _Z2 / (4 * effective * effective))
        # The last digit of a fraction must not put the mean outside.
        lower, upper = min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean)
        return Interval(SCORE_MAX * mean, SCORE_MAX * lower, SCORE_MAX * upper)


def difference(one: Interval, other: Interval) -> Interval:
    """`one` minus `other` of two independent means, from their intervals (Newcombe 1998, Statistics in Medicine 17)."""
    estimate = one.estimate - other.estimate
    below = sqrt((one.estimate - one.lower) ** 2 + (other.upper - other.estimate) ** 2)
    above = sqrt((one.upper - one.estimate) ** 2 + (other.estimate - other.lower) ** 2)
    return Interval(estimate, estimate - below, estimate + above)


class Share(NamedTuple):
    """Part of an amount, in basis points of it: exact, and give or take `half_bps`; None where there is too little."""

    bps: int
    half_bps: int | None


@dataclass(slots=True)
class Pairs:
    """Sums over pairs of amounts for the same request: what it cost, and what it would have cost. Integers, exact."""

    count: int = 0
    actual: int = 0
    other: int = 0
    _squares: int = 0
    _other_squares: int = 0
    _products: int = 0

    def add(self, actual: int, other: int) -> None:
        """One more request; amounts in nano-USD."""
        self.count += 1
        self.actual += actual
        self.other += other
        self._squares += actual * actual
        self._other_squares += other * other
        self._products += actual * other

    @property
    def difference(self) -> int:
        """What was saved; negative where it cost more."""
        return self.other - self.actual

    def saved(self) -> Share | None:
        """The saving as a share of what it would have cost; None where that is nothing.

        The total of these requests is exact; the interval says how it may come out for more requests of this kind: a
        ratio of two sums over requests (Cochran 1977, Sampling Techniques, 2.11), in integers.
        """
        if self.other <= 0:
            return None
        bps = half_even(self.difference * BPS, self.other)
        if self.count < LEAST_REQUESTS:
            return Share(bps, None)
        actual, other = self.actual, self.other
        # The sum of (actual - other * ratio) squared, times the total squared so that it is an integer.
        rest = other**2 * self._squares - 2 * actual * other * self._products + actual**2 * self._other_squares
        variance = Fraction(rest * self.count, other**4 * (self.count - 1))
        square = variance * _Z2_EXACT * BPS**2
        half = isqrt(square.numerator // square.denominator)
        return Share(bps, half + (half * half < square))
