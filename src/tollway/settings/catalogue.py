"""The catalogue that an installation's settings make: packaged data, the operator's own prices, and their providers."""

from collections.abc import Mapping
from pathlib import Path

from tollway.catalogue.load import corrections_path, load_catalogue, snapshot_path
from tollway.catalogue.offers import Catalogue
from tollway.settings.providers import custom_providers, disabled_providers
from tollway.settings.sections import Settings


def catalogue_of(settings: Settings, environment: Mapping[str, str] | None = None) -> Catalogue:
    """Everything that this installation can buy.

    Args:
        environment: where credentials and base URLs are looked up; None means the one the settings were loaded with.

    Raises:
        ConfigurationError: a file or a variable that cannot be used; names file, line, key and fix.
    """
    folder = Path(settings.data.folder)
    variables = settings.environment if environment is None else environment
    return load_catalogue(
        environment=variables,
        snapshot=snapshot_path(folder),
        custom=custom_providers(settings, variables),
        corrections=corrections_path(folder),
        disabled=disabled_providers(settings),
    )
