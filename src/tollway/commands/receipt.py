"""`tollway receipt`: how the charge of one request came about, so that it adds up by hand."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from tollway.catalogue.units import BY_NAME
from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.routing_told import routing_told
from tollway.commands.table import cents, decimals, facts, grouped, percent, table
from tollway.errors import NotFound
from tollway.gateway.receipt import Receipt, readable
from tollway.jsontypes import JSONObject
from tollway.metering.quote import format_exact
from tollway.metering.rating import BPS
from tollway.money.amount import format_per_million, format_usd, parse_pico
from tollway.settings import Settings
from tollway.store.folder import DATABASE
from tollway.store.generations import Generations, Kept
from tollway.store.reader import Reader
from tollway.store.sqlite import open_reader
from tollway.store.tenant import workspace_of

_OUTCOMES = {
    "settled": "charged",
    "void": "not charged: nothing was answered, so all that was held was released",
    "expired": "not charged: the server stopped before it ended, and the hold was released",
}
_SOURCES = {
    "provider": "the provider",
    "provider_partial": "the provider for the input, Tollway for what was delivered",
    "tokenizer": "Tollway, with the model's own vocabulary",
    "heuristic": "Tollway, estimated",
}


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def command(settings: Settings, outside: Outside, *, request_id: str, is_json: bool) -> None:
    """Show how the charge of one request came about.

    ID is the X-Request-ID of the answer, `tollway.generation_id` in it. Works while the server runs.
    """
    del outside
    kept = find(Path(settings.data.folder), request_id)
    click.echo(json.dumps(document(kept), indent=2) if is_json else told(kept))


def find(folder: Path, request_id: str) -> Kept:
    """A request that has ended, of any workspace. Raises NotFound; ConfigurationError: there is no ledger here."""
    connection = open_reader(folder / DATABASE)
    try:
        workspace_id = workspace_of(connection, request_id)
    finally:
        connection.close()
    if workspace_id is None:
        raise NotFound(f"there is no request {request_id} in {folder}; one that still runs has no receipt yet")
    reader = Reader(folder / DATABASE)
    try:
        return asyncio.run(Generations(reader).get(workspace_id, request_id))
    finally:
        reader.close()


def document(kept: Kept) -> JSONObject:
    """Everything that is known about a request, as JSON; money is exact decimal USD as text."""
    generation, end = kept.generation, kept.end
    return {
        "id": generation.id,
        "created_at": _instant(generation.created_at),
        "workspace_id": generation.workspace_id,
        "key_id": generation.key_id,
        "user_id": generation.user_id or None,
        "status": generation.status,
        "http_status": generation.http_status,
        "error_code": generation.error_code or None,
        "outcome": end.outcome,
        "taken_usd": format_usd(end.charge_nano),
        "bad_debt_usd": format_usd(end.bad_debt_nano),
        "latency_ms": generation.latency_ms,
        "receipt": msgspec.to_builtins(_story(kept)),
        "postings": [
            {"account": posting.account, "amount_usd": format_usd(posting.amount_nano)} for posting in kept.postings
        ],
    }


def told(kept: Kept) -> str:
    """The receipt as text for a terminal."""
    story = _story(kept)
    parts = [_head(kept, story)]
    if story is not None:
        if story.routing is not None:
            parts += routing_told(story.routing)
        parts += _attempts(story)
        parts += _usage(story)
    parts += [_hold(kept), *_postings(kept)]
    if story is not None:
        parts += _notes(story)
    return "\n\n".join(parts)


def _head(kept: Kept, story: Receipt | None) -> str:
    generation, end = kept.generation, kept.end
    first = f", first token after {grouped(generation.ttft_ms)} ms" if generation.ttft_ms else ""
    finish = f", finish reason {generation.finish_reason}" if generation.finish_reason else ""
    source = f", source: {story.price_source}" if story is not None and story.price_source else ""
    answered = f"{generation.model} at {generation.provider} (offer {generation.offer_id})" if generation.model else ""
    pairs = [
        ("request", generation.id),
        ("when", f"{_instant(generation.created_at)}, {grouped(generation.latency_ms)} ms{first}"),
        ("workspace", f"{generation.workspace_id}, key {generation.key_id}"),
        ("end user", generation.user_id),
        ("asked for", f"{generation.model_asked}{', streamed' if generation.is_streamed else ''}"),
        ("answered by", answered),
        ("answer", f"{generation.http_status or 'none:'} {generation.error_code or generation.status}{finish}"),
        ("outcome", f"{end.outcome}: {_OUTCOMES.get(end.outcome, '')}"),
        ("counted by", _SOURCES.get(generation.usage_source, generation.usage_source)),
        ("price list", f"{end.price_list_id}{source}"),
    ]
    return facts(pairs)


def _attempts(story: Receipt) -> Iterator[str]:
    rows = [
        [
            str(number),
            tried.provider,
            tried.model,
            str(tried.status or "-"),
            tried.reason or "ok",
            f"{grouped(tried.started_ms)} - {grouped(tried.ended_ms)}",
        ]
        for number, tried in enumerate(story.attempts, 1)
    ]
    if rows:
        yield "Attempts\n" + table(["#", "provider", "model", "status", "result", "ms"], rows, right=["ms", "status"])


def _usage(story: Receipt) -> Iterator[str]:
    """Count x price = amount, their sum, the margin, and the one rounding."""
    lines = story.lines
    if not lines:
        return
    sum_pico, bps = parse_pico(story.sum_usd), int(story.margin_bps)
    sums = [
        ("sum", story.sum_usd),
        (f"margin {percent(bps)}", format_exact(sum_pico * bps)),
        ("with margin, exact", format_exact(sum_pico * (BPS + bps))),
        ("charge, rounded once", story.charge_usd),
    ]
    prices = [_price(line.unit, line.price_usd) for line in lines]
    amounts = decimals([cents(text) for text in (*(line.amount_usd for line in lines), *(text for _, text in sums))])
    rows = [
        [line.unit, grouped(line.count), price, per, amount]
        for line, price, (_, per), amount in zip(
            lines, decimals([price for price, _ in prices]), prices, amounts, strict=False
        )
    ]
    rows += [[name, "", "", "", amount] for (name, _), amount in zip(sums, amounts[len(lines) :], strict=True)]
    titles = ["unit", "count", "x price USD", "", "= amount USD"]
    yield "Charge\n" + table(titles, rows, right=["count", "x price USD", "= amount USD"])


def _price(unit: str, usd: str) -> tuple[str, str]:
    if unit in BY_NAME and BY_NAME[unit].side == "call":
        return cents(usd), "each"
    return cents(format_per_million(parse_pico(usd))), "per million"


def _hold(kept: Kept) -> str:
    end = kept.end
    held = end.hold_nano
    names = [("held", held), ("taken from the wallet", -end.charge_nano)]
    if end.charge_nano > held:
        names.append(("of it beyond the hold", -(end.charge_nano - held)))
    names.append(("released", max(held - end.charge_nano, 0)))
    if end.bad_debt_nano:
        names.append(("not covered, bad debt", end.bad_debt_nano))
    amounts = decimals([cents(format_usd(amount)) for _, amount in names])
    rows = [[name, amount] for (name, _), amount in zip(names, amounts, strict=True)]
    return "Hold\n" + table(["", "USD"], rows, right=["USD"])


def _postings(kept: Kept) -> Iterator[str]:
    if not kept.postings:
        yield "Ledger\nnothing was posted"
        return
    lines = [*kept.postings, ("sum", sum(posting.amount_nano for posting in kept.postings))]
    amounts = decimals([cents(format_usd(amount)) for _, amount in lines])
    rows = [[account, amount] for (account, _), amount in zip(lines, amounts, strict=True)]
    yield "Ledger\n" + table(["account", "USD"], rows, right=["USD"])


def _notes(story: Receipt) -> Iterator[str]:
    notes = [f"warning: {text}" for text in story.warnings]
    notes += [f"not asked: {left['offer']}: {left['reason']}" for left in story.excluded]
    if story.error:
        notes.append(f"error: {json.dumps(story.error)}")
    if notes:
        yield "Notes\n" + "\n".join(notes)


def _story(kept: Kept) -> Receipt | None:
    """The receipt as the gateway wrote it; None where recovery ended the request, whose story is lost."""
    try:
        return msgspec.convert(readable(kept.generation.receipt), Receipt)
    except msgspec.DecodeError:
        return None


def _instant(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}.{unix_ms % 1000:03d} UTC"
