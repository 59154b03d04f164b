"""money.md R2: the only three roundings, against exact fractions."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tollway.money.rounding import ceiling, half_even, half_up

numerators = st.integers(-(10**30), 10**30)
denominators = st.integers(1, 10**12)


@given(numerators, denominators)
def test_half_even_is_the_language_s_own(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(numerators, denominators)
def test_ceiling(numerator: int, denominator: int) -> None:
    assert ceiling(numerator, denominator) == math.ceil(Fraction(numerator, denominator))


@given(numerators, denominators)
def test_half_up_goes_away_from_zero(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    expected = math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert half_up(numerator, denominator) == expected


def test_ties() -> None:
    assert [half_even(n, 2) for n in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]
    assert [half_up(n, 2) for n in (1, 3, 5, -1, -3)] == [1, 2, 3, -1, -2]
