"""Amounts as integers, and how they are read from and written as text.

The ledger counts nano-USD (1e-9 USD), price lists count pico-USD per unit (1e-12 USD): money.md R1. One dollar per million
tokens is exactly one million pico-USD per token. No binary fraction is ever involved: text goes through `Decimal`.
"""

from decimal import Decimal, InvalidOperation, Overflow
from typing import NewType

NanoUSD = NewType("NanoUSD", int)
PicoUSD = NewType("PicoUSD", int)

NANO_PER_USD = 1_000_000_000
NANO_PER_CENT = 10_000_000
PICO_PER_NANO = 1_000
PICO_PER_USD = NANO_PER_USD * PICO_PER_NANO
_EXPONENT_MAX = 30
NANO_MAX = 2**63 - 1
"""What a signed 64-bit column holds: about 9.22 billion dollars."""


class NotAnAmount(ValueError):
    """The text is not an exact amount of money. Write a plain decimal such as `12.50`."""


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text.strip().lstrip("$").replace("_", ""))
    except (InvalidOperation, Overflow):
        raise NotAnAmount(f"{text!r} is not an amount of money; write a plain decimal such as 12.50") from None
    if not value.is_finite() or value.adjusted() > _EXPONENT_MAX:
        raise NotAnAmount(f"{text!r} is not an amount of money that exists")
    return value


def _scaled(text: str, places: int, unit: str) -> int:
    scaled = _decimal(text).scaleb(places)
    if scaled != scaled.to_integral_value():
        raise NotAnAmount(f"{text!r} is finer than {unit}, the smallest step there is")
    return int(scaled)


def parse_usd(text: str) -> NanoUSD:
    """Nano-USD of a decimal USD text, exactly.

    Raises:
        NotAnAmount: not a decimal number, finer than a nano-USD, or beyond a 64-bit column.
    """
    nano = _scaled(text, 9, "a nano-USD (0.000000001)")
    if abs(nano) > NANO_MAX:
        raise NotAnAmount(f"{text!r} is beyond the largest amount the ledger holds")
    return NanoUSD(nano)


def parse_pico(text: str) -> PicoUSD:
    """Pico-USD of a decimal USD text, exactly; for prices per request or per call."""
    return PicoUSD(_scaled(text, 12, "a pico-USD"))


def parse_per_million(text: str) -> PicoUSD:
    """Pico-USD per token of a price written in USD per million tokens (money.md R1).

    Raises:
        NotAnAmount: not a decimal number, or finer than 0.000001 USD per million.
    """
    return PicoUSD(_scaled(text, 6, "0.000001 USD per million"))


def _places(amount: int, places: int) -> str:
    """Decimal text of `amount` / 10**places, exact, without trailing zeros. Integers only: it runs on every request."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**places)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{places}d}".rstrip("0")


def format_usd(nano: int, least_places: int = 0) -> str:
    """Exact decimal USD text of nano-USD: `13427700` is `0.0134277`; `least_places=2` pads to cents."""
    text = _places(nano, 9)
    if least_places:
        whole, _, fraction = text.partition(".")
        text = f"{whole}.{fraction.ljust(least_places, '0')}"
    return text


def format_pico(pico: int) -> str:
    """Exact decimal USD text of pico-USD (a price per token or per call)."""
    return _places(pico, 12)


def format_per_million(pico: int) -> str:
    """Exact decimal USD per million tokens of pico-USD per token."""
    return _places(pico, 6)


def format_cents(nano: int) -> str:
    """Exact, possibly fractional, decimal cents of nano-USD: `1_100_000` is `0.11`."""
    return _places(nano, 7)
