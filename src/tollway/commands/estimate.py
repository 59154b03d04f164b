"""`tollway estimate`: what requests to a model would cost, line by line; nothing is called."""

import json
from collections.abc import Sequence
from typing import Unpack

import click

from tollway.catalogue.offers import Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import BY_NAME, CACHE_READ, INPUT, OUTPUT, Unit
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.quoting import (
    Asked,
    CountOptions,
    asked,
    count_options,
    model_of,
    price_of,
    quoted,
    standing,
)
from tollway.commands.table import cents, decimals, facts, grouped, percent, table
from tollway.errors import ModelNotPriced, NotFound
from tollway.jsontypes import JSONObject
from tollway.metering.quote import OfferQuote, Quote, quote
from tollway.money.amount import NotAnAmount, PicoUSD, format_pico, format_usd, parse_per_million
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of


@click.command()
@click.option("--model", metavar="NAME", help="A model of the catalogue, by id or alias.")
@click.option("--provider", metavar="ID", help="Price it at this provider instead of the cheapest that can be called.")
@click.option("--input-price", metavar="USD", help="Instead of a model: illustrative price per million input tokens.")
@click.option("--output-price", metavar="USD", help="The same for output tokens.")
@click.option("--cached-price", metavar="USD", help="The same for cached input tokens; the input price if left out.")
@count_options
@click.option("--margin-bps", type=click.IntRange(0, 100_000), metavar="N", help="Margin on top; 550 is 5.5 %.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def command(
    settings: Settings,
    outside: Outside,
    *,
    model: str | None,
    provider: str | None,
    input_price: str | None,
    output_price: str | None,
    cached_price: str | None,
    margin_bps: int | None,
    is_json: bool,
    **options: Unpack[CountOptions],
) -> None:
    r"""Price requests without calling anything.

    At a model of the catalogue, with the margin of the settings; or at prices of your own, with none unless you say so:

    \b
      tollway estimate --model openai/gpt-4o-mini --input 1200 --output 300 --requests 1000
      tollway estimate --input 100 --output 150 --requests 10000 --input-price 0.20 --output-price 0.60
    """
    question = asked(options)
    offer: Offer | None = None
    if model is None:
        prices = _own_prices(input_price, output_price, cached_price)
        counts = question.counts("o200k")
        found = quote(prices, margin_bps or 0, counts=counts, requests=question.requests)
    else:
        if input_price or output_price or cached_price:
            raise click.UsageError("give a --model or prices of your own, not both")
        margin = settings.money.margin_direct_bps if margin_bps is None else margin_bps
        rows = quoted(model_of(catalogue_of(settings), model), question, int(outside.now()), margin)
        offer, found = _chosen(rows, model, provider)
    click.echo(json.dumps(_document(question, offer, found), indent=2) if is_json else _told(question, offer, found))


def _own_prices(input_price: str | None, output_price: str | None, cached_price: str | None) -> PriceList:
    if input_price is None or output_price is None:
        raise click.UsageError("name a --model, or give both --input-price and --output-price")
    prices = dict[Unit, PicoUSD]()
    flags = (("--input-price", INPUT, input_price), ("--output-price", OUTPUT, output_price))
    for flag, unit, text in (*flags, ("--cached-price", CACHE_READ, cached_price)):
        if text is None:
            continue
        try:
            prices[unit] = parse_per_million(text)
        except NotAnAmount as error:
            raise click.UsageError(f"{flag}: {error}") from None
        if prices[unit] < 0:
            raise click.UsageError(f"{flag}: a price is not negative")
    return PriceList("illustrative", 0, prices)


def _chosen(rows: Sequence[OfferQuote], name: str, provider: str | None) -> tuple[Offer, Quote]:
    """The cheapest offer that can be called now; the cheapest of all if none can."""
    wanted = [row for row in rows if provider in {None, row.offer.provider.id}]
    if not wanted:
        sellers = ", ".join(sorted({row.offer.provider.id for row in rows}))
        raise NotFound(f"{provider} has no offer of {name}; these have: {sellers}")
    priced = [(row.offer, row.quote) for row in wanted if row.quote is not None]
    if not priced:
        raise ModelNotPriced(f"{name} cannot be priced: {wanted[0].reason}")
    usable = [one for one in priced if one[0].provider.is_usable]
    return (usable or priced)[0]


def _told(question: Asked, offer: Offer | None, found: Quote) -> str:
    head = [
        ("asked", question.told(_tokenizer(offer))),
        ("model", "" if offer is None else offer.model),
        ("offer", "" if offer is None else f"{offer.id}{f'  ({standing(offer)})' if standing(offer) else ''}"),
        ("price list", found.price_list_id),
    ]
    sums = [
        ("sum", format_pico(found.cost_pico)),
        (f"margin {percent(found.margin_bps)}", found.margin_exact_usd),
        ("total, exact", found.exact_usd),
        ("total, charged", format_usd(found.total_nano)),
    ]
    lines = [(line.unit, grouped(line.count), price_of(line.unit, line.price_pico)) for line in found.lines]
    amounts = decimals(
        [
            cents(text)
            for text in (*(format_pico(line.amount_pico) for line in found.lines), *(text for _, text in sums))
        ]
    )
    prices = decimals([cents(price) for _, _, price in lines])
    rows = [
        [unit, count, price, "each" if BY_NAME[unit].side == "call" else "per million", amount]
        for (unit, count, _), price, amount in zip(lines, prices, amounts, strict=False)
    ]
    rows += [[name, "", "", "", amount] for (name, _), amount in zip(sums, amounts[len(lines) :], strict=True)]
    titles = ["unit", "per request", "price", "", "amount USD"]
    each = [
        ("one request", f"${format_usd(found.charge_nano, 2)}, rounded once, to a nano-USD"),
        ("its hold", f"${format_usd(found.hold_nano, 2)} while it runs, if these counts are its limits"),
        ("all", f"${format_usd(found.total_nano, 2)}"),
    ]
    return "\n\n".join([facts(head), table(titles, rows, right=titles[1:3] + titles[4:]), facts(each)])


def _document(question: Asked, offer: Offer | None, found: Quote) -> JSONObject:
    tokens, how = question.input(_tokenizer(offer))
    return {
        "model": None if offer is None else offer.model,
        "offer": None if offer is None else offer.id,
        "available": offer is not None and offer.provider.is_usable,
        "price_list": found.price_list_id,
        "requests": found.requests,
        "input_tokens": tokens,
        "input_source": how or "given",
        "output_tokens": question.output_tokens,
        "margin_bps": found.margin_bps,
        "lines": [
            {
                "unit": line.unit,
                "count": line.count * found.requests,
                "price_usd": format_pico(line.price_pico),
                "amount_usd": format_pico(line.amount_pico),
            }
            for line in found.lines
        ],
        "sum_usd": format_pico(found.cost_pico),
        "cost_usd": found.exact_usd,
        "charge_usd": format_usd(found.total_nano),
        "charge_per_request_usd": format_usd(found.charge_nano),
        "hold_usd": format_usd(found.hold_nano),
    }


def _tokenizer(offer: Offer | None) -> str:
    return "o200k" if offer is None else offer.tokenizer
