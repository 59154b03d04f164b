"""Deliveries: events on their way to endpoints, claimed one by one, tried again, and given up where they can be seen.

One process owns the folder, so a claim is kept in memory: two couriers of one process never send the same delivery at
the same time, and a crash forgets the claim, not the delivery, which is sent again under the same id (at least once).
"""

import asyncio
import sqlite3
from typing import NamedTuple

import msgspec

from tollway.alerts.events import WebhookDisabled, WebhookTest, iso
from tollway.alerts.schedule import GONE, is_accepted, next_try
from tollway.alerts.webhook import Attempt, Delivery, DeliveryStatus, Endpoint
from tollway.errors import AlreadyExists, NotFound, ValidationFailed
from tollway.ports import Clock
from tollway.store.alerts import Alerts, Subject, check_cursor
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader
from tollway.store.sqlite import Params, Row
from tollway.store.webhooks import Webhooks

KEPT_S = 30 * 86_400
"""For so long what was delivered or given up is kept."""
DISABLE_AFTER_S = 5 * 86_400
"""An endpoint of which nothing but failures came for so long is switched off."""
_COLUMNS = """
SELECT d.id, d.event_id, e.type, d.endpoint_id, e.workspace_id, d.status, d.attempts, d.tries, d.next_at,
       d.created_at_ms, e.body
"""
# The bare columns of a min() are those of its row: the oldest due delivery of each endpoint.
_DUE = """
SELECT d.id, d.event_id, e.type, d.endpoint_id, e.workspace_id, d.status, d.attempts, d.tries, min(d.next_at),
       d.created_at_ms, e.body
FROM webhook_deliveries AS d JOIN webhook_events AS e ON e.id = d.event_id
JOIN webhook_endpoints AS w ON w.id = d.endpoint_id
WHERE d.status = 'pending' AND d.next_at <= ? AND w.is_enabled
GROUP BY d.endpoint_id ORDER BY min(d.next_at) LIMIT ?
"""
_JOINED = " FROM webhook_deliveries AS d JOIN webhook_events AS e ON e.id = d.event_id "
_ONE = _COLUMNS + _JOINED + "WHERE d.id = ?"
_OF_EVENT = _COLUMNS + _JOINED + "WHERE d.event_id = ?"
_PAGE = (
    _COLUMNS
    + _JOINED
    + "WHERE d.endpoint_id = ? AND (? = '' OR d.id < ?) AND (? = '' OR d.status = ?) ORDER BY d.id DESC LIMIT ?"
)
_EVERY = _COLUMNS + _JOINED + "WHERE (? = '' OR d.status = ?) ORDER BY d.id DESC LIMIT ?"
_LOG = "SELECT number, at_ms, status, error, latency_ms, response FROM webhook_attempts WHERE delivery_id = ? ORDER BY number"
_ATTEMPT = """
INSERT INTO webhook_attempts (delivery_id, at_ms, number, status, error, latency_ms, response)
SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM webhook_deliveries WHERE id = ?)
ON CONFLICT DO NOTHING
"""
_AFTER = """
UPDATE webhook_deliveries SET status = ?, attempts = ?, tries = ?, next_at = ? WHERE id = ? AND status = 'pending'
"""
_REPLAY = (
    "UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = ? WHERE id = ? AND status <> 'pending'"
)
_OLD = "SELECT id FROM webhook_deliveries WHERE status <> 'pending' AND created_at_ms < ?"
_PURGES = (
    f"DELETE FROM webhook_attempts WHERE delivery_id IN ({_OLD})",  # noqa: S608 - our own text
    "DELETE FROM webhook_deliveries WHERE status <> 'pending' AND created_at_ms < ?",
    """
    DELETE FROM webhook_events WHERE created_at_ms < ?
    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE event_id = webhook_events.id)
    """,
)


class DeliveryPage(NamedTuple):
    """Deliveries, newest first. next_cursor: hand it in as `after`; "" at the end."""

    deliveries: list[Delivery]
    next_cursor: str


