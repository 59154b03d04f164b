"""API keys: kept in a table, served from memory by the digest of their text (implements `ports.Directory`).

A change is written first and seen by the next request after it; a refusal (revoked, disabled, workspace deleted) is seen
first and written after, so that a key that must not be used is not used while the disk is slow.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tollway.errors import NotFound, ValidationFailed
from tollway.jsontypes import JSONObject
from tollway.ports import Clock, Ids
from tollway.store.audit_log import audit_statement
from tollway.store.ledger import EmbeddedLedger
from tollway.store.rows import KEY_COLUMNS, key_row, key_terms
from tollway.store.rows import key as key_of_row
from tollway.store.sqlite import Params
from tollway.workspaces.actor import By
from tollway.workspaces.key import (
    DEFAULT_SCOPES,
    SCOPES,
    BudgetWindow,
    Key,
    KeyState,
    checked_networks,
    digest,
    new_secret,
    public_part,
)
from tollway.workspaces.workspace import Organization, Workspace, checked_name

KEYS = f"""
SELECT {KEY_COLUMNS}, k.previous_digest, k.previous_until
FROM keys AS k JOIN workspaces AS w ON w.id = k.workspace_id ORDER BY k.created_at, k.id
"""  # noqa: S608 - our own column names
_NEW = """
INSERT INTO keys (id, workspace_id, name, prefix, digest, scopes, allowed_models, budget_nano, budget_window,
                  requests_per_minute, tokens_per_day, expires_at, ip_allow, created_by, profile_id, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CHANGE = """
UPDATE keys SET name = ?, scopes = ?, allowed_models = ?, budget_nano = ?, budget_window = ?, requests_per_minute = ?,
                tokens_per_day = ?, expires_at = ?, ip_allow = ?
WHERE id = ?
"""
_ROTATE = "UPDATE keys SET prefix = ?, digest = ?, previous_digest = ?, previous_until = ? WHERE id = ?"
ROTATION_GRACE_S_MAX = 86_400
"""How long the text before a rotation may stay good."""


def _untold(*_: object) -> list[tuple[str, Params]]:
    """Nobody wants to be told."""
    return []


class Keys:
    """Every key. All methods belong to the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        workspaces: dict[str, Workspace],
        *,
        clock: Clock,
        ids: Ids,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`connection` is read from once, here. `workspaces`: by id, kept by the owner of this."""
        self._ledger, self._clock, self._ids = ledger, clock, ids
        self._pepper, self._random_bytes = pepper, random_bytes
        self.workspaces = workspaces
        self._by_digest: dict[bytes, Key] = {}
        self._keys: dict[str, Key] = {}
        self._of: dict[str, list[str]] = {}
        self._digests: dict[str, bytes] = {}
        self._previous: dict[str, tuple[bytes, int]] = {}
        self._adding = Counter[str]()
        self.tell: Callable[[str, Key], list[tuple[str, Params]]] = _untold
        """What else is written with a key that was made or revoked: events for webhooks."""
        self._changing = asyncio.Lock()
        """Changes of what a key may do go one after the other, so that none is lost."""
        now = int(clock.now())
        for row in connection.execute(KEYS):
            key_digest, key = key_of_row(row)
            previous, until = row[-2:]
            if previous is not None and until > now:
                self._previous[key.id] = (previous, until)
            self._add(key, key_digest)

    # --- ports.Directory ---

    def key(self, digest: bytes) -> Key | None:
        """The key with this HMAC digest, None if there is none. One that is refused is found; it says why."""
        return self._by_digest.get(digest)

    # --- beyond the port ---

    @property
    def pepper(self) -> bytes:
        """What digests are made under."""
        return self._pepper

    def workspace(self, workspace_id: str) -> Workspace:
        """A workspace, deleted or not. Raises NotFound."""
        found = self.workspaces.get(workspace_id)
        if found is None:
            raise NotFound(f"there is no workspace {workspace_id}")
        return found

    def live_workspace(self, workspace_id: str) -> Workspace:
        """A workspace that is not deleted. Raises NotFound; it says how to restore one."""
        found = self.workspace(workspace_id)
        if found.purged_at is not None:
            raise NotFound(f"workspace {workspace_id} was deleted for ever")
        if not found.is_live:
            restore = f"`POST /v1/workspaces/{workspace_id}/restore`"
            raise NotFound(f"workspace {workspace_id} is deleted; {restore} brings it back")
        return found

    def key_by_id(self, key_id: str, workspace_id: str | None = None) -> Key:
        """A key; of that workspace if one is named. Raises NotFound, for other tenants' keys too."""
        found = self._keys.get(key_id)
        if found is None or (workspace_id is not None and found.workspace_id != workspace_id):
            raise NotFound(f"there is no key {key_id}")
        return found

    def keys_of(self, workspace_id: str | None = None) -> list[Key]:
        """The keys of a workspace, or all, revoked ones too, oldest first."""
        if workspace_id is None:
            return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))
        return [self._keys[key_id] for key_id in self._of.get(workspace_id, ())]

    def live_keys(self, workspace_id: str) -> int:
        """How many keys of a workspace are not revoked: what the plan's `api_keys` is compared with.

        Those of routing profiles come with their profiles, and are not among them.
        """
        return sum(1 for key in self.keys_of(workspace_id) if not key.is_revoked and not key.profile_id)

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
        ip_allow: tuple[str, ...] = (),
        profile_id: str = "",
        by: By | None = None,
        room: Callable[[int], None] | None = None,
        before: Sequence[tuple[str, Params]] = (),
    ) -> tuple[Key, str]:
        """A new key and its text, which is shown once and not kept. Fields as `Key`; `by`: who makes it.

        `before`: what is written with it, before it. `room`: told how many live keys there are, those being made included, it
        raises when there is no room for one more; so two callers never share the last place.

        Raises:
            NotFound: no such workspace, or a deleted one. ValidationFailed: a field is out of range.
        """
        secret = new_secret(self._random_bytes)
        made = Key(
            id=self._ids.new(),
            workspace_id=workspace_id,
            organization_id=self.live_workspace(workspace_id).organization_id,
            name=name,
            prefix=public_part(secret),
            scopes=scopes,
            allowed_models=allowed_models,
            budget_nano=budget_nano,
            budget_window=budget_window,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
            expires_at=expires_at,
            created_at=int(self._clock.now()),
            ip_allow=ip_allow,
            created_by="" if by is None else by.id,
            profile_id=profile_id,
        )
        made, key_digest = _checked(made), digest(secret, self._pepper)
        if room is not None:
            room(self.live_keys(workspace_id) + self._adding[workspace_id])
        counts = not profile_id
        self._adding[workspace_id] += counts
        try:
            told = self.tell("key.created", made)
            row = (_NEW, key_row(made, key_digest))
            await self._ledger.execute(*before, row, *self._log(made, by, "key.create", made.name), *told)
        finally:
            self._adding[workspace_id] -= counts
        if not self.workspace(workspace_id).is_live:
            made = replace(made, state="workspace_deleted")
        self._add(made, key_digest)
        return made, secret

    async def change_key(self, key: Key) -> Key:
        """Keep the changed terms of an existing key. As `update_key`."""
        return await self.update_key(key.id, lambda _: key)

    async def update_key(
        self, key_id: str, change: Callable[[Key], Key], workspace_id: str | None = None, *, by: By | None = None
    ) -> Key:
        """Change what a key may do; in force when this returns. What is not name or terms stays as it was.

        `change` makes of the key as it is now what it shall be; it may refuse by raising.

        Raises:
            NotFound: no such key. ValidationFailed: it is revoked, or a field is out of range.
        """
        async with self._changing:
            old = self._usable(key_id, workspace_id)
            new = change(old)
            new = replace(
                old,
                name=new.name,
                scopes=new.scopes,
                allowed_models=new.allowed_models,
                budget_nano=new.budget_nano,
                budget_window=new.budget_window,
                requests_per_minute=new.requests_per_minute,
                tokens_per_day=new.tokens_per_day,
                expires_at=new.expires_at,
                ip_allow=new.ip_allow,
            )
            new = _checked(new)
            await self._ledger.execute(
                (_CHANGE, (new.name, *key_terms(new), key_id)), *self._log(new, by, "key.change", new.name)
            )
            return self._put(new)

    async def rotate_key(
        self,
        key_id: str,
        workspace_id: str | None = None,
        *,
        grace_s: int = 0,
        check: Callable[[Key], None] | None = None,
        by: By | None = None,
    ) -> tuple[Key, str]:
        """A new text for a key, which is shown once; id, limits and spending stay.

        The text before ends at once, or is good for `grace_s` seconds more; the one before that ends in any case.

        Raises:
            NotFound: no such key. ValidationFailed: it is revoked, or the grace is out of range. What `check` raises.
        """
        if not 0 <= grace_s <= ROTATION_GRACE_S_MAX:
            raise ValidationFailed(f"grace_seconds is 0 to {ROTATION_GRACE_S_MAX}, a day.", param="grace_seconds")
        async with self._changing:
            old = self._usable(key_id, workspace_id)
            if check is not None:
                check(old)
            secret = new_secret(self._random_bytes)
            new_digest, old_digest = digest(secret, self._pepper), self._digests[key_id]
            until = int(self._clock.now()) + grace_s
            kept = (old_digest, until) if grace_s else (None, None)
            await self._ledger.execute(
                (_ROTATE, (public_part(secret), new_digest, *kept, key_id)),
                *self._log(old, by, "key.rotate", old.name),
            )
            ended = self._previous.pop(key_id, None)
            if ended is not None:
                self._by_digest.pop(ended[0], None)
            if grace_s:
                self._previous[key_id] = (old_digest, until)
            else:
                self._by_digest.pop(old_digest, None)
            self._digests[key_id] = new_digest
            return self._put(replace(old, prefix=public_part(secret))), secret

    async def disable_key(self, key_id: str, workspace_id: str | None = None, *, by: By | None = None) -> Key:
        """Refuse a key from now on until it is enabled. Again: no change. Raises NotFound, ValidationFailed (revoked)."""
        self._usable(key_id, workspace_id)
        self._set(key_id, "disabled")
        async with self._changing:
            if self._keys[key_id].is_revoked:
                return self._keys[key_id]
            key = self._set(key_id, "disabled")  # again: what was being written meanwhile may have enabled it
            now = int(self._clock.now())
            await self._ledger.execute(
                ("UPDATE keys SET disabled_at = coalesce(disabled_at, ?) WHERE id = ?", (now, key_id)),
                *self._log(key, by, "key.disable", key.name),
            )
            return self._keys[key_id]

    async def enable_key(self, key_id: str, workspace_id: str | None = None, *, by: By | None = None) -> Key:
        """Take a disabled key back into use. Again: no change. Raises NotFound, ValidationFailed (revoked)."""
        async with self._changing:
            key = self._usable(key_id, workspace_id)
            if key.state != "disabled":
                return key
            await self._ledger.execute(
                ("UPDATE keys SET disabled_at = NULL WHERE id = ?", (key_id,)),
                *self._log(key, by, "key.enable", key.name),
            )
            if self._keys[key_id].is_revoked:
                return self._keys[key_id]
            is_live = self.workspace(key.workspace_id).is_live
            return self._set(key_id, "active" if is_live else "workspace_deleted")

    async def revoke_key(self, key_id: str, workspace_id: str | None = None, *, by: By | None = None) -> Key:
        """Refuse a key for ever, from now on. Again: no change. Raises NotFound."""
        key = self.key_by_id(key_id, workspace_id)
        if key.is_revoked:
            return key
        key = self._set(key_id, "revoked")
        await self._ledger.execute(
            ("UPDATE keys SET revoked_at = ? WHERE id = ?", (int(self._clock.now()), key_id)),
            *self._log(key, by, "key.revoke", key.name),
            *self.tell("key.revoked", key),
        )
        return key

    def _log(
        self, about: Key | Workspace | Organization, by: By | None, action: str, name: str
    ) -> tuple[tuple[str, Params], ...]:
        """What the organization's audit log keeps of it; nothing, where nobody in particular did it."""
        if by is None:
            return ()
        details: JSONObject = {"name": name}
        if isinstance(about, Key):
            details["workspace_id"] = about.workspace_id
        organization_id = about.id if isinstance(about, Organization) else about.organization_id
        at_ms = int(self._clock.now() * 1000)
        return (audit_statement(organization_id, by, action, about.id, details, at_ms),)

    # --- in memory ---

    def _usable(self, key_id: str, workspace_id: str | None) -> Key:
        key = self.key_by_id(key_id, workspace_id)
        if key.is_revoked:
            raise ValidationFailed(f"Key {key_id} is revoked, which is for ever. Create another.", param="id")
        return key

    def _add(self, key: Key, key_digest: bytes) -> None:
        self._digests[key.id] = key_digest
        self._of.setdefault(key.workspace_id, []).append(key.id)
        self._keys[key.id] = key
        self._put(key)

    def _put(self, key: Key) -> Key:
        """Serve these terms from now on; whether it is refused is as it has become meanwhile."""
        key = replace(key, state=self._keys[key.id].state)
        self._keys[key.id] = self._by_digest[self._digests[key.id]] = key
        previous = self._previous.get(key.id)
        if previous is not None:
            text_digest, until = previous
            ends = until if key.expires_at is None else min(until, key.expires_at)
            self._by_digest[text_digest] = replace(key, expires_at=ends)
        return key

    def _set(self, key_id: str, state: KeyState) -> Key:
        key = self._keys[key_id] = replace(self._keys[key_id], state=state)
        return self._put(key)

    def _follow(self, workspace: Workspace) -> None:
        """The workspace was deleted or restored: its keys, but for those that are refused anyway, with it."""
        was: KeyState = "workspace_deleted" if workspace.is_live else "active"
        for key in self.keys_of(workspace.id):
            if key.state == was:
                self._set(key.id, "active" if workspace.is_live else "workspace_deleted")


def _checked(key: Key) -> Key:
    """The key as it is kept. Refuses what the tables would: raises ValidationFailed with `param`."""
    unknown = key.scopes - set(SCOPES)
    if unknown or not key.scopes:
        raise ValidationFailed(f"Scopes are among {', '.join(SCOPES)}, at least one.", param="scopes")
    if key.budget_nano is not None and not 0 <= key.budget_nano < 2**63:
        raise ValidationFailed("A budget is an amount of USD, zero or more.", param="budget_usd")
    if key.budget_window not in {"day", "week", "month", "lifetime"}:
        raise ValidationFailed("A budget's window is day, week, month or lifetime.", param="budget_window")
    for param, value in (("requests_per_minute", key.requests_per_minute), ("tokens_per_day", key.tokens_per_day)):
        if not -1 <= value < 2**63:
            raise ValidationFailed(f"{param} is -1 (no limit) or more.", param=param)
    return replace(key, name=checked_name(key.name, "key"), ip_allow=checked_networks(key.ip_allow))
