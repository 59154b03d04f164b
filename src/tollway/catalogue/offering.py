"""The offers of one provider: entries of the price snapshot, what its data file adds, what the operator corrects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from tollway.catalogue.facts import Fact
from tollway.catalogue.offers import ModelId, Offer
from tollway.catalogue.pricerows import Complain, in_pico, list_row
from tollway.catalogue.snapshot import Entry, ListRow, Prices, price_lists
from tollway.catalogue.units import OUTPUT
from tollway.catalogue.wiring import ModelsRow, OfferRow, Wiring, matches
from tollway.catalogue.yamlfile import YamlFile
from tollway.errors import ConfigurationError

NO_FACT = Fact("")
_NOTHING = OfferRow("")


@dataclass(frozen=True, slots=True)
class Correction:
    """What the operator says about an offer, and how to complain about it."""

    row: OfferRow
    file: YamlFile
    index: int


@dataclass(slots=True)
class Item:
    """An offer that is to become part of a model.

    own: `<provider>/<id>`. model: the id of its model when that is stated, same: when it is that one only if it exists.
    names, stems: as in the snapshot. is_first_party: bare names reach it. has_bare: they do if nothing else claims
    them.
    """

    own: str
    offer: Offer
    name: str
    fact: Fact = NO_FACT
    model: str = ""
    same: str = ""
    names: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    row: OfferRow | None = None
    is_first_party: bool = False
    has_bare: bool = False


def items(
    wiring: Wiring, entries: Mapping[str, list[Entry]], facts: Mapping[str, Fact], corrections: Mapping[str, Correction]
) -> Iterator[Item]:
    """Every offer of a provider.

    Raises:
        ConfigurationError: a price written by hand is none.
    """
    provider, models = wiring.provider, wiring.models
    rows = {row.id or row.upstream_id: (index, row) for index, row in enumerate(wiring.offers)}
    extras = _extras(wiring)
    if models is not None:
        for entry in entries.get(models.prices_from or provider.id, ()):
            if wiring.has(entry.id):
                key = entry.id.lower() if models.lower else entry.id
                yield _item(wiring, key, entry, rows.pop(key, None), (facts, corrections, extras))
    for key, indexed in rows.items():
        yield _item(wiring, key, None, indexed, (facts, corrections, extras))


def _item(
    wiring: Wiring,
    key: str,
    entry: Entry | None,
    indexed: tuple[int, OfferRow] | None,
    context: tuple[Mapping[str, Fact], Mapping[str, Correction], Prices],
) -> Item:
    facts, corrections, extras = context
    provider, models = wiring.provider, wiring.models
    own = f"{provider.id}/{key}"
    rows = () if entry is None or entry.quarantine else entry.lists
    page = entry.source if entry else ""
    row = None
    if indexed is not None:
        index, row = indexed
        rows, page = _overlaid(rows, page, row, _complain(wiring, "offers", index), provider.source)
    correction = corrections.get(own)
    if correction is not None:
        file = correction.file
        rows, page = _overlaid(rows, page, correction.row, _at(file, "offers", correction.index), file.path.name)
        row = _over(row, correction.row, key)
    if extras:
        rows = tuple(_with_extras(each, extras) for each in rows)
    fact = facts.get(own, NO_FACT)
    given = row or _NOTHING
    is_first_party = models is not None and models.first_party
    return Item(
        own=own,
        offer=Offer(
            id=own,
            model=ModelId(own),
            provider=provider,
            upstream_id=given.upstream_id or _upstream_id(key, models),
            prices=price_lists(own, rows, page),
            context_tokens=given.context_tokens or (entry.context if entry else 0) or fact.context,
            max_output_tokens=given.max_output_tokens or fact.output,
            tokenizer=given.tokenizer,
            region=given.region,
        ),
        name=given.name or (entry.name if entry else "") or key,
        fact=fact,
        model=given.model,
        same=_same(key, models) if models is not None and models.same_as and not given.model else "",
        names=_kept(entry.names, wiring) if entry and is_first_party else (),
        stems=_kept(entry.stems, wiring) if entry and is_first_party else (),
        row=row,
        is_first_party=is_first_party,
        has_bare=models is not None and models.bare,
    )


def _extras(wiring: Wiring) -> Prices:
    extras = Prices()
    for index, extra in enumerate(wiring.extras):
        extras.update(in_pico({}, extra.per_thousand, _complain(wiring, "extras", index)))
    return extras


def _with_extras(row: ListRow, extras: Prices) -> ListRow:
    if OUTPUT not in row.prices or not extras.keys() - row.prices.keys():
        return row
    return msgspec.structs.replace(row, prices={**extras, **row.prices})


def _overlaid(
    rows: tuple[ListRow, ...], page: str, given: OfferRow, complain: Complain, source: str
) -> tuple[tuple[ListRow, ...], str]:
    """`rows`, read from `page`, with those of `given` over them, and the page that is still to be named.

    A row of the same start and window is replaced. Each says for itself where it was read then.
    """
    if not given.prices:
        return rows, page
    merged = {
        (row.start, row.window): msgspec.structs.replace(row, source=f"{page} ({row.source})" if page else row.source)
        for row in rows
    }
    for index, price in enumerate(given.prices):
        row = list_row(price, _deeper(complain, "prices", index), source=source)
        merged[row.start, row.window] = row
    return tuple(sorted(merged.values(), key=lambda row: (row.start, row.window or (-1, 0)))), ""


def _over(base: OfferRow | None, given: OfferRow, key: str) -> OfferRow:
    """`base` with what `given` says over it."""
    said: dict[str, object] = {
        name: getattr(given, name) for name in OfferRow.__struct_fields__ if getattr(given, name)
    }
    return msgspec.structs.replace(base or OfferRow(""), **{**said, "id": key})


def _upstream_id(key: str, models: ModelsRow | None) -> str:
    if models is None:
        return key
    return models.upstream_ids.get(key) or models.upstream.replace("{id}", key)


def _same(key: str, models: ModelsRow) -> str:
    for glob, target in models.same_as.items():
        if matches(key, (glob,)):
            # One `*` in each, and the same text stands for both.
            before, _, after = glob.partition("*")
            return target.replace("*", key[len(before) : len(key) - len(after) if after else None])
    return ""


def _kept(names: tuple[str, ...], wiring: Wiring) -> tuple[str, ...]:
    return tuple(name for name in names if not wiring.skips(name))


def _complain(wiring: Wiring, section: str, index: int) -> Complain:
    origin = wiring.origin
    if origin is None or (wiring.file is not None and (section != "offers" or index < origin.first)):
        assert wiring.file is not None
        return _at(wiring.file, section, index)

    def fail(keys: list[str | int], problem: str, fix: str) -> NoReturn:
        # Settings have one table of prices per model, whatever the unit.
        inner = [str(key) for key in keys if key not in {"per_million", "per_thousand"} and not isinstance(key, int)]
        path = ".".join([origin.key, "models", str(index - origin.first), *inner])
        raise ConfigurationError(file=origin.file, line=origin.line, key=path, problem=problem, fix=fix)

    return fail


def _at(file: YamlFile, *above: str | int) -> Complain:
    def fail(keys: list[str | int], problem: str, fix: str) -> NoReturn:
        file.fail([*above, *keys], problem, fix)

    return fail


def _deeper(complain: Complain, *above: str | int) -> Complain:
    def fail(keys: list[str | int], problem: str, fix: str) -> NoReturn:
        complain([*above, *keys], problem, fix)

    return fail
