"""Endpoints of webhooks, and events put on their way to them: kept in tables, endpoints served from memory.

An event and its deliveries are rows written together with what they tell of (`statements`), so that nothing is told that
did not happen and nothing that happened goes untold.
"""

import json
import sqlite3
from collections.abc import Callable

import msgspec

from tollway.alerts import events, signing
from tollway.alerts.events import EVENTS, Event, KeyEvent, PlanChanged
from tollway.alerts.webhook import ROTATION_S, Endpoint
from tollway.errors import NotFound, ValidationFailed
from tollway.ports import Clock, Ids
from tollway.store.ledger import EmbeddedLedger
from tollway.store.sealed import Sealer
from tollway.store.sqlite import Params, Row
from tollway.store.workspaces import Workspaces
from tollway.workspaces.key import Key

ENDPOINTS_MAX = 50
_DESCRIPTION_MAX = 500
_ALL = """
SELECT id, workspace_id, url, events, description, is_enabled, disabled_reason, secret, old_secret, old_until,
       failing_since, created_at
FROM webhook_endpoints WHERE deleted_at IS NULL
"""
_NEW = """
INSERT INTO webhook_endpoints (id, workspace_id, url, events, description, is_enabled, disabled_reason, secret,
                               old_secret, old_until, failing_since, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CHANGE = """
UPDATE webhook_endpoints SET url = ?, events = ?, description = ?, is_enabled = ?, disabled_reason = ?, secret = ?,
                             old_secret = ?, old_until = ?, failing_since = ?
