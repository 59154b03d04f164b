"""money.md R1: text in, integers inside, exact text out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.money.amount import (
    NotAnAmount,
    format_cents,
    format_per_million,
    format_pico,
    format_usd,
    parse_per_million,
    parse_pico,
    parse_usd,
)


def test_r1_a_dollar_per_million_is_a_million_pico() -> None:
    assert parse_per_million("1") == 1_000_000
    assert parse_per_million("0.0011") == 1_100
    assert parse_per_million("0.003625") == 3_625


def test_r1_ten_dollars_per_thousand_searches() -> None:
    assert parse_pico("0.01") == 10_000_000_000


@pytest.mark.parametrize(
    ("text", "nano"),
    [("12.50", 12_500_000_000), ("$0.0066", 6_600_000), ("1_000", 10**12), ("0.000000001", 1), ("-3", -3 * 10**9)],
)
def test_parse_usd(text: str, nano: int) -> None:
    assert parse_usd(text) == nano


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "0.0000000001", "1e30", "1e999999", "1e-999999", "1,5"])
def test_parse_usd_refuses(text: str) -> None:
    with pytest.raises(NotAnAmount):
        parse_usd(text)


@pytest.mark.parametrize(
    ("nano", "usd", "cents"),
    [
        (13_427_700, "0.0134277", "1.34277"),
        (1_100_000, "0.0011", "0.11"),
        (0, "0", "0"),
        (-25 * 10**8, "-2.5", "-250"),
        (10**10, "10", "1000"),
    ],
)
def test_format(nano: int, usd: str, cents: str) -> None:
    assert format_usd(nano) == usd
    assert format_cents(nano) == cents


def test_format_pads_to_cents() -> None:
    assert format_usd(10**10, 2) == "10.00"
    assert format_usd(13_427_700, 2) == "0.0134277"


def test_format_prices() -> None:
    assert format_pico(3_000_000) == "0.000003"
    assert format_per_million(3_000_000) == "3"


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_usd_text_is_lossless(nano: int) -> None:
    text = format_usd(nano)
    assert parse_usd(text) == nano
    assert Decimal(text) * 10**9 == nano
