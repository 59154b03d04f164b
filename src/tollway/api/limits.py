"""`/v1/limits`, `/v1/limits/tiers`: what a workspace may do and has used, and what each plan would allow.

The field names are those of the API reference; -1 is no limit, 0 is not available. What is beyond them comes after.
"""

import hashlib
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import documented, encoded, said
from tollway.api.rooms import Rooms
from tollway.plans.entitlement import effect, over, why
from tollway.plans.grants import Grants
from tollway.plans.overrides import grants_of
from tollway.plans.plan import Plan, PlanCatalogue
from tollway.ports import Counted
from tollway.store.census import of_organization, of_workspace
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]
AllowedModels = Literal["all"] | list[str]
_MINUTE_S, _DAY_S = 60, 86_400
_CACHED = "public, max-age=86400"


class LimitsUsage(msgspec.Struct):
    """What the workspace has and has used; tokens include what running requests have reserved. Windows are of UTC."""

    assistants: int
    storage_bytes: int
    storage_mb: int
    requests_this_minute: int
    tokens_today: int
    requests_today: int
    web_search_this_minute: int
    file_search_this_minute: int
    api_keys: int
    workspaces: int
    members: int
    routing_profiles: int


class OverLimitEntry(msgspec.Struct):
    """There is more of something than the plan allows, as after a downgrade. workspace_id: null of the organization."""

    limit: str
    allowed: int
    current: int
    effect: str
    reason: str
    workspace_id: str | None


class Resets(msgspec.Struct):
    """When the windows end, unix seconds."""

    minute: int
    day: int


class Limits(msgspec.Struct):
    """What is in force for the calling workspace: its plan's values with what was agreed beyond it."""

    tier: str
    limits: dict[str, int]
    features: dict[str, bool]
    allowed_models: AllowedModels
    usage: LimitsUsage
    plan_name: str
    catalogue: str
    version: str
    over_limit: list[OverLimitEntry]
    resets: Resets
    upgrade_url: str | None


class LimitsReply(msgspec.Struct):
    """Limits, features and usage of the calling workspace."""

    data: Limits


class TierPrices(msgspec.Struct):
    """US cents per month, and per year paid at once."""

    month_cents: int
    year_cents: int


class Tier(msgspec.Struct):
    """A plan that is sold now. prices: null where it is sold by talking. version: of its content."""

    id: str
    name: str
    limits: dict[str, int]
    features: dict[str, bool]
    allowed_models: AllowedModels
    prices: TierPrices | None
    trial_days: int
    version: str


class TierList(msgspec.Struct):
    """The plans, smallest first."""

    data: list[Tier]
    catalogue: str


REPLIES: tuple[type[msgspec.Struct], ...] = (LimitsReply, TierList)


class LimitReports:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._told: tuple[PlanCatalogue, bytes, str] | None = None

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["limits"], methods=["GET"])
        add("/v1/limits", self.limits, **documented(LimitsReply))
        add("/v1/limits/tiers", self.tiers, openapi_extra={"security": []}, **documented(TierList))

    async def limits(self, actor: UsageActor) -> Response:
        """What the workspace may do and has used, what of it is too much, and when its windows end."""
        rooms, now = self._rooms, int(self._rooms.clock.now())
        grants, counts = rooms.store.plans.grants(actor.organization_id), of_workspace(rooms.store, actor.workspace_id)
        shared = of_organization(rooms.store, actor.organization_id)
        excess = too_much(grants, counts, actor.workspace_id) + too_much(grants, shared, None)
        return said(
            LimitsReply(
                Limits(
                    tier=grants.plan_id,
                    limits=dict(grants.limits),
                    features=dict(grants.features),
                    allowed_models=models_of(grants),
                    usage=_usage(await _counters(rooms, actor.workspace_id), {**counts, **shared}),
                    plan_name=grants.plan_name,
                    catalogue=grants.catalogue,
                    version=grants.version,
                    over_limit=excess,
                    resets=Resets((now // _MINUTE_S + 1) * _MINUTE_S, (now // _DAY_S + 1) * _DAY_S),
                    upgrade_url=rooms.store.plans.upgrade_url or None,
                )
            )
        )

    async def tiers(self, request: Request) -> Response:
        """Every plan that is sold now; needs no key. To be kept for a day; the ETag changes with the plans."""
        body, tag = self._tiers()
        headers = {"cache-control": _CACHED, "etag": tag}
        if _matches(request.headers.get("if-none-match", ""), tag):
            return Response(None, 304, headers)
        return encoded(body, headers=headers)

    def _tiers(self) -> tuple[bytes, str]:
        """The answer and its ETag, made once per catalogue."""
        catalogue = self._rooms.store.plans.catalogue
        if self._told is None or self._told[0] is not catalogue:
            tiers = [tier_of(plan, catalogue.name) for plan in catalogue.plans]
            body = msgspec.json.encode(TierList(tiers, catalogue.name))
            self._told = (catalogue, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        return self._told[1], self._told[2]


async def _counters(rooms: Rooms, workspace_id: str) -> Counted:
    return await rooms.limiter.counted(workspace_id, rooms.clock.now())


def models_of(grants: Grants) -> AllowedModels:
    """As the API reference writes it."""
    return "all" if grants.allowed_models is None else sorted(grants.allowed_models)


def too_much(grants: Grants, counts: dict[str, int], workspace_id: str | None) -> list[OverLimitEntry]:
    """What is over its limit, what that means, and why."""
    return [
        OverLimitEntry(one.name, one.limit, one.current, effect(one), why(grants, one), workspace_id)
        for one in over(grants, counts)
    ]


def _usage(counted: Counted, counts: dict[str, int]) -> LimitsUsage:
    return LimitsUsage(
        # Nothing makes assistants or keeps documents in this version.
        assistants=0,
        storage_bytes=0,
        storage_mb=0,
        requests_this_minute=counted.requests_this_minute,
        tokens_today=counted.tokens_today,
        requests_today=counted.requests_today,
        web_search_this_minute=counted.web_search_this_minute,
        file_search_this_minute=counted.file_search_this_minute,
        api_keys=counts["api_keys"],
        workspaces=counts["workspaces"],
        members=counts["members"],
        routing_profiles=counts["routing_profiles"],
    )


def tier_of(plan: Plan, catalogue: str) -> Tier:
    """A plan as customers see it: without margins. `catalogue`: the name of its catalogue."""
    grants = grants_of(plan, catalogue)
    month, year = plan.month_cents, plan.year_cents
    return Tier(
        id=plan.id,
        name=plan.name,
        limits=dict(grants.limits),
        features=dict(grants.features),
        allowed_models=models_of(grants),
        prices=None if month is None or year is None else TierPrices(month, year),
        trial_days=plan.trial_days,
        version=plan.version,
    )


def _matches(asked: str, tag: str) -> bool:
    """An `If-None-Match` header names this ETag, strong or weak, or any."""
    names = [one.strip().removeprefix("W/") for one in asked.split(",")]
    return tag in names or "*" in names
