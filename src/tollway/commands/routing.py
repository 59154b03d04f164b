"""`tollway routing report`: `auto` against every single model, on this installation's own traffic."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.period import span
from tollway.commands.quoting import model_of
from tollway.commands.replay import SAME_TOKENS, terms_of
from tollway.commands.table import cents, decimals, grouped, requests_told, table
from tollway.commands.target import looking
from tollway.jsontypes import JSON, JSONObject
from tollway.learning.comparison import LEAST_RATINGS, Cell, Comparison, Single, compare
from tollway.learning.intervals import LEAST_REQUESTS, Interval, Scores, Share
from tollway.learning.repricing import OnModel
from tollway.learning.rerouting import Terms
from tollway.learning.traffic import Request
from tollway.money.amount import format_usd
from tollway.money.rounding import half_even
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.store.feedback import scores
from tollway.store.shadow import ShadowSum, shadow_sums
from tollway.store.traffic import answering, charged

if TYPE_CHECKING:
    from tollway.api.periods import Span

Form = Literal["table", "csv", "json"]
OTHER_REQUESTS = (
    "a model is rated on the requests that named it, auto on those it was asked to choose for: they may have been easier "
    "or harder"
)


@click.group()
def command() -> None:
    """Routing: report."""


@command.command()
@click.option("--model", "models", multiple=True, metavar="MODEL", help="Against this one too; may be repeated.")
@click.option("--workspace", metavar="ID", help="Of this workspace.  [default: of all]")
@click.option("--from", "start", metavar="WHEN", help="Day or instant, UTC, included.  [default: 30 days, with today]")
@click.option("--to", "end", metavar="WHEN", help="Day, included, or instant, not included.  [default: today]")
@click.option(
    "--format", "form", type=click.Choice(("table", "csv", "json")), default="table", show_default=True, help="How."
)
@with_settings
def report(
    settings: Settings,
    outside: Outside,
    *,
    models: tuple[str, ...],
    workspace: str | None,
    start: str | None,
    end: str | None,
    form: Form,
) -> None:
    """Show what auto cost and how it was rated, against each single model."""
    now = int(outside.now())
    asked = span(outside.now(), start, end)
    with looking(settings) as connection:
        terms = terms_of(connection, settings, workspace, now)
        period = (workspace or "", asked.start_ms, asked.end_ms)
        found, gone = _compared(settings, connection, models, period, terms)
        aside = shadow_sums(connection, *period)
    notes = [SAME_TOKENS, OTHER_REQUESTS, *(f"{name} is not in the catalogue any more" for name in gone)]
    if form == "json":
        click.echo(json.dumps(_document(found, aside, asked, notes), indent=2))
    elif form == "csv":
        click.echo(_csv(found), nl=False)
    else:
        click.echo("\n\n".join([*_told(found, asked), *_aside(aside), *(f"note: {note}" for note in notes)]))


def _compared(
    settings: Settings,
    connection: sqlite3.Connection,
    named: Sequence[str],
    period: tuple[str, int, int],
    terms: Callable[[Request], Terms],
) -> tuple[Comparison, list[str]]:
    """The comparison, and the models that answered but have left the catalogue."""
    catalogue = catalogue_of(settings)
    there = answering(connection, *period)
    models = {found.id: found for name in named for found in [model_of(catalogue, name)]}
    baseline = catalogue.find(settings.routing.baseline_model)
    models |= {} if baseline is None else {baseline.id: baseline}
    models |= {found.id: found for name in there for found in [catalogue.find(name)] if found is not None}
    gone = [name for name in there if catalogue.find(name) is None]
    repricers: dict[str, OnModel] = {
        name: OnModel(model, lambda request: terms(request).margins_bps["direct"]) for name, model in models.items()
    }
    return compare(charged(connection, *period), scores(connection, *period), repricers), gone


# --- in words ---


def statement(found: Comparison, single: Single) -> str:
    """What `auto` saved against one model, and how both were rated."""
    return f"{_cost(found, single)};\n  {_quality(found, single)}"


def _cost(found: Comparison, single: Single) -> str:
    costs = single.costs
    if not costs.count:
        return f"{single.model} for everything: nothing of it can be priced"
    left_out = f", without {requests_told(single.left_out)} that it does not price" if single.left_out else ""
    what = f"for {requests_told(costs.count)}" if costs.count != found.auto.requests else "for everything"
    return (
        f"auto cost {_usd(costs.actual)} USD; {single.model} {what} would have cost {_usd(costs.other)} USD "
        f"(same tokens{left_out}): {_saved(costs.saved(), costs.count)}"
    )


def _saved(share: Share | None, count: int) -> str:
    if share is None:
        return "it is free"
    bps, half = share
    less = "less" if bps >= 0 else "more"
    told = f"{_percent(abs(bps))} % {less}"
    if half is None:
        return f"{told}; too few requests ({count}, of {LEAST_REQUESTS}) to say how sure that is"
    low, high = sorted((bps - half, bps + half)) if bps >= 0 else sorted((-bps - half, -bps + half))
    return f"{told} ({_percent(low)} to {_percent(high)})" if half else told


def _quality(found: Comparison, single: Single) -> str:
    mine, other = found.auto.scores, single.scores
    between = found.against(single)
    if between is None:
        counts = f"{grouped(mine.count)} of auto and {grouped(other.count)} of {single.model}"
        return f"feedback: too few ratings to compare ({counts}; {LEAST_RATINGS} of each are needed)"
    told = f"feedback {rated(mine)} of 100 from {grouped(mine.count)} ratings against {rated(other)} from {grouped(other.count)}"
    if between.has_zero:
        return f"{told}: no difference shown"
    better = "better" if between.estimate > 0 else "worse"
    low, high = sorted((abs(between.lower), abs(between.upper)))
    return f"{told}: {better} by {abs(between.estimate):.0f} ({low:.0f} to {high:.0f})"


def rated(found: Scores) -> str:
    """`81 (77 to 85)`: the mean with its 95 % interval; "-" without ratings."""
    one = found.interval()
    return "-" if one is None else f"{one.estimate:.0f} ({one.lower:.0f} to {one.upper:.0f})"


def _told(found: Comparison, asked: "Span") -> list[str]:
    first, last = asked.days
    auto = found.auto
    head = f"auto, {first} to {last}: {requests_told(auto.requests)}, {_usd(auto.charged_nano)} USD"
    if not auto.requests:
        named = f"; {requests_told(found.direct.requests)} named their model" if found.direct.requests else ""
        return [f"{head}{named}\nNothing to compare: no model was chosen by auto. `tollway replay --auto` prices it."]
    parts = [head, *(statement(found, single) for single in found.singles)]
    return [*parts, _cells(found.cells), "In brackets: where the truth lies in 19 of 20 cases."]


def _cells(cells: Sequence[Cell]) -> str:
    titles = ("tier", "model", "requests", "USD", "ratings", "mean of 100")
    money = decimals([_usd(one.charged_nano) for one in cells])
    rows = [
        [one.tier or "(named)", one.model, grouped(one.requests), usd, grouped(one.scores.count), rated(one.scores)]
        for one, usd in zip(cells, money, strict=True)
    ]
    return table(titles, rows, right=titles[2:5])


def _aside(sums: Sequence[ShadowSum]) -> Sequence[str]:
    """What shadow evaluation found, one line per pair of models."""
    if not sums:
        return ()
    titles = ("second model", "answered by", "runs", "words shared", "judged", "first", "second", "cost USD")
    money = decimals([_usd(one.cost_nano) for one in sums])
    rows = [
        [
            *(one.model, one.served, grouped(one.runs), f"{_mean(one.agreement, one.runs)} %", grouped(one.judged)),
            *(_mean(one.score, one.judged), _mean(one.second_score, one.judged), usd),
        ]
        for one, usd in zip(sums, money, strict=True)
    ]
    return ("Asked again, aside\n" + table(titles, rows, right=titles[2:]),)


def _mean(total: int, count: int) -> str:
    return str(half_even(total, count)) if count else "-"


def _usd(nano: int) -> str:
    return cents(format_usd(nano))


def _percent(bps: int) -> str:
    """Basis points with one place: `7304` is `73.0`."""
    tenths = (abs(bps) + 5) // 10
    return f"{'-' if bps < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


# --- for programs ---


def _document(found: Comparison, aside: Sequence[ShadowSum], asked: "Span", notes: Sequence[str]) -> JSONObject:
    from tollway.api.edge import iso

    return {
        "data": {
            "period": {"from": iso(asked.start_ms), "to": iso(asked.end_ms)},
            "auto": _cell(found.auto),
            "direct": _cell(found.direct),
            "against": [_single(found, one) for one in found.singles],
            "cells": [{"tier": one.tier or None, "model": one.model, **_cell(one)} for one in found.cells],
            "shadow": [_shadow(one) for one in aside],
            "notes": list(notes),
        }
    }


def _shadow(one: ShadowSum) -> JSONObject:
    """Sums, so that they can be added up; a mean is a sum by its count."""
    return {
        "model": one.model,
        "answered_by": one.served,
        "runs": one.runs,
        "agreement_sum": one.agreement,
        "judged": one.judged,
        "score_sum": one.score,
        "second_score_sum": one.second_score,
        "cost_usd": format_usd(one.cost_nano),
    }


def _cell(one: Cell) -> JSONObject:
    return {"requests": one.requests, "charged_usd": format_usd(one.charged_nano), "ratings": _ratings(one.scores)}


def _single(found: Comparison, one: Single) -> JSONObject:
    share, better = one.costs.saved(), found.against(one)
    saved: JSON = None if share is None else {"bps": share.bps, "half_bps": share.half_bps}
    return {
        "model": one.model,
        "requests": one.costs.count,
        "auto_usd": format_usd(one.costs.actual),
        "model_usd": format_usd(one.costs.other),
        "difference_usd": format_usd(one.costs.difference),
        "saved": saved,
        "left_out_requests": one.left_out,
        "ratings": _ratings(one.scores),
        "auto_rated_better_by": None if better is None else _interval(better),
    }


def _ratings(found: Scores) -> JSON:
    one = found.interval()
    return {"count": found.count, "mean": None} if one is None else {"count": found.count, "mean": _interval(one)}


def _interval(one: Interval) -> JSON:
    return {"estimate": round(one.estimate, 2), "lower": round(one.lower, 2), "upper": round(one.upper, 2)}


def _csv(found: Comparison) -> str:
    from tollway.api.tables import Column, CsvTable

    columns = [Column("model", "text"), Column("requests", "integer")]
    columns += [Column(name, "usd") for name in ("auto_usd", "model_usd", "difference_usd")]
    columns += [Column(name, "integer") for name in ("saved_bps", "saved_half_bps", "left_out_requests", "ratings")]
    columns += [Column(name, "text") for name in ("mean_rating", "mean_rating_lower", "mean_rating_upper")]
    file = CsvTable(columns)
    rows = list[list[int | str | None]]()
    for one in found.singles:
        share, mean, costs = one.costs.saved(), one.scores.interval(), one.costs
        rows.append(
            [
                *(one.model, costs.count, costs.actual, costs.other, costs.difference),
                *((None, None) if share is None else share),
                *(one.left_out, one.scores.count),
                *((None, None, None) if mean is None else (f"{value:.2f}" for value in mean)),
            ]
        )
    return (file.rows(rows) + file.end()).decode()
