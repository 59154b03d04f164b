"""Loading the settings: file, then environment, then flags; what is wrong stops it and says where and how to fix it."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tollway.errors import ConfigurationError
from tollway.settings.check import check
from tollway.settings.plans import resolve_catalogue
from tollway.settings.read import Reader, Values
from tollway.settings.sections import SECTIONS, Origin, Settings
from tollway.settings.standings import resolve_standings
from tollway.tomlplace import Path as KeyPath
from tollway.tomlplace import read_toml

DEFAULT_FILE = "tollway.toml"
CONFIG_VARIABLE = "TOLLWAY_CONFIG"
ENVIRONMENT = "the environment"
COMMAND_LINE = "the command line"
_OTHERS = ("TOLLWAY_CONFIG", "TOLLWAY_LOCAL_URL", "TOLLWAY_PEPPER", "TOLLWAY_API_KEY", "TOLLWAY_BASE_URL")
"""Variables of ours that are no settings; the last two are what client code usually calls them."""
_SHORT = {"data.folder": "TOLLWAY_DATA", "server.host": "TOLLWAY_HOST", "server.port": "TOLLWAY_PORT"}
_FLAGS = {"data.folder": "--data", "server.host": "--host", "server.port": "--port", "server.workers": "--workers"}


def load_settings(
    *,
    config: str | None = None,
    environment: Mapping[str, str],
    flags: Mapping[str, str | int | None] | None = None,
) -> Settings:
    """The settings of this installation.

    Args:
        config: the file to read; without it `TOLLWAY_CONFIG`, then `tollway.toml` here if there is one.
        environment: the process's variables; empty ones count as unset.
        flags: dotted key (`server.port`) -> value from the command line; None counts as not given.

    Raises:
        ConfigurationError: anything unknown, of the wrong type, out of range, or contradictory.
    """
    file = config or environment.get(CONFIG_VARIABLE, "") or (DEFAULT_FILE if Path(DEFAULT_FILE).exists() else "")
    document, lines = _parse(file) if file else ({}, {})
    reader = Reader(file, lines)
    values, providers = reader.sections(document)
    for key, variable in variables():
        if text := environment.get(variable, ""):
            reader.override(values, key, text, Origin(ENVIRONMENT, None, variable))
    for key, value in (flags or {}).items():
        if value is not None:
            reader.override(values, key, value, Origin(COMMAND_LINE, None, _FLAGS.get(key, key)))
    _resolve_folder(values, reader.origins.get("data.folder"))
    resolve_catalogue(values, reader.origins.get("plans.catalogue"))
    resolve_standings(values, reader.origins.get("routing.standings"))
    chosen: dict[str, Any] = {name: kind(**values[name]) for name, kind in SECTIONS.items()}
    settings = Settings(**chosen, providers=providers, environment=dict(environment), file=file, origins=reader.origins)
    check(settings)
    return settings


def variables() -> Iterator[tuple[str, str]]:
    """(dotted key, environment variable) of every setting: `TOLLWAY_<SECTION>_<KEY>`, shorter for three of them."""
    for section, kind in SECTIONS.items():
        for name in kind.__struct_fields__:
            key = f"{section}.{name}"
            yield key, _SHORT.get(key) or f"TOLLWAY_{section}_{name}".upper()


def unknown_variables(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Variables that look like ours and are none, with the nearest that is (or ""). Other programs may own them."""
    known = [*_OTHERS, *(variable for _, variable in variables())]
    return tuple(
        (name, next(iter(difflib.get_close_matches(name, known, 1)), ""))
        for name in sorted(environment)
        if name.startswith("TOLLWAY_") and name not in known
    )


def _parse(file: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    try:
        text = Path(file).read_bytes().decode()
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file", "name another with --config, or leave it out") from None
    except UnicodeDecodeError as bad:
        raise _unreadable(file, f"byte {bad.start} is not UTF-8", "save the file as UTF-8") from None
    except OSError as bad:
        raise _unreadable(
            file, f"it cannot be read: {bad.strerror}", "let this user read it, or name another"
        ) from None
    return read_toml(text, file)


def _unreadable(file: str, problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(file=file, line=None, key="file", problem=problem, fix=fix)


def _resolve_folder(values: Values, origin: Origin | None) -> None:
    """A folder named in the file is relative to the file; any other is relative to where the program was started."""
    if origin is not None and origin.line is not None:
        values["data"]["folder"] = str(Path(origin.file).parent / values["data"]["folder"])
