"""`tollway compare`: the same requests on many models, the cheapest first."""

import json
from collections.abc import Callable
from typing import TypeAlias, Unpack

import click

from tollway.catalogue.offers import Catalogue, Model
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.quoting import CountOptions, asked, count_options, model_of, quoted, standing
from tollway.commands.table import cents, decimals, facts, grouped, percent, table
from tollway.jsontypes import JSON
from tollway.metering.quote import OfferQuote, Quote
from tollway.money.amount import format_per_million, format_usd
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of

Priced: TypeAlias = tuple[OfferQuote, Quote]
_SORTS: dict[str, Callable[[Priced], tuple[object, ...]]] = {
    "cost": lambda row: (row[1].exact, row[0].offer.id),
    "model": lambda row: (row[0].offer.model, row[1].exact, row[0].offer.id),
    "provider": lambda row: (row[0].offer.provider.id, row[1].exact, row[0].offer.id),
}


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "is_all", is_flag=True, help="Every model of the catalogue.")
@click.option("--provider", "providers", multiple=True, metavar="ID", help="Only at this provider; may be repeated.")
@click.option("--usable", "is_usable", is_flag=True, help="Only what can be called with the keys there are.")
@count_options
@click.option(
    "--margin-bps", type=click.IntRange(0, 100_000), metavar="N", help="Margin on top.  [default: the settings']"
)
@click.option("--sort", type=click.Choice(list(_SORTS)), default="cost", help="Order.  [default: cost]")
@click.option(
    "--top", type=click.IntRange(0), default=30, metavar="N", help="Rows to show; 0 shows all.  [default: 30]"
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def command(
    settings: Settings,
    outside: Outside,
    *,
    models: tuple[str, ...],
    is_all: bool,
    providers: tuple[str, ...],
    is_usable: bool,
    margin_bps: int | None,
    sort: str,
    top: int,
    is_json: bool,
    **options: Unpack[CountOptions],
) -> None:
    r"""Price the same requests on many models, without calling anything.

    \b
      tollway compare gpt-4o-mini claude-haiku-4-5 --input 1200 --output 300 --requests 1000
      tollway compare --all --usable --input 1200 --output 300
    """
    question = asked(options)
    if bool(models) == is_all:
        raise click.UsageError("name models, or give --all")
    catalogue = catalogue_of(settings)
    margin = settings.money.margin_direct_bps if margin_bps is None else margin_bps
    priced, unpriced = list[Priced](), list[OfferQuote]()
    for model in _chosen(catalogue, models):
        for row in quoted(model, question, int(outside.now()), margin):
            offer = row.offer
            if (providers and offer.provider.id not in providers) or (is_usable and not offer.provider.is_usable):
                continue
            if row.quote is None:
                unpriced.append(row)
            else:
                priced.append((row, row.quote))
    priced.sort(key=_SORTS[sort])
    shown = priced[:top] if top else priced
    if is_json:
        click.echo(json.dumps([_document(*row) for row in shown], indent=2))
        return
    head = facts([("asked", question.told("o200k")), ("margin", percent(margin))])
    click.echo(f"{head}\n\n{_table(shown)}" if shown else f"{head}\n\nnothing to compare")
    _say_what_is_missing(len(priced) - len(shown), unpriced, is_all=is_all)


def _chosen(catalogue: Catalogue, names: tuple[str, ...]) -> list[Model]:
    if not names:
        return list(catalogue.models.values())
    return list(
        {(model.id, len(model.offers)): model for model in (model_of(catalogue, name) for name in names)}.values()
    )


def _table(rows: list[Priced]) -> str:
    def column(text: Callable[[Quote], str]) -> list[str]:
        return decimals([cents(text(found)) for _, found in rows])

    columns = (
        [row.offer.model for row, _ in rows],
        [row.offer.provider.id for row, _ in rows],
        column(lambda found: _price(found, INPUT)),
        column(lambda found: _price(found, OUTPUT)),
        column(lambda found: format_usd(found.charge_nano)),
        column(lambda found: found.exact_usd),
        [standing(row.offer) for row, _ in rows],
    )
    titles = ["model", "provider", "input / M", "output / M", "one request", "total USD", ""]
    return table(titles, zip(*columns, strict=True), right=titles[2:6])


def _price(found: Quote, unit: str) -> str:
    prices = [line.price_pico for line in found.lines if line.unit == unit]
    return format_per_million(prices[0]) if prices else "-"


def _say_what_is_missing(hidden: int, unpriced: list[OfferQuote], *, is_all: bool) -> None:
    if hidden:
        click.echo(f"\n{grouped(hidden)} more; --top 0 shows all", err=True)
    if unpriced and is_all:
        click.echo(
            f"{grouped(len(unpriced))} offers have no price for this, and cannot be paid from a wallet", err=True
        )
    elif unpriced:
        for row in unpriced:
            click.echo(f"{row.offer.id}: {row.reason}", err=True)


def _document(row: OfferQuote, found: Quote) -> dict[str, JSON]:
    return {
        "model": row.offer.model,
        "offer": row.offer.id,
        "provider": row.offer.provider.id,
        "available": row.offer.provider.is_usable,
        "price_list": found.price_list_id,
        "requests": found.requests,
        "margin_bps": found.margin_bps,
        "cost_usd": found.exact_usd,
        "charge_usd": format_usd(found.total_nano),
        "charge_per_request_usd": format_usd(found.charge_nano),
        "hold_usd": format_usd(found.hold_nano),
    }
