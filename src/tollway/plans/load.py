"""Catalogues of plans from TOML: everything that is wrong is told with file, line, key and fix.

This is the stated exception to the purity of plans: it reads files. What it gives is frozen.
"""

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, cast

from tollway.errors import ConfigurationError
from tollway.plans.limits import FEATURES, LIMITS
from tollway.plans.overrides import LIMIT_MAX, MARGIN_MAX_BPS, MARGINS
from tollway.plans.plan import Plan, PlanCatalogue
from tollway.tomlplace import Place, Table, read_toml, toml_value

DATA = Path(__file__).with_name("data")
SHIPPED = ("reference", "pricing", "payg")
_TOP = ("catalogue", "default_plan", "plans")
_PLAN = ("id", "name", "prices", "trial_days", "allowed_models", "limits", "features", "margins_bps")
_PRICES = ("month_cents", "year_cents")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_Values: TypeAlias = dict[str, Any]
"""Fields of a `Plan` by name."""
_CENTS_MAX = 10**9
_TRIAL_MAX = 366
_NAME_MAX = 100


def load_plans(where: str, default_plan: str = "") -> PlanCatalogue:
    """The catalogue of a shipped name or a file's path.

    Args:
        default_plan: where a sign-up starts; "" means what the file says.

    Raises:
        ConfigurationError: with file, line, key and fix.
    """
    path = DATA / f"{where}.toml" if where in SHIPPED else Path(where)
    found = read_plans(_text(path), str(path))
    if not default_plan:
        return found
    if found.find(default_plan) is None:
        problem = f"there is no plan `{default_plan}`, where a sign-up should start"
        fix = _near(default_plan, [plan.id for plan in found.plans])
        raise ConfigurationError(file=str(path), line=None, key="default_plan", problem=problem, fix=fix)
    return PlanCatalogue(found.name, found.plans, default_plan, found.file)


def read_plans(text: str, file: str) -> PlanCatalogue:
    """The catalogue of a TOML text. `file`: its name, for messages. Raises the first of its `mistakes`."""
    found = _read(text, file)
    if isinstance(found, PlanCatalogue):
        return found
    raise found[0]


def mistakes(path: Path) -> list[ConfigurationError]:
    """Everything that is wrong in a file of plans, in its order; what hides behind another mistake comes after it."""
    try:
        found = _read(_text(path), str(path))
    except ConfigurationError as first:
        return [first]
    return [] if isinstance(found, PlanCatalogue) else found


def _read(text: str, file: str) -> PlanCatalogue | list[ConfigurationError]:
    document, lines = read_toml(text, file)
    reader = _Reader(Place(file, lines))
    with reader.noting():
        found = reader.catalogue(document)
        if not reader.mistakes:
            return found
    return sorted(reader.mistakes, key=lambda one: one.line or 0)


