"""What the command line shows of a store that another process may own: wallets and keys, by a read-only connection."""

import sqlite3
from dataclasses import dataclass

from tollway.ledger.budget import Spend
from tollway.ports import Balance
from tollway.store.keys import KEYS
from tollway.store.rows import key as key_of_row
from tollway.workspaces.key import Key
from tollway.workspaces.workspace import Organization, Workspace

_WALLETS = """
SELECT w.id, w.name, o.id, o.name, x.posted_nano, x.held_nano, x.frozen_nano
FROM wallets AS x JOIN workspaces AS w ON w.id = x.workspace_id JOIN organizations AS o ON o.id = w.organization_id
ORDER BY w.created_at, w.id
"""
_ORGANIZATIONS = "SELECT id, name, created_at FROM organizations ORDER BY created_at, id"
_WORKSPACES = """
SELECT id, organization_id, name, created_at, deleted_at, purge_at, purged_at FROM workspaces ORDER BY created_at, id
"""
_DAYS = "SELECT day, spent_nano, held_nano FROM key_days WHERE key_id = ?"


@dataclass(frozen=True, slots=True)
class WalletShown:
    """A workspace and its wallet."""

    workspace_id: str
    workspace_name: str
    organization_id: str
    organization_name: str
    balance: Balance


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A key, and nano-USD spent and held in the current window of its budget."""

    key: Key
    used_nano: int


def wallets(connection: sqlite3.Connection) -> list[WalletShown]:
    """Every wallet, oldest workspace first."""
    found = connection.execute(_WALLETS).fetchall()
    return [
        WalletShown(workspace_id, name, organization_id, organization_name, Balance(*sums))
        for workspace_id, name, organization_id, organization_name, *sums in found
    ]


def organizations_shown(connection: sqlite3.Connection) -> list[Organization]:
    """Every organization, oldest first."""
    return [Organization(*row) for row in connection.execute(_ORGANIZATIONS)]


def workspaces_shown(connection: sqlite3.Connection) -> list[Workspace]:
    """Every workspace, deleted and purged ones too, oldest first."""
    return [Workspace(*row) for row in connection.execute(_WORKSPACES)]


def keys(connection: sqlite3.Connection, day: int, workspace_id: str = "") -> list[KeyShown]:
    """The keys of a workspace, or all, oldest first. `day`: today, unix days."""
    found = [key_of_row(row)[1] for row in connection.execute(KEYS)]
    shown = list[KeyShown]()
    for key in sorted(found, key=lambda one: (one.created_at, one.id)):
        if workspace_id in {"", key.workspace_id}:
            spend = Spend()
            for at, spent, held in connection.execute(_DAYS, (key.id,)):
                spend.move(at, spent, held)
            shown.append(KeyShown(key, spend.used(key.budget_window, day)))
    return shown


def key_names(connection: sqlite3.Connection, workspace_id: str) -> dict[str, str]:
    """Key id -> name, of a workspace."""
    return dict(connection.execute("SELECT id, name FROM keys WHERE workspace_id = ?", (workspace_id,)).fetchall())
