"""Tables as files: CSV for spreadsheets and Parquet for data tools, written piece by piece.

CSV is RFC 4180 with a line of titles. A text that a spreadsheet would run as a formula gets an apostrophe in front: end
users' ids are whatever a caller's customer typed. Money is plain decimals in CSV and decimal128(38, 12) in Parquet.
"""

import csv
import importlib
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from tollway.api.edge import iso
from tollway.errors import InvalidField
from tollway.money.amount import format_usd

Kind = Literal["text", "integer", "usd", "instant", "flag"]
Cell: TypeAlias = int | str | None
"""By kind: text; an integer; nano-USD; unix ms; 0 or 1. None is empty."""
Cells: TypeAlias = Sequence[Cell]
TableFormat = Literal["csv", "parquet"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ROW_GROUP = 20_000
_PICO_PER_NANO = 1_000
NEEDS_PARQUET = (
    "`parquet` needs a package that this installation lacks; run it with the extra `parquet`, "
    "`uv run --extra parquet tollway serve`, or ask for `csv` or `json`"
)


class Column(NamedTuple):
    """A column: its title and what its cells are."""

    name: str
    kind: Kind


class Table(Protocol):
    """A file being written: what `rows` gives, in order, then what `end` gives."""

    media_type: str

    def rows(self, rows: Sequence[Cells]) -> bytes:
        """More rows; the bytes that are ready."""
        ...

    def end(self) -> bytes:
        """The rest of the bytes."""
        ...


def table_of(form: TableFormat, columns: Sequence[Column]) -> Table:
    """A new table. Raises InvalidField: this installation cannot write Parquet."""
    return CsvTable(columns) if form == "csv" else ParquetTable(columns)


def harmless(text: str) -> str:
    """A text that no spreadsheet runs as a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


_PLAIN: dict[Kind, Callable[[Any], Any]] = {
    "text": harmless,
    "integer": int,
    "usd": format_usd,
    "instant": iso,
    "flag": lambda value: "true" if value else "false",
}


class CsvTable:
    """A table as CSV."""

    media_type = "text/csv"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._plain = [_PLAIN[column.kind] for column in columns]
        self._titles: list[str] | None = [column.name for column in columns]

    def rows(self, rows: Sequence[Cells]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        if self._titles is not None:
            writer.writerow(self._titles)
            self._titles = None
        plain = self._plain
        writer.writerows(
            [["" if cell is None else told(cell) for told, cell in zip(plain, row, strict=True)] for row in rows]
        )
        return text.getvalue().encode()

    def end(self) -> bytes:
        return self.rows(())


class _Sink:
    """Where the Parquet writer writes: it is told how far it came, and what it wrote is taken away."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        """What was written since."""
        found, self._parts = b"".join(self._parts), []
        return found


class ParquetTable:
    """A table as Parquet: a row group per 20,000 rows, so that no more than these are in memory."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, columns: Sequence[Column]) -> None:
        try:
            arrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise InvalidField(NEEDS_PARQUET, param="format") from None
        types: dict[Kind, Any] = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "usd": arrow.decimal128(38, 12),
            "instant": arrow.timestamp("ms", tz="UTC"),
            "flag": arrow.bool_(),
        }
        self._arrow, self._columns = arrow, columns
        self._schema = arrow.schema([(column.name, types[column.kind]) for column in columns])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema)
        self._batches: list[Any] = []
        self._waiting = 0

    def rows(self, rows: Sequence[Cells]) -> bytes:
        if rows:
            arrays = [
                self._array(column.kind, field.type, cells)
                for column, field, cells in zip(self._columns, self._schema, zip(*rows, strict=True), strict=True)
            ]
            self._batches.append(self._arrow.record_batch(arrays, schema=self._schema))
            self._waiting += len(rows)
        if self._waiting >= _ROW_GROUP:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        self._write()
        self._writer.close()
        return self._sink.taken()

    def _write(self) -> None:
        if self._batches:
            self._writer.write_table(self._arrow.Table.from_batches(self._batches, self._schema))
        self._batches, self._waiting = [], 0

    def _array(self, kind: Kind, type_: Any, cells: Sequence[Any]) -> Any:
        if kind == "flag":
            return self._arrow.array([None if cell is None else bool(cell) for cell in cells], type_)
        if kind != "usd":
            return self._arrow.array(cells, type_)
        # The integers as they lie in a decimal128, so that exact money goes through no conversion.
        raw = b"".join([(nano * _PICO_PER_NANO).to_bytes(16, "little", signed=True) for nano in cells])
        return self._arrow.Array.from_buffers(type_, len(cells), [None, self._arrow.py_buffer(raw)])