class Deliveries:
    """See the module. All methods belong to the event loop's thread."""

    def __init__(
        self, ledger: EmbeddedLedger, reader: Reader, webhooks: Webhooks, alerts: Alerts, clock: Clock
    ) -> None:
        self._ledger, self._reader, self._clock = ledger, reader, clock
        self._webhooks, self._alerts = webhooks, alerts
        self._claimed: dict[str, str] = {}
        """Delivery -> endpoint of what is being sent now."""
        self._claiming = asyncio.Lock()
        self._ended = set[str]()
        """What ended while a claim was read: that reading may still show it as due."""

    # --- sending ---

    async def claim(self, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries that are due, at most one per endpoint; end each with `record` or `release`."""
        async with self._claiming:
            self._ended.clear()
            found = await self._reader.run(_due, int(self._clock.now()), limit + len(self._claimed))
            busy = set(self._claimed.values())
            free = [one for one in found if one.endpoint_id not in busy and one.id not in self._ended][:limit]
            self._claimed.update((one.id, one.endpoint_id) for one in free)
        return free

    def release(self, delivery: Delivery) -> None:
        """Give a claim back; the delivery stays as it was."""
        self._ended.add(delivery.id)
        self._claimed.pop(delivery.id, None)

    async def record(self, delivery: Delivery, attempt: Attempt, *, is_last: bool = False) -> Delivery:
        """Keep an attempt of a claimed delivery and what follows from it; gives the claim back.

        After a failure: another try at its time, or none, and the endpoint is switched off when nothing but failures
        came of it for days, or when it said that it is gone. `is_last`: do not try again.

        Raises:
            LedgerUnavailable: not written; the delivery will be sent again.
        """
        now = int(self._clock.now())
        status: DeliveryStatus
        tries, next_at = delivery.tries + 1, None
        if is_accepted(attempt.status):
            status = "delivered"
        else:
            next_at = None if is_last or attempt.status == GONE else next_try(tries, now)
            status = "dead" if next_at is None else "pending"
        after = msgspec.structs.replace(
            delivery, status=status, attempts=attempt.number, tries=tries, next_at=next_at, log=(attempt,)
        )
        rows: list[tuple[str, Params]] = [
            (_ATTEMPT, (delivery.id, attempt.at_ms, *_written(attempt), delivery.id)),
            (_AFTER, (status, attempt.number, tries, next_at, delivery.id)),
        ]
        endpoint = None if is_last else self._endpoint_after(delivery, attempt, now)
        if endpoint is not None:
            rows += self._changed(endpoint, now)
        try:
            await self._ledger.execute(*rows)
        finally:
            self.release(delivery)
        if endpoint is not None:
            self._webhooks.know(endpoint)
        return after

    def _endpoint_after(self, delivery: Delivery, attempt: Attempt, now: int) -> Endpoint | None:
        """The endpoint as an attempt has changed it; None: it has not, or it was removed meanwhile."""
        try:
            endpoint = self._webhooks.endpoint(delivery.endpoint_id)
        except NotFound:
            return None
        if is_accepted(attempt.status):
            return None if endpoint.failing_since is None else msgspec.structs.replace(endpoint, failing_since=None)
        since = endpoint.failing_since or now
        reason = ""
        if attempt.status == GONE:
            reason = f"it answered {GONE}: it is gone"
        elif now - since >= DISABLE_AFTER_S:
            reason = f"nothing but failures for {DISABLE_AFTER_S // 86_400} days"
        if not reason:
            return None if endpoint.failing_since is not None else msgspec.structs.replace(endpoint, failing_since=now)
        if not endpoint.is_enabled:
            return None
        return msgspec.structs.replace(endpoint, is_enabled=False, disabled_reason=reason, failing_since=since)

    def _changed(self, endpoint: Endpoint, now: int) -> list[tuple[str, Params]]:
        """The rows of a changed endpoint; with an alert where it was switched off."""
        kept = self._webhooks.changed(endpoint)
        if endpoint.is_enabled:
            return [kept]
        since = None if endpoint.failing_since is None else iso(endpoint.failing_since)
        data = WebhookDisabled(endpoint.id, endpoint.host, endpoint.disabled_reason, since)
        subject = Subject(f"webhook:{endpoint.id}", "webhook.disabled", endpoint.workspace_id, now)
        return [kept, *self._alerts.statements(subject, 0, data, without=endpoint.id)]

    async def test(self, endpoint: Endpoint) -> Delivery:
        """A `webhook.test` for an endpoint, claimed: send it now and `record` it as the last try."""
        data = WebhookTest(endpoint.id, "This is a test. If you can read it, the signature is yours to check.")
        event = self._webhooks.event("webhook.test", endpoint.workspace_id, data)
        rows = self._webhooks.statements(event, to=endpoint)
        name = str(rows[1][1][0])
        self._claimed[name] = endpoint.id
        try:
            await self._ledger.execute(*rows)
            found = await self._reader.run(_of_event, event.id)
        except BaseException:
            self._claimed.pop(name, None)
            raise
        return found

    # --- looking, and trying again by hand ---

    async def page(self, endpoint_id: str, *, limit: int, after: str = "", status: str = "") -> DeliveryPage:
        """The deliveries of an endpoint with their attempts, newest first.

        `after`: the id of the last one seen. Raises InvalidField: it is no id.
        """
        check_cursor(after)
        found = await self._reader.run(_page, endpoint_id, limit + 1, after, status)
        return DeliveryPage(found[:limit], found[limit - 1].id if len(found) > limit else "")

    async def replay(self, delivery_id: str, workspace_id: str | None = None) -> Delivery:
        """Send a delivery again, now, with all its tries, under the same `webhook-id`.

        Raises:
            NotFound: no such delivery, for other tenants' too, or its endpoint was removed.
            AlreadyExists: it is on its way. ValidationFailed: its endpoint is switched off.
        """
        found = await self._reader.run(_one, delivery_id)
        if found is None or (workspace_id is not None and found.workspace_id != workspace_id):
            raise NotFound(f"there is no delivery {delivery_id}")
        endpoint = self._webhooks.endpoint(found.endpoint_id)
        if found.status == "pending":
            raise AlreadyExists(f"delivery {delivery_id} is on its way; it is tried next at {iso(found.next_at or 0)}")
        if not endpoint.is_enabled:
            text = f"The webhook {endpoint.id} is switched off. Switch it on first (`enabled`: true)."
            raise ValidationFailed(text, param="enabled")
        now = int(self._clock.now())
        await self._ledger.execute((_REPLAY, (now, delivery_id)))
        return msgspec.structs.replace(found, status="pending", tries=0, next_at=now)

    async def purge(self, now: int) -> None:
        """Drop what ended more than 30 days ago. `now`: unix seconds."""
        before = (now - KEPT_S) * 1000
        await self._ledger.execute(*((text, (before,)) for text in _PURGES))


def every(connection: sqlite3.Connection, *, status: str, limit: int) -> list[Delivery]:
    """The newest deliveries of the installation with their attempts, by a read-only connection."""
    return [_with_log(connection, row) for row in connection.execute(_EVERY, (status, status, limit)).fetchall()]


def _due(connection: sqlite3.Connection, now: int, limit: int) -> list[Delivery]:
    return [_delivery(row) for row in connection.execute(_DUE, (now, limit))]


def _one(connection: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(_ONE, (delivery_id,)).fetchone()
    return None if row is None else _with_log(connection, row)


def _of_event(connection: sqlite3.Connection, event_id: str) -> Delivery:
    return _delivery(connection.execute(_OF_EVENT, (event_id,)).fetchone())


def _page(connection: sqlite3.Connection, endpoint_id: str, limit: int, after: str, status: str) -> list[Delivery]:
    rows = connection.execute(_PAGE, (endpoint_id, after, after, status, status, limit)).fetchall()
    return [_with_log(connection, row) for row in rows]


def _with_log(connection: sqlite3.Connection, row: Row) -> Delivery:
    log = tuple(Attempt(*one) for one in connection.execute(_LOG, (row[0],)))
    return msgspec.structs.replace(_delivery(row), log=log)


def _delivery(row: Row) -> Delivery:
    name, event_id, kind, endpoint_id, workspace_id, status, attempts, tries, next_at, created, body = row
    return Delivery(
        id=name,
        event_id=event_id,
        event_type=kind,
        endpoint_id=endpoint_id,
        workspace_id=workspace_id,
        status=status,
        attempts=attempts,
        tries=tries,
        next_at=next_at,
        created_at_ms=created,
        body=body,
    )


def _written(one: Attempt) -> tuple[int | str, ...]:
    return one.number, one.status, one.error, one.latency_ms, one.response
