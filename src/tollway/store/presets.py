"""Presets: named sets of model and parameters in versions that never change; kept in tables, served from memory."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tollway.errors import AlreadyExists, InvalidField, NotFound, ValidationFailed
from tollway.ports import Clock
from tollway.store.aliases import Aliases
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sqlite import Params, Row
from tollway.store.workspaces import Workspaces
from tollway.workspaces.actor import By
from tollway.workspaces.profile import Preset, Reference, checked_preset

PRESETS_MAX = 200
BYTES_MAX = 4 * 2**20
"""All versions of a workspace's presets: they are kept in memory."""
_PRESETS = "SELECT workspace_id, name, description, created_at, deleted_at FROM presets ORDER BY created_at, name"
_VERSIONS = """
SELECT workspace_id, name, version, model, parameters, system, created_by, created_at FROM preset_versions
ORDER BY version
"""
_NEW = """
INSERT INTO presets (workspace_id, name, description, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (workspace_id, name) DO UPDATE SET
  description = excluded.description, created_at = excluded.created_at, deleted_at = NULL
"""
_NEW_VERSION = """
INSERT INTO preset_versions (workspace_id, name, version, model, parameters, system, created_by, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_DESCRIBE = "UPDATE presets SET description = ? WHERE workspace_id = ? AND name = ?"
_DELETE = "UPDATE presets SET deleted_at = ? WHERE workspace_id = ? AND name = ?"
_DESCRIPTION_MAX = 500


class Named(NamedTuple):
    """A preset with all its versions, oldest first. created_at, deleted_at: unix seconds; None: it is there."""

    workspace_id: str
    name: str
    description: str
    created_at: int
    deleted_at: int | None
    versions: tuple[Preset, ...]

    @property
    def newest(self) -> Preset:
        """The version in force."""
        return self.versions[-1]


class Presets:
    """Presets of all workspaces. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        workspaces: Workspaces,
        log: Aliases,
        *,
        clock: Clock,
    ) -> None:
        """`connection` is read from once, here. `log`: writes the audit log."""
        self._ledger, self._workspaces, self._log, self._clock = ledger, workspaces, log, clock
        self._changing = asyncio.Lock()
        """Changes go one after the other, so that no number is given twice."""
        self._presets: dict[str, dict[str, Named]] = {}
        for one in every_preset(connection, with_deleted=True):
            self._know(one)

    def find(self, workspace_id: str, reference: Reference) -> Preset:
        """The version that a request names. Raises InvalidField; it tells what there is."""
        found = self._presets.get(workspace_id, {}).get(reference.name)
        if found is None or found.deleted_at is not None:
            names = ", ".join(f"`{one.name}`" for one in self.presets_of(workspace_id)[:10])
            there = f"there are: {names}" if names else "there are none; `POST /v1/presets` makes one"
            raise InvalidField(f"there is no preset `{reference.name}`; {there}", param="preset")
        if reference.version is None:
            return found.newest
        if reference.version > found.newest.version:
            problem = (
                f"the preset `{found.name}` has no version {reference.version}; the newest is {found.newest.version}"
            )
            raise InvalidField(problem, param="preset")
        return found.versions[reference.version - 1]

    def presets_of(self, workspace_id: str) -> list[Named]:
        """The presets of a workspace, oldest first."""
        found = [one for one in self._presets.get(workspace_id, {}).values() if one.deleted_at is None]
        return sorted(found, key=lambda one: (one.created_at, one.name))

    def preset(self, workspace_id: str, name: str) -> Named:
        """A preset by its name. Raises NotFound."""
        found = self._presets.get(workspace_id, {}).get(name)
        if found is None or found.deleted_at is not None:
            raise NotFound(f"there is no preset {name}; `GET /v1/presets` lists them")
        return found

    async def add(self, first: Preset, description: str = "", *, by: By | None = None) -> Named:
        """A new preset; one that was deleted comes back under its name with a further version.

        Args:
            first: its workspace, name and content; the caller has checked that its model exists.
            description: for people. by: who makes it.

        Raises:
            NotFound: no such workspace. AlreadyExists: the name. ValidationFailed, InvalidField: as of `checked_preset`.
        """
        workspace_id = first.workspace_id
        self._workspaces.live_workspace(workspace_id)
        checked_preset(first)
        text = _described(description)
        async with self._changing:
            known = self._presets.get(workspace_id, {}).get(first.name)
            if known is not None and known.deleted_at is None:
                raise AlreadyExists(f"there is a preset `{first.name}` already; change it with PATCH", param="name")
            if len(self.presets_of(workspace_id)) >= PRESETS_MAX:
                raise ValidationFailed(
                    f"A workspace has at most {PRESETS_MAX} presets. Delete one first.", param="name"
                )
            now, before = int(self._clock.now()), () if known is None else known.versions
            version = self._version(first, len(before) + 1, by)
            await self._ledger.execute(
                (_NEW, (workspace_id, first.name, text, now)),
                (_NEW_VERSION, _row(version)),
                *self._log.log(workspace_id, by, "preset.create", first.name, {"version": version.version}),
            )
            return self._know(Named(workspace_id, first.name, text, now, None, (*before, version)))

    async def change(
        self,
        workspace_id: str,
        name: str,
        change: Callable[[Preset], Preset],
        description: str | None = None,
        *,
        by: By | None = None,
    ) -> Named:
        """Another content, which is a new version; the ones before stay. Nothing different: no new version.

        `change` makes of the newest version what it shall be. description: None stays. Raises as `add`.
        """
        async with self._changing:
            old = self.preset(workspace_id, name)
            new = checked_preset(change(old.newest))
            text = old.description if description is None else _described(description)
            statements: list[tuple[str, Params]] = [(_DESCRIBE, (text, workspace_id, name))]
            versions = old.versions
            if _content(new) != _content(old.newest):
                version = self._version(new, old.newest.version + 1, by)
                statements.append((_NEW_VERSION, _row(version)))
                versions = (*versions, version)
            elif text == old.description:
                return old
            log = self._log.log(workspace_id, by, "preset.change", name, {"version": len(versions)})
            await self._ledger.execute(*statements, *log)
            return self._know(old._replace(description=text, versions=versions))

    async def delete(self, workspace_id: str, name: str, *, by: By | None = None) -> Named:
        """No request can name it any more. Again: no change. Raises NotFound: there never was one."""
        async with self._changing:
            found = self._presets.get(workspace_id, {}).get(name)
            if found is not None and found.deleted_at is not None:
                return found
            old, now = self.preset(workspace_id, name), int(self._clock.now())
            log = self._log.log(workspace_id, by, "preset.delete", name, {"version": old.newest.version})
            await self._ledger.execute((_DELETE, (now, workspace_id, name)), *log)
            return self._know(old._replace(deleted_at=now))

    def _version(self, content: Preset, number: int, by: By | None) -> Preset:
        used = sum(_size(one) for each in self._presets.get(content.workspace_id, {}).values() for one in each.versions)
        if used + _size(content) > BYTES_MAX:
            problem = f"The presets of a workspace have at most {BYTES_MAX} bytes, old versions included, which stay."
            raise ValidationFailed(f"{problem} Shorten it.", param="parameters")
        made_by = "" if by is None else by.id
        return msgspec.structs.replace(content, version=number, created_by=made_by, created_at=int(self._clock.now()))

    def _know(self, one: Named) -> Named:
        self._presets.setdefault(one.workspace_id, {})[one.name] = one
        return one


