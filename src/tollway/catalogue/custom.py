"""Providers that an operator configures: any URL that speaks one of our dialects, with its own models and prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tollway.catalogue.offers import OnDisconnect, Provider, ProviderId, UsageSpec, WireSpec
from tollway.catalogue.pricerows import PriceRow, TierPriceRow
from tollway.catalogue.wiring import OfferRow, Origin, Wiring, checked_url
from tollway.errors import ConfigurationError

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CustomModel:
    """A model at a custom provider.

    upstream_id: its name on the wire. id: what customers ask for; "" means `<provider>/<upstream_id>`.
    per_million: USD per million tokens by unit, decimal text; empty = the provider's. per_thousand: USD per thousand
    calls.
    above: threshold in input tokens -> per_million of the whole request beyond it.
    context_tokens, max_output_tokens: 0 when unknown. tokenizer: `o200k`, `cl100k` or "".
    """

    upstream_id: str
    id: str = ""
    name: str = ""
    aliases: tuple[str, ...] = ()
    per_million: Mapping[str, str] = field(default_factory=lambda: _NONE)
    per_thousand: Mapping[str, str] = field(default_factory=lambda: _NONE)
    above: Mapping[int, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    context_tokens: int = 0
    max_output_tokens: int = 0
    tokenizer: str = ""
    input_modalities: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomProvider:
    """A provider of the operator's own, or changes to one of ours with the same id (its wiring is kept).

    url: base URL; may be empty for one of ours. key: the credential, "" for none; never printed.
    dialect: `openai`, `anthropic` or `gemini`; "" means ours, or `openai` for a new one.
    per_million, per_thousand: prices of every model that has none of its own; none at all = not routable on wallet
    money. drop, rename: as in a provider's data file. on_disconnect: "" means ours, or `estimate` for a new one.
    region: shown to customers. file, line, key_path: where it is configured, for messages.
    """

    id: str
    url: str = ""
    key: str = field(default="", repr=False)
    dialect: str = ""
    name: str = ""
    models: tuple[CustomModel, ...] = ()
    per_million: Mapping[str, str] = field(default_factory=lambda: _NONE)
    per_thousand: Mapping[str, str] = field(default_factory=lambda: _NONE)
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=lambda: _NONE)
    on_disconnect: OnDisconnect | Literal[""] = ""
    stream_usage: bool = True
    region: str = ""
    file: str = "tollway.toml"
    line: int | None = None
    key_path: str = ""


def _path(custom: CustomProvider) -> str:
    return custom.key_path or f"providers.{custom.id}"


def refused(custom: CustomProvider, member: str, problem: str, fix: str) -> ConfigurationError:
    """The error to raise about a member of a custom provider, "" for all of it."""
    key = f"{_path(custom)}.{member}" if member else _path(custom)
    return ConfigurationError(file=custom.file, line=custom.line, key=key, problem=problem, fix=fix)


def wired(custom: CustomProvider, ours: Wiring | None, template: Wiring) -> Wiring:
    """The wiring of a custom provider.

    Args:
        custom: what the operator says.
        ours: our data file's wiring with the same id, None for a new provider.
        template: the wiring whose usage paths a new provider shares: the one of its dialect.

    Raises:
        ConfigurationError: no URL, or a URL that is none.
    """
    base = ours or template
    try:
        url = checked_url(custom.url or (ours.provider.wire.url if ours else ""), "url")
    except ConfigurationError as error:
        raise refused(custom, "url", error.problem, error.fix) from None
    if not url:
        raise refused(custom, "url", "no base URL", "add one, such as https://host/v1")
    key = custom.key or (ours.provider.key if ours else "")
    wire = _wire(custom, base.provider.wire, url, is_ours=ours is not None, has_key=bool(key))
    provider = Provider(
        id=ProviderId(custom.id),
        name=custom.name or (ours.provider.name if ours else custom.id),
        wire=wire,
        source=ours.provider.source if ours else custom.file,
        checked=ours.provider.checked if ours else "",
        is_usable=bool(key) or bool(custom.url) or (ours is not None and ours.provider.is_usable),
        key=key,
    )
    rows = tuple(_row(custom, model) for model in custom.models)
    origin = Origin(custom.file, custom.line, _path(custom), len(ours.offers) if ours else 0)
    if ours is None:
        return Wiring(provider, None, (), rows, None, origin)
    return Wiring(provider, ours.models, ours.extras, (*ours.offers, *rows), ours.file, origin)


def _wire(custom: CustomProvider, base: WireSpec, url: str, *, is_ours: bool, has_key: bool) -> WireSpec:
    auth = base.auth if has_key and base.auth != "none" else "bearer" if has_key else "none"
    return WireSpec(
        dialect=custom.dialect or base.dialect,
        url=url,
        path=base.path,
        auth=auth,
        auth_name=base.auth_name,
        headers=MappingProxyType({**base.headers, **custom.headers}),
        drop=base.drop | custom.drop if is_ours else custom.drop,
        rename=MappingProxyType({**base.rename, **custom.rename} if is_ours else dict(custom.rename)),
        fix=base.fix if is_ours else MappingProxyType({}),
        default=base.default if is_ours else MappingProxyType({}),
        clamp=base.clamp if is_ours else MappingProxyType({}),
        usage=base.usage if base.usage.paths else UsageSpec(()),
        on_disconnect=custom.on_disconnect or (base.on_disconnect if is_ours else "estimate"),
        stream_usage=base.stream_usage if is_ours else custom.stream_usage,
    )


def _row(custom: CustomProvider, model: CustomModel) -> OfferRow:
    per_million = model.per_million or custom.per_million
    per_thousand = model.per_thousand or custom.per_thousand
    prices = list[PriceRow]()
    if per_million or per_thousand:
        tiers = [TierPriceRow(above, dict(model.above[above])) for above in sorted(model.above)]
        prices = [PriceRow(dict(per_million), dict(per_thousand), tiers=tiers, source=custom.file)]
    return OfferRow(
        upstream_id=model.upstream_id,
        model=model.id,
        name=model.name,
        aliases=list(model.aliases),
        prices=prices,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        tokenizer=model.tokenizer,
        region=custom.region,
        input_modalities=list(model.input_modalities),
        capabilities=list(model.capabilities),
    )
