"""`tollway prices`: what is charged for what, where the figures come from, and how they are brought up to date."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tollway.catalogue.check import findings, summary
from tollway.catalogue.load import FACTS, PACKAGED_SNAPSHOT, read_wirings, snapshot_path
from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.show import pricing_object, tier_objects
from tollway.catalogue.snapshot import Entry, Snapshot, read_snapshot, written
from tollway.catalogue.units import BY_NAME, CACHE_READ, INPUT, OUTPUT, Unit
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.quoting import model_of, price_of, standing
from tollway.commands.table import decimals, facts, grouped, table
from tollway.errors import ConfigurationError
from tollway.jsontypes import JSON
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of

if TYPE_CHECKING:
    from tollway.catalogue.update import Change


@click.group()
def command() -> None:
    """The price catalogue: what each model costs at each provider.

    Prices are in USD per million tokens, or per thousand calls where a call is what is charged.
    """


@command.command("list")
@click.option("--provider", "providers", multiple=True, metavar="ID", help="Only this provider; may be repeated.")
@click.option("--model", "text", metavar="TEXT", help="Only models with this text in their id or name.")
@click.option("--all", "is_all", is_flag=True, help="Those that cannot be called now, too.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def list_(
    settings: Settings, outside: Outside, *, providers: tuple[str, ...], text: str | None, is_all: bool, is_json: bool
) -> None:
    """Models and their prices now."""
    catalogue, now = catalogue_of(settings), int(outside.now())
    wanted = [
        (model, offer)
        for model, offer in _offers(catalogue, text or "")
        if not providers or offer.provider.id in providers
    ]
    shown = [(model, offer) for model, offer in wanted if is_all or _can_be_called(offer, now)]
    if is_json:
        click.echo(json.dumps([_document(model, offer, now) for model, offer in shown], indent=2))
        return
    click.echo(_table(shown, now) if shown else "nothing to show")
    hidden = len(wanted) - len(shown)
    if hidden:
        click.echo(f"\n{grouped(hidden)} more have no key or no price; --all shows them", err=True)


@command.command()
@click.argument("model")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def show(settings: Settings, outside: Outside, *, model: str, is_json: bool) -> None:
    """Every price of one model, past and announced ones too, and where each was read."""
    catalogue, now = catalogue_of(settings), int(outside.now())
    found = model_of(catalogue, model)
    if is_json:
        click.echo(json.dumps([_document(found, offer, now) for offer in found.offers], indent=2))
        return
    head = [
        ("model", found.id),
        ("name", found.name),
        ("also called", ", ".join(_other_names(catalogue, found))),
        ("context", grouped(found.context_tokens) if found.context_tokens else "unknown"),
        ("longest answer", grouped(found.max_output_tokens) if found.max_output_tokens else "unknown"),
        ("reads", ", ".join(found.input_modalities)),
        ("writes", ", ".join(found.output_modalities)),
        ("can", ", ".join(found.capabilities)),
    ]
    click.echo(facts(head))
    quarantined = _quarantined(settings)
    for offer in found.offers:
        click.echo("\n" + "\n".join(_offer_lines(offer, now, quarantined.get(offer.id, ""))))


@command.command()
@click.option("--notes", "has_notes", is_flag=True, help="What is merely worth knowing, too.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def check(settings: Settings, outside: Outside, *, has_notes: bool, is_json: bool) -> None:
    """Look for anything that would be charged wrongly, or not at all. Exit code 1 if there is."""
    del outside
    try:
        catalogue = catalogue_of(settings)
        broken = []
    except ConfigurationError as error:
        catalogue, broken = None, [error]
    found = findings(_snapshot_path(settings), catalogue)
    if is_json:
        rows = [
            {"level": one.level, "file": one.file, "line": one.line, "key": one.key, "text": one.text} for one in found
        ]
        click.echo(json.dumps([*rows, *({"level": "error", "text": str(error)} for error in broken)], indent=2))
    else:
        for error in broken:
            click.echo(f"error    {error}")
        for one in found:
            if one.level != "note" or has_notes:
                click.echo(str(one))
        counts = summary(found)
        more = "" if has_notes else " (--notes shows them)"
        errors = counts["error"] + len(broken)
        click.echo(f"{errors} errors, {counts['warning']} warnings, {grouped(counts['note'])} notes{more}")
    if broken or summary(found)["error"]:
        raise SystemExit(1)


@command.command()
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def diff(settings: Settings, outside: Outside, *, is_json: bool) -> None:
    """What `update` would change: the installed price package against the prices in force."""
    snapshot, changes = _update(settings, outside, ())
    if is_json:
        rows = [{"model": change.key, "kind": change.kind, "text": change.text} for change in changes]
        click.echo(json.dumps(rows, indent=2))
        return
    _say_changes([(change.key, change.kind, change.text) for change in changes], snapshot)


@command.command()
@click.option(
    "--accept", multiple=True, metavar="MODEL", help="Believe what looks wrong about this one; may be repeated."
)
@click.option("--packaged", is_flag=True, hidden=True, help="Write the prices that come with the program.")
@with_settings
def update(settings: Settings, outside: Outside, *, accept: tuple[str, ...], packaged: bool) -> None:
    """Take over the prices of the installed price package, from today on.

    \b
      uv lock --upgrade-package genai-prices && uv sync && tollway prices update

    Prices that were in force stay in the history. One that is suddenly zero, five times dearer or cheaper, or missing
    takes its model out of sale until you `--accept` it.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    snapshot, changes = _update(settings, outside, accept)
    known = {entry.key for entry in snapshot.entries}
    for name in accept:
        if name not in known:
            raise click.UsageError(
                f"--accept {name}: the price package has no such model; `tollway prices diff` names them"
            )
    path = PACKAGED_SNAPSHOT if packaged else Path(settings.data.folder) / "prices" / "prices.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".new")
    half.write_bytes(written(snapshot))
    half.replace(path)
    _say_changes([(change.key, change.kind, change.text) for change in changes], snapshot)
    click.echo(f"written to {path}; a running gateway reads it at its next start")


