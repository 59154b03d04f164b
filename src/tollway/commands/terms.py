"""On which terms workspaces are charged, as of now: margins (money.md R3), and the models of their plans."""

import sqlite3

from tollway.learning.rerouting import Terms
from tollway.settings import Settings
from tollway.settings.plans import plans_of
from tollway.store.overview import workspaces_shown
from tollway.store.plan_rows import effective, overrides, subscriptions


def workspace_terms(connection: sqlite3.Connection, settings: Settings, now: float) -> dict[str, Terms]:
    """Workspace -> its terms, as its organization's plan and overrides say at `now`, unix seconds."""
    of_all, catalogue = settings.money.margins_bps, plans_of(settings).catalogue
    pinned, agreed = subscriptions(connection), overrides(connection)
    by_organization = dict[str, Terms]()
    found = dict[str, Terms]()
    for workspace in workspaces_shown(connection):
        name = workspace.organization_id
        if name not in by_organization:
            own = effective(pinned.get(name), agreed.get(name), catalogue, now)
            by_organization[name] = Terms({**of_all, **own.margins_bps}, own.allowed_models)
        found[workspace.id] = by_organization[name]
    return found
