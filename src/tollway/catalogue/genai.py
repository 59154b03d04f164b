"""The importer from the package `genai-prices`: its providers, models and units become rows of our price snapshot.

What it means there (genai_prices/types.py, version 0.2.3, read 2026-11-24) and what it becomes here:

- a tier counts once the whole input is strictly longer than its `start`, and then for the whole request: `PriceTier`;
- of conditional prices the last one that is active wins; a start date is a UTC day: rows by day; a time of day is
  [start, end) in UTC and active on every day: a daily window in each row's group;
- variants (batch, service tiers, regions) are other offers than the standard one and are left out, with a note;
- a price without any figure is no statement at all: the model is quarantined, never free.

The package imports pydantic and takes half a second, so it is imported when asked for: only by `tollway prices` and
tests.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import metadata
from itertools import pairwise
from typing import TYPE_CHECKING

from tollway.catalogue.snapshot import Entry, ListRow, Prices, TierRow
from tollway.catalogue.units import (
    CACHE_READ,
    CACHE_READ_AUDIO,
    CACHE_READ_IMAGE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    FILE_SEARCH,
    INPUT,
    INPUT_AUDIO,
    INPUT_IMAGE,
    OUTPUT,
    OUTPUT_AUDIO,
    OUTPUT_IMAGE,
    REASONING,
    REQUEST,
    WEB_SEARCH,
    Unit,
)

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider, TimeOfDateConstraint

PACKAGE = "genai-prices"
NO_PRICE = "the package has no price for it"
_PICO_PER_MTOK_USD = 1_000_000
_PICO_PER_KCOUNT_USD = 1_000_000_000
_NO_START = "1970-01-01"

UNITS: Mapping[str, tuple[Unit, int]] = {
    "input_mtok": (INPUT, _PICO_PER_MTOK_USD),
    "output_mtok": (OUTPUT, _PICO_PER_MTOK_USD),
    "cache_read_mtok": (CACHE_READ, _PICO_PER_MTOK_USD),
    "cache_write_mtok": (CACHE_WRITE_5M, _PICO_PER_MTOK_USD),
    "cache_write_5m_mtok": (CACHE_WRITE_5M, _PICO_PER_MTOK_USD),
    "cache_write_1h_mtok": (CACHE_WRITE_1H, _PICO_PER_MTOK_USD),
    "input_audio_mtok": (INPUT_AUDIO, _PICO_PER_MTOK_USD),
    "cache_audio_read_mtok": (CACHE_READ_AUDIO, _PICO_PER_MTOK_USD),
    "output_audio_mtok": (OUTPUT_AUDIO, _PICO_PER_MTOK_USD),
    "input_image_mtok": (INPUT_IMAGE, _PICO_PER_MTOK_USD),
    "cache_image_read_mtok": (CACHE_READ_IMAGE, _PICO_PER_MTOK_USD),
    "output_image_mtok": (OUTPUT_IMAGE, _PICO_PER_MTOK_USD),
    "output_reasoning_mtok": (REASONING, _PICO_PER_MTOK_USD),
    "requests_kcount": (REQUEST, _PICO_PER_KCOUNT_USD),
    "web_searches_kcount": (WEB_SEARCH, _PICO_PER_KCOUNT_USD),
    "storage_searches_kcount": (FILE_SEARCH, _PICO_PER_KCOUNT_USD),
}
"""Price keys of the package that one of our units counts, and pico-USD per unit of one USD there.