WHERE id = ?
"""
_REMOVE = "UPDATE webhook_endpoints SET deleted_at = ?, is_enabled = 0 WHERE id = ?"
_CANCEL = (
    "UPDATE webhook_deliveries SET status = 'cancelled', next_at = NULL WHERE endpoint_id = ? AND status = 'pending'"
)
_EVENT = """
INSERT INTO webhook_events (id, workspace_id, type, body, created_at_ms)
SELECT ?, ?, ?, ?, ? WHERE ? = '' OR EXISTS (SELECT 1 FROM alerts WHERE id = ?)
"""
_DELIVERY = """
INSERT INTO webhook_deliveries (id, event_id, endpoint_id, status, next_at, created_at_ms)
SELECT ?, ?, ?, 'pending', ?, ? WHERE EXISTS (SELECT 1 FROM webhook_events WHERE id = ?)
"""


class Webhooks:
    """Endpoints of all workspaces. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        workspaces: Workspaces,
        *,
        clock: Clock,
        ids: Ids,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`connection` is read from once, here."""
        self._ledger, self._workspaces, self._clock, self._ids = ledger, workspaces, clock, ids
        self._random_bytes = random_bytes
        self._sealer = Sealer(workspaces.pepper, random_bytes)
        self._endpoints: dict[str, Endpoint] = {}
        self._of_workspace: dict[str, dict[str, Endpoint]] = {}
        for row in connection.execute(_ALL):
            self._know(_endpoint(row))

    def _know(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.id] = endpoint
        self._of_workspace.setdefault(endpoint.workspace_id, {})[endpoint.id] = endpoint

    # --- endpoints ---

    def endpoints_of(self, workspace_id: str) -> list[Endpoint]:
        """The endpoints of a workspace, oldest first."""
        return sorted(self._of_workspace.get(workspace_id, {}).values(), key=lambda one: (one.created_at, one.id))

    def endpoint(self, endpoint_id: str, workspace_id: str | None = None) -> Endpoint:
        """An endpoint; of that workspace if one is named. Raises NotFound, for other tenants' endpoints too."""
        found = self._endpoints.get(endpoint_id)
        if found is None or (workspace_id is not None and found.workspace_id != workspace_id):
            raise NotFound(f"there is no webhook {endpoint_id}")
        return found

    async def add(
        self,
        workspace_id: str,
        *,
        url: str,
        events: frozenset[str] | None = None,
        description: str = "",
        is_enabled: bool = True,
    ) -> tuple[Endpoint, str]:
        """A new endpoint and its secret's text, which is shown once. The caller has checked the URL.

        Raises:
            NotFound: no such workspace. ValidationFailed: a field is out of range, or there are too many.
        """
        self._workspaces.workspace(workspace_id)
        if len(self._of_workspace.get(workspace_id, ())) >= ENDPOINTS_MAX:
            raise ValidationFailed(f"A workspace has at most {ENDPOINTS_MAX} webhooks. Remove one first.", param="url")
        secret, name = signing.new_secret(self._random_bytes), self._ids.new()
        made = Endpoint(
            id=name,
            workspace_id=workspace_id,
            url=url,
            events=events,
            description=description.strip(),
            is_enabled=is_enabled,
            created_at=int(self._clock.now()),
            sealed=self._sealer.seal(secret, name),
        )
        _check(made)
        await self._ledger.execute((_NEW, _row(made)))
        self._know(made)
        return made, signing.secret_text(secret)

    async def change(self, endpoint: Endpoint) -> Endpoint:
        """Keep the changed url, events, description and switch. Switching it on forgets why it was off.

        Raises:
            NotFound: no such endpoint. ValidationFailed: a field is out of range.
        """
        old = self.endpoint(endpoint.id)
        changed = msgspec.structs.replace(
            old,
            url=endpoint.url,
            events=endpoint.events,
            description=endpoint.description.strip(),
            is_enabled=endpoint.is_enabled,
        )
        if endpoint.is_enabled and not old.is_enabled:
            changed = msgspec.structs.replace(changed, disabled_reason="", failing_since=None)
        _check(changed)
        await self._ledger.execute(self.changed(changed))
        self._know(changed)
        return changed

    async def rotate(self, endpoint_id: str, workspace_id: str | None = None) -> tuple[Endpoint, str]:
        """A new secret, whose text is shown once; the old one signs beside it for a day. Raises NotFound."""
        old = self.endpoint(endpoint_id, workspace_id)
        secret = signing.new_secret(self._random_bytes)
        changed = msgspec.structs.replace(
            old,
            sealed=self._sealer.seal(secret, old.id),
            old_sealed=old.sealed,
            old_until=int(self._clock.now()) + ROTATION_S,
        )
        await self._ledger.execute(self.changed(changed))
        self._know(changed)
        return changed, signing.secret_text(secret)

    async def remove(self, endpoint_id: str, workspace_id: str | None = None) -> Endpoint:
        """Remove an endpoint; what was on its way to it is cancelled. Raises NotFound."""
        old = self.endpoint(endpoint_id, workspace_id)
        del self._endpoints[old.id]
        del self._of_workspace[old.workspace_id][old.id]
        await self._ledger.execute((_REMOVE, (int(self._clock.now()), old.id)), (_CANCEL, (old.id,)))
        return old

    def secrets(self, endpoint: Endpoint) -> list[bytes]:
        """What its deliveries are signed with now, the newest first. Raises Broken: the pepper was replaced."""
        found = [self._sealer.open(endpoint.sealed, endpoint.id)]
        if endpoint.old_sealed is not None and (endpoint.old_until or 0) > self._clock.now():
            found.append(self._sealer.open(endpoint.old_sealed, endpoint.id))
        return found

    def changed(self, endpoint: Endpoint) -> tuple[str, Params]:
        """The statement that keeps an endpoint as it is now; `know` it once that is on disk."""
        row = _row(endpoint)
        return _CHANGE, (*row[2:11], endpoint.id)

    def know(self, endpoint: Endpoint) -> None:
        """Serve this state of an endpoint, unless it was removed meanwhile."""
        if endpoint.id in self._endpoints:
            self._know(endpoint)

    # --- events ---

    def event(self, kind: str, workspace_id: str, data: msgspec.Struct, event_id: str = "") -> Event:
        """A new event of a workspace. Raises NotFound: no such workspace."""
        organization_id = self._workspaces.workspace(workspace_id).organization_id
        name = event_id or self._ids.new()
        return Event(name, kind, organization_id, workspace_id, int(self._clock.now() * 1000), data)

    def statements(
        self, event: Event, *, alert_id: str = "", to: Endpoint | None = None, without: str = ""
    ) -> list[tuple[str, Params]]:
        """The rows of an event and its deliveries, to be written with what it tells of; none if nobody wants it.

        Args:
            event: what happened.
            alert_id: write them only if this alert was written just before, which a race may have prevented.
            to: only to this endpoint, whatever it wants; else to those of the workspace that want it.
            without: the id of an endpoint that is not told.
        """
        wanting = [to] if to is not None else [one for one in self._wanting(event) if one.id != without]
        if not wanting:
            return []
        at = event.created_at_ms
        told = events.body(event)
        rows: list[tuple[str, Params]] = [
            (_EVENT, (event.id, event.workspace_id, event.type, told, at, alert_id, alert_id))
        ]
        new = self._ids.new
        rows += [(_DELIVERY, (new(), event.id, one.id, at // 1000, at, event.id)) for one in wanting]
        return rows

    def about_key(self, kind: str, key: Key) -> list[tuple[str, Params]]:
        """The rows that tell of a key, `key.created` or `key.revoked`; write them with the key's own."""
        data = KeyEvent(key.id, key.name, key.prefix, sorted(key.scopes))
        return self.statements(self.event(kind, key.workspace_id, data))

    def about_plan(
        self, organization_id: str, plan: str, previous: str | None, reason: str
    ) -> list[tuple[str, Params]]:
        """The rows that tell the workspaces of an organization of its plan; write them with the change."""
        data = PlanChanged(plan, previous, reason)
        rows: list[tuple[str, Params]] = []
        for one in self._workspaces.workspaces.values():
            if one.organization_id == organization_id and one.is_live:
                rows += self.statements(self.event("plan.changed", one.id, data))
        return rows

    async def announce(self, kind: str, workspace_id: str, data: msgspec.Struct) -> None:
        """Tell a workspace's endpoints of something; returns when that is on disk. Raises NotFound."""
        rows = self.statements(self.event(kind, workspace_id, data))
        if rows:
            await self._ledger.execute(*rows)

    def _wanting(self, event: Event) -> list[Endpoint]:
        return [one for one in self.endpoints_of(event.workspace_id) if one.wants(event.type)]


def every(connection: sqlite3.Connection) -> list[Endpoint]:
    """The endpoints of the installation, oldest first, by a read-only connection."""
    return [_endpoint(row) for row in connection.execute(_ALL + " ORDER BY created_at, id")]


def _check(endpoint: Endpoint) -> None:
    """Refuse what the tables would. Raises ValidationFailed with `param`."""
    unknown = (endpoint.events or frozenset()) - EVENTS.keys()
    if unknown or (endpoint.events is not None and not endpoint.events):
        shown = f"not {min(unknown)!r}" if unknown else "at least one; leave it out for all"
        raise ValidationFailed(f"Events are among {', '.join(EVENTS)}, {shown}.", param="events")
    if len(endpoint.description) > _DESCRIPTION_MAX or not endpoint.description.isprintable():
        text = f"A description has at most {_DESCRIPTION_MAX} printable characters."
        raise ValidationFailed(text, param="description")


def _row(one: Endpoint) -> tuple[int | str | bytes | None, ...]:
    return (
        one.id,
        one.workspace_id,
        one.url,
        None if one.events is None else json.dumps(sorted(one.events)),
        one.description,
        int(one.is_enabled),
        one.disabled_reason,
        one.sealed,
        one.old_sealed,
        one.old_until,
        one.failing_since,
        one.created_at,
    )


def _endpoint(row: Row) -> Endpoint:
    name, workspace_id, url, wanted, description, is_enabled, reason, sealed, old, until, failing, created = row
    return Endpoint(
        id=name,
        workspace_id=workspace_id,
        url=url,
        events=None if wanted is None else frozenset(json.loads(wanted)),
        description=description,
        is_enabled=bool(is_enabled),
        created_at=created,
        sealed=sealed,
        old_sealed=old,
        old_until=until,
        disabled_reason=reason,
        failing_since=failing,
    )
