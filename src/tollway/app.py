"""The composition root: the only file that builds real stores, clients, clocks and ids.

Everything inside is handed what it needs here, so that a reader finds every choice of an implementation on one page.
"""

import os
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tollway.api.chat import ChatEndpoint
from tollway.api.rooms import Rooms
from tollway.api.server import Server
from tollway.catalogue.offers import Catalogue
from tollway.gateway.admit import Gate
from tollway.gateway.call import CallPolicy, Calls
from tollway.gateway.chat import Road
from tollway.gateway.reserve import HoldPolicy, Reserve
from tollway.gateway.settle import Till
from tollway.providers.upstream import HttpUpstream, dialects
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.store import EmbeddedStore
from tollway.store.limiter import InProcessLimiter
from tollway.telemetry import RequestTelemetry

MIB = 1024 * 1024
HOLD_GRACE_S = 600
"""A hold outlives the longest request by ten minutes (money.md R9)."""


class SystemClock:
    """See `Clock`."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class SystemIds:
    """See `Ids`: UUIDv7 (RFC 9562 5.7), random bytes drawn in blocks because a system call per request would show."""

    # An id has 12 + 62 random bits; two of its hexadecimal digits share theirs with the variant.
    _BLOCK, _DIGITS = 4096, 19

    def __init__(self) -> None:
        self._pool = ""
        self._at = 0

    def new(self) -> str:
        at = self._at
        if at + self._DIGITS > len(self._pool):
            self._pool, at = os.urandom(self._BLOCK * self._DIGITS).hex(), 0
        self._at = at + self._DIGITS
        rest = self._pool[at : self._at]
        millis = f"{time.time_ns() // 1_000_000:012x}"
        return f"{millis[:8]}-{millis[8:]}-7{rest[:3]}-{_VARIANT[rest[3]]}{rest[4:7]}-{rest[7:]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@dataclass(slots=True)
class House:
    """Everything that was built, for the server and for tests. Close it to drain the store."""

    settings: Settings
    catalogue: Catalogue
    store: EmbeddedStore
    upstream: HttpUpstream
    telemetry: RequestTelemetry
    chat: ChatEndpoint
    application: Server
    control_token: str
    is_draining: bool = False

    async def close(self) -> None:
        """Finish what is written, close every connection. Requests must have ended."""
        await self.upstream.close()
        await self.store.close()
        self.telemetry.close()


async def build(settings: Settings, environment: Mapping[str, str]) -> House:
    """Build the house on its data folder, inside the running loop.

    Raises:
        ConfigurationError: the configuration, the folder or the catalogue stops the start.
    """
    clock, ids = SystemClock(), SystemIds()
    folder = Path(settings.data.folder)
    catalogue = catalogue_of(settings, environment)
    pepper = environment.get("TOLLWAY_PEPPER", "").encode() or None
    store = await EmbeddedStore.open(folder, clock=clock, ids=ids, random_bytes=os.urandom, pepper=pepper)
    telemetry = RequestTelemetry(settings.server.log_format, settings.telemetry.otlp_endpoint, store.ledger.gauges)
    limiter = InProcessLimiter(settings.limits.requests_per_minute, settings.limits.tokens_per_day)
    today = int(clock.now()) // 86_400
    limiter.restore(await store.generations.tokens_by_key(today), today)
    upstream = _upstream(settings)
    gate = Gate(store.workspaces, store.workspaces.pepper, settings.money.margin_direct_bps)
    reserve = Reserve(store.ledger, limiter, _hold_policy(settings))
    calls = Calls(upstream, dialects(), reserve, _call_policy(settings), clock, telemetry, random.random)
    till = Till(store.ledger, limiter, clock, telemetry)
    control_token = secrets.token_urlsafe(32)
    house: House

    def is_draining() -> bool:
        return house.is_draining

    chat = ChatEndpoint(
        gate=gate,
        road=Road(lambda: house.catalogue, reserve, calls, till, clock),
        limiter=limiter,
        replies=store.idempotency,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        bytes_max=settings.server.body_limit_mb * MIB,
        is_draining=is_draining,
    )
    rooms = Rooms(
        catalogue=lambda: house.catalogue,
        store=store,
        gate=gate,
        limiter=limiter,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        metrics=telemetry.metrics_text,
        is_draining=is_draining,
        bytes_max=settings.server.body_limit_mb * MIB,
        holds=_hold_policy(settings),
        metrics_key=settings.server.metrics_key,
        control_token=control_token,
    )
    house = House(settings, catalogue, store, upstream, telemetry, chat, Server(chat, rooms), control_token)
    return house


def _upstream(settings: Settings) -> HttpUpstream:
    chosen = settings.upstream
    return HttpUpstream(
        connect_timeout_s=chosen.connect_timeout_s,
        idle_timeout_s=chosen.idle_timeout_s,
        reply_bytes_max=chosen.reply_limit_mb * MIB,
        connections_max=chosen.max_connections or None,
    )


def _hold_policy(settings: Settings) -> HoldPolicy:
    money = settings.money
    return HoldPolicy(
        default_max_output_tokens=money.default_max_output_tokens,
        rolling_step_tokens=money.rolling_step_tokens,
        lifetime_s=settings.upstream.total_timeout_s + HOLD_GRACE_S,
        top_up_url=money.top_up_url,
    )


def _call_policy(settings: Settings) -> CallPolicy:
    chosen = settings.upstream
    return CallPolicy(
        attempt_timeout_s=chosen.attempt_timeout_s,
        total_timeout_s=chosen.total_timeout_s,
        retries=chosen.retries_per_offer,
        attempts_max=chosen.attempts_max,
    )
