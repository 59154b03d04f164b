"""`/admin/plans`, and the plan and overrides of an organization: what operators sell, to whom, and on which terms."""

import logging
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import AskedBody, Instant, Operator, body_of, documented, iso, said
from tollway.api.limits import AllowedModels, OverLimitEntry, Tier, models_of, tier_of, too_much
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField
from tollway.plans.difference import Value
from tollway.plans.overrides import Overrides
from tollway.store import EmbeddedStore
from tollway.store.census import of_organization, of_workspace
from tollway.store.plan_rows import Override, PlanChange, Subscription
from tollway.store.plans import Migration

Name = Annotated[str, Field(min_length=1, max_length=100)]
Reason = Annotated[str, Field(min_length=1, max_length=500, description="For the history.")]
_log = logging.getLogger("tollway.admin")


class PlanChoice(AskedBody):
    """A plan for an organization, in the version that is sold now."""

    plan: Name
    reason: Reason


class OverridesChoice(AskedBody):
    """All that is agreed beyond the plan; what is left out is as the plan says. Margins are basis points."""

    limits: dict[str, int] = Field(
        default_factory=dict[str, int], max_length=100, description="-1: no limit, 0: not available."
    )
    features: dict[str, bool] = Field(default_factory=dict[str, bool], max_length=100)
    margins_bps: dict[str, int] = Field(
        default_factory=dict[str, int], max_length=10, description="`direct`, `auto`, `tier`."
    )
    reason: Reason
    until: Annotated[Instant | None, Field(description="ISO 8601 with its offset; left out: for good.")] = None


class MigrationOrder(AskedBody):
    """Bring subscriptions to the version that is sold now: of one plan, of one organization, or all."""

    preview: Annotated[bool, Field(description="Tell what would change, and change nothing.")] = True
    plan: Name | None = None
    organization: Name | None = None
    reason: Reason = "A new version of the plan"


class PlanEntry(msgspec.Struct):
    """A plan that is sold now. subscribers: organizations on it, in whatever version."""

    tier: Tier
    margins_bps: dict[str, int]
    subscribers: int


class PlanList(msgspec.Struct):
    """The catalogue in force, smallest plan first."""

    data: list[PlanEntry]
    catalogue: str
    file: str
    default_plan: str
    outdated: int


class SubscriptionEntry(msgspec.Struct):
    """The version of a plan that an organization is on. outdated: another version is sold now."""

    plan: str
    name: str
    catalogue: str
    version: str
    since: str
    changed_by: str
    reason: str
    outdated: bool


class OverridesEntry(msgspec.Struct):
    """What is agreed beyond the plan. until: null for good."""

    limits: dict[str, int]
    features: dict[str, bool]
    margins_bps: dict[str, int]
    since: str
    until: str | None
    actor: str
    reason: str


class PlanChangeEntry(msgspec.Struct):
    """Who changed what, when and why."""

    kind: str
    before: msgspec.Raw
    after: msgspec.Raw
    actor: str
    reason: str
    at: str


class OrganizationPlan(msgspec.Struct):
    """What an organization may do: its plan, what is agreed beyond it, what comes of both, and what is over it."""

    organization_id: str
    subscription: SubscriptionEntry | None
    overrides: OverridesEntry | None
    limits: dict[str, int]
    features: dict[str, bool]
    allowed_models: AllowedModels
    margins_bps: dict[str, int]
    over_limit: list[OverLimitEntry]
    history: list[PlanChangeEntry]


class OrganizationPlanReply(msgspec.Struct):
    """The plan of an organization."""

    data: OrganizationPlan


class OverridesReply(msgspec.Struct):
    """What is agreed beyond the plan; null if nothing is."""

    data: OverridesEntry | None


class DifferenceEntry(msgspec.Struct):
    """A value that differs; null where it is not said."""

    what: str
    before: Value
    after: Value


class MigrationEntry(msgspec.Struct):
    """A subscription that is not on the version sold now. after: null where there is no such plan any more."""

    organization_id: str
    plan: str
    before: str
    after: str | None
    differences: list[DifferenceEntry]


class MigrationList(msgspec.Struct):
    """What would change, or has changed. is_preview: nothing was changed."""

    data: list[MigrationEntry]
    is_preview: bool


REPLIES: tuple[type[msgspec.Struct], ...] = (PlanList, OrganizationPlanReply, OverridesReply, MigrationList)
BODIES = (PlanChoice, OverridesChoice, MigrationOrder)


