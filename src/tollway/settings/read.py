"""From parsed TOML, variables and flags to sections: every key known, every value of its type and in its range."""

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args, get_origin

import msgspec

from tollway.errors import ConfigurationError
from tollway.settings.sections import (
    SECTIONS,
    CustomModel,
    Origin,
    ProviderSettings,
    Section,
    is_secret,
    meta_of,
    problem_at,
)
from tollway.tomlplace import Path, toml_value

Values: TypeAlias = dict[str, dict[str, Any]]
"""Section name -> setting name -> converted value."""

_PROVIDER_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Reader:
    """Reads one installation's settings, remembering where each value came from.

    file: the file's name, "" if none. origins: dotted key -> where it was set.
    """

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self.file = file
        self.origins = {".".join(path): Origin(file, line, ".".join(path)) for path, line in lines.items()}

    def sections(self, document: Mapping[str, Any]) -> tuple[Values, dict[str, ProviderSettings]]:
        """The sections and the providers of a parsed file. Raises ConfigurationError."""
        values: Values = {name: {} for name in SECTIONS}
        providers = dict[str, ProviderSettings]()
        for name, table in document.items():
            if name not in SECTIONS and name != "providers":
                raise self._unknown_section(name)
            if not isinstance(table, dict):
                raise self._problem(name, "this is a section, not a setting", f"write [{name}] and its settings below")
            inside = cast("dict[str, Any]", table)
            if name == "providers":
                providers = self._providers(inside)
            else:
                values[name] = self._fields(SECTIONS[name], inside, name)
        return values, providers

    def override(self, values: Values, key: str, value: str | int, origin: Origin) -> None:
        """Replace a setting by a variable's or a flag's value. Raises ConfigurationError."""
        section, _, name = key.partition(".")
        self.origins[key] = origin
        annotation = _annotations(SECTIONS[section])[name]
        try:
            values[section][name] = msgspec.convert(value, annotation, strict=False)
        except msgspec.ValidationError:
            shown = "***" if is_secret(annotation) else repr(value)
            default = getattr(SECTIONS[section](), name)
            raise self._problem(
                key, f"{shown} is not {expected(annotation)}", f"the default is {origin.key}={default}"
            ) from None

    def _providers(self, table: Mapping[str, Any]) -> dict[str, ProviderSettings]:
        found = dict[str, ProviderSettings]()
        for name, inside in table.items():
            key = f"providers.{name}"
            if not isinstance(inside, dict):
                raise self._problem(key, "this is a provider's section", f"write [{key}] and its settings below")
            if not _PROVIDER_ID.fullmatch(name):
                raise self._problem(
                    key, "a provider's id is of a-z, 0-9, - and _", f"write [providers.{_tame(name) or 'mine'}]"
                )
            found[name] = ProviderSettings(**self._fields(ProviderSettings, cast("dict[str, Any]", inside), key))
        return found

    def _fields(self, kind: type[Section], table: Mapping[str, Any], around: str) -> dict[str, Any]:
        known = _annotations(kind)
        values = dict[str, Any]()
        for name, value in table.items():
            if name not in known:
                raise self._problem(f"{around}.{name}", *_unknown(name, known, f"[{around}]"))
            values[name] = self._value(known[name], value, f"{around}.{name}")
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                raise self._problem(around, f"`{field.name}` is missing", f'add `{field.name} = "..."` here')
        return values

    def _value(self, annotation: object, value: object, key: str) -> object:
        name = key.rpartition(".")[2]
        if name == "models" and isinstance(value, list):
            tables = cast("list[object]", value)
            return tuple(self._model(table, f"{key}.{position}") for position, table in enumerate(tables))
        if name == "prices" and isinstance(value, dict):
            return self._prices(cast("dict[str, object]", value), key)
        return self._plain(annotation, value, key)

    def _prices(self, table: dict[str, object], key: str) -> dict[str, str]:
        prices = dict[str, str]()
        for unit, price in table.items():
            if not isinstance(price, str):
                problem = "a price is exact text, not a number"
                raise self._problem(f"{key}.{unit}", problem, f'write it in quotes: {unit} = "{price}"')
            prices[unit] = price
        return prices

    def _plain(self, annotation: object, value: object, key: str) -> object:
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError:
            raise self._mistyped(annotation, value, key) from None

    def _model(self, table: object, key: str) -> CustomModel:
        if not isinstance(table, dict):
            raise self._problem(
                key, "this is not a model", f"write [[{key.rpartition('.')[0]}]] and its settings below"
            )
        return CustomModel(**self._fields(CustomModel, cast("dict[str, Any]", table), key))

    def _mistyped(self, annotation: object, value: object, key: str) -> ConfigurationError:
        name = key.rpartition(".")[2]
        is_shown = isinstance(value, str | int | Decimal) and not is_secret(annotation)
        shown = toml_value(value) if is_shown else "the value"
        if expected(annotation) == _TEXT:
            text = "..." if is_secret(annotation) else str(value)
            return self._problem(key, f"{shown} is not {_TEXT}", f'write {name} = "{text}"')
        section = SECTIONS.get(key.partition(".")[0])
        fix = f"write {expected(annotation)}"
        if section is not None:
            fix = f"the default is {name} = {toml_value(getattr(section(), name))}"
        return self._problem(key, f"{shown} is not {expected(annotation)}", fix)

    def _unknown_section(self, name: str) -> ConfigurationError:
        homes = [section for section, kind in SECTIONS.items() if name in kind.__struct_fields__]
        if homes:
            return self._problem(name, "it stands outside any section", f"move it below [{homes[0]}]")
        return self._problem(name, *_unknown(name, [*SECTIONS, "providers"], "", "section"))

    def _problem(self, key: str, problem: str, fix: str) -> ConfigurationError:
        return problem_at(self.origins, self.file, key, problem, fix)


_TEXT = "text in quotes"


def expected(annotation: object) -> str:
    """What a setting of this type takes, in words."""
    base, meta = _base(annotation), meta_of(annotation)
    unit = (meta.extra or {}).get("unit", "")
    if base is bool:
        return "true or false"
    if base is int:
        what = f"a whole number of {unit}" if unit else "a whole number"
        if meta.le is not None:
            return f"{what} from {meta.ge} to {meta.le}"
        return f"{what}, {meta.ge} or more"
    if get_origin(base) is Literal:
        return "one of " + ", ".join(toml_value(one) for one in get_args(base))
    if base is str:
        return _TEXT
    return "a table" if get_origin(base) is not tuple else "a list of tables"


def _base(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _annotations(kind: type[Section]) -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _unknown(name: str, known: Iterable[str], where: str, what: str = "setting") -> tuple[str, str]:
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    problem = f"there is no such {what}{' in ' if where else ''}{where}"
    return problem, f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names)}"


def _tame(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
