"""Organizations, workspaces, keys and operators: kept in tables, served from memory (implements `ports.Directory`).

One process owns the data folder, so the snapshot is exact: a change is written first and seen by the next request after
it.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from tollway.errors import NotFound, ValidationFailed
from tollway.ports import Clock, Ids
from tollway.store.ledger import EmbeddedLedger
from tollway.store.rows import key as key_of_row
from tollway.store.rows import key_row
from tollway.workspaces.key import (
    ADMIN_PREFIX,
    DEFAULT_SCOPES,
    SCOPES,
    BudgetWindow,
    Key,
    digest,
    new_secret,
    public_part,
)
from tollway.workspaces.workspace import Organization, Workspace, checked_name

KEYS = """
SELECT k.id, k.workspace_id, k.name, k.prefix, k.digest, k.scopes, k.allowed_models, k.budget_nano, k.budget_window,
       k.requests_per_minute, k.tokens_per_day, k.expires_at, k.revoked_at, k.created_at, w.organization_id
FROM keys AS k JOIN workspaces AS w ON w.id = k.workspace_id
"""
_NEW_KEY = """
INSERT INTO keys (id, workspace_id, name, prefix, digest, scopes, allowed_models, budget_nano, budget_window,
                  requests_per_minute, tokens_per_day, expires_at, revoked_at, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CHANGE_KEY = """
UPDATE keys SET name = ?, scopes = ?, allowed_models = ?, budget_nano = ?, budget_window = ?, requests_per_minute = ?,
                tokens_per_day = ?, expires_at = ?
WHERE id = ?
"""


class Workspaces:
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
        self._ledger, self._clock, self._ids = ledger, clock, ids
        self._pepper, self._random_bytes = pepper, random_bytes
        self.organizations = {
            row[0]: Organization(*row) for row in connection.execute("SELECT id, name, created_at FROM organizations")
        }
        self.workspaces = {
            row[0]: Workspace(*row)
            for row in connection.execute("SELECT id, organization_id, name, created_at FROM workspaces")
        }
        self._by_digest: dict[bytes, Key] = {}
        self._digests: dict[str, bytes] = {}
        for row in connection.execute(KEYS):
            self._know(*key_of_row(row))
        self._operators = {
            row[0]: str(row[1])
            for row in connection.execute("SELECT digest, id FROM operators WHERE revoked_at IS NULL")
        }

    def _know(self, key_digest: bytes, key: Key) -> None:
        self._by_digest[key_digest] = key
        self._digests[key.id] = key_digest

    # --- ports.Directory ---

    def key(self, digest: bytes) -> Key | None:
        """The key with this HMAC digest, None if there is none. A revoked key is found, and `is_disabled`."""
        return self._by_digest.get(digest)

    # --- beyond the port ---

    @property
    def pepper(self) -> bytes:
        """What digests are made under."""
        return self._pepper

    def operator(self, digest: bytes) -> str | None:
        """The id of the operator with this token's digest, None if there is none."""
        return self._operators.get(digest)

    def workspace(self, workspace_id: str) -> Workspace:
        """Raises NotFound."""
        found = self.workspaces.get(workspace_id)
        if found is None:
            raise NotFound(f"there is no workspace {workspace_id}")
        return found

    def key_by_id(self, key_id: str, workspace_id: str | None = None) -> Key:
        """A key; of that workspace if one is named. Raises NotFound, for other tenants' keys too."""
        key_digest = self._digests.get(key_id)
        found = None if key_digest is None else self._by_digest[key_digest]
        if found is None or (workspace_id is not None and found.workspace_id != workspace_id):
            raise NotFound(f"there is no key {key_id}")
        return found

    def keys_of(self, workspace_id: str | None = None) -> list[Key]:
        """The keys of a workspace, or all, oldest first."""
        found = [key for key in self._by_digest.values() if workspace_id is None or key.workspace_id == workspace_id]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    async def add_organization(self, name: str) -> Organization:
        """A new organization."""
        made = Organization(self._ids.new(), checked_name(name, "organization"), int(self._clock.now()))
        await self._ledger.execute(
            ("INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)", (made.id, made.name, made.created_at))
        )
        self.organizations[made.id] = made
        return made

    async def add_workspace(self, organization_id: str, name: str) -> Workspace:
        """A new workspace with an empty wallet. Raises NotFound: no such organization."""
        if organization_id not in self.organizations:
            raise NotFound(f"there is no organization {organization_id}")
        made = Workspace(self._ids.new(), organization_id, checked_name(name, "workspace"), int(self._clock.now()))
        await self._ledger.open_wallet(
            made.id,
            (
                "INSERT INTO workspaces (id, organization_id, name, created_at) VALUES (?, ?, ?, ?)",
                (made.id, made.organization_id, made.name, made.created_at),
            ),
        )
        self.workspaces[made.id] = made
        return made

    async def add_key(
        self,
        workspace_id: str,
        *,
        name: str,
        scopes: frozenset[str] = DEFAULT_SCOPES,
        allowed_models: frozenset[str] | None = None,
        budget_nano: int | None = None,
        budget_window: BudgetWindow = "lifetime",
        requests_per_minute: int = -1,
        tokens_per_day: int = -1,
        expires_at: int | None = None,
    ) -> tuple[Key, str]:
        """A new key and its text, which is shown once and not kept. Fields as `Key`.

        Raises:
            NotFound: no such workspace. ValidationFailed: a field is out of range.
        """
        secret = new_secret(self._random_bytes)
        made = Key(
            id=self._ids.new(),
            workspace_id=workspace_id,
            organization_id=self.workspace(workspace_id).organization_id,
            name=checked_name(name, "key"),
            prefix=public_part(secret),
            scopes=scopes,
            allowed_models=allowed_models,
            budget_nano=budget_nano,
            budget_window=budget_window,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
            expires_at=expires_at,
            created_at=int(self._clock.now()),
        )
        _check(made)
        key_digest = digest(secret, self._pepper)
        await self._ledger.execute((_NEW_KEY, key_row(made, key_digest)))
        self._know(key_digest, made)
        return made, secret

    async def change_key(self, key: Key) -> Key:
        """Keep the changed fields of an existing key: name, scopes, models, budget, limits, expiry. In force at once.

        Raises:
            NotFound: no such key. ValidationFailed: a field is out of range.
        """
        old = self.key_by_id(key.id)
        changed = replace(
            key,
            name=checked_name(key.name, "key"),
            workspace_id=old.workspace_id,
            organization_id=old.organization_id,
            prefix=old.prefix,
            created_at=old.created_at,
            is_disabled=old.is_disabled,
        )
        _check(changed)
        row = key_row(changed, b"")
        await self._ledger.execute((_CHANGE_KEY, (row[2], *row[5:12], changed.id)))
        self._know(self._digests[key.id], changed)
        return changed

    async def revoke_key(self, key_id: str, workspace_id: str | None = None) -> Key:
        """Disable a key for ever; requests refuse it from now on. Again: no change. Raises NotFound."""
        key = self.key_by_id(key_id, workspace_id)
        if key.is_disabled:
            return key
        # In memory first: a key that must not be used is not used while the disk is slow.
        key = replace(key, is_disabled=True)
        self._know(self._digests[key_id], key)
        await self._ledger.execute(
            ("UPDATE keys SET revoked_at = ? WHERE id = ?", (int(self._clock.now()), key_id)),
        )
        return key

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


def _check(key: Key) -> None:
    """Refuse what the tables would. Raises ValidationFailed with `param`."""
    unknown = key.scopes - set(SCOPES)
    if unknown or not key.scopes:
        raise ValidationFailed(f"Scopes are among {', '.join(SCOPES)}, at least one.", param="scopes")
    if key.budget_nano is not None and not 0 <= key.budget_nano < 2**63:
        raise ValidationFailed("A budget is an amount of USD, zero or more.", param="budget")
    if key.budget_window not in {"day", "week", "month", "lifetime"}:
        raise ValidationFailed("A budget's window is day, week, month or lifetime.", param="budget_window")
    for param, value in (("requests_per_minute", key.requests_per_minute), ("tokens_per_day", key.tokens_per_day)):
        if not -1 <= value < 2**63:
            raise ValidationFailed(f"{param} is -1 (no limit) or more.", param=param)