@command.command("facts", hidden=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, help="What the file is, with its version.")
@with_settings
def facts_(settings: Settings, outside: Outside, *, file: Path, source: str) -> None:
    """Make the packaged facts about models anew from a published model file (catalogue/facts.py)."""
    from tollway.catalogue.facts import Facts, gathered
    from tollway.catalogue.facts import written as written_facts

    del settings
    wirings = read_wirings({})
    names: dict[str, list[str]] = {}
    for wiring in wirings:
        rows = wiring.models
        if rows is not None:
            provider = rows.prices_from or wiring.provider.id
            listed = [entry.id for entry in read_snapshot(PACKAGED_SNAPSHOT).entries if entry.provider == provider]
            names[wiring.provider.id] = [name.lower() if rows.lower else name for name in listed if wiring.has(name)]
    found = gathered(json.loads(file.read_bytes()), wirings, names)
    FACTS.write_bytes(written_facts(Facts(source, _today(outside), tuple(found))))
    click.echo(f"{grouped(len(found))} models")


def _update(settings: Settings, outside: Outside, accept: Sequence[str]) -> "tuple[Snapshot, tuple[Change, ...]]":
    # The price package takes half a second to import.
    from tollway.catalogue.genai import package_version, read_package
    from tollway.catalogue.update import updated

    today = _today(outside)
    path = _snapshot_path(settings)
    old = read_snapshot(path) if path.exists() else None
    return updated(old, read_package(today), package=package_version(), today=today, accept=accept)


def _today(outside: Outside) -> str:
    return datetime.fromtimestamp(outside.now(), UTC).date().isoformat()


def _snapshot_path(settings: Settings) -> Path:
    return snapshot_path(Path(settings.data.folder))


def _quarantined(settings: Settings) -> Mapping[str, str]:
    entries: Iterable[Entry] = read_snapshot(_snapshot_path(settings)).entries
    return {entry.key: entry.quarantine for entry in entries if entry.quarantine}


def _say_changes(changes: Sequence[tuple[str, str, str]], snapshot: Snapshot) -> None:
    quarantined = sum(bool(entry.quarantine) for entry in snapshot.entries)
    if changes:
        click.echo(table(["model", "change", ""], changes) + "\n")
    told = f"{grouped(len(changes))} changes" if changes else "no changes"
    models = f"{grouped(len(snapshot.entries))} models, {grouped(quarantined)} of them without a price"
    click.echo(f"{told}; {snapshot.package}: {models}")


