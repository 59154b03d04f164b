"""The composition root: the only file that builds real stores, clients, clocks and ids.

Everything inside is handed what it needs here, so that a reader finds every choice of an implementation on one page.
"""

import os
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tollway.api.chat import ChatEndpoint
from tollway.api.naming import named
from tollway.api.rooms import PeopleRules, Rooms
from tollway.api.server import Server
from tollway.catalogue.offers import Catalogue
from tollway.delivery.courier import Courier
from tollway.delivery.exchange import Exchange
from tollway.delivery.herald import Herald
from tollway.gateway.admit import Gate, KeyDefaults
from tollway.gateway.call import CallPolicy, Calls
from tollway.gateway.chat import Road
from tollway.gateway.reserve import HoldPolicy, Reserve
from tollway.gateway.settle import Till
from tollway.gateway.shadow import Shadow, ShadowRules
from tollway.gateway.steer import Steering
from tollway.gateway.stick import Sticky
from tollway.mail import Mailer, Outbox, mailer_of
from tollway.ports import Clock, Limiter
from tollway.providers.upstream import HttpUpstream, dialects
from tollway.routing.classifier import load_classifier
from tollway.settings import Settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.plans import plans_of
from tollway.settings.standings import standings_of
from tollway.store import EmbeddedStore
from tollway.store.audience import Audiences
from tollway.store.limiter import InProcessLimiter
from tollway.store.watch import Watch, funded
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


Aside = Callable[[], Coroutine[Any, Any, None]]


