"""TOML with the line of every key, which the standard parser does not tell; for messages that say where.

The finder of lines reads a text that has been parsed without error, so it only has to find keys; it accepts more than
TOML does.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from tollway.errors import ConfigurationError

Table: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
"""A key with everything around it; positions in arrays are decimal text: `("providers", "x", "models", "0", "id")`."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Strings in the order in which they must be tried: three quotes before one. Each may end only where it really ends.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
_SCALAR = re.compile(r"[^\s,\]}#][^\n,\]}#]*")
_SYNTAX = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def read_toml(text: str, file: str) -> tuple[Table, dict[Path, int]]:
    """The document, its numbers with a point as Decimal, and the line of every key. Raises ConfigurationError."""
    try:
        # Decimal, so that a number that should have been text can be shown as it was written.
        return tomllib.loads(text, parse_float=Decimal), key_lines(text)
    except tomllib.TOMLDecodeError as bad:
        found = _SYNTAX.fullmatch(str(bad))
        problem, line, column = found.groups() if found else (str(bad), None, None)
        raise ConfigurationError(
            file=file,
            line=int(line) if line else text.rstrip("\n").count("\n") + 1,
            key="syntax",
            problem=f"this is not TOML: {problem}{f' at column {column}' if column else ''}",
            fix='write `key = value` on a line of its own: text "in quotes", numbers and true or false without',
        ) from None


def toml_value(value: object) -> str:
    """A plain value as TOML text; `this` for what is none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value) if isinstance(value, int | Decimal) else "this"


class Place:
    """The lines of one file, for errors about its dotted keys (`plans.0.limits.api_keys`)."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self.file = file
        self._lines = {".".join(path): line for path, line in lines.items()}

    def problem(self, key: str, problem: str, fix: str) -> ConfigurationError:
        """The error about a key, at its line or at that of what is around it."""
        around = key
        while around and around not in self._lines:
            around = around.rpartition(".")[0]
        return ConfigurationError(file=self.file, line=self._lines.get(around), key=key, problem=problem, fix=fix)


def key_lines(text: str) -> dict[Path, int]:
    """Path -> 1-based line of every key, section header and element of an array."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n") + "\n"
        self._at = 0
        self._lines = dict[Path, int]()
        self._sizes = dict[Path, int]()

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while self._next():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _mark(self, path: Path) -> None:
        self._lines.setdefault(path, self._text.count("\n", 0, self._at) + 1)

    def _next(self) -> bool:
        """Past white space, line ends and comments; False at the end of the text."""
        while char := self._peek():
            if char == "#":
                self._at = self._text.index("\n", self._at)
            elif char.isspace():
                self._at += 1
            else:
                return True
        return False

    def _header(self) -> Path:
        start = self._at
        is_array = self._peek(2) == "[["
        self._at += 2 if is_array else 1
        names = self._key()
        end = self._text.index("\n", self._at)
        self._at = start
        path: Path = ()
        for position, name in enumerate(names, 1):
            path += (name,)
            self._mark(path)
            # Below an array of tables, a header speaks of its last element.
            if path in self._sizes and not (is_array and position == len(names)):
                path += (str(self._sizes[path] - 1),)
        if is_array:
            size = self._sizes[path] = self._sizes.get(path, 0) + 1
            path += (str(size - 1),)
        self._mark(path)
        self._at = end
        return path

    def _key(self) -> Path:
        """A dotted key, quoted or bare; leaves the position behind it."""
        names = list[str]()
        while self._next():
            quoted = _STRING.match(self._text, self._at)
            found = quoted or _BARE.match(self._text, self._at)
            if found is None:
                break
            names.append(found[0][1:-1] if quoted else found[0])
            self._at = found.end()
            self._next()
            if self._peek() != ".":
                break
            self._at += 1
        return tuple(names)

    def _pair(self, table: Path) -> None:
        start = self._at
        names = self._key()
        end, self._at = self._at, start
        for length in range(1, len(names) + 1):
            self._mark((*table, *names[:length]))
        self._at = max(end, start + 1)
        if self._peek() == "=":
            self._at += 1
            self._next()
            self._value((*table, *names))

    def _value(self, path: Path) -> None:
        char = self._peek()
        if char == "[":
            self._list(path)
        elif char == "{":
            self._inline(path)
        else:
            found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = found.end() if found else self._at + 1

    def _list(self, path: Path) -> None:
        self._at += 1
        position = 0
        while self._next() and self._peek() != "]":
            if self._peek() == ",":
                self._at += 1
                continue
            element = (*path, str(position))
            self._mark(element)
            self._value(element)
            position += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._next() and self._peek() != "}":
            if self._peek() == ",":
                self._at += 1
            else:
                self._pair(path)
        self._at += 1
