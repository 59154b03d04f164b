"""What an installation's settings say of models, over the shipped facts."""

from pathlib import Path
from typing import Any

from tollway.catalogue.offers import Catalogue
from tollway.routing.standings import StandingTable, load_standings
from tollway.settings.sections import Origin, Settings


def standings_of(settings: Settings, catalogue: Catalogue) -> StandingTable:
    """The standing of every model of the catalogue that has one.

    Raises:
        ConfigurationError: the file of `[routing] standings` cannot be used; names file, line, key and fix.
    """
    chosen = settings.routing
    own = Path(chosen.standings) if chosen.standings else None
    if own is not None and not own.is_file():
        raise settings.problem("routing.standings", f"there is no file {own}", "name another, or leave it out")
    return load_standings(catalogue, own, estimate_unlisted=chosen.estimate_unlisted)


def resolve_standings(values: dict[str, dict[str, Any]], origin: Origin | None) -> None:
    """A path named in the settings file is relative to that file; any other, to where the program was started."""
    named = values["routing"].get("standings")
    if named and origin is not None and origin.line is not None:
        values["routing"]["standings"] = str(Path(origin.file).parent / named)
