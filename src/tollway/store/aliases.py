"""Aliases of models, per workspace: kept in a table, served from memory by workspace and name."""

import asyncio
import sqlite3

import msgspec

from tollway.errors import AlreadyExists, NotFound, ValidationFailed
from tollway.jsontypes import JSONObject
from tollway.ports import Clock, Ids
from tollway.store.audit_log import audit_statement
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sqlite import Params
from tollway.store.workspaces import Workspaces
from tollway.workspaces.actor import By
from tollway.workspaces.profile import Alias, checked_alias

ALIASES_MAX = 1_000
_ALL = """
SELECT id, workspace_id, name, target, is_override, created_at, changed_at, deleted_at FROM model_aliases
ORDER BY created_at, id
"""
_NEW = """
INSERT INTO model_aliases (id, workspace_id, name, target, is_override, created_at, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CHANGE = "UPDATE model_aliases SET target = ?, is_override = ?, changed_at = ? WHERE id = ?"
_DELETE = "UPDATE model_aliases SET deleted_at = ? WHERE id = ?"


class Aliases:
    """Aliases of all workspaces. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self, connection: sqlite3.Connection, ledger: EmbeddedLedger, workspaces: Workspaces, *, clock: Clock, ids: Ids
    ) -> None:
        """`connection` is read from once, here."""
        self._ledger, self._workspaces, self._clock, self._ids = ledger, workspaces, clock, ids
        self._changing = asyncio.Lock()
        """Changes go one after the other, so that none is lost and no name is given twice."""
        self._aliases: dict[str, Alias] = {}
        self._gone_aliases: dict[str, Alias] = {}
        self._targets: dict[str, dict[str, str]] = {}
        for *row, deleted in connection.execute(_ALL):
            alias = _alias(row)
            if deleted is None:
                self._know_alias(alias)
            else:
                self._gone_aliases[alias.id] = alias

    def alias(self, workspace_id: str, name: str) -> str | None:
        """What a name stands for in a workspace; None: it is no alias."""
        targets = self._targets.get(workspace_id)
        return None if targets is None else targets.get(name)

    def aliases_of(self, workspace_id: str) -> list[Alias]:
        """The aliases of a workspace, oldest first."""
        found = [one for one in self._aliases.values() if one.workspace_id == workspace_id]
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def alias_by_id(self, alias_id: str, workspace_id: str) -> Alias:
        """An alias of this workspace. Raises NotFound, for other tenants' aliases too."""
        found = self._aliases.get(alias_id)
        if found is None or found.workspace_id != workspace_id:
            raise NotFound(f"there is no alias {alias_id}; `GET /v1/aliases` lists them")
        return found

    async def add_alias(self, workspace_id: str, name: str, target: str, *, is_override: bool, by: By | None) -> Alias:
        """A new alias, in force when this returns. The caller has checked what it hides and reaches.

        Raises:
            NotFound: no such workspace. ValidationFailed, InvalidField: the name cannot be one. AlreadyExists: the name.
        """
        self._workspaces.live_workspace(workspace_id)
        now = int(self._clock.now())
        made = checked_alias(Alias(self._ids.new(), workspace_id, name, target, is_override, now, now))
        async with self._changing:
            if self.alias(workspace_id, made.name) is not None:
                raise AlreadyExists(
                    f"there is an alias `{made.name}` already; change it, or take another name", param="name"
                )
            if len(self._targets.get(workspace_id, ())) >= ALIASES_MAX:
                raise ValidationFailed(
                    f"A workspace has at most {ALIASES_MAX} aliases. Delete one first.", param="name"
                )
            row = (made.id, workspace_id, made.name, made.target, int(is_override), now, now)
            await self._ledger.execute((_NEW, row), *self._noted(made, by, "alias.create"))
            self._know_alias(made)
        return made

    async def change_alias(
        self,
        alias_id: str,
        workspace_id: str,
        *,
        target: str | None = None,
        is_override: bool | None = None,
        by: By | None,
    ) -> Alias:
        """Another target, from the next request on. None: stays. As `add_alias`. Raises NotFound."""
        async with self._changing:
            old = self.alias_by_id(alias_id, workspace_id)
            changed = checked_alias(
                msgspec.structs.replace(
                    old,
                    target=old.target if target is None else target,
                    is_override=old.is_override if is_override is None else is_override,
                    changed_at=int(self._clock.now()),
                )
            )
            row = (changed.target, int(changed.is_override), changed.changed_at, alias_id)
            await self._ledger.execute((_CHANGE, row), *self._noted(changed, by, "alias.change"))
            self._know_alias(changed)
        return changed

    async def delete_alias(self, alias_id: str, workspace_id: str, *, by: By | None) -> Alias:
        """The name means again what it meant without it. Again: no change. Raises NotFound."""
        async with self._changing:
            gone = self._gone_aliases.get(alias_id)
            if gone is not None and gone.workspace_id == workspace_id:
                return gone
            old = self.alias_by_id(alias_id, workspace_id)
            await self._ledger.execute(
                (_DELETE, (int(self._clock.now()), alias_id)), *self._noted(old, by, "alias.delete")
            )
            del self._targets[workspace_id][old.name]
            self._gone_aliases[alias_id] = self._aliases.pop(alias_id)
        return old

    def _know_alias(self, alias: Alias) -> None:
        self._aliases[alias.id] = alias
        self._targets.setdefault(alias.workspace_id, {})[alias.name] = alias.target

    def _noted(self, alias: Alias, by: By | None, action: str) -> tuple[tuple[str, Params], ...]:
        return self.log(alias.workspace_id, by, action, alias.id, {"name": alias.name, "target": alias.target})

    def log(
        self, workspace_id: str, by: By | None, action: str, target: str, details: JSONObject
    ) -> tuple[tuple[str, Params], ...]:
        """What the organization's audit log keeps of a change in a workspace; nothing, where nobody in particular did it."""
        if by is None:
            return ()
        organization_id = self._workspaces.workspace(workspace_id).organization_id
        told = {**details, "workspace_id": workspace_id}
        return (audit_statement(organization_id, by, action, target, told, int(self._clock.now() * 1000)),)


def every_alias(connection: sqlite3.Connection, workspace_id: str = "") -> list[Alias]:
    """The aliases of a workspace, or all, oldest first, by a read-only connection."""
    found = [_alias(row) for *row, deleted in connection.execute(_ALL) if deleted is None]
    return [one for one in found if workspace_id in {"", one.workspace_id}]


def _alias(row: list[str]) -> Alias:
    alias_id, workspace_id, name, target, is_override, created, changed = row
    return Alias(alias_id, workspace_id, name, target, bool(is_override), int(created), int(changed))
