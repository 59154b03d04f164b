"""`tollway route`: which model would answer a prompt, and why, as a colleague would explain it; nothing is called."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click
import msgspec

from tollway.api.route import TOKENIZER, RouteEntry, entry
from tollway.catalogue.offers import Catalogue
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import cents, decimals, grouped, table
from tollway.commands.target import looking
from tollway.errors import NotFound
from tollway.jsontypes import JSONObject
from tollway.metering.estimate import bound_input
from tollway.request import ChatRequest, Message
from tollway.routing.asking import AUTO, wish_of
from tollway.routing.classifier import load_classifier
from tollway.routing.decide import Circumstances
from tollway.routing.router import Router
from tollway.routing.standing import AllWell
from tollway.routing.tiers import TIERS
from tollway.routing.wish import Wish, merged
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.standings import standings_of
from tollway.store.folder import DATABASE
from tollway.store.profiles import every_profile
from tollway.store.profiles import wish_of as rules_of

_WIDTH = 100
_EXCLUDED_SHOWN = 8


class _Anyone:
    """No key and no plan restricts anything."""

    allowed_models: frozenset[str] | None = None


@click.command()
@click.argument("prompt", required=False)
@click.option("--file", type=click.File(encoding="utf-8"), metavar="FILE", help="Text after the prompt; - is stdin.")
@click.option(
    "--model", default=AUTO, metavar="NAME", help="`auto`, `auto:<tier>`, or a model by name.  [default: auto]"
)
@click.option("--tier", type=click.Choice(TIERS), help="Pin a tier instead of classifying.")
@click.option("--profile", metavar="NAME", help="Under the rules of this routing profile, by name or id.")
@click.option("--max-cost", metavar="USD", help="The most that it may cost in the worst case.")
@click.option("--quality", metavar="HOW", help="cheapest, balanced, best, fastest, or a number from 0 to 1.")
@click.option("--any-provider", is_flag=True, help="As if every provider's key were there.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def command(
    settings: Settings,
    outside: Outside,
    *,
    prompt: str | None,
    file: TextIO | None,
    model: str,
    tier: str | None,
    profile: str | None,
    max_cost: str | None,
    quality: str | None,
    any_provider: bool,
    is_json: bool,
) -> None:
    r"""Explain which model would answer PROMPT, without calling any.

    \b
      tollway route "Debug this Python function" --file broken.py
      tollway route "Write a legal brief" --tier standard --any-provider
    """
    text = "\n\n".join(part for part in (prompt, _read(file)) if part)
    if not text:
        raise click.UsageError('say what to route: tollway route "Summarize this email", or --file FILE')
    chat = ChatRequest(model, (Message("user", text),), {})
    wish = _wish(model, {"tier": tier, "max_cost": max_cost, "quality": _number(quality)})
    if profile is not None:
        wish = merged(_rules(settings, profile), wish)
    catalogue = catalogue_of(settings)
    if any_provider:
        catalogue = _reachable(catalogue)
    tokens = bound_input(chat, TOKENIZER).tokens
    router = Router(
        lambda: catalogue,
        standings_of(settings, catalogue),
        AllWell(),
        load_classifier(),
        baseline=settings.routing.baseline_model,
        margins_bps=settings.money.margins_bps,
    )
    decision = router.decide(
        chat,
        wish,
        key=_Anyone(),
        plan=_Anyone(),
        now=outside.now(),
        input_tokens=tokens,
        circumstances=Circumstances(default_output=settings.money.default_max_output_tokens),
    )
    told = entry(decision, tokens)
    click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() if is_json else _told(told))


def _read(file: TextIO | None) -> str:
    try:
        return file.read() if file else ""
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the file is not UTF-8 text: byte {error.start}") from None


def _number(quality: str | None) -> str | float | None:
    try:
        return None if quality is None else float(quality)
    except ValueError:
        return quality


def _wish(model: str, fields: JSONObject) -> Wish:
    return wish_of(model, {name: value for name, value in fields.items() if value is not None})


def _rules(settings: Settings, name: str) -> Wish:
    """The rules of a profile of this installation. Raises NotFound; UsageError: several have this name."""
    if not (Path(settings.data.folder) / DATABASE).exists():
        raise NotFound(f"there is no profile `{name}`: there is no ledger in {settings.data.folder}")
    with looking(settings) as connection:
        found = [one for one in every_profile(connection) if name in {one.name, one.id}]
    if not found:
        raise NotFound(f"there is no profile `{name}`; `GET /v1/profiles` lists those of a workspace")
    if len(found) > 1:
        listed = "".join(f"\n  {one.id}  of workspace {one.workspace_id}" for one in found)
        raise click.UsageError(f"{len(found)} profiles are called `{name}`; name one by its id:{listed}")
    return rules_of(found[0])


def _reachable(catalogue: Catalogue) -> Catalogue:
    """The catalogue as if there were a key for every provider."""
    models = {
        name: replace(
            model,
            offers=tuple(replace(one, provider=replace(one.provider, is_usable=True)) for one in model.offers),
        )
        for name, model in catalogue.models.items()
    }
    return replace(
        catalogue, models=models, names={name: models.get(one.id, one) for name, one in catalogue.names.items()}
    )


def _told(told: RouteEntry) -> str:
    parts = [
        "\n".join(textwrap.fill(one, _WIDTH, break_on_hyphens=False) for one in told.explanation),
        _candidates(told),
    ]
    if told.excluded:
        parts.append(_excluded(told))
    parts.append("\n".join(told.steps))
    return "\n\n".join(parts)


def _candidates(told: RouteEntry) -> str:
    rows = told.candidates
    columns: Sequence[Sequence[str]] = (
        [str(one.place) for one in rows],
        [one.model for one in rows],
        [one.provider for one in rows],
        [_score(one.quality) for one in rows],
        [_score(one.value) for one in rows],
        decimals([cents(one.cost_usd or "-") for one in rows]),
        decimals([cents(one.input_per_million_usd or "-") for one in rows]),
        decimals([cents(one.output_per_million_usd or "-") for one in rows]),
    )
    titles = ["", "model", "provider", "quality", "value", "this request USD", "input / M", "output / M"]
    return table(titles, zip(*columns, strict=True), right=[titles[0], *titles[3:]])


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _excluded(told: RouteEntry) -> str:
    shown = told.excluded[:_EXCLUDED_SHOWN]
    rows = [[one.model, one.offer or "all of it", one.reason] for one in shown]
    more = told.excluded_count - len(shown)
    left = f"\n{grouped(more)} more; --json shows up to 40" if more else ""
    return table(["ruled out", "offer", "reason"], rows) + left
