"""Tables for the terminal: aligned columns of plain text, decimal points below each other, fit for a pipe too."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()) -> str:
    """Rows below their titles, two spaces between columns.

    Args:
        titles: one per column.
        rows: as many cells each.
        right: titles of the columns to align right; numbers, usually.
    """
    lines = [[_shown(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(_width(line[at]) for line in lines) for at in range(len(titles))]
    return "\n".join(
        "  ".join(
            _padded(cell, width, is_right=title in right)
            for cell, width, title in zip(line, widths, titles, strict=True)
        ).rstrip()
        for line in lines
    )


def facts(pairs: Iterable[tuple[str, str]], indent: str = "") -> str:
    """`name  value` lines, values below each other; pairs without a value are left out."""
    told = [(_shown(name), _shown(value)) for name, value in pairs if value]
    width = max((_width(name) for name, _ in told), default=0)
    return "\n".join(f"{indent}{_padded(name, width)}  {value}" for name, value in told)


def decimals(numbers: Sequence[str]) -> list[str]:
    """Decimal texts padded so that their points are below each other; others are left as they are."""
    behind = [len(number.partition(".")[2]) + ("." in number) if _is_number(number) else 0 for number in numbers]
    longest = max(behind, default=0)
    return [
        number + " " * (longest - places) if _is_number(number) else number
        for number, places in zip(numbers, behind, strict=True)
    ]


def cents(amount: str) -> str:
    """Decimal text with at least two places: `1.1` is `1.10`, `0.006` stays, and so does what is no number."""
    if not _is_number(amount):
        return amount
    whole, _, fraction = amount.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def percent(bps: int) -> str:
    """`550` basis points are `5.5 %`."""
    whole, rest = divmod(bps, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + " %"


def grouped(number: int) -> str:
    """`1234567` is `1,234,567`."""
    return f"{number:,}"


def requests_told(number: int) -> str:
    """`1 request`, `1,234 requests`."""
    return f"{grouped(number)} request{'' if number == 1 else 's'}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "").removeprefix("-").isdigit()


def _shown(text: str) -> str:
    # A name from a file or a provider must not move the cursor.
    return "".join(char if char.isprintable() else "?" for char in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def _padded(text: str, width: int, *, is_right: bool = False) -> str:
    space = " " * (width - _width(text))
    return space + text if is_right else text + space
