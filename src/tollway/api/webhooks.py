"""`/v1/webhooks`: where the events of a workspace are sent, the test button, what became of each delivery, and replay.

A secret is shown when it is made and when it is replaced, and never again.
"""

import logging
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.alerts.events import EVENTS
from tollway.alerts.webhook import Delivery, Endpoint
from tollway.api.acting import acting
from tollway.api.edge import AskedBody, Operator, Page, body_of, documented, iso, paged, said
from tollway.api.rooms import Rooms
from tollway.delivery.courier import Courier
from tollway.errors import InvalidField
from tollway.workspaces.actor import Actor

WebhooksActor = Annotated[Actor, acting("webhooks")]
Url = Annotated[str, Field(min_length=1, max_length=2_048, examples=["https://example.com/tollway"])]
Events = Annotated[
    list[str] | None, Field(min_length=1, max_length=50, description=f"Left out: all. Of {', '.join(EVENTS)}.")
]
Description = Annotated[str, Field(max_length=500)]
_log = logging.getLogger("tollway.webhooks")


class NewWebhook(AskedBody):
    """A webhook to make."""

    url: Url
    events: Events = None
    description: Description = ""
    enabled: bool = True


class WebhookChange(AskedBody):
    """What to change of a webhook; what is left out stays. `events`: null is all."""

    url: Url | None = None
    events: Events = None
    description: Description | None = None
    enabled: bool | None = None


class DeliveriesQuery(Page):
    """Filters of the list."""

    status: Annotated[Literal["pending", "delivered", "dead", "cancelled"] | None, Field(description="Only these.")] = (
        None
    )


class WebhookEntry(msgspec.Struct):
    """Where events are sent. events: null means all. disabled_reason: why it was switched off, when that was not asked.

    failing_since: the first failure after the last success. rotating_until: until then the replaced secret signs, too.
    """

    id: str
    url: str
    events: list[str] | None
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    rotating_until: str | None
    created_at: str


class WebhookList(msgspec.Struct):
    """The webhooks of a workspace, oldest first."""

    data: list[WebhookEntry]
    has_more: bool
    next_cursor: str | None


class WebhookReply(msgspec.Struct):
    """A webhook."""

    data: WebhookEntry


class MadeWebhook(msgspec.Struct):
    """A webhook with a new secret, `whsec_...`: shown now, never again."""

    data: WebhookEntry
    secret: str


class AttemptEntry(msgspec.Struct):
    """One try. status: of the response, null if there was none. response: its first 1,024 bytes."""

    number: int
    at: str
    status: int | None
    error: str | None
    latency_ms: int
    response: str


class DeliveryEntry(msgspec.Struct):
    """An event on its way to a webhook. event_id: what travels as `webhook-id`, the same at each try.

    status: `pending`; `delivered`; `dead`, given up; `cancelled`, its webhook was removed.
    """

    id: str
    webhook_id: str
    event_id: str
    event: str
    status: str
    attempts: int
    next_attempt_at: str | None
    created_at: str
    log: list[AttemptEntry]


class DeliveryList(msgspec.Struct):
    """Deliveries with their attempts, newest first."""

    data: list[DeliveryEntry]
    has_more: bool
    next_cursor: str | None


class DeliveryReply(msgspec.Struct):
    """A delivery."""

    data: DeliveryEntry


class WebhookTested(msgspec.Struct):
    """What the receiver of a test made of it. status: of its response, null if there was none."""

    delivered: bool
    status: int | None
    error: str | None
    latency_ms: int
    response: str
    delivery: DeliveryEntry


class WebhookTestReply(msgspec.Struct):
    """A test that was sent."""

    data: WebhookTested


REPLIES: tuple[type[msgspec.Struct], ...] = (
    WebhookReply, WebhookList, MadeWebhook, DeliveryList, DeliveryReply, WebhookTestReply
)  # fmt: skip
BODIES = (NewWebhook, WebhookChange)