def _text(path: Path) -> str:
    """What is in a file. Raises ConfigurationError."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as bad:
        raise _unreadable(str(path), f"byte {bad.start} is not UTF-8", "save the file as UTF-8") from None
    except OSError as bad:
        fix = f"name a file, or one of {', '.join(SHIPPED)}"
        raise _unreadable(str(path), f"it cannot be read: {bad.strerror}", fix) from None


def _unreadable(file: str, problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(file=file, line=None, key="file", problem=problem, fix=fix)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, 1)
    return f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names)}"


class _Reader:
    """Checks one file, and goes on after a mistake where what follows can be judged without it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.mistakes = list[ConfigurationError]()

    @contextmanager
    def noting(self) -> Generator[None, None, None]:
        """Note the mistake that ends what is inside."""
        try:
            yield
        except ConfigurationError as mistake:
            self.mistakes.append(mistake)

    def catalogue(self, document: Table) -> PlanCatalogue:
        self._known(document, _TOP, "")
        name = self._text(document, "catalogue", "", 'add `catalogue = "my-plans"` at the top of the file')
        if not _ID.fullmatch(name):
            self._fail("catalogue", f"{name!r} is not of a-z, 0-9, - and _", 'write `catalogue = "my-plans"`')
        tables = document.get("plans", [])
        if not isinstance(tables, list) or not tables:
            self._fail(
                "plans", "there is no plan", "add one: [[plans]], and its `id`, `name`, limits and features below"
            )
        plans = list[Plan]()
        for at, table in enumerate(cast("list[object]", tables)):
            with self.noting():
                plans.append(self._plan(table, f"plans.{at}"))
        if self.mistakes:
            raise self.mistakes.pop()
        self._together(plans)
        default = document.get("default_plan", plans[0].id)
        known = [plan.id for plan in plans]
        if default not in known:
            self._fail("default_plan", f"there is no plan {toml_value(default)}", _near(str(default), known))
        return PlanCatalogue(name, tuple(plans), str(default), self._place.file)

    def _plan(self, value: object, key: str) -> Plan:
        if not isinstance(value, dict):
            self._fail(key, "this is not a plan", "write [[plans]] and its settings below")
        table = cast("Table", value)
        self._known(table, _PLAN, key)
        plan_id = self._text(table, "id", key, 'add `id = "..."`, of a-z, 0-9, - and _')
        if not _ID.fullmatch(plan_id):
            self._fail(f"{key}.id", f"{plan_id!r} is not of a-z, 0-9, - and _", 'write an id such as "pro"')
        name = self._text(table, "name", key, f'add `name = "{plan_id.title()}"`, as people call it')
        if not name.strip() or len(name) > _NAME_MAX or not name.isprintable():
            self._fail(f"{key}.name", "it is empty, too long or not printable", f'write name = "{plan_id.title()}"')
        values = dict[str, Any]()
        for read in (self._prices, self._trial, self._limits, self._features, self._models, self._margins):
            with self.noting():
                values |= read(table, key)
        if self.mistakes:
            raise self.mistakes.pop()
        return Plan(id=plan_id, name=name, **values)

    def _trial(self, table: Table, key: str) -> _Values:
        return {"trial_days": self._number(table.get("trial_days", 0), f"{key}.trial_days", "days", 0, _TRIAL_MAX)}

    def _prices(self, table: Table, key: str) -> _Values:
        """US cents per month and per year; no table means that it is sold by talking."""
        prices = self._table(table, "prices", key)
        if prices is None:
            return {}
        self._known(prices, _PRICES, f"{key}.prices")
        for name in _PRICES:
            if name not in prices:
                fix = f"add `{name} = ...`; leave the whole table out for a plan that is sold by talking"
                self._fail(f"{key}.prices", f"`{name}` is missing", fix)
        month, year = (
            self._number(prices[name], f"{key}.prices.{name}", "US cents", 0, _CENTS_MAX) for name in _PRICES
        )
        if year > 12 * month:
            fix = f"write {12 * month} or less"
            self._fail(f"{key}.prices.year_cents", "a year is dearer than twelve months", fix)
        return {"month_cents": month, "year_cents": year}

    def _limits(self, table: Table, key: str) -> _Values:
        around = f"{key}.limits"
        found = self._table(table, "limits", key) or {}
        self._complete(found, LIMITS, around, "limit", "-1")
        meaning = "-1 for no limit, 0 for not available, or a number"
        values = dict[str, int]()
        for name, value in found.items():
            with self.noting():
                values[name] = self._number(value, f"{around}.{name}", "", -1, LIMIT_MAX, meaning)
        return {"limits": values}

    def _features(self, table: Table, key: str) -> _Values:
        around = f"{key}.features"
        found = self._table(table, "features", key) or {}
        self._complete(found, FEATURES, around, "feature", "false")
        for name, value in found.items():
            if not isinstance(value, bool):
                fix = f"write {name} = true or false"
                self._fail(f"{around}.{name}", f"{toml_value(value)} is not true or false", fix)
        return {"features": found}

    def _margins(self, table: Table, key: str) -> _Values:
        around = f"{key}.margins_bps"
        found = self._table(table, "margins_bps", key) or {}
        self._known(found, MARGINS, around)
        return {
            "margins_bps": {
                name: self._number(value, f"{around}.{name}", "basis points", 0, MARGIN_MAX_BPS)
                for name, value in found.items()
            }
        }

    def _models(self, table: Table, key: str) -> _Values:
        value: object = table.get("allowed_models", "all")
        if value == "all":
            return {}
        names = cast("list[object]", value) if isinstance(value, list) else []
        if not names or not all(isinstance(name, str) and name for name in names):
            problem = f"{toml_value(cast('object', value))} is neither all nor a list of models"
            fix = 'write allowed_models = "all", or a list such as ["openai/gpt-4o-mini"]'
            self._fail(f"{key}.allowed_models", problem, fix)
        return {"allowed_models": tuple(sorted({str(name) for name in names}))}

    def _together(self, plans: list[Plan]) -> None:
        """What plans must be beside each other: different ids, the same names in each, cheapest first."""
        seen = dict[str, int]()
        for at, plan in enumerate(plans):
            key = f"plans.{at}"
            if plan.id in seen:
                self._fail(f"{key}.id", f"{plan.id} is listed twice", "give one of them another id")
            seen[plan.id] = at
            for around, mine, first in (
                ("limits", plan.limits, plans[0].limits),
                ("features", plan.features, plans[0].features),
            ):
                for name in [*(one for one in first if one not in mine), *(one for one in mine if one not in first)]:
                    lacks, has = (at, 0) if name in first else (0, at)
                    problem = f"`{name}` is missing; the plan {plans[has].id} has it"
                    fix = f"say `{name}` in every plan, or in none"
                    self._fail(f"plans.{lacks}.{around}", problem, fix)
            before = plans[at - 1].month_cents if at else None
            if before is not None and plan.month_cents is not None and plan.month_cents < before:
                fix = "list plans from the smallest to the largest; an upgrade is told in this order"
                self._fail(f"{key}.prices.month_cents", f"{plan.id} is cheaper than {plans[at - 1].id} before it", fix)

    def _complete(self, found: Table, known: Mapping[str, object], around: str, what: str, none: str) -> None:
        """Every known name is there. Others are the operator's own, unless they stand for one that is missing."""
        missing = [name for name in known if name not in found]
        for name in found:
            near = [] if name in known else get_close_matches(name, missing, 1)
            if near:
                self._fail(f"{around}.{name}", f"there is no such {what}", f"did you mean `{near[0]}`?")
        if missing:
            fix = f"add `{missing[0]} = {none}`, or what it is"
            others = f", and so are {', '.join(missing[1:])}" if len(missing) > 1 else ""
            self._fail(around, f"the {what} `{missing[0]}` is missing{others}", fix)

    # --- values ---

    def _known(self, table: Table, known: Iterable[str], around: str) -> None:
        for name in table:
            if name not in known:
                where = f" in [{around}]" if around else ""
                self._fail(f"{around}.{name}".lstrip("."), f"there is no such setting{where}", _near(name, known))

    def _table(self, table: Table, name: str, key: str) -> Table | None:
        value = table.get(name)
        if value is not None and not isinstance(value, dict):
            self._fail(
                f"{key}.{name}", f"{toml_value(value)} is not a table", f"write [plans.{name}] and its values below"
            )
        return cast("Table | None", value)

    def _text(self, table: Table, name: str, key: str, fix: str) -> str:
        value = table.get(name)
        if value is None:
            self._fail(key or name, f"`{name}` is missing", fix)
        if not isinstance(value, str):
            path = f"{key}.{name}".lstrip(".")
            self._fail(path, f"{toml_value(value)} is not text in quotes", f'write {name} = "{value}"')
        return value

    def _number(self, value: object, key: str, unit: str, least: int, most: int, meaning: str = "") -> int:
        name = key.rpartition(".")[2]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            expected = meaning or f"a whole number of {unit} from {least} to {most}"
            shown = toml_value(value) if isinstance(value, bool | int | str | Decimal) else "this"
            self._fail(key, f"{shown} is not {expected}", f"write {name} = {max(least, 0)}, or what it is")
        return value

    def _fail(self, key: str, problem: str, fix: str) -> NoReturn:
        raise self._place.problem(key, problem, fix)
