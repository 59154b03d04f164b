"""Plans of organizations: kept in tables, served from memory, one dictionary lookup per request.

A subscription pins a version of a plan. A file that changes is in force at once for what is sold next, and reaches an
existing subscription only when the operator migrates it.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection
from typing import NamedTuple

from tollway.errors import ConfigurationError, InvalidField, LedgerUnavailable, NotFound
from tollway.plans import entitlement
from tollway.plans.difference import Difference, between, differences
from tollway.plans.grants import Grants
from tollway.plans.overrides import Overrides, check_overrides, grants_of
from tollway.plans.plan import Plan, PlanCatalogue
from tollway.plans.source import PlanSource
from tollway.ports import Clock
from tollway.store import plan_rows
from tollway.store.ledger import EmbeddedLedger
from tollway.store.plan_rows import Kind, Override, PlanChange, Subscription, effective
from tollway.store.reader import Reader
from tollway.store.sqlite import Params

HISTORY_MAX = 100
UNTIL_MAX = 253_370_764_799
"""The last second of the year 9998: later ones cannot be written as a date in every time zone."""
_BEFORE = "SELECT organization_id FROM organizations_before_plans"
_log = logging.getLogger("tollway.plans")


def _untold(*_: object) -> list[tuple[str, Params]]:
    """Nobody wants to be told."""
    return []


class Migration(NamedTuple):
    """A subscription that is not on the version in force. after: None where the catalogue in force has no such plan."""

    organization_id: str
    before: Subscription
    after: Plan | None
    differences: tuple[Difference, ...]


class Plans:
    """What organizations may do. Reads are from memory; every change returns when it is on disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        reader: Reader,
        *,
        clock: Clock,
        source: PlanSource,
        organizations: Callable[[], Collection[str]],
    ) -> None:
        """`connection` is read from, and brought up to date, once, here. `organizations`: ids of all there are."""
        self._ledger, self._reader, self._clock = ledger, reader, clock
        self._source, self._organizations = source, organizations
        now = int(clock.now())
        _adopt(connection, source.catalogue, now)
        self._subscriptions = plan_rows.subscriptions(connection)
        self._overrides = plan_rows.overrides(connection)
        self._grants = dict[str, Grants]()
        self.tell: Callable[[str, str, str | None, str], list[tuple[str, Params]]] = _untold
        """What else is written with a change of plan (organization, plan, plan before, reason): events for webhooks."""
        self._catalogue = source.catalogue
        self._default = grants_of(source.catalogue.default_plan, source.catalogue.name)
        for organization_id in self._subscriptions.keys() | self._overrides.keys():
            self._know(organization_id)

    # --- what is in force ---

    @property
    def catalogue(self) -> PlanCatalogue:
        """The plans that are sold now."""
        return self._catalogue

    @property
    def upgrade_url(self) -> str:
        """Where a customer can buy a larger plan; "" if nowhere."""
        return self._source.upgrade_url

    def grants(self, organization_id: str) -> Grants:
        """What the organization may do now. One without a subscription has the default plan."""
        return self._grants.get(organization_id, self._default)

    def require_room(
        self, organization_id: str, name: str, current: int, adding: int = 1, *, param: str | None = None
    ) -> None:
        """See `entitlement.require_room`. Raises TierLimitExceeded."""
        grants, url = self.grants(organization_id), self.upgrade_url
        entitlement.require_room(grants, self._catalogue, name, current, adding, upgrade_url=url, param=param)

    def require_feature(self, organization_id: str, name: str, *, param: str | None = None) -> None:
        """See `entitlement.require_feature`. Raises TierLimitExceeded."""
        grants, url = self.grants(organization_id), self.upgrade_url
        entitlement.require_feature(grants, self._catalogue, name, upgrade_url=url, param=param)

    def subscription(self, organization_id: str) -> Subscription | None:
        """The pinned plan; None for an organization that has only just been made. Raises NotFound."""
        self._check_organization(organization_id)
        return self._subscriptions.get(organization_id)

    def override(self, organization_id: str) -> Override | None:
        """What was agreed beyond the plan and has not ended. Raises NotFound."""
        self._check_organization(organization_id)
        found = self._overrides.get(organization_id)
        return None if found is None or found.has_ended(self._clock.now()) else found

    def subscribers(self) -> dict[str, int]:
        """Plan id -> organizations whose subscription it is, of whatever version and catalogue."""
        found = dict[str, int]()
        for one in self._subscriptions.values():
            found[one.plan.id] = found.get(one.plan.id, 0) + 1
        return found

    async def history(self, organization_id: str, limit: int = HISTORY_MAX) -> list[PlanChange]:
        """Who changed what, when and why, newest first. Raises NotFound."""
        self._check_organization(organization_id)
        return await self._reader.run(plan_rows.changes, organization_id, limit)

    # --- changes ---

    async def set_plan(self, organization_id: str, plan_id: str, *, actor: str, reason: str) -> Subscription:
        """Put an organization on a plan, in the version that is sold now; in force at once. Nothing is ever deleted.

        Args:
            actor: who does it, such as an operator's id. reason: for the history.

        Raises:
            NotFound: no such organization. InvalidField: no such plan.
        """
        self._check_organization(organization_id)
        return await self._subscribe(organization_id, self._catalogue.plan(plan_id), "plan", actor, reason)

    async def set_overrides(
        self, organization_id: str, overrides: Overrides | None, *, actor: str, reason: str, until: int | None = None
    ) -> Grants:
        """Replace what is agreed beyond the plan; in force at once. What comes of it.

        Args:
            overrides: all of them; None or empty takes them away.
            until: unix seconds when they end; None means for good.

        Raises:
            NotFound: no such organization. InvalidField: a name that the plan has not, a value out of range, or `until`
                has passed.
        """
        now = int(self._clock.now())
        self._check_organization(organization_id)
        if until is not None and not now < until <= UNTIL_MAX:
            problem = "has passed" if until <= now else "is after the year 9998"
            raise InvalidField(f"`until` {problem}; leave it out for overrides without an end", param="until")
        held = self._subscriptions.get(organization_id)
        check_overrides(overrides or Overrides(), self._catalogue.default_plan if held is None else held.plan)
        old = self._overrides.get(organization_id)
        new: Override | None = None
        if overrides is not None and not overrides.is_empty:
            new = Override(organization_id, overrides, now, until, actor, reason)
        before, after = (None if one is None else {"values": one.values, "until": one.until} for one in (old, new))
        self._agree(organization_id, new)
        try:
            await self._ledger.execute(
                plan_rows.unoverridden(organization_id) if new is None else plan_rows.overridden(new),
                plan_rows.changed(organization_id, "overrides", before, after, actor=actor, reason=reason, at=now),
            )
        except LedgerUnavailable:
            self._agree(organization_id, old)
            raise
        return self.grants(organization_id)

    def outdated(self, plan_id: str | None = None, organization_id: str | None = None) -> list[Migration]:
        """Subscriptions that are not on the version sold now, of one plan or organization or of all.

        Raises:
            NotFound: no such organization.
        """
        if organization_id is not None:
            self._check_organization(organization_id)
        found = list[Migration]()
        for one in self._subscriptions.values():
            if plan_id not in {None, one.plan.id} or organization_id not in {None, one.organization_id}:
                continue
            after = self._catalogue.find(one.plan.id)
            if after is None or after.version != one.plan.version or one.catalogue != self._catalogue.name:
                told = () if after is None else differences(one.plan, after)
                found.append(Migration(one.organization_id, one, after, told))
        return sorted(found, key=lambda one: one.organization_id)

    async def migrate(
        self, plan_id: str | None = None, organization_id: str | None = None, *, actor: str, reason: str
    ) -> list[Migration]:
        """Bring subscriptions to the version that is sold now; what was done, and what could not be (after is None)."""
        found = self.outdated(plan_id, organization_id)
        for one in found:
            if one.after is not None:
                await self._subscribe(one.organization_id, one.after, "migration", actor, reason)
        return found

    # --- what passes with time ---

    async def tick(self) -> None:
        """What must be done every second: end overrides, pin the plans of new organizations, look at the file."""
        now = self._clock.now()
        for organization_id, one in list(self._overrides.items()):
            if one.has_ended(now):
                # The row stays until it is replaced: it says until when it held.
                self._agree(organization_id, None)
                _log.info("the overrides of organization %s have ended", organization_id)
        try:
            await self._pin_newcomers()
            if self._source.may_change:
                await self._reread()
        except LedgerUnavailable:
            pass  # the next tick tries again

    async def _pin_newcomers(self) -> None:
        """An organization keeps the terms that it came under, though the file may change tomorrow."""
        organizations = self._organizations()
        if len(organizations) <= len(self._subscriptions):
            return
        plan = self._catalogue.default_plan
        for organization_id in [one for one in organizations if one not in self._subscriptions]:
            await self._subscribe(organization_id, plan, "plan", "tollway", "Sign-up", is_new=True)

    async def _reread(self) -> None:
        old = self._catalogue
        try:
            found = await asyncio.to_thread(self._source.changed)
        except ConfigurationError as wrong:
            _log.error("the plans stay as they were: %s", wrong)
            return
        if found is None:
            return
        self._catalogue = found
        self._default = grants_of(found.default_plan, found.name)
        for organization_id in self._overrides.keys() - self._subscriptions.keys():
            self._know(organization_id)
        told = between(old, found)
        if told:
            later = len(self.outdated())
            _log.info(
                "plans of %s are in force, changed: %s; %d subscriptions keep their version until `tollway plans migrate`",
                found.file,
                ", ".join(told),
                later,
            )

    # --- inside ---

    async def _subscribe(
        self, organization_id: str, plan: Plan, kind: Kind, actor: str, reason: str, *, is_new: bool = False
    ) -> Subscription:
        now, catalogue = int(self._clock.now()), self._catalogue.name
        old = self._subscriptions.get(organization_id)
        if is_new and old is not None:
            return old
        new = Subscription(organization_id, catalogue, plan, now, actor, reason)
        told = plan_rows.changed(
            organization_id, kind, plan_rows.name_of(old), plan_rows.name_of(new), actor=actor, reason=reason, at=now
        )
        # In memory first, so that two changes at once end in the order in which they are written.
        self._put(organization_id, new)
        try:
            events = self.tell(organization_id, plan.id, None if old is None else old.plan.id, reason)
            await self._ledger.execute(plan_rows.seen(catalogue, plan, now), plan_rows.subscribed(new), told, *events)
        except LedgerUnavailable:
            self._put(organization_id, old)
            raise
        return new

    def _put(self, organization_id: str, one: Subscription | None) -> None:
        if one is None:
            self._subscriptions.pop(organization_id, None)
        else:
            self._subscriptions[organization_id] = one
        self._know(organization_id)

    def _agree(self, organization_id: str, one: Override | None) -> None:
        if one is None:
            self._overrides.pop(organization_id, None)
        else:
            self._overrides[organization_id] = one
        self._know(organization_id)

    def _know(self, organization_id: str) -> None:
        """Make the organization's grants anew."""
        held, agreed = self._subscriptions.get(organization_id), self._overrides.get(organization_id)
        if held is None and agreed is None:
            self._grants.pop(organization_id, None)
        else:
            self._grants[organization_id] = effective(held, agreed, self._catalogue, self._clock.now())

    def _check_organization(self, organization_id: str) -> None:
        if organization_id not in self._organizations():
            raise NotFound(f"there is no organization {organization_id}")


def _adopt(connection: sqlite3.Connection, catalogue: PlanCatalogue, now: int) -> None:
    """Put who was here before there were plans on the highest one; before the first request, by its own transaction."""
    found = [str(row[0]) for row in connection.execute(_BEFORE)]
    if not found:
        return
    plan, reason = catalogue.highest, "Was here before there were plans"
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(*plan_rows.seen(catalogue.name, plan, now))
        for organization_id in found:
            new = Subscription(organization_id, catalogue.name, plan, now, "tollway", reason)
            connection.execute(*plan_rows.subscribed(new))
            after = plan_rows.name_of(new)
            connection.execute(
                *plan_rows.changed(organization_id, "plan", None, after, actor="tollway", reason=reason, at=now)
            )
        connection.execute("DELETE FROM organizations_before_plans")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