class Webhooks:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store.webhooks
        self._courier = Courier(rooms.store.webhooks, rooms.store.deliveries, rooms.exchange, rooms.clock)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["webhooks"])
        one = "/v1/webhooks/{webhook_id}"
        add("/v1/webhooks", self.list_webhooks, methods=["GET"], **documented(WebhookList))
        add("/v1/webhooks", self.add, methods=["POST"], **documented(MadeWebhook, body=NewWebhook, status=201))
        add(one, self.show, methods=["GET"], **documented(WebhookReply))
        add(one, self.change, methods=["PATCH"], **documented(WebhookReply, body=WebhookChange))
        add(one, self.remove, methods=["DELETE"], **documented(WebhookReply))
        add("/v1/webhooks/{webhook_id}/rotate", self.rotate, methods=["POST"], **documented(MadeWebhook))
        add("/v1/webhooks/{webhook_id}/test", self.test, methods=["POST"], **documented(WebhookTestReply))
        add("/v1/webhooks/{webhook_id}/deliveries", self.deliveries, methods=["GET"], **documented(DeliveryList))
        replay = "/v1/webhooks/deliveries/{delivery_id}/replay"
        add(replay, self.replay, methods=["POST"], **documented(DeliveryReply))
        replay = "/admin/webhooks/deliveries/{delivery_id}/replay"
        router.add_api_route(replay, self.replay_any, methods=["POST"], **documented(DeliveryReply), tags=["admin"])

    async def list_webhooks(self, actor: WebhooksActor, page: Annotated[Page, Query()]) -> Response:
        """The webhooks of the workspace."""
        shown, more, cursor = paged(self._store.endpoints_of(actor.workspace_id), page, lambda one: one.id)
        return said(WebhookList([_entry(one) for one in shown], more, cursor))

    async def add(self, actor: WebhooksActor, asked: Annotated[NewWebhook, body_of(NewWebhook)]) -> Response:
        """Make a webhook. Its secret is in this answer and nowhere else."""
        self._rooms.exchange.target(asked.url)
        made, secret = await self._store.add(
            actor.workspace_id,
            url=asked.url,
            events=None if asked.events is None else frozenset(asked.events),
            description=asked.description,
            is_enabled=asked.enabled,
        )
        await self._note(actor, "webhook.create", made)
        return said(MadeWebhook(_entry(made), secret), 201)

    async def show(self, actor: WebhooksActor, webhook_id: str) -> Response:
        """One webhook of the workspace."""
        return said(WebhookReply(_entry(self._store.endpoint(webhook_id, actor.workspace_id))))

    async def change(
        self, actor: WebhooksActor, webhook_id: str, asked: Annotated[WebhookChange, body_of(WebhookChange)]
    ) -> Response:
        """Change a webhook; what is left out stays. Switching it on sends what was waiting."""
        old, given = self._store.endpoint(webhook_id, actor.workspace_id), asked.model_fields_set
        for name in ("url", "description", "enabled"):
            if name in given and getattr(asked, name) is None:
                raise InvalidField(f"`{name}`: null is no value; leave it out to keep it", param=name)
        if asked.url is not None:
            self._rooms.exchange.target(asked.url)
        wanted = None if asked.events is None else frozenset(asked.events)
        changed = await self._store.change(
            msgspec.structs.replace(
                old,
                url=old.url if asked.url is None else asked.url,
                events=wanted if "events" in given else old.events,
                description=old.description if asked.description is None else asked.description,
                is_enabled=old.is_enabled if asked.enabled is None else asked.enabled,
            )
        )
        await self._note(actor, "webhook.change", changed)
        return said(WebhookReply(_entry(changed)))

    async def remove(self, actor: WebhooksActor, webhook_id: str) -> Response:
        """Remove a webhook; what was on its way to it is cancelled."""
        removed = await self._store.remove(webhook_id, actor.workspace_id)
        await self._note(actor, "webhook.delete", removed)
        return said(WebhookReply(_entry(removed)))

    async def rotate(self, actor: WebhooksActor, webhook_id: str) -> Response:
        """Give a webhook a new secret, which is in this answer and nowhere else. For 24 hours the old one signs, too."""
        changed, secret = await self._store.rotate(webhook_id, actor.workspace_id)
        await self._note(actor, "webhook.rotate", changed)
        return said(MadeWebhook(_entry(changed), secret))

    async def test(self, actor: WebhooksActor, webhook_id: str) -> Response:
        """Send a `webhook.test` now, once, also to a webhook that is switched off, and tell what came of it."""
        endpoint = self._store.endpoint(webhook_id, actor.workspace_id)
        sent = await self._rooms.store.deliveries.test(endpoint)
        after, answer = await self._courier.send(sent, is_last=True)
        tested = WebhookTested(
            after.status == "delivered",
            answer.status or None,
            answer.error or None,
            answer.milliseconds,
            answer.body,
            _delivery(after),
        )
        return said(WebhookTestReply(tested))

    async def deliveries(
        self, actor: WebhooksActor, webhook_id: str, asked: Annotated[DeliveriesQuery, Query()]
    ) -> Response:
        """What was sent to a webhook, and what became of it; kept for 30 days."""
        endpoint = self._store.endpoint(webhook_id, actor.workspace_id)
        found = await self._rooms.store.deliveries.page(
            endpoint.id, limit=asked.limit, after=asked.after or "", status=asked.status or ""
        )
        cursor = found.next_cursor or None
        return said(DeliveryList([_delivery(one) for one in found.deliveries], cursor is not None, cursor))

    async def replay(self, actor: WebhooksActor, delivery_id: str) -> Response:
        """Send a delivery again, with all its tries, under the same `webhook-id`; whether it was delivered or given up."""
        return said(
            DeliveryReply(_delivery(await self._rooms.store.deliveries.replay(delivery_id, actor.workspace_id)))
        )

    async def replay_any(self, operator: Operator, delivery_id: str) -> Response:
        """The same for the operator, of any workspace."""
        replayed = await self._rooms.store.deliveries.replay(delivery_id)
        _log.info("operator %s replayed delivery %s", operator, delivery_id)
        return said(DeliveryReply(_delivery(replayed)))

    async def _note(self, actor: Actor, action: str, endpoint: Endpoint) -> None:
        # The path of a URL may be a credential, so only its host is noted.
        details: dict[str, str] = {"host": endpoint.host, "workspace_id": endpoint.workspace_id}
        await self._rooms.store.people.audit(actor.organization_id, actor.by, action, endpoint.id, {**details})


def _entry(one: Endpoint) -> WebhookEntry:
    return WebhookEntry(
        one.id,
        one.url,
        None if one.events is None else sorted(one.events),
        one.description,
        one.is_enabled,
        one.disabled_reason or None,
        _instant(one.failing_since),
        _instant(one.old_until),
        iso(one.created_at * 1000),
    )


def _delivery(one: Delivery) -> DeliveryEntry:
    log = [
        AttemptEntry(
            each.number, iso(each.at_ms), each.status or None, each.error or None, each.latency_ms, each.response
        )
        for each in one.log
    ]
    return DeliveryEntry(
        one.id,
        one.endpoint_id,
        one.event_id,
        one.event_type,
        one.status,
        one.attempts,
        _instant(one.next_at),
        iso(one.created_at_ms),
        log,
    )


def _instant(at: int | None) -> str | None:
    return None if at is None else iso(at * 1000)
