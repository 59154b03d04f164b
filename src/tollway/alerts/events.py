"""Events: the closed list of what a webhook is told, the shape of each, and the envelope around it.

An envelope is `{"id", "type", "version", "timestamp", "organization_id", "workspace_id", "data"}`. Within a version a
shape only gains members. Money is exact decimal text, USD; times are ISO 8601 in UTC.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from tollway.jsontypes import JSONObject


class BudgetThreshold(msgspec.Struct):
    """A key has spent a percentage of its budget. window: day, week, month, lifetime."""

    key_id: str
    key_name: str
    key_prefix: str
    threshold_percent: int
    spent_usd: str
    budget_usd: str
    window: str
    window_start: str | None
    resets_at: str | None


class TokensThreshold(msgspec.Struct):
    """A percentage of a day's tokens is used or reserved: of a key's own limit, or, with no key, of the plan's."""

    key_id: str | None
    key_name: str | None
    key_prefix: str | None
    threshold_percent: int
    tokens_used: int
    tokens_per_day: int
    window_start: str
    resets_at: str


class StorageThreshold(msgspec.Struct):
    """A workspace has stored a percentage of what its plan has room for."""

    threshold_percent: int
    used_bytes: int
    limit_bytes: int


class BalanceLow(msgspec.Struct):
    """A wallet has fallen to a level; 0 is an empty wallet, with less than a cent. What is held counts as there."""

    threshold_usd: str
    balance_usd: str


class KeyEvent(msgspec.Struct):
    """An API key was made or revoked. Its text is in no event."""

    key_id: str
    key_name: str
    key_prefix: str
    scopes: list[str]


class PlanChanged(msgspec.Struct):
    """The organization is on another plan. previous_plan: null for its first."""

    plan: str
    previous_plan: str | None
    reason: str


class WebhookDisabled(msgspec.Struct):
    """An endpoint was switched off, because nothing but failures came of it, or because it said that it is gone."""

    webhook_id: str
    host: str
    reason: str
    failing_since: str | None


class WebhookTest(msgspec.Struct):
    """The test button."""

    webhook_id: str
    message: str


class EventType(NamedTuple):
    """One kind of event. is_alert: it is listed in `/v1/alerts` and mailed."""

    name: str
    shape: type[msgspec.Struct]
    meaning: str
    version: int = 1
    is_alert: bool = False


_ALL = (
    EventType("budget.threshold", BudgetThreshold, "a key has spent a percentage of its budget", is_alert=True),
    EventType("tokens.threshold", TokensThreshold, "a percentage of a day's tokens is used", is_alert=True),
    EventType("storage.threshold", StorageThreshold, "a percentage of the plan's storage is used", is_alert=True),
    EventType("balance.low", BalanceLow, "the wallet has fallen to a level", is_alert=True),
    EventType("webhook.disabled", WebhookDisabled, "an endpoint was switched off by its failures", is_alert=True),
    EventType("key.created", KeyEvent, "an API key was made"),
    EventType("key.revoked", KeyEvent, "an API key was revoked"),
    EventType("plan.changed", PlanChanged, "the organization is on another plan"),
    EventType("webhook.test", WebhookTest, "the test button; goes to the endpoint that is tested"),
)
EVENTS: Mapping[str, EventType] = {one.name: one for one in _ALL}
"""Every type of event there is, by name."""


class Event(msgspec.Struct, frozen=True):
    """One event of one workspace. id: travels as `webhook-id`, the same one at each attempt. created_at_ms: unix ms."""

    id: str
    type: str
    organization_id: str
    workspace_id: str
    created_at_ms: int
    data: msgspec.Struct


class _Envelope(msgspec.Struct):
    id: str
    type: str
    version: int
    timestamp: str
    organization_id: str
    workspace_id: str
    data: msgspec.Struct


def body(event: Event) -> bytes:
    """The JSON that is sent and signed; made once per event."""
    known = EVENTS[event.type]
    assert isinstance(event.data, known.shape), f"{event.type} carries {known.shape.__name__}"
    timestamp = f"{iso(event.created_at_ms // 1000)[:-1]}.{event.created_at_ms % 1000:03d}Z"
    return msgspec.json.encode(
        _Envelope(event.id, event.type, known.version, timestamp, event.organization_id, event.workspace_id, event.data)
    )


def iso(at: int) -> str:
    """ISO 8601 of unix seconds, UTC: `2026-11-24T12:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def plain(data: msgspec.Struct) -> JSONObject:
    """The members of an event's data as plain JSON values."""
    found: JSONObject = msgspec.to_builtins(data)
    return found
