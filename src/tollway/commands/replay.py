"""`tollway replay`: what a period's requests would have been charged at other terms; works while a server runs."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.period import span
from tollway.commands.quoting import model_of
from tollway.commands.table import cents, decimals, grouped, percent, requests_told, table
from tollway.commands.target import looking
from tollway.commands.terms import workspace_terms
from tollway.jsontypes import JSON, JSONObject
from tollway.learning.replay import Line, Replay, replay
from tollway.learning.repricing import OnModel, OnPlan, Repricer
from tollway.learning.rerouting import Reroute, Terms
from tollway.learning.traffic import Request
from tollway.money.amount import format_usd
from tollway.money.rounding import half_even
from tollway.plans.load import load_plans
from tollway.routing.wish import PLAIN, Wish
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.plans import plans_of
from tollway.store.traffic import charged

if TYPE_CHECKING:
    from tollway.api.periods import Span

Form = Literal["table", "csv", "json"]
PROMPTS = (
    "prompts are not kept, so nothing was classified again: a request is routed by the tier that was stored with it, "
    "without what it needed (tools, images); the same tokens are assumed of every model"
)
NO_KEY = "only models of providers that have a key in this environment can be chosen"
SAME_TOKENS = "the same tokens are assumed; another model may write more or less, and thinks differently"


@dataclass(frozen=True, slots=True)
class _Question:
    """Other terms. told: in words. bounds: of requests without an outcome. notes: what to keep in mind."""

    told: str
    repricer: Repricer
    notes: Sequence[str]
    bounds: Callable[[Request], tuple[int, int] | None] = lambda _: None


@click.command()
@click.option("--model", metavar="MODEL", help="Everything on this model.")
@click.option("--plan", metavar="PLAN", help="With the margin of this plan.")
@click.option("--auto", "is_auto", is_flag=True, help="Routed again, by the stored tiers.")
@click.option("--profile", metavar="P", help="The same under the rules of this routing profile, by name or id.")
@click.option("--catalogue", metavar="NAME|FILE", help="Of --plan.  [default: the one of the settings]")
@click.option(
    "--prices",
    type=click.Choice(("then", "now")),
    default="then",
    show_default=True,
    help="Those in force at each request, or today's.",
)
@click.option("--workspace", metavar="ID", help="Of this workspace.  [default: of all]")
@click.option("--from", "start", metavar="WHEN", help="Day or instant, UTC, included.  [default: 30 days, with today]")
@click.option("--to", "end", metavar="WHEN", help="Day, included, or instant, not included.  [default: today]")
@click.option(
    "--format", "form", type=click.Choice(("table", "csv", "json")), default="table", show_default=True, help="How."
)
@with_settings
def command(
    settings: Settings,
    outside: Outside,
    *,
    model: str | None,
    plan: str | None,
    is_auto: bool,
    profile: str | None,
    catalogue: str | None,
    prices: Literal["then", "now"],
    workspace: str | None,
    start: str | None,
    end: str | None,
    form: Form,
) -> None:
    """Show what a period would have cost with another model, plan or way of choosing."""
    if (model is not None) + (plan is not None) + (profile is not None) + is_auto != 1:
        raise click.UsageError("say on what with one of --model MODEL, --plan PLAN, --profile P and --auto")
    if catalogue is not None and plan is None:
        raise click.UsageError("--catalogue says where --plan is from")
    asked, now = span(outside.now(), start, end), int(outside.now())
    when = now if prices == "now" else None
    with looking(settings) as connection:
        terms = terms_of(connection, settings, workspace, now)
        if plan is not None:
            question = _on_plan(settings, plan, catalogue)
        elif model is not None:
            question = _on_model(settings, model, terms, when)
        elif profile is None:
            question = _rerouted(settings, PLAIN, terms, when)
        else:
            workspace, wish = _profile(connection, profile, workspace)
            question = _rerouted(settings, wish, terms, when)
        requests = charged(connection, workspace or "", asked.start_ms, asked.end_ms)
        found = replay(requests, question.repricer, question.bounds)
    click.echo(_written(form, found, question, asked), nl=False)


def terms_of(
    connection: sqlite3.Connection, settings: Settings, workspace: str | None, now: int
) -> Callable[[Request], Terms]:
    """On which terms a request would be charged now. Raises ClickException: there is no such workspace."""
    terms = workspace_terms(connection, settings, now)
    if workspace is not None and workspace not in terms:
        raise click.ClickException(f"there is no workspace {workspace}")
    return lambda request: terms[request.workspace_id]


def _profile(connection: sqlite3.Connection, named: str, workspace: str | None) -> tuple[str, Wish]:
    """The workspace of a routing profile, and its rules. Raises ClickException: there is none, or several."""
    from tollway.store.profiles import every_profile, wish_of

    every = every_profile(connection, workspace or "")
    found = [one for one in every if named in {one.id, one.name}]
    if len(found) == 1:
        return found[0].workspace_id, wish_of(found[0])
    if found:
        places = ", ".join(one.workspace_id for one in found)
        raise click.ClickException(
            f"{len(found)} workspaces have a profile {named}; name one with --workspace: {places}"
        )
    there = f"there are: {', '.join(one.name for one in every)}" if every else "there is none"
    raise click.ClickException(f"there is no routing profile {named}; {there}")


def _on_plan(settings: Settings, plan: str, named: str | None) -> _Question:
    plans = plans_of(settings).catalogue if named is None else load_plans(named)
    found, own = plans.plan(plan), settings.money.margins_bps
    margins = {mode: found.margins_bps.get(mode, bps) for mode, bps in own.items()}
    told = ", ".join(f"{mode} {percent(bps)}" for mode, bps in margins.items())
    notes = ["the plan's limits are not replayed"]
    if found.month_cents:
        notes.append(f"its fee of {cents(format_usd(found.month_cents * 10**7))} USD a month is not part of the sums")
    return _Question(f"on the plan {found.id}: {told}", OnPlan(found, catalogue_of(settings), own), notes)


def _on_model(settings: Settings, name: str, terms: Callable[[Request], Terms], when: int | None) -> _Question:
    found = model_of(catalogue_of(settings), name)
    repricer = OnModel(found, lambda request: terms(request).margins_bps["direct"], now=when)
    notes = [SAME_TOKENS]
    if not any(offer.provider.is_usable for offer in found.offers):
        notes.append(f"{found.id} cannot be called here: no provider of it has a key")
    return _Question(f"on {found.id}, with the margin for a named model", repricer, notes)


def _rerouted(settings: Settings, wish: Wish, terms: Callable[[Request], Terms], when: int | None) -> _Question:
    from tollway.settings.standings import standings_of

    catalogue = catalogue_of(settings)
    repricer = Reroute(catalogue, standings_of(settings, catalogue), wish, terms, now=when)
    told = f"routed again under the profile {wish.profile}" if wish.profile else "routed again by auto"
    return _Question(told, repricer, [PROMPTS, NO_KEY], repricer.bounds)


# --- output ---


def change(line: Line) -> str:
    """`-12.3 %`: by how much the other terms are more than what was charged; "-" where nothing was."""
    if not line.charged_nano:
        return "-"
    tenths = half_even(line.difference_nano * 1_000, line.charged_nano)
    return f"{'-' if tenths < 0 else '+'}{abs(tenths) // 10}.{abs(tenths) % 10} %"


def _written(form: Form, found: Replay, question: _Question, asked: "Span") -> str:
    if form == "table":
        return _shown(found, question, asked)
    if form == "json":
        return json.dumps(_document(found, question, asked), indent=2) + "\n"
    from tollway.api.tables import Column, CsvTable

    columns = [Column("model", "text"), Column("requests", "integer")]
    columns += [Column(name, "usd") for name in ("charged_usd", "would_have_been_usd", "difference_usd")]
    columns += [Column("left_out_requests", "integer"), Column("left_out_usd", "usd")]
    file = CsvTable(columns)
    rows = [
        (one.model, one.priced, one.charged_nano, one.would_nano, one.difference_nano, one.left_out, one.left_out_nano)
        for one in found.lines
    ]
    return (file.rows(rows) + file.end()).decode()


def _shown(found: Replay, question: _Question, asked: "Span") -> str:
    first, last = asked.days
    count = found.total.priced + found.total.left_out
    head = f"{requests_told(count)} of {first} to {last}, {question.told}"
    lines = [one for one in found.lines if one.priced]
    if not lines:
        body = "nothing to compare"
    else:
        lines = [*lines, found.total] if len(lines) > 1 else lines
        amounts = [
            decimals([cents(format_usd(nano)) for nano in column])
            for column in zip(*((one.charged_nano, one.would_nano, one.difference_nano) for one in lines), strict=True)
        ]
        titles = ("model", "requests", "charged USD", "would have been USD", "difference USD", "")
        rows = [
            [one.model or "-", grouped(one.priced), *money, change(one)]
            for one, money in zip(lines, zip(*amounts, strict=True), strict=True)
        ]
        body = table(titles, rows, right=titles[1:])
    return "\n\n".join([head, body, *_left_out(found), *(f"note: {note}" for note in question.notes)]) + "\n"


def _left_out(found: Replay) -> Sequence[str]:
    total = found.total
    if not total.left_out:
        return ()
    lines = [f"left out of the sums: {requests_told(total.left_out)}, charged {_usd(total.left_out_nano)} USD"]
    lines += [f"  {grouped(count)}: {reason}" for reason, count in found.reasons.most_common()]
    if found.bounded:
        between = f"{_usd(found.least_nano)} and {_usd(found.most_nano)} USD"
        lines.append(f"  {grouped(found.bounded)} of them would have cost between {between}, by tier")
    return ("\n".join(lines),)


def _usd(nano: int) -> str:
    return cents(format_usd(nano))


def _document(found: Replay, question: _Question, asked: "Span") -> JSONObject:
    from tollway.api.edge import iso

    reasons: list[JSON] = [{"reason": reason, "requests": count} for reason, count in found.reasons.most_common()]
    bounds: JSON = None
    if found.bounded:
        least, most = format_usd(found.least_nano), format_usd(found.most_nano)
        bounds = {"requests": found.bounded, "least_usd": least, "most_usd": most}
    return {
        "data": {
            "period": {"from": iso(asked.start_ms), "to": iso(asked.end_ms)},
            "replayed": question.told,
            "models": [_line(one) for one in found.lines],
            "total": _line(found.total),
            "left_out": {"reasons": reasons, "bounds": bounds},
            "notes": list(question.notes),
        }
    }


def _line(one: Line) -> JSONObject:
    return {
        "model": one.model,
        "requests": one.priced,
        "charged_usd": format_usd(one.charged_nano),
        "would_have_been_usd": format_usd(one.would_nano),
        "difference_usd": format_usd(one.difference_nano),
        "left_out_requests": one.left_out,
        "left_out_usd": format_usd(one.left_out_nano),
    }