def _offers(catalogue: Catalogue, text: str) -> Iterator[tuple[Model, Offer]]:
    wanted = text.lower()
    for model in sorted(catalogue.models.values(), key=lambda model: model.id):
        if wanted in model.id.lower() or wanted in model.name.lower():
            for offer in model.offers:
                yield model, offer


def _can_be_called(offer: Offer, now: int) -> bool:
    return offer.provider.is_usable and offer.price_list(now) is not None


def _table(rows: Sequence[tuple[Model, Offer]], now: int) -> str:
    lists = [offer.price_list(now) for _, offer in rows]

    def column(unit: Unit) -> list[str]:
        return decimals([_figure(prices, unit) for prices in lists])

    columns = (
        [model.id for model, _ in rows],
        [offer.provider.id for _, offer in rows],
        [grouped(offer.context_tokens) if offer.context_tokens else "-" for _, offer in rows],
        column(INPUT),
        column(CACHE_READ),
        column(OUTPUT),
        [_remark(offer, prices) for (_, offer), prices in zip(rows, lists, strict=True)],
    )
    titles = ["model", "provider", "context", "input / M", "cached / M", "output / M", ""]
    return table(titles, zip(*columns, strict=True), right=titles[2:6])


def _figure(prices: PriceList | None, unit: Unit) -> str:
    pico = None if prices is None else prices.at(0).get(unit)
    return "-" if pico is None else price_of(unit, pico)


def _remark(offer: Offer, prices: PriceList | None) -> str:
    if prices is None:
        return "no price" if offer.provider.is_usable else "no price, no key"
    more = [f"dearer above {grouped(tier.above_input_tokens)}" for tier in prices.tiers]
    if prices.window_utc is not None or any(other.window_utc for other in offer.prices if other is not prices):
        more.append("by time of day")
    if prices.is_free:
        more.append("free")
    return ", ".join(part for part in (*more, standing(offer)) if part)


def _other_names(catalogue: Catalogue, model: Model) -> list[str]:
    return sorted(name for name, found in catalogue.names.items() if found.offers == model.offers and name != model.id)


def _offer_lines(offer: Offer, now: int, quarantine: str) -> Iterator[str]:
    yield f"at {offer.provider.name} as {offer.upstream_id}" + (f"  ({standing(offer)})" if standing(offer) else "")
    if not offer.prices:
        yield f"  no price: {quarantine or 'nobody has stated one'}; it cannot be paid from a wallet"
    current = offer.price_list(now)
    for prices in offer.prices:
        state = "now" if prices is current else "from then on" if prices.effective_from > now else "before"
        if prices.window_utc is not None:
            state = f"daily {' to '.join(_clock(second) for second in prices.window_utc)} UTC"
        yield f"  {prices.id}  {state}"
        own = [(spec.unit, prices.prices[spec.unit]) for spec in BY_NAME.values() if spec.unit in prices.prices]
        per = {"call": "per call", "input": "per million", "output": "per million"}
        yield facts(((unit, f"{price_of(unit, pico)} {per[BY_NAME[unit].side]}") for unit, pico in own), "    ")
        for tier in prices.tiers:
            told = ", ".join(f"{unit} {price_of(unit, pico)}" for unit, pico in tier.prices.items())
            yield f"    above {grouped(tier.above_input_tokens)} input tokens, for the whole request: {told}"
        yield f"    read {prices.checked or 'at no known date'}: {prices.source or 'no source'}"


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"


def _document(model: Model, offer: Offer, now: int) -> dict[str, JSON]:
    prices = offer.price_list(now)
    return {
        "model": model.id,
        "offer": offer.id,
        "provider": offer.provider.id,
        "upstream_id": offer.upstream_id,
        "available": offer.provider.is_usable and prices is not None,
        "context_tokens": offer.context_tokens,
        "max_output_tokens": offer.max_output_tokens,
        "price_list": None if prices is None else prices.id,
        "source": None if prices is None else prices.source,
        "checked": None if prices is None else prices.checked,
        "pricing": None if prices is None else {**pricing_object(prices)},
        "tiers": [] if prices is None else [{**tier} for tier in tier_objects(prices)],
    }
