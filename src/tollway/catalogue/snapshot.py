"""The price snapshot: one line per model at a provider, every price an integer, and how it becomes price lists.

`data/prices.json` is written by `tollway prices update` and read at start; an operator's own update lies in the data
folder and takes its place. Prices are pico-USD per unit (money.md R1). Rows are only ever added (R11): a changed
price is a further row with a later `from`.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec

from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import BY_NAME, Unit
from tollway.errors import ConfigurationError
from tollway.money.amount import PicoUSD

VERSION = 1
_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)

Pico = Annotated[int, msgspec.Meta(ge=0)]
Prices = dict[str, Pico]


class TierRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices that differ once the whole input is longer than `above` tokens."""

    above: Annotated[int, msgspec.Meta(ge=0)]
    prices: Prices


class ListRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One price list: in force from the UTC day `from`, or for a part of each day.

    start: ISO date; `1970-01-01` where the source names no start. window: seconds of the UTC day, [start, end).
    source: package and version it was read from. checked: ISO date of that reading.
    """

    prices: Prices
    start: str = msgspec.field(name="from", default="1970-01-01")
    tiers: tuple[TierRow, ...] = ()
    window: tuple[int, int] | None = None
    source: str = ""
    checked: str = ""

    @property
    def terms(self) -> tuple[Prices, tuple[TierRow, ...], tuple[int, int] | None]:
        """What it costs and when of the day, without provenance: equal terms are the same price."""
        return self.prices, self.tiers, self.window


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model at a provider, as the price package names both.

    source: pricing page. context: tokens, 0 when unknown. names: other exact names with the same price.
    stems: names that may be followed by a date of release. quarantine: why it has no price in force; "" = it has.
    accepted: oddities an operator has accepted by hand (`zero`, `missing`). notes: what was rounded or left out.
    """

    provider: str
    id: str
    name: str = ""
    source: str = ""
    context: int = 0
    names: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    lists: tuple[ListRow, ...] = ()
    quarantine: str = ""
    accepted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`<provider>/<id>`, unique in a snapshot."""
        return f"{self.provider}/{self.id}"


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All prices of one update. package: name and version. generated: ISO date. entries: by provider, then id."""

    version: int
    package: str
    generated: str
    entries: tuple[Entry, ...]


_decoder = msgspec.json.Decoder(Snapshot)


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in a file.

    Raises:
        ConfigurationError: not readable, not of this shape, or of another version.
    """
    try:
        snapshot = _decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise _unreadable(path, str(error)) from None
    if snapshot.version != VERSION:
        raise _unreadable(path, f"it is of version {snapshot.version}, this program reads version {VERSION}")
    for entry in snapshot.entries:
        for row in entry.lists:
            if not row.prices.keys() <= BY_NAME.keys():
                raise _unreadable(path, f"{entry.key} prices {', '.join(row.prices.keys() - BY_NAME.keys())}")
    return snapshot


def _unreadable(path: Path, problem: str) -> ConfigurationError:
    fix = "run `tollway prices update`, or remove the file to use the prices of this release"
    return ConfigurationError(file=str(path), line=None, key="prices", problem=problem, fix=fix)


def written(snapshot: Snapshot) -> bytes:
    """The file's bytes: one line per entry, so that a diff shows which model changed."""
    head = msgspec.json.encode(
        {"version": snapshot.version, "package": snapshot.package, "generated": snapshot.generated}
    )
    lines = b",\n".join(msgspec.json.encode(entry) for entry in snapshot.entries)
    return head[:-1] + b',"entries":[\n' + lines + b"\n]}\n"


def price_lists(offer_id: str, rows: tuple[ListRow, ...], page: str = "") -> tuple[PriceList, ...]:
    """The price lists of an offer, oldest first.

    Ids are `<offer id>@<day>`, with `#n` for a daily window.

    Args:
        offer_id: whose they are.
        rows: what they say.
        page: the pricing page that the rows stand for.
    """
    lists = list[PriceList]()
    windows = dict[str, int]()
    for row in rows:
        name = f"{offer_id}@{row.start}"
        if row.window is not None:
            windows[row.start] = number = windows.get(row.start, 0) + 1
            name = f"{name}#{number}"
        lists.append(
            PriceList(
                id=name,
                effective_from=0 if row.start == "1970-01-01" else day_start(row.start),
                prices=as_units(row.prices),
                tiers=tuple(PriceTier(tier.above, as_units(tier.prices)) for tier in row.tiers),
                window_utc=row.window,
                source=f"{page} ({row.source})" if page and row.source else page or row.source,
                checked=row.checked,
            )
        )
    return tuple(lists)


def as_units(prices: Prices) -> dict[Unit, PicoUSD]:
    """Prices by unit. Raises KeyError for a unit that is not in catalogue/units.py."""
    return {BY_NAME[name].unit: PicoUSD(pico) for name, pico in prices.items()}


def day_start(day: str) -> int:
    """Unix seconds of 00:00 UTC of an ISO date."""
    return (date.fromisoformat(day) - _EPOCH).days * _DAY_S


def groups(rows: tuple[ListRow, ...]) -> Iterator[tuple[str, tuple[ListRow, ...]]]:
    """Rows that start on the same day, oldest day first: a whole-day list with its daily windows."""
    by_start = dict[str, list[ListRow]]()
    for row in rows:
        by_start.setdefault(row.start, []).append(row)
    for start in sorted(by_start):
        yield start, tuple(by_start[start])


def in_force(rows: tuple[ListRow, ...], day: str) -> tuple[ListRow, ...]:
    """The group in force on an ISO date, () if none has started."""
    found: tuple[ListRow, ...] = ()
    for start, group in groups(rows):
        if start <= day:
            found = group
    return found
