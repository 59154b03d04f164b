"""A provider's data file: how to reach it, what it may be asked, where its replies report usage, which offers it has.

This is the shape of `data/providers/*.yml` and what becomes of it; docs/how-to/add-a-provider.md explains every key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from tollway.catalogue.offers import AuthScheme, OnDisconnect, Provider, ProviderId, UsageSpec, WireSpec
from tollway.catalogue.pricerows import Day, PriceRow
from tollway.catalogue.units import BY_NAME, Unit
from tollway.catalogue.yamlfile import YamlFile
from tollway.errors import ConfigurationError
from tollway.jsontypes import JSON

Names = str | list[str]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class AuthRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """secret: environment variable(s) with the key, the first that is set counts. optional: works without, too."""

    scheme: AuthScheme = "bearer"
    secret: Names = ""
    name: str = "Authorization"
    optional: bool = False


class WireRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """url_env: environment variable(s) that replace `url`. The rest as `WireSpec`."""

    dialect: Literal["openai", "anthropic", "gemini", "simulated"]
    url: str = ""
    url_env: Names = ""
    path: str = "/chat/completions"
    auth: AuthRow = AuthRow()
    headers: dict[str, str] = {}
    drop: list[str] = []
    rename: dict[str, str] = {}
    fix: dict[str, JSON] = {}
    default: dict[str, JSON] = {}
    clamp: dict[str, tuple[int, int]] = {}
    on_disconnect: OnDisconnect = "estimate"
    stream_usage: bool = True


class ModelsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which models of the price package this provider has, and what they are called.

    prices_from: the provider's id in the package. only, skip: globs of the package's ids. first_party: bare names reach
    these models; bare: they do where no other model claims them. lower: ids are lower case on the wire. upstream: how
    an id is said on the wire, `{id}` in it; upstream_ids: single exceptions. same_as: glob of an id -> id of the
    model it is, `*` carried over, when there is such a model.
    facts_prefix: how the facts' source names its models.
    """

    prices_from: str = ""
    only: list[str] = []
    skip: list[str] = []
    first_party: bool = False
    bare: bool = False
    lower: bool = False
    upstream: str = "{id}"
    upstream_ids: dict[str, str] = {}
    same_as: dict[str, str] = {}
    facts_prefix: str = ""


class ExtraRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of calls that hold for every offer of the provider whose own list lacks them. USD per thousand."""

    per_thousand: dict[str, str]
    source: str
    checked: Day


class OfferRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gap filled or a correction: what is given here wins over the price package. model: the id customers ask for."""

    upstream_id: str
    id: str = ""
    model: str = ""
    name: str = ""
    aliases: list[str] = []
    prices: list[PriceRow] = []
    context_tokens: int = 0
    max_output_tokens: int = 0
    tokenizer: str = ""
    region: str = ""
    input_modalities: list[str] = []
    output_modalities: list[str] = []
    capabilities: list[str] = []


class ProviderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. source, checked: the page the wiring was read from and when; `checked: ""` = not verified."""

    id: Identifier
    name: str
    source: str
    wire: WireRow
    checked: "Day | msgspec.UnsetType" = msgspec.UNSET
    usage: "dict[str, str | list[str] | dict[str, str | list[str]]]" = {}
    models: ModelsRow | None = None
    extras: list[ExtraRow] = []
    offers: list[OfferRow] = []


@dataclass(frozen=True, slots=True)
class Wiring:
    """A provider as read: the frozen object, and the rows that its offers come from."""

    provider: Provider
    models: ModelsRow | None
    extras: tuple[ExtraRow, ...] = ()
    offers: tuple[OfferRow, ...] = ()
    file: YamlFile | None = None
    origin: "Origin | None" = None

    def has(self, entry_id: str) -> bool:
        """The provider has this model of the price package."""
        models = self.models
        return models is not None and (not models.only or matches(entry_id, models.only)) and not self.skips(entry_id)

    def skips(self, entry_id: str) -> bool:
        """The data file leaves this name of the price package out."""
        return self.models is not None and bool(self.models.skip) and matches(entry_id, self.models.skip)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operator configured a provider. first: place in `Wiring.offers` of the first offer configured there."""

    file: str
    line: int | None
    key: str
    first: int = 0