class ClosingLimiter(Limiter, Protocol):
    """A limiter with something to let go of at the end."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class House:
    """Everything that was built, for the server and for tests. Close it to drain the store.

    aside: what runs beside the requests until the process ends.
    """

    settings: Settings
    catalogue: Catalogue
    store: EmbeddedStore
    upstream: HttpUpstream
    telemetry: RequestTelemetry
    chat: ChatEndpoint
    application: Server
    rooms: Rooms
    limiter: ClosingLimiter
    aside: tuple[Aside, ...]
    is_draining: bool = False

    async def close(self) -> None:
        """Finish what is written, close every connection. Requests must have ended."""
        await self.rooms.outbox.close()
        self.rooms.exchange.close()
        await self.upstream.close()
        await self.limiter.close()
        await self.store.close()
        self.telemetry.close()


async def build(settings: Settings, environment: Mapping[str, str]) -> House:
    """Build the house on its data folder, inside the running loop.

    Raises:
        ConfigurationError: the configuration, the folder or the catalogue stops the start.
    """
    clock, ids = SystemClock(), SystemIds()
    catalogue = catalogue_of(settings, environment)
    pepper = environment.get("TOLLWAY_PEPPER", "").encode() or None
    store = await EmbeddedStore.open(
        Path(settings.data.folder),
        clock=clock,
        ids=ids,
        random_bytes=os.urandom,
        pepper=pepper,
        plans=plans_of(settings),
    )
    telemetry = RequestTelemetry(settings.server.log_format, settings.telemetry.otlp_endpoint, store.ledger.gauges)
    limiter = await _limiter(settings, store, clock, telemetry)
    upstream = _upstream(settings)
    gate = Gate(store.workspaces, store.plans.grants, store.workspaces.pepper, _key_defaults(settings))
    people, hooks = settings.people, settings.webhooks
    mailer = mailer_of(people.smtp_url, people.mail_from)
    exchange = Exchange(allow_http=hooks.allow_http, allow_private=hooks.allow_private_addresses)
    house: House
    rooms = Rooms(
        catalogue=lambda: house.catalogue,
        store=store,
        gate=gate,
        limiter=limiter,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        metrics=telemetry.metrics_text,
        is_draining=lambda: house.is_draining,
        bytes_max=settings.server.body_limit_mb * MIB,
        holds=_hold_policy(settings),
        api_requests=settings.limits.api_requests_per_minute,
        metrics_key=settings.server.metrics_key,
        control_token=secrets.token_urlsafe(32),
        people=PeopleRules(people.signup, people.session_hours * 3_600, people.public_url),
        outbox=Outbox(mailer),
        exchange=exchange,
        standings=standings_of(settings, catalogue),
        classifier=load_classifier(),
        baseline_model=settings.routing.baseline_model,
        margins_bps=settings.money.margins_bps,
    )
    rooms.health.show(telemetry.gauge, clock.now)
    chat, shadow = _chat(rooms, upstream, settings)
    aside = (*await _aside(store, gate, limiter, exchange, mailer, clock), shadow.run)
    house = House(settings, catalogue, store, upstream, telemetry, chat, Server(chat, rooms), rooms, limiter, aside)
    return house


def _chat(rooms: Rooms, upstream: HttpUpstream, settings: Settings) -> tuple[ChatEndpoint, Shadow]:
    """The hot endpoint with the road behind it, and what learns from its answers."""
    ledger, limiter, clock, telemetry = rooms.store.ledger, rooms.limiter, rooms.clock, rooms.telemetry
    reserve = Reserve(ledger, limiter, rooms.holds)
    sticky = Sticky(os.urandom)
    steering = Steering(
        rooms.router(), rooms.store.profiles, sticky, rooms.holds.default_max_output_tokens, random.random
    )
    calls = Calls(upstream, dialects(), reserve, _call_policy(settings), clock, telemetry, random.random, rooms.health)
    till = Till(ledger, limiter, clock, telemetry, rooms.health, sticky)
    shadow = Shadow(_shadow_rules(settings), rooms.catalogue, calls, rooms.store.shadow, clock)
    chat = ChatEndpoint(
        gate=rooms.gate,
        road=Road(steering, reserve, calls, till, clock, shadow.offer),
        limiter=limiter,
        replies=rooms.store.idempotency,
        clock=clock,
        ids=rooms.ids,
        telemetry=telemetry,
        bytes_max=rooms.bytes_max,
        is_draining=rooms.is_draining,
        names=partial(named, rooms.store.profiles, rooms.store.presets),
    )
    return chat, shadow


def _shadow_rules(settings: Settings) -> ShadowRules:
    chosen = settings.shadow
    return ShadowRules(
        chosen.sample_percent, chosen.model, chosen.judge_model, chosen.budget_nano, chosen.workspace_ids
    )


def _key_defaults(settings: Settings) -> KeyDefaults:
    limits = settings.limits
    return KeyDefaults(settings.money.margin_direct_bps, limits.requests_per_minute, limits.tokens_per_day)


async def _limiter(
    settings: Settings, store: EmbeddedStore, clock: Clock, telemetry: RequestTelemetry
) -> ClosingLimiter:
    """Where requests and tokens are counted: in this process, or in a store that outlives it."""
    chosen = settings.limits
    if not chosen.valkey_url:
        local = InProcessLimiter()
        today = int(clock.now()) // 86_400
        local.restore(*await store.generations.counted(today), today)
        return local
    try:
        from tollway.store.valkey_limiter import ValkeyLimiter  # noqa: PLC0415 - its client is an extra
    except ImportError:
        raise settings.problem(
            "limits.valkey_url",
            "it needs the client of Valkey and Redis, which is not installed",
            "start with the extra: `uv run --extra scale tollway serve`, or leave the setting out",
        ) from None
    shared = ValkeyLimiter(
        chosen.valkey_url, lambda key_id: store.workspaces.key_by_id(key_id).workspace_id, chosen.on_store_down
    )
    telemetry.gauge("limiter_down", "1 while the store of limits does not answer.", lambda: shared.is_down)
    return shared


async def _aside(
    store: EmbeddedStore, gate: Gate, limiter: Limiter, exchange: Exchange, mailer: Mailer, clock: Clock
) -> tuple[Aside, ...]:
    """The watch over thresholds, and what brings alerts and events out of the house."""
    filled = await store.reader.run(funded)
    watch = Watch(
        store.alerts,
        store.workspaces,
        store.book,
        limiter,
        lambda key: gate.caller(key).quota,
        clock,
        funded=filled,
    )
    courier = Courier(store.webhooks, store.deliveries, exchange, clock)
    herald = Herald(store.alerts, Audiences(store.workspaces, store.people).of, mailer.send)
    return watch.run, courier.run, herald.run


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
