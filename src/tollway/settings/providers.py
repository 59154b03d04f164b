"""From `[providers.<id>]` to what the catalogue takes: credentials, addresses, and providers of the operator's own."""

from collections.abc import Mapping

from tollway.catalogue.custom import CustomModel as CatalogueModel
from tollway.catalogue.custom import CustomProvider
from tollway.catalogue.units import BY_NAME, INPUT, OUTPUT
from tollway.settings.sections import CustomModel, ProviderSettings, Settings

_FREE: Mapping[str, str] = {INPUT: "0", OUTPUT: "0"}
"""Free on purpose: a price of zero, which is not the same as none."""


def custom_providers(settings: Settings, environment: Mapping[str, str] | None = None) -> tuple[CustomProvider, ...]:
    """What `tollway.toml` says about providers, each with its credential and the place where it is said.

    Providers that are not `enabled` are left out; `disabled_providers` names them. `environment` is where the variables
    named by `key_env` are; None means the one that the settings were loaded with.
    """
    variables = settings.environment if environment is None else environment
    return tuple(
        _provider(settings, name, provider, variables)
        for name, provider in settings.providers.items()
        if provider.enabled
    )


def disabled_providers(settings: Settings) -> frozenset[str]:
    """Ids of providers that the file switches off."""
    return frozenset(name for name, provider in settings.providers.items() if not provider.enabled)


def split_prices(prices: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(USD per million tokens, USD per thousand calls) of prices by unit."""
    calls = {unit: price for unit, price in prices.items() if unit in BY_NAME and BY_NAME[unit].side == "call"}
    return {unit: price for unit, price in prices.items() if unit not in calls}, calls


def _provider(
    settings: Settings, name: str, provider: ProviderSettings, environment: Mapping[str, str]
) -> CustomProvider:
    origin = settings.origins.get(f"providers.{name}")
    return CustomProvider(
        id=name,
        url=provider.url.rstrip("/"),
        key=provider.key or environment.get(provider.key_env, "").strip(),
        dialect=provider.dialect,
        name=provider.name,
        models=tuple(_model(model) for model in provider.models),
        on_disconnect=provider.on_disconnect,
        file=settings.file or "tollway.toml",
        line=None if origin is None else origin.line,
        key_path=f"providers.{name}",
    )


def _model(model: CustomModel) -> CatalogueModel:
    per_million, per_thousand = split_prices(model.prices)
    return CatalogueModel(
        upstream_id=model.id,
        name=model.name,
        per_million=_FREE if model.free else per_million,
        per_thousand=per_thousand,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        tokenizer=model.tokenizer,
    )
