"""`tollway models`: which models there are, how good each is held to be and why, and several beside each other."""

import json
from typing import get_args

import click

from tollway.commands import Outside
from tollway.commands.model_tables import SORTS, Row, beside, document, listed, shown
from tollway.commands.options import with_settings
from tollway.commands.quoting import model_of
from tollway.commands.table import grouped
from tollway.money.amount import NotAnAmount, parse_per_million
from tollway.routing.tiers import CATEGORIES, TIERS, Category, Tier
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.standings import standings_of

_CAN = ("tools", "json_schema", "reasoning", "vision", "audio", "file", "logprobs")
json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def _pico(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """USD per million tokens as pico-USD per token."""
    if text is None:
        return None
    try:
        return parse_per_million(text)
    except NotAnAmount as bad:
        raise click.BadParameter(f"{bad}; per million tokens, such as 0.60", context, option) from None


@click.group()
def command() -> None:
    """Models: what they cost, what they can do, and how good they are held to be.

    Quality is in [0, 1], by kind of task: computed from published figures where some were read, else an estimate; `show`
    names the sources. Prices are USD per million tokens, those of the cheapest offer.
    """


@command.command("list")
@click.option("--provider", "providers", multiple=True, metavar="ID", help="Only at this provider; may be repeated.")
@click.option("--tier", "tiers", multiple=True, type=click.Choice(TIERS), help="Only of this tier; may be repeated.")
@click.option(
    "--can", "abilities", multiple=True, type=click.Choice(_CAN), help="Only what can do this; may be repeated."
)
@click.option(
    "--max-price",
    callback=_pico,
    metavar="USD",
    help="Only up to this, for three parts of input to one of output, per million.",
)
@click.option("--search", "text", metavar="TEXT", default="", help="Only with this text in the id, name or an alias.")
@click.option(
    "--for", "category", type=click.Choice(get_args(Category)), metavar="TASK", help="Quality at this kind of task."
)
@click.option("--sort", type=click.Choice(list(SORTS)), default="name", help="Order.  [default: name]")
@click.option("--all", "is_all", is_flag=True, help="Those that cannot be called now, too.")
@json_option
@with_settings
def list_(
    settings: Settings,
    outside: Outside,
    *,
    providers: tuple[str, ...],
    tiers: tuple[Tier, ...],
    abilities: tuple[str, ...],
    max_price: int | None,
    text: str,
    category: Category | None,
    sort: str,
    is_all: bool,
    is_json: bool,
) -> None:
    """Models, one per line, with tier, quality and price."""
    catalogue, now = catalogue_of(settings), int(outside.now())
    standings = standings_of(settings, catalogue)
    rows = [Row.of(model, standings.known(model.id), now, category) for model in catalogue.models.values()]
    wanted = [
        row
        for row in rows
        if row.answers_chats
        and row.has_text(text)
        and (not providers or row.is_at(providers))
        and (not tiers or row.tier in tiers)
        and row.can(abilities)
        and (max_price is None or (row.blended is not None and row.blended <= max_price))
    ]
    found = sorted((row for row in wanted if is_all or row.is_callable), key=SORTS[sort])
    if is_json:
        click.echo(json.dumps([document(row) for row in found], indent=2))
        return
    click.echo(listed(found, category) if found else "nothing to show")
    hidden = len(wanted) - len(found)
    if hidden:
        click.echo(f"\n{grouped(hidden)} more have no key or no price; --all shows them", err=True)


@command.command()
@click.argument("model")
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, model: str, is_json: bool) -> None:
    """Everything that is known of one model, and where it was read."""
    catalogue, now = catalogue_of(settings), int(outside.now())
    found = model_of(catalogue, model)
    row = Row.of(found, standings_of(settings, catalogue).known(found.id), now)
    click.echo(json.dumps(document(row), indent=2) if is_json else shown(row))


@command.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@json_option
@with_settings
def compare(settings: Settings, outside: Outside, *, models: tuple[str, ...], is_json: bool) -> None:
    """Models beside each other: price, context, and quality by kind of task; * marks the best.

    What the same requests would cost on each, `tollway compare` tells.
    """
    catalogue, now = catalogue_of(settings), int(outside.now())
    standings = standings_of(settings, catalogue)
    found = {model.id: model for model in (model_of(catalogue, name) for name in models)}.values()
    rows = [Row.of(model, standings.known(model.id), now) for model in found]
    if is_json:
        click.echo(json.dumps([document(row) for row in rows], indent=2))
        return
    click.echo(beside(rows, CATEGORIES))
