"""`/v1/alerts`: what a workspace was told about its thresholds, and what it wants to be told."""

from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.alerts.alert import Alert
from tollway.alerts.events import EVENTS
from tollway.alerts.thresholds import PERCENTS_MAX, AlertSettings
from tollway.api.acting import acting
from tollway.api.edge import AskedBody, Money, Page, body_of, documented, iso, said, usd
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField
from tollway.jsontypes import JSONObject
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]
WorkspacesActor = Annotated[Actor, acting("workspaces")]
Kind = Literal["budget.threshold", "tokens.threshold", "storage.threshold", "balance.low", "webhook.disabled"]
Percents = Annotated[
    list[int] | None,
    Field(max_length=PERCENTS_MAX, description="Percent of the limit; an empty list: none. Left out: unchanged."),
]


class AlertsQuery(Page):
    """Filters of the list."""

    type: Annotated[Kind | None, Field(description="Only these.")] = None


class NewAlertSettings(AskedBody):
    """What to be told; what is left out stays."""

    budget_percent: Percents = None
    tokens_percent: Percents = None
    storage_percent: Percents = None
    low_balance_usd: Annotated[Money | None, Field(description="0: only when the wallet is empty.")] = None
    email: bool | None = None


class AlertEntry(msgspec.Struct):
    """A threshold that was passed. data: as in the webhook of this type.

    mail: `none`, not wanted; `due`; `sent`; `failed`. cleared_at: when a balance or a storage was on the other side again.
    """

    id: str
    type: str
    data: JSONObject
    mail: str
    created_at: str
    cleared_at: str | None


class AlertList(msgspec.Struct):
    """The alerts of a workspace, newest first."""

    data: list[AlertEntry]
    has_more: bool
    next_cursor: str | None


class AlertSettingsEntry(msgspec.Struct):
    """What a workspace is told about. *_percent: of the limit. email: to owners, admins and billing members."""

    budget_percent: list[int]
    tokens_percent: list[int]
    storage_percent: list[int]
    low_balance_usd: str
    email: bool


class AlertSettingsReply(msgspec.Struct):
    """The settings of a workspace."""

    data: AlertSettingsEntry


REPLIES: tuple[type[msgspec.Struct], ...] = (AlertList, AlertSettingsReply)
BODIES = (NewAlertSettings,)
assert {one.name for one in EVENTS.values() if one.is_alert} == set(Kind.__args__)


class Alerts:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._store = rooms.store.alerts

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["alerts"])
        add("/v1/alerts", self.recent, methods=["GET"], **documented(AlertList))
        add("/v1/alerts/settings", self.settings, methods=["GET"], **documented(AlertSettingsReply))
        changed = documented(AlertSettingsReply, body=NewAlertSettings)
        add("/v1/alerts/settings", self.set_settings, methods=["PUT"], **changed)

    async def recent(self, actor: UsageActor, asked: Annotated[AlertsQuery, Query()]) -> Response:
        """What the workspace was told, newest first."""
        found = await self._store.recent(
            actor.workspace_id, limit=asked.limit, after=asked.after or "", kind=asked.type or ""
        )
        cursor = found.next_cursor or None
        return said(AlertList([_entry(one) for one in found.alerts], cursor is not None, cursor))

    async def settings(self, actor: UsageActor) -> Response:
        """What the workspace wants to be told."""
        return said(AlertSettingsReply(_settings(self._store.settings(actor.workspace_id))))

    async def set_settings(
        self, actor: WorkspacesActor, asked: Annotated[NewAlertSettings, body_of(NewAlertSettings)]
    ) -> Response:
        """Change what the workspace wants to be told; in force within a minute."""
        old = self._store.settings(actor.workspace_id)
        if asked.low_balance_usd is not None and asked.low_balance_usd < 0:
            raise InvalidField("`low_balance_usd`: a balance is zero or more", param="low_balance_usd")

        def percents(new: list[int] | None, kept: tuple[int, ...]) -> tuple[int, ...]:
            return kept if new is None else tuple(new)

        settings = AlertSettings(
            budget_percent=percents(asked.budget_percent, old.budget_percent),
            tokens_percent=percents(asked.tokens_percent, old.tokens_percent),
            storage_percent=percents(asked.storage_percent, old.storage_percent),
            low_balance_nano=old.low_balance_nano if asked.low_balance_usd is None else asked.low_balance_usd,
            email=old.email if asked.email is None else asked.email,
        )
        return said(AlertSettingsReply(_settings(await self._store.set_settings(actor.workspace_id, settings))))


def _entry(one: Alert) -> AlertEntry:
    cleared = None if one.cleared_at is None else iso(one.cleared_at * 1000)
    return AlertEntry(one.id, one.kind, one.data, one.mail, iso(one.created_at_ms), cleared)


def _settings(one: AlertSettings) -> AlertSettingsEntry:
    return AlertSettingsEntry(
        list(one.budget_percent),
        list(one.tokens_percent),
        list(one.storage_percent),
        usd(one.low_balance_nano),
        one.email,
    )
