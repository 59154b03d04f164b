"""Prices written by hand, in data files, corrections and settings: decimal strings in USD, and what they become."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, NoReturn

import msgspec

from tollway.catalogue.snapshot import ListRow, Prices, TierRow
from tollway.catalogue.units import BY_NAME
from tollway.money.amount import NotAnAmount, parse_per_million, parse_pico

Day = Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
"""An ISO date, or "" for not known."""

Complain = Callable[[list[str | int], str, str], NoReturn]
"""Raises about the value at these keys: (keys, problem, fix)."""


class TierPriceRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What differs once the input is longer than `above` tokens."""

    above: Annotated[int, msgspec.Meta(ge=1)]
    per_million: dict[str, str]


class PriceRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One price list. per_million: USD per million tokens; per_thousand: USD per thousand calls.

    window_utc: `16:30-00:30`, the part of each day it applies to. source: page read. checked: when; `""` = not
    verified.
    """

    per_million: dict[str, str] = {}
    per_thousand: dict[str, str] = {}
    start: Day = msgspec.field(name="from", default="1970-01-01")
    tiers: list[TierPriceRow] = []
    window_utc: str = ""
    source: str = ""
    checked: Day = ""


def list_row(row: PriceRow, complain: Complain, *, source: str = "") -> ListRow:
    """The snapshot row of a price written by hand.

    Args:
        row: what is written.
        complain: tells of a place in it.
        source: where it was read, if the row does not say.
    """
    tiers = [
        TierRow(tier.above, in_pico(tier.per_million, {}, _below(complain, "tiers", index)))
        for index, tier in enumerate(row.tiers)
    ]
    if [tier.above for tier in tiers] != sorted({tier.above for tier in tiers}):
        complain(["tiers"], "the thresholds do not rise", "list them from the smallest up, each once")
    prices = in_pico(row.per_million, row.per_thousand, complain)
    if not prices:
        complain([], "no price at all", 'give per_million: {input: "...", output: "..."}; "0" if it is free')
    return ListRow(
        prices=prices,
        start=_day(row.start, complain),
        tiers=tuple(tiers),
        window=_window(row.window_utc, complain),
        source=row.source or source,
        checked=row.checked,
    )


def _day(text: str, complain: Complain) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        complain(["from"], f"{text!r} is not a day", "write it as 2026-01-31")


def in_pico(per_million: Mapping[str, str], per_thousand: Mapping[str, str], complain: Complain) -> Prices:
    """Pico-USD per unit of prices per million tokens and per thousand calls."""
    prices = Prices()
    for name, text in per_million.items():
        _check(name, "per_million", complain, is_call=False)
        try:
            prices[name] = _positive(parse_per_million(text))
        except NotAnAmount as error:
            complain(["per_million", name], str(error), "write a plain decimal in quotes, at most six decimals")
    for name, text in per_thousand.items():
        _check(name, "per_thousand", complain, is_call=True)
        try:
            prices[name] = _positive(_thousandth(parse_pico(text)))
        except NotAnAmount as error:
            complain(["per_thousand", name], str(error), "write a plain decimal in quotes, at most nine decimals")
    return {name: prices[name] for name in BY_NAME if name in prices}


def _positive(pico: int) -> int:
    if pico < 0:
        raise NotAnAmount("a price is never below zero")
    return pico


def _thousandth(pico: int) -> int:
    whole, rest = divmod(pico, 1_000)
    if rest:
        raise NotAnAmount("the price of one call is finer than a pico-USD, the smallest step there is")
    return whole


def _check(name: str, where: str, complain: Complain, *, is_call: bool) -> None:
    spec = BY_NAME.get(name)
    if spec is None:
        complain([where, name], "not a billable unit", f"units are: {', '.join(BY_NAME)}")
    if (spec.side == "call") is not is_call:
        other = "per_million" if is_call else "per_thousand"
        complain([where, name], f"`{name}` is not priced {where.replace('_', ' ')}", f"put it under {other}")


def _window(text: str, complain: Complain) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        complain(["window_utc"], f"{text!r} is not a part of the day", 'write it as "16:30-00:30", in UTC')
    hour, minute, end_hour, end_minute = (int(part) for part in match.groups())
    return hour * 3600 + minute * 60, end_hour * 3600 + end_minute * 60


def _below(complain: Complain, *above: str | int) -> Complain:
    def deeper(keys: list[str | int], problem: str, fix: str) -> NoReturn:
        complain([*above, *keys], problem, fix)

    return deeper
