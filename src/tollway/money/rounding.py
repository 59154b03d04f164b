"""The only roundings of money: half-even for a charge, up for a hold, half-up for an invoice line.

Source: money.md R2. Everything is integer division; nothing here can lose a unit silently.
"""


def half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, ties to the even one. `denominator` > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def ceiling(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded up. `denominator` > 0."""
    return -(-numerator // denominator)


def half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, ties away from zero. `denominator` > 0."""
    if numerator < 0:
        return -half_up(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)
