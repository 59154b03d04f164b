"""Routing profiles: kept in a table, served from memory by the key that carries them, as what routing reads.

A profile and its key are made in one step. A change is in force at the next request; a deletion refuses the key first.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import msgspec

from tollway.errors import AlreadyExists, KeyDisabled, NotFound
from tollway.ports import Clock, Ids
from tollway.routing.wish import Wish
from tollway.store.aliases import Aliases
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sqlite import Row
from tollway.store.workspaces import Workspaces
from tollway.workspaces.actor import By
from tollway.workspaces.key import Key, Terms
from tollway.workspaces.profile import Profile, checked_profile

_ALL = """
SELECT id, workspace_id, name, rules, created_at, changed_at, deleted_at FROM routing_profiles ORDER BY created_at, id
"""
_NEW = """
INSERT INTO routing_profiles (id, workspace_id, name, rules, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)
"""
_CHANGE = "UPDATE routing_profiles SET name = ?, rules = ?, changed_at = ? WHERE id = ?"
_DELETE = "UPDATE routing_profiles SET deleted_at = ? WHERE id = ?"
_NOT_RULES = frozenset({"id", "workspace_id", "name", "created_at", "changed_at"})
_DELETED = KeyDisabled("The routing profile of this API key was deleted. Use another key.")


class Profiles(Aliases):
    """Profiles and aliases of all workspaces. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self, connection: sqlite3.Connection, ledger: EmbeddedLedger, workspaces: Workspaces, *, clock: Clock, ids: Ids
    ) -> None:
        """`connection` is read from once, here."""
        super().__init__(connection, ledger, workspaces, clock=clock, ids=ids)
        self._profiles: dict[str, Profile] = {}
        self._gone: dict[str, Profile] = {}
        self._wishes: dict[str, Wish] = {}
        self._ids_of_names: dict[tuple[str, str], str] = {}
        for row in connection.execute(_ALL):
            if row[-1] is None:
                self._know(_profile(row))
            else:
                self._gone[row[0]] = _profile(row)

    # --- on the way of a request ---

    def of_key(self, key: Key) -> Profile | None:
        """The profile whose key this is; None: it has none. Raises KeyDisabled: it was deleted this moment."""
        if not key.profile_id:
            return None
        found = self._profiles.get(key.profile_id)
        if found is None:
            raise _DELETED
        return found

    def wish_of(self, key: Key) -> Wish | None:
        """The rules that every request with this key follows; None: none. Raises as `of_key`."""
        if not key.profile_id:
            return None
        found = self._wishes.get(key.profile_id)
        if found is None:
            raise _DELETED
        return found

    def named(self, workspace_id: str, name: str) -> Profile | None:
        """The profile of a workspace with this id or name."""
        found = self._profiles.get(self._ids_of_names.get((workspace_id, name), name))
        return None if found is None or found.workspace_id != workspace_id else found

    def wish_named(self, workspace_id: str, name: str) -> Wish | None:
        """Its rules, for a request that names it."""
        found = self.named(workspace_id, name)
        return None if found is None else self._wishes[found.id]

    # --- beside it ---

    def profile(self, profile_id: str, workspace_id: str | None = None) -> Profile:
        """A profile; of that workspace if one is named. Raises NotFound, for other tenants' profiles too."""
        found = self._profiles.get(profile_id)
        if found is None or (workspace_id is not None and found.workspace_id != workspace_id):
            raise _nothing(profile_id)
        return found

    def profiles_of(self, workspace_id: str) -> list[Profile]:
        """The profiles of a workspace, oldest first."""
        return _in_order([one for one in self._profiles.values() if one.workspace_id == workspace_id])

    def live(self, organization_id: str) -> list[Profile]:
        """The profiles in an organization's live workspaces, oldest first: what `routing_profiles` is compared with."""
        inside = {one.id for one in self._workspaces.live_workspaces(organization_id)}
        return _in_order([one for one in self._profiles.values() if one.workspace_id in inside])

    def key_of(self, profile: Profile) -> Key | None:
        """The key of a profile that is not revoked; None: it was, and another can be made."""
        keys = self._workspaces.keys_of(profile.workspace_id)
        return next((key for key in keys if key.profile_id == profile.id and not key.is_revoked), None)

    async def add(
        self, profile: Profile, terms: Terms, *, by: By | None = None, room: Callable[[int], None] | None = None
    ) -> tuple[Profile, Key, str]:
        """A new profile, its key, and the key's text, which is shown once and not kept.

        Args:
            profile: its workspace and rules; the caller has checked that its models and providers exist.
            terms: what its key may do. by: who makes it.
            room: told how many profiles the organization has, it raises when there is no room for one more.

        Raises:
            NotFound: no such workspace. InvalidField, ValidationFailed: as of `checked_profile`. AlreadyExists: the name.
        """
        organization_id = self._workspaces.live_workspace(profile.workspace_id).organization_id
        now = int(self._clock.now())
        made = checked_profile(msgspec.structs.replace(profile, id=self._ids.new(), created_at=now, changed_at=now))
        async with self._changing:
            if room is not None:
                room(len(self.live(organization_id)))
            self._check_name(made)
            row = (made.id, made.workspace_id, made.name, _rules(made), now, now)
            log = self.log(made.workspace_id, by, "profile.create", made.id, {"name": made.name})
            key, secret = await self._workspaces.add_key(
                made.workspace_id, name=made.name, **terms, profile_id=made.id, by=by, before=((_NEW, row), *log)
            )
            # Nothing waits in between: whoever sees the key sees its profile.
            self._know(made)
        return made, key, secret

    async def change(
        self, profile_id: str, workspace_id: str | None, change: Callable[[Profile], Profile], *, by: By | None = None
    ) -> Profile:
        """Change a profile's name and rules; in force at the next request with its key.

        `change` makes of the profile as it is now what it shall be; it may refuse by raising.

        Raises:
            NotFound: no such profile. InvalidField, ValidationFailed, AlreadyExists: as of `add`.
        """
        async with self._changing:
            old = self.profile(profile_id, workspace_id)
            new = msgspec.structs.replace(
                change(old),
                id=old.id,
                workspace_id=old.workspace_id,
                created_at=old.created_at,
                changed_at=int(self._clock.now()),
            )
            new = checked_profile(new)
            self._check_name(new)
            await self._ledger.execute(
                (_CHANGE, (new.name, _rules(new), new.changed_at, new.id)),
                *self.log(new.workspace_id, by, "profile.change", new.id, {"name": new.name}),
            )
            self._ids_of_names.pop((old.workspace_id, old.name), None)
            self._know(new)
        return new

    async def renew_key(
        self,
        profile_id: str,
        workspace_id: str | None,
        terms: Terms,
        *,
        check: Callable[[Key], None] | None = None,
        by: By | None = None,
    ) -> tuple[Profile, Key, str]:
        """A new text for the key of a profile; the old one ends at once. If the key was revoked, another key.

        `terms`: of another key. `check`: told what the text will be good for, it may refuse by raising.

        Raises:
            NotFound: no such profile, or its workspace is deleted.
        """
        async with self._changing:
            profile = self.profile(profile_id, workspace_id)
            organization_id = self._workspaces.live_workspace(profile.workspace_id).organization_id
            key = self.key_of(profile)
            if key is not None:
                return profile, *await self._workspaces.rotate_key(key.id, check=check, by=by)
            if check is not None:
                check(replace(Key("", profile.workspace_id, organization_id, "", ""), **terms))
            made = await self._workspaces.add_key(
                profile.workspace_id, name=profile.name, **terms, profile_id=profile.id, by=by
            )
        return profile, *made

    async def delete(self, profile_id: str, workspace_id: str | None = None, *, by: By | None = None) -> Profile:
        """Delete a profile; its key is refused from now on, for ever. Again: no change. Raises NotFound."""
        async with self._changing:
            gone = self._gone.get(profile_id)
            if gone is not None and workspace_id in {None, gone.workspace_id}:
                return gone
            old = self.profile(profile_id, workspace_id)
            key = self.key_of(old)
            if key is not None:
                await self._workspaces.revoke_key(key.id, by=by)
            await self._ledger.execute(
                (_DELETE, (int(self._clock.now()), old.id)),
                *self.log(old.workspace_id, by, "profile.delete", old.id, {"name": old.name}),
            )
            self._gone[old.id] = self._profiles.pop(old.id)
            del self._wishes[old.id], self._ids_of_names[old.workspace_id, old.name]
        return old

    def _check_name(self, profile: Profile) -> None:
        known = self._ids_of_names.get((profile.workspace_id, profile.name), profile.id)
        if known != profile.id:
            raise AlreadyExists(f"there is a routing profile `{profile.name}` already; take another name", param="name")

    def _know(self, profile: Profile) -> None:
        self._profiles[profile.id] = profile
        self._wishes[profile.id] = wish_of(profile)
        self._ids_of_names[profile.workspace_id, profile.name] = profile.id