def every_preset(connection: sqlite3.Connection, workspace_id: str = "", *, with_deleted: bool = False) -> list[Named]:
    """The presets of a workspace, or all, oldest first, by any connection."""
    versions = dict[tuple[str, str], list[Preset]]()
    for row in connection.execute(_VERSIONS):
        versions.setdefault((row[0], row[1]), []).append(_preset(row))
    found = [
        Named(of, name, description, created, deleted, tuple(versions[of, name]))
        for of, name, description, created, deleted in connection.execute(_PRESETS)
    ]
    return [one for one in found if workspace_id in {"", one.workspace_id} and (with_deleted or one.deleted_at is None)]


def _described(text: str) -> str:
    found = text.strip()
    if len(found) > _DESCRIPTION_MAX or not found.isprintable():
        raise ValidationFailed(
            f"A description has at most {_DESCRIPTION_MAX} printable characters.", param="description"
        )
    return found


def _content(one: Preset) -> tuple[str, str, str]:
    return one.model, _json(one), one.system


def _json(one: Preset) -> str:
    return msgspec.json.encode(one.parameters, order="sorted").decode()


def _size(one: Preset) -> int:
    return len(_json(one)) + len(one.system.encode())


def _row(one: Preset) -> tuple[str | int, ...]:
    return (
        one.workspace_id,
        one.name,
        one.version,
        one.model,
        _json(one),
        one.system,
        one.created_by,
        one.created_at,
    )


def _preset(row: Row) -> Preset:
    workspace_id, name, version, model, parameters, system, by, created = row
    return Preset(
        workspace_id=workspace_id,
        name=name,
        version=version,
        model=model,
        parameters=msgspec.json.decode(parameters),
        system=system,
        created_by=by,
        created_at=created,
    )
