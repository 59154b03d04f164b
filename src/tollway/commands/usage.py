"""`tollway usage`: what a workspace has used, in sums, as a table or as a file; works while a server runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.period import span
from tollway.commands.table import cents, decimals, grouped, table
from tollway.commands.target import looking
from tollway.commands.wallet import chosen
from tollway.errors import InvalidField
from tollway.money.amount import format_usd
from tollway.settings import Settings
from tollway.store.overview import key_names
from tollway.store.usage import Bucket, Filters, Grouping, Sum, sums

if TYPE_CHECKING:
    from tollway.api.periods import Span

Form = Literal["table", "csv", "json", "parquet"]
_SHORT: dict[Bucket, int] = {"minute": 16, "hour": 16, "day": 10, "week": 10, "month": 7}
"""How many characters of an ISO instant tell a bucket from the next."""
_TITLES = ("requests", "failed", "input", "cached", "output", "reasoning", "tokens", "USD", "average ms")


@click.command()
@click.option("--workspace", metavar="ID", help="Of this workspace.  [default: the only one there is]")
@click.option(
    "--by",
    "group_by",
    default="day",
    show_default=True,
    metavar="NAMES",
    help="One of minute, hour, day, week, month; any of key, model, provider, user, status, assistant, tier.",
)
@click.option("--from", "start", metavar="WHEN", help="Day or instant, UTC, included.  [default: 30 days, with today]")
@click.option("--to", "end", metavar="WHEN", help="Day, included, or instant, not included.  [default: today]")
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json", "parquet")),
    default="table",
    show_default=True,
    help="What to write; parquet needs the extra of that name.",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@with_settings
def command(
    settings: Settings,
    outside: Outside,
    *,
    workspace: str | None,
    group_by: str,
    start: str | None,
    end: str | None,
    form: Form,
    out: Path | None,
) -> None:
    """Show what a workspace has used, by time, key, model and more."""
    from tollway.api.sums import grouping_of

    if form == "parquet" and out is None and sys.stdout.isatty():
        raise click.UsageError("a Parquet file is not for a terminal; name one with --out")
    try:
        grouping = Grouping(*grouping_of(group_by))
    except InvalidField as error:
        raise click.BadParameter(error.message.replace("`group_by`", "it"), param_hint="--by") from None
    asked = span(outside.now(), start, end)
    of = chosen(settings, workspace)
    with looking(settings) as connection:
        rows, _ = sums(connection, of, Filters(*asked), grouping)
        names = key_names(connection, of)
    body = _written(form, rows, grouping, names, asked)
    if out is None:
        click.echo(body, nl=False)
        return
    try:
        out.write_bytes(body)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None


def _written(form: Form, rows: Sequence[Sum], grouping: Grouping, names: dict[str, str], asked: "Span") -> bytes:
    import msgspec

    from tollway.api.edge import iso
    from tollway.api.sums import bucket_of, cells, columns
    from tollway.api.tables import table_of

    if form == "table":
        return _shown(rows, grouping, names).encode()
    if form == "json":
        period = {"from": iso(asked.start_ms), "to": iso(asked.end_ms)}
        told = {"data": {"period": period, "buckets": [bucket_of(row, grouping, names) for row in rows]}}
        return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
    file = table_of(form, columns(grouping))
    return file.rows([cells(row, grouping, names) for row in rows]) + file.end()


def _shown(rows: Sequence[Sum], grouping: Grouping, names: dict[str, str]) -> str:
    """Aligned columns, and the total below them."""
    from tollway.api.edge import iso

    labels: list[str] = [*([grouping.bucket] if grouping.bucket else []), *grouping.groups]
    told = list[list[str]]()
    for row in rows:
        start = [iso(row.bucket * 1000)[: _SHORT[grouping.bucket]].replace("T", " ")] if grouping.bucket else []
        told.append(
            [*start, *(_named(group, value, names) for group, value in zip(grouping.groups, row.group, strict=True))]
        )
    numbers = [_numbers(row) for row in rows]
    if len(rows) > 1 and labels:
        told.append(["total", *("" for _ in labels[1:])])
        numbers.append(_numbers(_total(rows)))
    at = _TITLES.index("USD")
    money = decimals([cents(line[at]) for line in numbers])
    lines = [[*label, *line[:at], usd, *line[at + 1 :]] for label, line, usd in zip(told, numbers, money, strict=True)]
    return table((*labels, *_TITLES), lines, right=_TITLES) + "\n"


def _named(group: str, value: str, names: dict[str, str]) -> str:
    """A key by its name and id; a request that went well by `success`, as the API says it."""
    if group == "key":
        return f"{names.get(value, '?')} ({value})"
    return "success" if group == "status" and value == "ok" else value or "-"


def _numbers(row: Sum) -> list[str]:
    counts = (
        row.requests,
        row.failed,
        row.input_tokens,
        row.cached_tokens,
        row.output_tokens,
        row.reasoning_tokens,
        row.total_tokens,
    )
    average = round(row.latency_ms / row.requests) if row.requests else 0
    return [*(grouped(count) for count in counts), format_usd(row.charge_nano), grouped(average)]


def _total(rows: Sequence[Sum]) -> Sum:
    counted = zip(*(row[2:11] for row in rows), strict=True)
    return Sum(0, (), *(sum(column) for column in counted))
