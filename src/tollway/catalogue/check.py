"""What `tollway prices check` looks at: the data files, the snapshot, and that whatever can be used can be charged.

A finding is an `error` (something would be charged wrongly, or not at all), a `warning` (odd, look at it) or a `note`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tollway.catalogue.grouping import ModelsFile, read_models
from tollway.catalogue.load import MODELS, PACKAGED_SNAPSHOT, PROVIDERS
from tollway.catalogue.offers import Catalogue, Offer
from tollway.catalogue.snapshot import Entry, ListRow, Snapshot, groups, read_snapshot
from tollway.catalogue.units import BY_NAME, CACHE_READ, INPUT
from tollway.catalogue.update import shown
from tollway.catalogue.wiring import Wiring, read_wiring
from tollway.catalogue.yamlfile import YamlFile
from tollway.errors import ConfigurationError

Level = Literal["error", "warning", "note"]
TOKEN_PICO_MAX = 10_000_000_000
"""10,000 USD per million tokens: the dearest model ever listed asked 600."""
CALL_PICO_MAX = 10_000_000_000_000
"""10 USD per call."""


@dataclass(frozen=True, slots=True)
class Finding:
    """file, line: where, line None where there is none. key: what it is about."""

    level: Level
    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{self.level:<7}  {where}: {self.key}: {self.text}"


def findings(snapshot: Path, catalogue: Catalogue | None) -> list[Finding]:
    """Everything there is to say, errors first.

    Args:
        snapshot: the file in force.
        catalogue: as loaded from the same files, None when it could not be.
    """
    found = list[Finding]()
    wirings = list[Wiring]()
    for path in sorted(PROVIDERS.glob("*.yml")):
        try:
            wiring = read_wiring(path, {})
        except ConfigurationError as error:
            found.append(Finding("error", error.file, error.line, error.key, error.problem))
            continue
        wirings.append(wiring)
        found += _of_file(wiring, path)
    try:
        prices, models = read_snapshot(snapshot), read_models(MODELS)
    except ConfigurationError as error:
        found.append(Finding("error", error.file, error.line, error.key, error.problem))
    else:
        found += _of_age(prices, snapshot)
        found += _of_snapshot(prices, snapshot, wirings)
        found += _of_groups(models, prices, wirings)
    if catalogue is not None:
        found += _of_catalogue(catalogue)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda one: (order[one.level], one.file, one.line or 0, one.key))


def _of_file(wiring: Wiring, path: Path) -> Iterator[Finding]:
    file = YamlFile(path)
    for line, key in file.duplicates():
        yield Finding("error", str(path), line, key, "is there twice, and only the last counts")
    if path.stem != wiring.provider.id:
        yield Finding("error", str(path), file.line(["id"]), "id", f"the file should be {wiring.provider.id}.yml")
    if not wiring.provider.source:
        yield Finding("error", str(path), file.line(["source"]), "source", "no source")
    if not wiring.provider.checked:
        yield Finding("note", str(path), file.line(["checked"]), "checked", "its wiring was not read from a source")
    for index, offer in enumerate(wiring.offers):
        for place, price in enumerate(offer.prices):
            if not price.source or not price.checked:
                line = file.line(["offers", index, "prices", place])
                yield Finding("error", str(path), line, offer.upstream_id, "a price needs `source` and `checked`")


def _of_age(prices: Snapshot, path: Path) -> Iterator[Finding]:
    if path != PACKAGED_SNAPSHOT and prices.generated < (shipped := read_snapshot(PACKAGED_SNAPSHOT).generated):
        text = f"they are of {prices.generated}, and this release came with those of {shipped}: `tollway prices update`"
        yield Finding("warning", str(path), 1, "generated", text)


def _of_snapshot(snapshot: Snapshot, path: Path, wirings: Sequence[Wiring]) -> Iterator[Finding]:
    seen = set[str]()
    wired = {(wiring.models.prices_from or wiring.provider.id): wiring for wiring in wirings if wiring.models}
    for number, entry in enumerate(snapshot.entries, 2):
        if entry.key in seen:
            yield Finding("error", str(path), number, entry.key, "is there twice")
        seen.add(entry.key)
        if entry.quarantine:
            wiring = wired.get(entry.provider)
            if wiring is not None and wiring.has(entry.id):
                yield Finding("note", str(path), number, entry.key, f"has no price: {entry.quarantine}")
            continue
        for level, text in _of_entry(entry):
            yield Finding(level, str(path), number, entry.key, text)


def _of_entry(entry: Entry) -> Iterator[tuple[Level, str]]:
    if not entry.lists:
        yield "error", "neither a price nor a quarantine"
    if not entry.source:
        yield "warning", "no pricing page"
    for start, rows in groups(entry.lists):
        if sum(row.window is None for row in rows) != 1:
            yield "error", f"from {start} there is not exactly one price for the whole day"
        for row in rows:
            yield from _of_row(row)


def _of_row(row: ListRow) -> Iterator[tuple[Level, str]]:
    if not row.source or not row.checked:
        yield "error", f"the price from {row.start} has no source or date"
    if [tier.above for tier in row.tiers] != sorted({tier.above for tier in row.tiers}):
        yield "error", f"the tiers of the price from {row.start} do not rise"
    for level in (row.prices, *(tier.prices for tier in row.tiers)):
        for unit, pico in level.items():
            if pico > (CALL_PICO_MAX if BY_NAME[unit].side == "call" else TOKEN_PICO_MAX):
                yield "error", f"{unit} at {shown(unit, pico)} is beyond belief"
    if INPUT in row.prices and row.prices.get(CACHE_READ, 0) > row.prices[INPUT]:
        yield "warning", f"a cached token ({shown(CACHE_READ, row.prices[CACHE_READ])}) costs more than a fresh one"


def _of_groups(models: ModelsFile, snapshot: Snapshot, wirings: Sequence[Wiring]) -> Iterator[Finding]:
    file = YamlFile(MODELS)
    for line, key in file.duplicates():
        yield Finding("error", str(MODELS), line, key, "is there twice, and only the last counts")
    known = set[str]()
    for wiring in wirings:
        known |= {f"{wiring.provider.id}/{offer.id or offer.upstream_id}" for offer in wiring.offers}
        rows = wiring.models
        if rows is not None:
            provider = rows.prices_from or wiring.provider.id
            names = (entry.id for entry in snapshot.entries if entry.provider == provider and wiring.has(entry.id))
            known |= {f"{wiring.provider.id}/{name.lower() if rows.lower else name}" for name in names}
    for index, group in enumerate(models.models):
        for place, offer in enumerate(group.offers):
            if offer not in known:
                line = file.line(["models", index, "offers", place])
                yield Finding("warning", str(MODELS), line, group.id, f"there is no offer `{offer}`")


def _of_catalogue(catalogue: Catalogue) -> Iterator[Finding]:
    lists = dict[str, str]()
    for model in catalogue.models.values():
        for alias in model.aliases:
            reached = catalogue.names.get(alias)
            if reached is None or reached.id != model.id:
                other = "nothing" if reached is None else reached.id
                yield Finding("warning", "catalogue", None, model.id, f"its alias `{alias}` reaches {other}")
        for offer in model.offers:
            for prices in offer.prices:
                if prices.id in lists:
                    yield Finding("error", "catalogue", None, offer.id, f"two price lists are called {prices.id}")
                lists[prices.id] = offer.id
            if "text" in model.output_modalities:
                yield from _of_offer(offer)


def _of_offer(offer: Offer) -> Iterator[Finding]:
    reported = {unit for unit, _ in offer.provider.wire.usage.paths}
    for prices in offer.prices[-1:]:
        missing = reported - prices.resolved[-1][1].keys()
        if missing:
            text = f"the provider reports {', '.join(sorted(missing))}, which has no price"
            yield Finding("error", "catalogue", None, offer.id, text)


def summary(found: Sequence[Finding]) -> Mapping[str, int]:
    """How many of each level."""
    return {level: sum(one.level == level for one in found) for level in ("error", "warning", "note")}
