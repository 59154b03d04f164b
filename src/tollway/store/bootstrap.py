"""The first start: an organization, a workspace with its wallet, a key, an operator, and money to begin with."""

import sqlite3
from typing import NamedTuple

from tollway.ledger.transfer import credit
from tollway.store.ledger import EmbeddedLedger
from tollway.store.plans import Plans
from tollway.store.workspaces import Workspaces

_DONE = "bootstrapped_at"


class FirstStart(NamedTuple):
    """What is shown once: the first key and the operator's token; of both only digests are kept."""

    workspace_id: str
    key: str
    operator_token: str


def is_done(connection: sqlite3.Connection) -> bool:
    """The first start has been."""
    return connection.execute("SELECT 1 FROM installation WHERE name = ?", (_DONE,)).fetchone() is not None


async def bootstrap(ledger: EmbeddedLedger, who: Workspaces, plans: Plans, grant_nano: int, now: int) -> FirstStart:
    """Make what a fresh installation needs.

    A start that died half way is finished by the next one, with fresh secrets; the grant is made once. `grant_nano`:
    nano-USD given to the first wallet, 0 for none. `now`: unix seconds.
    """
    organization = next(iter(who.organizations.values()), None) or await who.add_organization("First organization")
    if plans.subscription(organization.id) is None:
        # The operator's own use is not throttled.
        highest = plans.catalogue.highest.id
        await plans.set_plan(organization.id, highest, actor="tollway", reason="The first organization")
    workspace = next(iter(who.workspaces.values()), None) or await who.add_workspace(organization.id, "Default")
    if grant_nano:
        ref = "opening:" + workspace.id
        await ledger.post(credit("grant", workspace.id, grant_nano, external_ref=ref, description="Opening grant"))
    _, key = await who.add_key(workspace.id, name="First key")
    token = await who.add_operator("First operator")
    await ledger.execute(("INSERT INTO installation (name, value) VALUES (?, ?)", (_DONE, str(now))))
    return FirstStart(workspace.id, key, token)
