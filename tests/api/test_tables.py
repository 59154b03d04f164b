"""Tables: what is written is read back by other people's readers, and no spreadsheet runs it."""

import csv
import importlib
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.api.tables import Column, CsvTable, ParquetTable, harmless, table_of
from tollway.errors import InvalidField

COLUMNS = (
    Column("who", "text"),
    Column("many", "integer"),
    Column("cost", "usd"),
    Column("at", "instant"),
    Column("is", "flag"),
)
ROW = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 32_503_680_000_000),
    st.sampled_from([0, 1]),
)


def whole(table, pieces) -> bytes:
    return b"".join([*(table.rows(piece) for piece in pieces), table.end()])


def instant(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


@settings(deadline=None)
@given(st.lists(st.lists(ROW, max_size=4), max_size=4))
def test_csv_read_back(pieces) -> None:
    text = whole(CsvTable(COLUMNS), pieces).decode()
    titles, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert titles == ["who", "many", "cost", "at", "is"]
    rows = [row for piece in pieces for row in piece]
    assert len(lines) == len(rows)
    for (who, many, cost, at, is_), (read_who, read_many, read_cost, read_at, read_is) in zip(rows, lines, strict=True):
        assert read_who == ("" if who is None else harmless(who))
        assert read_many == ("" if many is None else str(many))
        assert Decimal(read_cost) == Decimal(cost).scaleb(-9)
        assert "e" not in read_cost.lower()
        assert datetime.fromisoformat(read_at) == instant(at)
        assert read_is == ("true" if is_ else "false")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(ROW, max_size=4), max_size=4))
def test_parquet_read_back(pieces) -> None:
    read = pyarrow.parquet.read_table(io.BytesIO(whole(ParquetTable(COLUMNS), pieces)))
    assert read.schema.types == [
        pa.string(), pa.int64(), pa.decimal128(38, 12), pa.timestamp("ms", tz="UTC"), pa.bool_(),
    ]  # fmt: skip
    rows = [row for piece in pieces for row in piece]
    assert read.to_pylist() == [
        {"who": who, "many": many, "cost": Decimal(cost).scaleb(-9), "at": instant(at), "is": bool(is_)}
        for who, many, cost, at, is_ in rows
    ]


def test_lines_end_as_rfc_4180_has_it() -> None:
    table = CsvTable((Column("a", "text"), Column("b", "usd")))
    assert whole(table, [[('say "hi",\r\nyou', 1_500_000_000)]]) == b'a,b\r\n"say ""hi"",\r\nyou",1.5\r\n'
    assert whole(CsvTable((Column("a", "text"),)), []) == b"a\r\n"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "=cmd|'/C calc'!A0"]
)
def test_no_text_is_run_as_a_formula(text) -> None:
    raw = whole(CsvTable((Column("a", "text"),)), [[(text,)]]).decode()
    (_, (cell,)) = csv.reader(io.StringIO(raw, newline=""))
    assert cell == "'" + text


def test_numbers_of_ours_stay_numbers() -> None:
    assert whole(CsvTable((Column("a", "integer"), Column("b", "usd"))), [[(-5, -1)]]) == b"a,b\r\n-5,-0.000000001\r\n"


def test_rows_leave_in_groups() -> None:
    """A large table is not kept in memory until its end."""
    table = ParquetTable((Column("a", "text"), Column("b", "usd")))
    pieces = [[(f"row {number}", number) for number in range(at, at + 1_000)] for at in range(0, 50_000, 1_000)]
    sizes = [len(table.rows(piece)) for piece in pieces]
    assert sum(size > 1_000 for size in sizes) == 2
    assert max(sizes) < 2_000_000


def test_without_the_package_it_is_said_what_to_install(monkeypatch) -> None:
    def missing(name: str):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InvalidField, match="uv run --extra parquet tollway serve") as raised:
        table_of("parquet", COLUMNS)
    assert (raised.value.status, raised.value.param) == (400, "format")
    assert isinstance(table_of("csv", COLUMNS), CsvTable)