The rest (audio hours, characters, pages, video and citation tokens) would be used without being counted, so a model
that has such a price has none here.
"""


class Unrepresentable(ValueError):
    """A price that our units or price lists cannot say exactly."""


@dataclass(slots=True)
class _Notes:
    texts: list[str]

    def add(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)


def package_version() -> str:
    """Name and installed version of the price package, such as `genai-prices 0.2.3`."""
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def read_package(checked: str) -> tuple[Entry, ...]:
    """Every model of the installed package, by provider and id; those that cannot be priced carry a quarantine.

    Args:
        checked: ISO date of this reading.
    """
    from genai_prices.data import providers  # noqa: PLC0415 - half a second, see the module's docstring

    entries = [entry for provider in providers for entry in _entries(provider, checked)]
    return tuple(sorted(entries, key=lambda entry: (entry.provider, entry.id)))


def _entries(provider: "Provider", checked: str) -> Iterator[Entry]:
    page = (provider.pricing_urls or [""])[0]
    first: dict[str, ModelInfo] = {}
    for model in provider.models:
        if first.setdefault(model.id, model) is not model:
            continue  # Listed twice: the package itself answers with the first.
        notes, rows, quarantine = _Notes([]), tuple[ListRow, ...](), ""
        try:
            rows = tuple(_rows(model, notes, checked))
        except Unrepresentable as problem:
            quarantine = str(problem)
        if model.price_variants:
            kinds = sorted({value for variant in model.price_variants for value in variant.when.values()})
            notes.add(f"left out: prices for {', '.join(kinds)}")
        names = _names(model)
        yield Entry(
            provider=provider.id,
            id=model.id,
            name=(model.name or "").strip(),
            source=page,
            context=model.context_window or 0,
            names=names,
            stems=_stems(provider, model, names),
            lists=rows,
            quarantine=quarantine,
            notes=tuple(notes.texts),
        )


def _rows(model: "ModelInfo", notes: _Notes, checked: str) -> Iterator[ListRow]:
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint  # noqa: PLC0415

    source = package_version()
    conditional = model.prices
    if isinstance(conditional, ModelPrice):
        starts, windows = [(_NO_START, conditional)], []
    else:
        starts, windows = list[tuple[str, ModelPrice]](), list[tuple[TimeOfDateConstraint, ModelPrice]]()
        for one in conditional:
            if one.constraint is None:
                starts.append((_NO_START, one.prices))
            elif isinstance(one.constraint, StartDateConstraint):
                starts.append((one.constraint.start_date.isoformat(), one.prices))
            else:
                windows.append((one.constraint, one.prices))
                continue
            if windows:
                raise Unrepresentable("a dated price follows a price for a time of day")
    days = [day for day, _ in starts]
    if not days or days != sorted(set(days)) or days[0] != _NO_START:
        raise Unrepresentable("its dated prices are not in order")
    spans = [_window(constraint) for constraint, _ in windows]
    if _overlap(spans):
        raise Unrepresentable("its prices for times of day overlap")
    for day, prices in starts:
        base, tiers = _prices(prices, notes)
        yield ListRow(prices=base, start=day, tiers=tiers, source=source, checked=checked)
        for span, (_, during) in zip(spans, windows, strict=True):
            base, tiers = _prices(during, notes)
            yield ListRow(prices=base, start=day, tiers=tiers, window=span, source=source, checked=checked)


def _prices(price: "ModelPrice", notes: _Notes) -> tuple[Prices, tuple[TierRow, ...]]:
    from genai_prices.types import TieredPrices  # noqa: PLC0415

    figures: dict[str, object] = {key: value for key, value in vars(price).items() if value is not None}
    if not figures:
        raise Unrepresentable(NO_PRICE)
    unknown = sorted(set(figures) - set(UNITS))
    if unknown:
        raise Unrepresentable(f"it is charged by {', '.join(unknown)}, which no unit of ours counts")
    base, tiers = Prices(), dict[int, Prices]()
    for key, figure in figures.items():
        unit, scale = UNITS[key]
        if unit in base:
            raise Unrepresentable(f"two prices for {unit}")
        if isinstance(figure, TieredPrices):
            base[unit] = exact_pico(figure.base, scale, notes.add)
            for tier in figure.tiers:
                tiers.setdefault(tier.start, {})[unit] = exact_pico(tier.price, scale, notes.add)
        elif isinstance(figure, Decimal):
            base[unit] = exact_pico(figure, scale, notes.add)
        else:
            raise Unrepresentable(f"the price of {unit} is not a decimal")
    rows = tuple(TierRow(above=start, prices=_ordered(tiers[start])) for start in sorted(tiers))
    return _ordered(base), rows


def exact_pico(figure: Decimal, scale: int, note: Callable[[str], None]) -> int:
    """Integer pico-USD of a figure in USD per million tokens or per thousand calls.

    What is finer than a pico-USD is noise of binary fractions in the source (0.18000000000000002) and is rounded to it,
    half-even, with a note (money.md R1); a figure that this would change by more than a ten-thousandth part is refused.

    Raises:
        Unrepresentable: negative, not finite, or not noise.
    """
    if not figure.is_finite() or figure < 0:
        raise Unrepresentable(f"the price {figure} is not a price")
    pico = figure * scale
    whole = pico.to_integral_value(ROUND_HALF_EVEN)
    if whole != pico:
        if abs(whole - pico) * 10_000 > pico:
            raise Unrepresentable(f"the price {figure} is finer than a pico-USD")
        note(f"rounded: {figure}")
    return int(whole)


def _ordered(prices: Prices) -> Prices:
    return {unit: prices[unit] for unit, _ in UNITS.values() if unit in prices}


def _window(constraint: "TimeOfDateConstraint") -> tuple[int, int]:
    start, end = (_second(each) for each in (constraint.start_time, constraint.end_time))
    return start, end


def _second(at: time) -> int:
    if at.utcoffset():
        raise Unrepresentable(f"the time of day {at} is not in UTC")
    return at.hour * 3600 + at.minute * 60 + at.second


def _overlap(spans: Sequence[tuple[int, int]]) -> bool:
    parts = list[tuple[int, int]]()
    for start, end in spans:
        # An end before the start means past midnight (the package's own reading).
        parts += [(start, end)] if start <= end else [(start, 86_400), (0, end)]
    parts.sort()
    return any(second[0] < first[1] for first, second in pairwise(parts))


def _names(model: "ModelInfo") -> tuple[str, ...]:
    from genai_prices.types import ClauseEquals, ClauseOr  # noqa: PLC0415

    clauses = model.match.or_ if isinstance(model.match, ClauseOr) else [model.match]
    exact = (clause.equals for clause in clauses if isinstance(clause, ClauseEquals))
    return tuple(sorted({name for name in exact if name != model.id}))


_DATES = ("-20250101", "-2025-01-01")


def _stems(provider: "Provider", model: "ModelInfo", names: Iterable[str]) -> tuple[str, ...]:
    """Names that the package takes for this model when a date of release follows."""
    prefixes = {prefix.rstrip("-@") for prefix in _prefixes(model.match)}
    if not prefixes and not _has_regex(model.match):
        return ()
    candidates = {model.id, *names, *prefixes}
    found = (stem for stem in candidates if any(provider.find_model(stem + date) is model for date in _DATES))
    return tuple(sorted(stem for stem in found if re.fullmatch(r"[\w.:/-]+", stem)))


def _prefixes(match: "MatchLogic") -> Iterator[str]:
    from genai_prices.types import ClauseAnd, ClauseOr, ClauseStartsWith  # noqa: PLC0415

    if isinstance(match, ClauseStartsWith):
        yield match.starts_with
    elif isinstance(match, ClauseOr | ClauseAnd):
        for clause in match.or_ if isinstance(match, ClauseOr) else match.and_:
            yield from _prefixes(clause)


def _has_regex(match: "MatchLogic") -> bool:
    from genai_prices.types import ClauseAnd, ClauseOr, ClauseRegex  # noqa: PLC0415

    if isinstance(match, ClauseOr | ClauseAnd):
        return any(_has_regex(clause) for clause in (match.or_ if isinstance(match, ClauseOr) else match.and_))
    return isinstance(match, ClauseRegex)
