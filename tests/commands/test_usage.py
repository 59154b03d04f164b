"""`tollway usage`: sums as a table and as files, from a ledger on disk."""

import asyncio
import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

from commands.installation import DATA, installed
from store.usage_rows import insert


def requests(workspace: str) -> list[dict[str, object]]:
    """Two on 2026-01-31 in UTC, one on 2026-02-01."""
    last, first = 1_769_903_999_999, 1_769_904_000_000
    common = {"workspace_id": workspace, "model": "m1", "input_tokens": 1_000, "output_tokens": 500, "latency_ms": 30}
    return [
        common | {"id": "a", "created_at_ms": last - 5, "charge_nano": 1_500_000_000},
        common | {"id": "b", "created_at_ms": last, "charge_nano": 5, "status": "error", "user_id": "=1+1"},
        common | {"id": "c", "created_at_ms": first, "charge_nano": 10_000_000, "model": "m2"},
    ]


@pytest.fixture
def used(workspace) -> str:
    insert(DATA / "tollway.db", requests(workspace))
    return workspace


SPAN = ("--from", "2026-01-01", "--to", "2026-02-28")


def test_a_table_with_its_total(tollway, used) -> None:
    ran = tollway("usage", *SPAN)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["day", "requests", "failed", "input", "cached", "output", "reasoning", "tokens", "USD", "average", "ms"],
        ["2026-01-31", "2", "1", "2,000", "0", "1,000", "0", "3,000", "1.500000005", "30"],
        ["2026-02-01", "1", "0", "1,000", "0", "500", "0", "1,500", "0.01", "30"],
        ["total", "3", "1", "3,000", "0", "1,500", "0", "4,500", "1.510000005", "30"],
    ]
    months = tollway("usage", "--by", "month,model,status", *SPAN).out.splitlines()
    assert [line.split()[:3] for line in months[1:-1]] == [
        ["2026-01", "m1", "error"], ["2026-01", "m1", "success"], ["2026-02", "m2", "success"],
    ]  # fmt: skip
    assert len(tollway("usage", "--by", "", *SPAN).out.splitlines()) == 2
    # Nothing in the last 30 days.
    assert len(tollway("usage").out.splitlines()) == 1


def test_files_say_the_same(tollway, used) -> None:
    asked = ("usage", "--by", "day,user", *SPAN)
    told = json.loads(tollway(*asked, "--format", "json").out, parse_float=Decimal)["data"]
    assert told["period"] == {"from": "2026-01-01T00:00:00.000Z", "to": "2026-03-01T00:00:00.000Z"}
    assert tollway(*asked, "--format", "parquet", "--out", "usage.parquet").code == 0
    rows = pyarrow.parquet.read_table("usage.parquet").to_pylist()
    assert tollway(*asked, "--format", "csv", "--out", "usage.csv").out == ""
    lines = list(csv.DictReader(io.StringIO(Path("usage.csv").read_bytes().decode(), newline="")))
    assert len(told["buckets"]) == len(rows) == len(lines) == 3
    for bucket, row, line in zip(told["buckets"], rows, lines, strict=True):
        assert row["cost_usd"] == Decimal(bucket["cost_usd"]) == Decimal(line["cost_usd"])
        assert row["user"] == bucket["user"] == line["user"].removeprefix("'")
    assert [line["user"] for line in lines] == ["", "'=1+1", ""]


def test_keys_by_name_and_workspaces_apart(tollway) -> None:
    first, second = asyncio.run(installed(2))
    assert tollway("usage").code == 2
    insert(DATA / "tollway.db", requests(second))
    assert "k1" in tollway("usage", "--by", "key", "--workspace", second, *SPAN).out
    assert len(tollway("usage", "--workspace", first, *SPAN).out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--by", "colour"), "--by"),
        (("--by", "day,hour"), "at most one of"),
        (("--from", "yesterday"), "--from"),
        (("--to", "2026-13-01"), "--to"),
        (("--from", "2026-02-02", "--to", "2026-02-01"), "the period is empty"),
        (("--format", "xml"), "--format"),
        (("--data", "typo"), "no ledger here"),
    ],
)
def test_what_cannot_be_asked(tollway, workspace, arguments, told) -> None:
    ran = tollway("usage", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_a_file_that_cannot_be_written(tollway, workspace) -> None:
    ran = tollway("usage", "--format", "csv", "--out", "missing/usage.csv")
    assert ran.code == 1
    assert "missing/usage.csv cannot be written" in ran.err
