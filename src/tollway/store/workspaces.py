"""Organizations, workspaces, their keys and operators: kept in tables, served from memory (implements `ports.Directory`).

One process owns the data folder, so the snapshot is exact: a change is written first and seen by the next request after
it.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tollway.errors import NotFound, ValidationFailed, WorkspaceInUse
from tollway.ledger.transfer import between
from tollway.money.amount import format_usd
from tollway.ports import Clock, Ids
from tollway.store.keys import Keys
from tollway.store.ledger import EmbeddedLedger
from tollway.workspaces.actor import By
from tollway.workspaces.key import ADMIN_PREFIX, digest, new_secret
from tollway.workspaces.workspace import GRACE_S, Organization, Workspace, checked_name

_WORKSPACES = """
SELECT id, organization_id, name, created_at, deleted_at, purge_at, purged_at FROM workspaces ORDER BY created_at, id
"""


class Workspaces(Keys):
    """Who there is. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        *,
        clock: Clock,
        ids: Ids,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`connection` is read from once, here."""
        self.organizations = {
            row[0]: Organization(*row) for row in connection.execute("SELECT id, name, created_at FROM organizations")
        }
        found = {row[0]: Workspace(*row) for row in connection.execute(_WORKSPACES)}
        super().__init__(connection, ledger, found, clock=clock, ids=ids, pepper=pepper, random_bytes=random_bytes)
        self._operators = {
            row[0]: str(row[1])
            for row in connection.execute("SELECT digest, id FROM operators WHERE revoked_at IS NULL")
        }
        self._growing = Counter[str]()
        self._ending = asyncio.Lock()
        """Deletions and restorations go one after the other."""

    def operator(self, digest: bytes) -> str | None:
        """The id of the operator with this token's digest, None if there is none."""
        return self._operators.get(digest)

    def organization(self, organization_id: str) -> Organization:
        """Raises NotFound."""
        found = self.organizations.get(organization_id)
        if found is None:
            raise NotFound(f"there is no organization {organization_id}")
        return found

    def workspaces_of(self, organization_id: str) -> list[Workspace]:
        """The workspaces of an organization that are not purged, deleted ones too, oldest first."""
        found = [
            one for one in self.workspaces.values() if one.organization_id == organization_id and one.purged_at is None
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def live_workspaces(self, organization_id: str) -> list[Workspace]:
        """Those that are not deleted, oldest first: what the plan's `workspaces` is compared with."""
        return [one for one in self.workspaces_of(organization_id) if one.is_live]

    def own_workspace(self, organization_id: str, workspace_id: str) -> Workspace:
        """A workspace of this organization, deleted or not. Raises NotFound, for others' and purged ones too."""
        found = self.workspaces.get(workspace_id)
        if found is None or found.organization_id != organization_id or found.purged_at is not None:
            raise NotFound(f"there is no workspace {workspace_id}")
        return found

    # --- organizations ---

    async def add_organization(self, name: str) -> Organization:
        """A new organization."""
        made = Organization(self._ids.new(), checked_name(name, "organization"), int(self._clock.now()))
        await self._ledger.execute(
            ("INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)", (made.id, made.name, made.created_at))
        )
        self.organizations[made.id] = made
        return made

    async def rename_organization(self, organization_id: str, name: str, *, by: By | None = None) -> Organization:
        """Raises NotFound, ValidationFailed."""
        changed = replace(self.organization(organization_id), name=checked_name(name, "organization"))
        await self._ledger.execute(
            ("UPDATE organizations SET name = ? WHERE id = ?", (changed.name, changed.id)),
            *self._log(changed, by, "organization.rename", changed.name),
        )
        self.organizations[changed.id] = changed
        return changed

    # --- workspaces ---

    async def add_workspace(
        self, organization_id: str, name: str, *, by: By | None = None, room: Callable[[int], None] | None = None
    ) -> Workspace:
        """A new workspace with an empty wallet.

        `room`: as of `add_key`, told how many live workspaces the organization has. Raises NotFound: no such organization.
        """
        self.organization(organization_id)
        made = Workspace(self._ids.new(), organization_id, checked_name(name, "workspace"), int(self._clock.now()))
        self._check_room(organization_id, room)
        self._growing[organization_id] += 1
        try:
            await self._ledger.open_wallet(
                made.id,
                (
                    "INSERT INTO workspaces (id, organization_id, name, created_at) VALUES (?, ?, ?, ?)",
                    (made.id, made.organization_id, made.name, made.created_at),
                ),
                *self._log(made, by, "workspace.create", made.name),
            )
        finally:
            self._growing[organization_id] -= 1
        self.workspaces[made.id] = made
        return made

    async def rename_workspace(self, workspace_id: str, name: str, *, by: By | None = None) -> Workspace:
        """Raises NotFound, ValidationFailed."""
        name = checked_name(name, "workspace")
        old = self.live_workspace(workspace_id)
        await self._ledger.execute(
            ("UPDATE workspaces SET name = ? WHERE id = ?", (name, workspace_id)),
            *self._log(old, by, "workspace.rename", name),
        )
        changed = self.workspaces[workspace_id] = replace(self.workspaces[workspace_id], name=name)
        return changed

    async def delete_workspace(self, workspace_id: str, *, move_to: str = "", by: By | None = None) -> Workspace:
        """Refuse the workspace's keys from now on; for `GRACE_S` it can be restored. Again: no change.

        move_to: the live workspace of the same organization whose wallet gets what is left in this one's; "": nothing
        may be left.

        Raises:
            NotFound: no such workspace. ValidationFailed: `move_to` is no such workspace.
            WorkspaceInUse: it is the last one, requests are running, or money is left.
        """
        async with self._ending:
            return await self._delete(workspace_id, move_to, by)

    async def _delete(self, workspace_id: str, move_to: str, by: By | None) -> Workspace:
        old = self.workspace(workspace_id)
        if not old.is_live:
            return old
        others = [one.id for one in self.live_workspaces(old.organization_id) if one.id != workspace_id]
        if not others:
            raise WorkspaceInUse("The last workspace of an organization cannot be deleted. Create another first.")
        if move_to and move_to not in others:
            problem = f"There is no other workspace {move_to} to move money to; there are: {', '.join(others)}."
            raise ValidationFailed(problem, param="move_to")
        left_nano = self._left(old, has_target=bool(move_to))
        now = int(self._clock.now())
        deleted = self.workspaces[workspace_id] = replace(old, deleted_at=now, purge_at=now + GRACE_S)
        # Its keys are refused first, so that no request takes a hold on money that is being moved.
        self._follow(deleted)
        try:
            if left_nano:
                ref = f"workspace-deleted:{workspace_id}:{now}"
                text = f"Workspace {old.name} was deleted"
                await self._ledger.post(between(workspace_id, move_to, left_nano, external_ref=ref, description=text))
            await self._ledger.execute(
                (
                    "UPDATE workspaces SET deleted_at = ?, purge_at = ? WHERE id = ?",
                    (deleted.deleted_at, deleted.purge_at, workspace_id),
                ),
                *self._log(old, by, "workspace.delete", old.name),
            )
        except BaseException:
            self.workspaces[workspace_id] = old
            self._follow(old)
            raise
        return deleted

    async def restore_workspace(
        self, workspace_id: str, *, by: By | None = None, room: Callable[[int], None] | None = None
    ) -> Workspace:
        """Bring a deleted workspace back, its keys with it. Again: no change.

        Raises:
            NotFound: no such workspace, or it is purged. What `room` raises, as of `add_workspace`.
        """
        async with self._ending:
            return await self._restore(workspace_id, by, room)

    async def _restore(self, workspace_id: str, by: By | None, room: Callable[[int], None] | None) -> Workspace:
        old = self.workspace(workspace_id)
        if old.purged_at is not None:
            raise NotFound(f"workspace {workspace_id} was deleted for ever")
        if old.is_live:
            return old
        self._check_room(old.organization_id, room)
        self._growing[old.organization_id] += 1
        try:
            await self._ledger.execute(
                ("UPDATE workspaces SET deleted_at = NULL, purge_at = NULL WHERE id = ?", (workspace_id,)),
                *self._log(old, by, "workspace.restore", old.name),
            )
        finally:
            self._growing[old.organization_id] -= 1
        restored = self.workspaces[workspace_id] = replace(
            self.workspaces[workspace_id], deleted_at=None, purge_at=None
        )
        self._follow(restored)
        return restored

    async def purge(self, now: int) -> list[str]:
        """End what was deleted more than `GRACE_S` ago: its keys are revoked, it cannot be restored. Their ids.

        Money rows stay: the ledger is append-only. `now`: unix seconds.
        """
        due = [
            one.id
            for one in self.workspaces.values()
            if one.purged_at is None and one.purge_at is not None and one.purge_at <= now
        ]
        for workspace_id in due:
            self.workspaces[workspace_id] = replace(self.workspaces[workspace_id], purged_at=now)
            for key in self.keys_of(workspace_id):
                if not key.is_revoked:
                    self._set(key.id, "revoked")
            await self._ledger.execute(
                ("UPDATE keys SET revoked_at = ? WHERE workspace_id = ? AND revoked_at IS NULL", (now, workspace_id)),
                ("UPDATE workspaces SET purged_at = ? WHERE id = ?", (now, workspace_id)),
            )
        return due

    def _left(self, workspace: Workspace, *, has_target: bool) -> int:
        """Nano-USD to move out of a wallet before its workspace goes. Raises WorkspaceInUse: that cannot be done now."""
        balance = self._ledger.balance(workspace.id)
        if balance.held_nano:
            raise WorkspaceInUse(
                "Requests of this workspace are still running. Disable its keys, and try again when they have ended."
            )
        if balance.frozen_nano:
            raise WorkspaceInUse("A dispute has frozen money of this workspace. Contact the operator.")
        if balance.posted_nano and not has_target:
            raise WorkspaceInUse(
                f"The wallet still has {format_usd(balance.posted_nano)} USD. Name the workspace that gets it with "
                "`?move_to=<workspace id>`.",
                param="move_to",
                balance_usd=format_usd(balance.posted_nano),
            )
        return balance.posted_nano

    def _check_room(self, organization_id: str, room: Callable[[int], None] | None) -> None:
        if room is not None:
            room(len(self.live_workspaces(organization_id)) + self._growing[organization_id])

    # --- operators ---

    async def add_operator(self, name: str) -> str:
        """A new operator; the token, which is shown once and not kept."""
        token = new_secret(self._random_bytes, ADMIN_PREFIX)
        token_digest, operator_id = digest(token, self._pepper), self._ids.new()
        await self._ledger.execute(
            (
                "INSERT INTO operators (id, name, digest, created_at) VALUES (?, ?, ?, ?)",
                (operator_id, checked_name(name, "operator"), token_digest, int(self._clock.now())),
            )
        )
        self._operators[token_digest] = operator_id
        return token