class AdminPlans:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._store = rooms.store

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        plan, agreed = "/admin/organizations/{organization_id}/plan", "/admin/organizations/{organization_id}/overrides"
        add("/admin/plans", self.plans, methods=["GET"], **documented(PlanList))
        add("/admin/plans/migrate", self.migrate, methods=["POST"], **documented(MigrationList, body=MigrationOrder))
        add(plan, self.plan, methods=["GET"], **documented(OrganizationPlanReply))
        add(plan, self.set_plan, methods=["PUT"], **documented(OrganizationPlanReply, body=PlanChoice))
        add(agreed, self.overrides, methods=["GET"], **documented(OverridesReply))
        add(agreed, self.set_overrides, methods=["PUT"], **documented(OrganizationPlanReply, body=OverridesChoice))
        add(agreed, self.drop_overrides, methods=["DELETE"], **documented(OrganizationPlanReply))

    async def plans(self, _: Operator) -> Response:
        """The plans that are sold now, and how many organizations are on each."""
        plans = self._store.plans
        catalogue, subscribers = plans.catalogue, plans.subscribers()
        entries = [
            PlanEntry(tier_of(plan, catalogue.name), dict(plan.margins_bps), subscribers.get(plan.id, 0))
            for plan in catalogue.plans
        ]
        return said(PlanList(entries, catalogue.name, catalogue.file, catalogue.default_id, len(plans.outdated())))

    async def plan(self, _: Operator, organization_id: str) -> Response:
        """The plan of an organization, what is agreed beyond it, and its history."""
        return await self._told(organization_id)

    async def set_plan(
        self, operator: Operator, organization_id: str, asked: Annotated[PlanChoice, body_of(PlanChoice)]
    ) -> Response:
        """Put an organization on a plan; in force at once. Nothing is deleted: what is over its limits is told."""
        await self._store.plans.set_plan(organization_id, asked.plan, actor=operator, reason=asked.reason)
        _log.info("operator %s put organization %s on %s: %s", operator, organization_id, asked.plan, asked.reason)
        return await self._told(organization_id)

    async def overrides(self, _: Operator, organization_id: str) -> Response:
        """What is agreed with an organization beyond its plan."""
        return said(OverridesReply(_overrides(self._store.plans.override(organization_id))))

    async def set_overrides(
        self, operator: Operator, organization_id: str, asked: Annotated[OverridesChoice, body_of(OverridesChoice)]
    ) -> Response:
        """Replace what is agreed with an organization beyond its plan; in force at once."""
        agreed = Overrides(limits=asked.limits, features=asked.features, margins_bps=asked.margins_bps)
        if agreed.is_empty:
            raise InvalidField("name at least one of `limits`, `features`, `margins_bps`; DELETE takes all away")
        until = None if asked.until is None else int(asked.until.timestamp())
        await self._store.plans.set_overrides(organization_id, agreed, actor=operator, reason=asked.reason, until=until)
        _log.info("operator %s changed the overrides of organization %s: %s", operator, organization_id, asked.reason)
        return await self._told(organization_id)

    async def drop_overrides(self, operator: Operator, organization_id: str) -> Response:
        """Take away what is agreed beyond the plan; in force at once."""
        await self._store.plans.set_overrides(organization_id, None, actor=operator, reason="Taken away")
        _log.info("operator %s took the overrides of organization %s away", operator, organization_id)
        return await self._told(organization_id)

    async def migrate(self, operator: Operator, asked: Annotated[MigrationOrder, body_of(MigrationOrder)]) -> Response:
        """Bring subscriptions to the version that is sold now, or tell what that would change."""
        plans = self._store.plans
        if asked.plan is not None:
            plans.catalogue.plan(asked.plan)
        if asked.preview:
            found = plans.outdated(asked.plan, asked.organization)
        else:
            found = await plans.migrate(asked.plan, asked.organization, actor=operator, reason=asked.reason)
            _log.info("operator %s migrated %d subscriptions: %s", operator, len(found), asked.reason)
        return said(migrations(found, is_preview=asked.preview))

    async def _told(self, organization_id: str) -> Response:
        return said(OrganizationPlanReply(await organization_plan(self._store, organization_id)))


async def organization_plan(store: EmbeddedStore, organization_id: str) -> OrganizationPlan:
    """Everything about the plan of an organization. Raises NotFound."""
    plans = store.plans
    held, grants = plans.subscription(organization_id), plans.grants(organization_id)
    excess = too_much(grants, of_organization(store, organization_id), None)
    for workspace in store.workspaces.live_workspaces(organization_id):
        excess += too_much(grants, of_workspace(store, workspace.id), workspace.id)
    return OrganizationPlan(
        organization_id,
        None
        if held is None
        else _subscription(held, is_outdated=bool(plans.outdated(organization_id=organization_id))),
        _overrides(plans.override(organization_id)),
        dict(grants.limits),
        dict(grants.features),
        models_of(grants),
        dict(grants.margins_bps),
        excess,
        [_change(one) for one in await plans.history(organization_id)],
    )


def migrations(found: list[Migration], *, is_preview: bool) -> MigrationList:
    """What would change, or has changed."""
    entries = [
        MigrationEntry(
            one.organization_id,
            one.before.plan.id,
            one.before.plan.version,
            None if one.after is None else one.after.version,
            [DifferenceEntry(*told) for told in one.differences],
        )
        for one in found
    ]
    return MigrationList(entries, is_preview)


def _subscription(one: Subscription, *, is_outdated: bool) -> SubscriptionEntry:
    plan = one.plan
    since = iso(one.since * 1000)
    return SubscriptionEntry(
        plan.id, plan.name, one.catalogue, plan.version, since, one.changed_by, one.reason, is_outdated
    )


def _overrides(one: Override | None) -> OverridesEntry | None:
    if one is None:
        return None
    values, until = one.values, None if one.until is None else iso(one.until * 1000)
    return OverridesEntry(
        dict(values.limits),
        dict(values.features),
        dict(values.margins_bps),
        iso(one.since * 1000),
        until,
        one.actor,
        one.reason,
    )


def _change(one: PlanChange) -> PlanChangeEntry:
    change = one.change
    return PlanChangeEntry(one.kind, change["before"], change["after"], one.actor, one.reason, iso(one.at * 1000))