def wish_of(profile: Profile) -> Wish:
    """A profile as routing reads it. Its `fallbacks` are no part of it: they are the request's `models` where it has none."""
    models, allowed = profile.allowed_models, profile.allowed_providers
    return Wish(
        floor=profile.tier_floor,
        ceiling=profile.tier_ceiling,
        max_cost_nano=profile.max_cost_nano,
        tool_calling_min=profile.tool_calling_milli / 1_000,
        quality_knob=None if profile.quality is None else profile.quality / 100,
        needs=frozenset(profile.needs),
        allowed_models=None if models is None else frozenset(models),
        allowed_providers=None if allowed is None else frozenset(allowed),
        ignored_providers=frozenset(profile.ignored_providers),
        region=profile.region,
        sort=profile.sorts_by,
        profile_id=profile.id,
        profile=profile.name,
    )


def every_profile(connection: sqlite3.Connection, workspace_id: str = "") -> list[Profile]:
    """The profiles of a workspace, or all, oldest first, by a read-only connection."""
    found = [_profile(row) for row in connection.execute(_ALL) if row[-1] is None]
    return [one for one in found if workspace_id in {"", one.workspace_id}]


def _in_order(found: list[Profile]) -> list[Profile]:
    return sorted(found, key=lambda one: (one.created_at, one.id))


def _nothing(profile_id: str) -> NotFound:
    return NotFound(f"there is no routing profile {profile_id}; `GET /v1/profiles` lists them")


def _rules(profile: Profile) -> str:
    found = {name: value for name, value in msgspec.structs.asdict(profile).items() if name not in _NOT_RULES}
    return msgspec.json.encode(found).decode()


def _profile(row: Row) -> Profile:
    profile_id, workspace_id, name, rules, created, changed, _ = row
    known = {"id": profile_id, "workspace_id": workspace_id, "name": name, "created_at": created, "changed_at": changed}
    return msgspec.convert({**msgspec.json.decode(rules), **known}, Profile)
