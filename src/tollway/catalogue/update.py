"""An update of the price snapshot: history is kept, and what looks wrong is quarantined (money.md R11).

What was charged on a day never changes afterwards: a price that changed starts on the day of the update, even when
the source dates it earlier; one that is announced for later starts then. A price that turned up as zero, jumped
fivefold either way or went missing leaves its model without a price until an operator accepts it by name.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tollway.catalogue.genai import NO_PRICE
from tollway.catalogue.snapshot import VERSION, Entry, ListRow, Snapshot, groups, in_force
from tollway.catalogue.units import BY_NAME, INPUT, OUTPUT
from tollway.money.amount import format_per_million, format_pico

JUMP = 5
"""A price that is this many times dearer or cheaper than the one in force is not believed at once."""

ZERO, MISSING = "zero", "missing"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what an update does. kind: `new`, `price`, `quarantined`, `released`, `gone`. text: for people."""

    key: str
    kind: str
    text: str


def updated(
    old: Snapshot | None, fresh: Sequence[Entry], *, package: str, today: str, accept: Collection[str] = ()
) -> tuple[Snapshot, tuple[Change, ...]]:
    """The snapshot after reading `fresh`, and what changed.

    Args:
        old: the snapshot in force, None for the first.
        fresh: everything the package has now.
        package: its name and version.
        today: ISO date of the update, UTC.
        accept: keys (`<provider>/<id>`) whose oddities an operator has looked at.
    """
    before = {entry.key: entry for entry in old.entries} if old else {}
    entries, changes = list[Entry](), list[Change]()
    seen = set[str]()
    for entry in fresh:
        seen.add(entry.key)
        previous = before.get(entry.key)
        merged = _merged(previous, entry, today, is_accepted=entry.key in accept)
        entries.append(merged)
        changes += _changes(previous, merged, today, is_first=old is None)
    for key, previous in before.items():
        if key not in seen:
            gone = _gone(previous, package, is_accepted=key in accept)
            entries.append(gone)
            changes += _changes(previous, gone, today, is_first=False)
    entries.sort(key=lambda entry: (entry.provider, entry.id))
    return Snapshot(VERSION, package, today, tuple(entries)), tuple(changes)


def _merged(old: Entry | None, fresh: Entry, today: str, *, is_accepted: bool) -> Entry:
    known = old.lists if old else ()
    accepted = set(old.accepted) if old else set[str]()
    rows, problem = fresh.lists, fresh.quarantine
    if problem == NO_PRICE and (is_accepted or ZERO in accepted):
        # Free because an operator says so: stated, and kept.
        accepted.add(ZERO)
        rows, problem = (ListRow({INPUT: 0, OUTPUT: 0}, source="accepted by the operator", checked=today),), ""
    oddities = list(_oddities(known, rows, today))
    if is_accepted:
        accepted |= {kind for kind, _ in oddities if kind == ZERO}
    else:
        problem = problem or "; ".join(text for kind, text in oddities if kind not in accepted)
    if known:
        rows = known if problem else spliced(known, rows, today)
    return msgspec.structs.replace(fresh, lists=rows, quarantine=problem, accepted=tuple(sorted(accepted)))


def _gone(old: Entry, package: str, *, is_accepted: bool) -> Entry:
    if is_accepted:
        return msgspec.structs.replace(old, quarantine="", accepted=tuple(sorted({*old.accepted, MISSING})))
    if old.quarantine or MISSING in old.accepted:
        return old
    return msgspec.structs.replace(old, quarantine=f"{package} has no such model any more")


def spliced(old: tuple[ListRow, ...], fresh: tuple[ListRow, ...], today: str) -> tuple[ListRow, ...]:
    """`old` up to today, `fresh` from today on; nothing that was in force on a past day is changed.

    Rows announced for later that have not started may still change or vanish.
    """
    kept = [row for row in old if row.start <= today]
    current = in_force(fresh, today)
    if _terms(in_force(tuple(kept), today)) != _terms(current):
        kept = [row for row in kept if row.start < today]
        kept += [msgspec.structs.replace(row, start=today if kept else row.start) for row in current]
    kept += [row for row in fresh if row.start > today]
    return tuple(kept)


def _terms(rows: tuple[ListRow, ...]) -> list[object]:
    return [row.terms for row in rows]


def _oddities(old: tuple[ListRow, ...], fresh: tuple[ListRow, ...], today: str) -> Iterator[tuple[str, str]]:
    known = in_force(old, today)
    for start, group in groups(fresh):
        if start < today and group != in_force(fresh, today):
            continue
        for row in group:
            for unit, pico in row.prices.items():
                was = next((each.prices.get(unit) for each in known if each.window == row.window), None)
                if pico == 0 and BY_NAME[unit].side != "call":
                    yield ZERO, f"{unit} costs nothing"
                elif was and not was <= pico * JUMP <= was * JUMP * JUMP:
                    yield "jump", f"{unit} went from {shown(unit, was)} to {shown(unit, pico)}"
        for unit in (INPUT, OUTPUT):
            if known and unit in known[0].prices and unit not in group[0].prices:
                yield MISSING, f"the price of {unit} is missing"


def shown(unit: str, pico: int) -> str:
    """A price for people: USD per million tokens, or USD per call."""
    return f"{format_pico(pico)} USD" if BY_NAME[unit].side == "call" else f"{format_per_million(pico)} USD/M"


def _changes(old: Entry | None, new: Entry, today: str, *, is_first: bool) -> Iterator[Change]:
    if new.quarantine:
        if old is None or old.quarantine != new.quarantine:
            yield Change(new.key, "quarantined", new.quarantine)
        return
    if old is None:
        if not is_first:
            yield Change(new.key, "new", _priced(new, today))
        return
    if old.quarantine:
        yield Change(new.key, "released", _priced(new, today))
    elif _terms(old.lists) != _terms(new.lists):
        yield Change(new.key, "price", f"{_priced(old, today)} -> {_priced(new, today)}")


def _priced(entry: Entry, today: str) -> str:
    """The figures of the last list that is known, announced ones included."""
    rows = entry.lists[-1:] or in_force(entry.lists, today)
    if not rows:
        return "no price"
    return ", ".join(f"{unit} {shown(unit, pico)}" for unit, pico in rows[0].prices.items())
