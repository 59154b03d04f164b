"""Subscriptions, overrides and their history as rows: read by the owner at start, and by the command line beside it."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from tollway.plans.grants import Grants
from tollway.plans.overrides import Overrides, grants_of
from tollway.plans.plan import Plan, PlanCatalogue, plan_of
from tollway.store.sqlite import Params

Kind = Literal["plan", "migration", "overrides"]
Statement = tuple[str, Params]
_SUBSCRIPTIONS = """
SELECT s.organization_id, s.catalogue, v.document, s.since, s.changed_by, s.reason
FROM subscriptions AS s JOIN plan_versions AS v USING (catalogue, plan_id, version)
"""
_OVERRIDES = "SELECT organization_id, document, since, until, actor, reason FROM overrides"
_CHANGES = """
SELECT kind, change, actor, reason, at FROM plan_changes WHERE organization_id = ? ORDER BY seq DESC LIMIT ?
"""
_SEEN = """
INSERT INTO plan_versions (catalogue, plan_id, version, document, first_seen) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_SUBSCRIBE = """
INSERT INTO subscriptions (organization_id, catalogue, plan_id, version, since, changed_by, reason)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (organization_id) DO UPDATE SET catalogue = excluded.catalogue, plan_id = excluded.plan_id,
  version = excluded.version, since = excluded.since, changed_by = excluded.changed_by, reason = excluded.reason
"""
_OVERRIDE = """
INSERT INTO overrides (organization_id, document, since, until, actor, reason) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (organization_id) DO UPDATE SET document = excluded.document, since = excluded.since,
  until = excluded.until, actor = excluded.actor, reason = excluded.reason
"""
_CHANGE = """
INSERT INTO plan_changes (organization_id, kind, change, actor, reason, at) VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The plan version that an organization is on. since: unix seconds. changed_by: who put it there, and why."""

    organization_id: str
    catalogue: str
    plan: Plan
    since: int
    changed_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """What was agreed beyond the plan. since, until: unix seconds; until None: for good."""

    organization_id: str
    values: Overrides
    since: int
    until: int | None
    actor: str
    reason: str

    def has_ended(self, now: float) -> bool:
        """It holds no more."""
        return self.until is not None and self.until <= now


class PlanChange(NamedTuple):
    """An entry of the history. change: `before` and `after`, as JSON values. at: unix seconds."""

    kind: Kind
    change: Mapping[str, msgspec.Raw]
    actor: str
    reason: str
    at: int


_CHANGE_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def subscriptions(connection: sqlite3.Connection) -> dict[str, Subscription]:
    """Organization -> its subscription, of those that have one."""
    plans = dict[str, Plan]()  # one object per version, however many organizations are on it
    found = dict[str, Subscription]()
    for organization_id, catalogue, document, *rest in connection.execute(_SUBSCRIPTIONS):
        plan = plans.get(document) or plans.setdefault(document, plan_of(document))
        found[organization_id] = Subscription(organization_id, catalogue, plan, *rest)
    return found


def overrides(connection: sqlite3.Connection) -> dict[str, Override]:
    """Organization -> its overrides, ended ones too."""
    return {
        row[0]: Override(row[0], msgspec.json.decode(row[1], type=Overrides), *row[2:])
        for row in connection.execute(_OVERRIDES)
    }


def changes(connection: sqlite3.Connection, organization_id: str, limit: int) -> list[PlanChange]:
    """The history of an organization, newest first, at most so many."""
    return [
        PlanChange(kind, _CHANGE_DECODER.decode(change), actor, reason, at)
        for kind, change, actor, reason, at in connection.execute(_CHANGES, (organization_id, limit))
    ]


def effective(
    subscription: Subscription | None, override: Override | None, catalogue: PlanCatalogue, now: float
) -> Grants:
    """What is in force: the pinned version, else the catalogue's default plan; with overrides that have not ended."""
    values = Overrides() if override is None or override.has_ended(now) else override.values
    if subscription is None:
        return grants_of(catalogue.default_plan, catalogue.name, values)
    return grants_of(subscription.plan, subscription.catalogue, values)


# --- statements ---


def seen(catalogue: str, plan: Plan, now: int) -> Statement:
    """Keep a version of a plan, if it is not kept yet."""
    return _SEEN, (catalogue, plan.id, plan.version, plan.document.decode(), now)


def subscribed(one: Subscription) -> Statement:
    """Put an organization on a version that is kept."""
    plan = one.plan
    row = (one.organization_id, one.catalogue, plan.id, plan.version, one.since, one.changed_by, one.reason)
    return _SUBSCRIBE, row


def overridden(one: Override) -> Statement:
    """Replace an organization's overrides."""
    document = msgspec.json.encode(one.values, order="deterministic").decode()
    return _OVERRIDE, (one.organization_id, document, one.since, one.until, one.actor, one.reason)


def unoverridden(organization_id: str) -> Statement:
    """Take an organization's overrides away."""
    return "DELETE FROM overrides WHERE organization_id = ?", (organization_id,)


def changed(
    organization_id: str, kind: Kind, before: object, after: object, *, actor: str, reason: str, at: int
) -> Statement:
    """An entry of the history. before, after: anything that JSON can say."""
    change = msgspec.json.encode({"before": before, "after": after}).decode()
    return _CHANGE, (organization_id, kind, change, actor, reason, at)


def name_of(one: Subscription | None) -> dict[str, str] | None:
    """A subscription as the history names it."""
    if one is None:
        return None
    return {"catalogue": one.catalogue, "plan": one.plan.id, "version": one.plan.version}
