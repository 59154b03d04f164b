"""Every setting of an installation: its name, unit, default and reason, and where its value came from.

Owns: the sections of `tollway.toml`, the `TOLLWAY_*` variables, and the errors that name file, line, key and fix.
Does not own: what a setting does. Only the composition root and the command line import this package.
Invariants: a value from a flag wins over one from the environment, which wins over the file; nothing unknown is
ignored; a secret is in no `repr` and in no message.
"""

from tollway.settings.load import load_settings, unknown_variables
from tollway.settings.providers import custom_providers, disabled_providers
from tollway.settings.sections import (
    CustomModel,
    Data,
    Limits,
    Money,
    Plans,
    ProviderSettings,
    Server,
    Settings,
    Telemetry,
    Upstream,
)

__all__ = [
    "CustomModel",
    "Data",
    "Limits",
    "Money",
    "Plans",
    "ProviderSettings",
    "Server",
    "Settings",
    "Telemetry",
    "Upstream",
    "custom_providers",
    "disabled_providers",
    "load_settings",
    "unknown_variables",
]
