"""The plans that an installation's settings name."""

from pathlib import Path
from typing import Any

from tollway.errors import ConfigurationError
from tollway.plans.load import SHIPPED
from tollway.plans.source import PlanSource
from tollway.settings.sections import Origin, Settings

_OURS = {"file": "plans.catalogue", "default_plan": "plans.default_plan"}
"""Mistakes about a file that are made in the settings."""


def plans_of(settings: Settings) -> PlanSource:
    """What is sold, and where to look for a change.

    Raises:
        ConfigurationError: the file of the catalogue is wrong; or `[plans] default_plan` is not in it.
    """
    chosen = settings.plans
    try:
        return PlanSource(chosen.catalogue, chosen.default_plan, chosen.upgrade_url)
    except ConfigurationError as wrong:
        if wrong.key not in _OURS:
            raise
        raise settings.problem(_OURS[wrong.key], f"{wrong.file}: {wrong.problem}", wrong.fix) from None


def resolve_catalogue(values: dict[str, dict[str, Any]], origin: Origin | None) -> None:
    """A path named in the settings file is relative to that file; any other, to where the program was started."""
    named = values["plans"].get("catalogue")
    if named is not None and named not in SHIPPED and origin is not None and origin.line is not None:
        values["plans"]["catalogue"] = str(Path(origin.file).parent / named)
