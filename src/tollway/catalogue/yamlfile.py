"""YAML files of fixed shape, read fast; what is wrong in one is told with its file, line and key."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec
import yaml

from tollway.errors import ConfigurationError

Shape = TypeVar("Shape")
Keys = Sequence[str | int]


class _Loader(yaml.CSafeLoader):
    """Safe, and dates stay text. libyaml reads ten times as fast, and the wheels of every platform have it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class YamlFile:
    """One file: its text and how to complain about a place in it."""

    __slots__ = ("path", "text")

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError when the file cannot be read."""
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                file=str(path), line=None, key="", problem=str(error), fix="make it a readable UTF-8 file"
            ) from None

    def read(self, shape: type[Shape]) -> Shape:
        """The file's content.

        Raises:
            ConfigurationError: not YAML, or not of this shape; names the line.
        """
        try:
            document = yaml.load(self.text, _Loader)  # noqa: S506 - a safe loader
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = None if mark is None else mark.line + 1
            raise ConfigurationError(
                file=str(self.path), line=line, key="", problem=f"not YAML: {error.problem}", fix="mend the syntax"
            ) from None
        try:
            return msgspec.convert(document, shape)
        except msgspec.ValidationError as error:
            problem, _, where = str(error).partition(" - at `")
            keys = _keys(where.rstrip("`"))
            unknown = re.search(r"unknown field `(.+)`", problem)
            if unknown:
                keys = [*keys, unknown.group(1)]
            self.fail(keys, problem, _fix(problem))

    def fail(self, keys: Keys, problem: str, fix: str) -> NoReturn:
        """Raise a ConfigurationError about the value at `keys`."""
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in keys).lstrip(".")
        raise ConfigurationError(file=str(self.path), line=self.line(keys), key=key, problem=problem, fix=fix)

    def line(self, keys: Keys) -> int | None:
        """The 1-based line of the value at `keys`, or of the nearest thing around it; slow, for messages."""
        node = yaml.compose(self.text, _Loader)
        line = 1
        for part in keys:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line

    def duplicates(self) -> list[tuple[int, str]]:
        """(line, key) of every key that stands twice in one mapping: YAML keeps the last, silently."""
        found = list[tuple[int, str]]()
        open_nodes: list[yaml.Node | None] = [yaml.compose(self.text, _Loader)]
        while open_nodes:
            node = open_nodes.pop()
            if isinstance(node, yaml.MappingNode):
                seen = set[str]()
                for key, value in node.value:
                    name = str(key.value)
                    if name in seen:
                        found.append((key.start_mark.line + 1, name))
                    seen.add(name)
                    open_nodes.append(value)
            elif isinstance(node, yaml.SequenceNode):
                open_nodes += node.value
        return sorted(found)


def _child(node: "yaml.Node | None", part: str | int) -> "tuple[int, yaml.Node] | None":
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None


def _keys(path: str) -> list[str | int]:
    """`$.offers[0].prices` as keys; `[...]`, any key of a mapping, ends it."""
    keys = list[str | int]()
    for name, index in re.findall(r"\.([^.\[\]]+)|\[([^\]]+)\]", path):
        if name:
            keys.append(name)
        elif index.isdigit():
            keys.append(int(index))
        else:
            break
    return keys


def _fix(problem: str) -> str:
    if "unknown field" in problem:
        return "remove it, or correct its spelling; docs/how-to/add-a-provider.md lists the keys"
    if "Expected `str`, got `float`" in problem or "Expected `str`, got `int`" in problem:
        return 'put it in quotes: prices are exact decimals, such as "0.59"'
    return "see docs/how-to/add-a-provider.md for the shape"
