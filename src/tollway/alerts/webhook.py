"""An endpoint of a webhook, a delivery to it and an attempt at one, as frozen values."""

from typing import Literal

import msgspec

DeliveryStatus = Literal["pending", "delivered", "dead", "cancelled"]
"""pending: not yet, or tried again later. dead: given up, to be replayed by hand. cancelled: its endpoint was removed."""
ROTATION_S = 86_400
"""For so long the replaced secret signs beside the new one."""
RESPONSE_BYTES = 1_024
"""Of a response, this much is kept."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workspace's events go.

    events: None means all. disabled_reason: why it was switched off by its failures, "" if it was not. sealed,
    old_sealed: its secret and the one before, encrypted; old_until: the old one signs until then. failing_since: the
    first failure after the last success. Times are unix seconds, None: not.
    """

    id: str
    workspace_id: str
    url: str
    events: frozenset[str] | None
    description: str
    is_enabled: bool
    created_at: int
    sealed: bytes
    old_sealed: bytes | None = None
    old_until: int | None = None
    disabled_reason: str = ""
    failing_since: int | None = None

    @property
    def host(self) -> str:
        """The host of its URL, with the port; the path may be a credential, and is shown to its owners alone."""
        return self.url.partition("://")[2].partition("/")[0]

    def wants(self, event: str) -> bool:
        """Events of this type go to it."""
        return self.is_enabled and (self.events is None or event in self.events)


class Attempt(msgspec.Struct, frozen=True):
    """One try. status: the response's, 0 if there was none. error: why it failed, "" if it did not. at_ms: unix ms."""

    number: int
    at_ms: int
    status: int
    error: str
    latency_ms: int
    response: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to an endpoint.

    attempts: how many there have been; tries: those since it was made or replayed. next_at: unix seconds of the next
    try, None: there will be none. body: what is sent. log: its attempts. Both only where they were asked for.
    """

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    workspace_id: str
    status: DeliveryStatus
    attempts: int
    tries: int
    next_at: int | None
    created_at_ms: int
    body: bytes = b""
    log: tuple[Attempt, ...] = ()