def matches(name: str, globs: Sequence[str]) -> bool:
    """`name` matches one of the globs."""
    return _pattern(tuple(globs)).match(name) is not None


@cache
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))


def read_wiring(path: Path, environment: Mapping[str, str]) -> Wiring:
    """A provider's data file, with its credential and address from the environment.

    Raises:
        ConfigurationError: the file is not of this shape, or the environment has an address that is none.
    """
    file = YamlFile(path)
    row = file.read(ProviderFile)
    if row.checked is msgspec.UNSET:
        file.fail(["source"], "`checked` is missing", 'say when `source` was read, or `checked: ""` if nobody has')
    usage = _usage(row.usage, file)
    wire, key, is_usable = _wire(row.wire, usage, environment)
    provider = Provider(ProviderId(row.id), row.name, wire, row.source, row.checked, is_usable, key)
    return Wiring(provider, row.models, tuple(row.extras), tuple(row.offers), file)


def _usage(rows: Mapping[str, str | list[str] | dict[str, str | list[str]]], file: YamlFile) -> UsageSpec:
    paths = list[tuple[Unit, tuple[str, ...]]]()
    inside = list[tuple[Unit, Unit]]()
    for name, value in rows.items():
        if name == "inside" and isinstance(value, dict):
            for inner, holders in value.items():
                for outer in [holders] if isinstance(holders, str) else holders:
                    missing = next((name for name in (inner, outer) if name not in rows or name not in BY_NAME), None)
                    if missing:
                        file.fail(["usage", "inside", inner], f"`{missing}` has no path", f"give `{missing}` a path")
                    inside.append((BY_NAME[inner].unit, BY_NAME[outer].unit))
        elif name not in BY_NAME or isinstance(value, dict):
            file.fail(["usage", name], "not a billable unit", f"units are: {', '.join(BY_NAME)}")
        else:
            for path in [value] if isinstance(value, str) else value:
                paths.append((BY_NAME[name].unit, tuple(path.split("."))))
    return UsageSpec(tuple(paths), tuple(inside))


def _wire(row: WireRow, usage: UsageSpec, environment: Mapping[str, str]) -> tuple[WireSpec, str, bool]:
    secret, key = first_set(row.auth.secret, environment)
    if any(not "!" <= character <= "~" for character in key):
        raise ConfigurationError(
            file="environment",
            line=None,
            key=secret,
            problem="the key has a space, a line break or another character that no key has",
            fix="paste it again, alone",
        )
    variable, url = first_set(row.url_env, environment)
    url = checked_url(url or row.url, variable)
    is_open = row.auth.scheme == "none" or (row.auth.optional and bool(url))
    wire = WireSpec(
        dialect=row.dialect,
        url=url,
        path=row.path,
        auth="none" if row.auth.optional and not key else row.auth.scheme,
        auth_name=row.auth.name,
        secret=secret,
        headers=MappingProxyType(row.headers),
        drop=frozenset(row.drop),
        rename=MappingProxyType(row.rename),
        fix=MappingProxyType(row.fix),
        default=MappingProxyType(row.default),
        clamp=MappingProxyType(row.clamp),
        usage=usage,
        on_disconnect=row.on_disconnect,
        stream_usage=row.stream_usage,
    )
    return wire, key, bool(url) and (bool(key) or is_open)


def first_set(names: Names, environment: Mapping[str, str]) -> tuple[str, str]:
    """(name, value) of the first variable that is set and not empty; the first name and "" when none is."""
    listed = [names] if isinstance(names, str) else names
    for name in listed:
        value = environment.get(name, "").strip() if name else ""
        if value:
            return name, value
    return (listed[0] if listed else ""), ""


def checked_url(url: str, variable: str) -> str:
    """A base URL without a trailing slash; "" stays "".

    Raises:
        ConfigurationError: neither http(s) nor the built-in `simulated:`.
    """
    if not url or url == "simulated:":
        return url
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            file="environment",
            line=None,
            key=variable,
            problem=f"{url!r} is not the base URL of an API",
            fix="write it as https://host/path, without a query",
        )
    return url.rstrip("/")
