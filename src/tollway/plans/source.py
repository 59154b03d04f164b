"""Where the plans in force come from: a shipped catalogue, or the operator's file, which may change under a running server."""

from pathlib import Path
from typing import TypeAlias

from tollway.plans.load import SHIPPED, load_plans
from tollway.plans.plan import PlanCatalogue

_State: TypeAlias = tuple[int, int, int] | None


class PlanSource:
    """Reads a catalogue, and reads it again when its file has changed.

    upgrade_url: where a customer can buy a larger plan; "" if nowhere.
    """

    def __init__(self, where: str = "reference", default_plan: str = "", upgrade_url: str = "") -> None:
        """Read it.

        Args:
            where: the name of a shipped catalogue, or the path of a file.
            default_plan: where a sign-up starts; "" means what the file says, which is its first plan if it says nothing.

        Raises:
            ConfigurationError: it cannot be read, or has no such plan.
        """
        self.upgrade_url = upgrade_url
        self._where, self._default_plan = where, default_plan
        self._seen = self._state()
        self.catalogue = load_plans(where, default_plan)

    @property
    def may_change(self) -> bool:
        """It is a file of the operator's; a shipped catalogue changes with the program only."""
        return self._where not in SHIPPED

    def changed(self) -> PlanCatalogue | None:
        """The catalogue, if its file has changed since the last look; None else. Reads files.

        Raises:
            ConfigurationError: it has changed and is wrong. Told once per change; `catalogue` stays as it was.
        """
        state = self._state()
        if state == self._seen:
            return None
        self._seen = state
        self.catalogue = load_plans(self._where, self._default_plan)
        return self.catalogue

    def _state(self) -> _State:
        if not self.may_change:
            return None
        try:
            found = Path(self._where).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
