"""The composition root: the only file that builds real stores, clients, clocks and ids, and runs the server.

Everything inside is handed what it needs here, so that a reader finds every choice of an implementation on one page.
"""

import asyncio
import json
import logging
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
import uvloop

from tollway.api.chat import ChatEndpoint
from tollway.api.connection import Connection
from tollway.api.rooms import Rooms
from tollway.api.server import Server
from tollway.catalogue.offers import Catalogue
from tollway.errors import ConfigurationError
from tollway.gateway.admit import Gate
from tollway.gateway.call import CallPolicy, Calls
from tollway.gateway.chat import Road
from tollway.gateway.reserve import HoldPolicy, Reserve
from tollway.gateway.settle import Till
from tollway.metering.tokens import count
from tollway.money.amount import format_usd
from tollway.providers.local_process import URL_VARIABLE, LocalModel, is_installed
from tollway.providers.upstream import HttpUpstream, dialects
from tollway.settings import Settings, disabled_providers
from tollway.settings.catalogue import catalogue_of
from tollway.store import EmbeddedStore
from tollway.store.limiter import InProcessLimiter
from tollway.telemetry import RequestTelemetry
from tollway.telemetry.logs import configure_logging
from tollway.telemetry.memory import quieten_collector, release_pages
from tollway.welcome import Ready, welcome

MIB = 1024 * 1024
HOLD_GRACE_S = 600
"""A hold outlives the longest request by ten minutes (money.md R9)."""
_MEMORY = Path("/proc/self/stat")


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


def serve(settings: Settings, environment: Mapping[str, str]) -> int:
    """Run the server until it is told to stop; the process's exit code.

    Raises:
        ConfigurationError: nothing was started.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, environment))


async def _serve(settings: Settings, environment: Mapping[str, str]) -> int:
    listener = _listen(settings)
    wants_local = is_installed() and not environment.get(URL_VARIABLE) and "local" not in disabled_providers(settings)
    local = LocalModel() if wants_local else None
    if local is not None:
        environment = {**environment, URL_VARIABLE: local.url}
    try:
        house = await build(settings, environment)
        try:
            if local is not None:
                house.upstream.await_start(local.url, local.loaded())
            configure_logging(settings.server.log_format, "info", sys.stderr)
            logging.getLogger("uvicorn").setLevel(logging.WARNING)
            await _run(house, listener, has_local=local is not None)
        finally:
            await house.close()
    finally:
        if local is not None:
            local.stop()
    return 0


async def _run(house: House, listener: socket.socket, *, has_local: bool) -> None:
    host, port = listener.getsockname()[:2]
    _refuse_loop(house.catalogue, port)
    url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104 - shown, not bound
    server = _Uvicorn(house)
    first = await house.store.bootstrap(house.settings.money.opening_grant_nano)
    control = _write_control(house, url)
    background = [
        asyncio.create_task(house.chat.streams.tick(house.settings.server.keep_alive_seconds / 2)),
        asyncio.create_task(_sweep(house)),
        asyncio.create_task(asyncio.to_thread(_warm, house)),
    ]

    quieten_collector()

    def announce() -> None:
        model = _first_model(house.catalogue, has_local=has_local)
        notes = (
            []
            if has_local or _has_keys(house.catalogue)
            else ["no provider key is set: the built-in simulated/* models answer"]
        )
        if has_local:
            notes.append("the local model loads for some seconds before its first answer")
        recovered = house.store.recovered
        if recovered.holds:
            notes.append(f"a crash had left {recovered.holds} open holds; they were released, nobody was charged")
        ready = Ready(
            url=url,
            data=str(house.settings.data.folder),
            model=model,
            models=sum(1 for one in house.catalogue.models.values() if any(o.provider.is_usable for o in one.offers)),
            seconds=_age_of_process(),
            key="" if first is None else first.key,
            admin_token="" if first is None else first.operator_token,
            grant_usd="" if first is None else format_usd(house.settings.money.opening_grant_nano, 2),
            notes=tuple(notes),
        )
        print(welcome(ready), flush=True)  # noqa: T201 - the one thing this process says to whoever started it

    try:
        await server.answer(listener, announce)
    finally:
        control.unlink(missing_ok=True)
        for task in background:
            task.cancel()


class _Uvicorn(uvicorn.Server):
    """uvicorn, told when it is ready; its signals become our draining."""

    def __init__(self, house: House) -> None:
        super().__init__(
            uvicorn.Config(
                house.application,
                loop="none",
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=house.settings.server.drain_seconds,
                backlog=4096,
            )
        )
        self._house = house

    async def answer(self, listener: socket.socket, announce: Callable[[], None]) -> None:
        """Answer until a signal, then finish what is running."""
        self._announce = announce
        with suppress(KeyboardInterrupt):
            await self.serve(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    def handle_exit(self, sig: int, frame: object) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        self._house.is_draining = True


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise settings.problem(
            "server.port",
            f"{host}:{port} cannot be bound: {os.strerror(error.errno or 0)}",
            "choose another with --port or --host",
        ) from None
    listener.set_inheritable(False)
    return listener


def _refuse_loop(catalogue: Catalogue, port: int) -> None:
    """Refuse a provider whose base URL is our own address: a shell set up for our customers, most likely.

    Raises:
        ConfigurationError: it is; requests would run in circles.
    """
    for provider in catalogue.providers.values():
        target = urlsplit(provider.wire.url)
        if provider.is_usable and target.hostname in {"127.0.0.1", "localhost", "::1"} and target.port == port:
            raise ConfigurationError(
                file="environment or tollway.toml",
                line=None,
                key=f"base URL of {provider.name}",
                problem=f"{provider.wire.url} is this gateway itself, so that requests would run in circles",
                fix="unset the variable (e.g. OPENAI_BASE_URL) where the gateway starts, or choose another --port",
            )


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


def _write_control(house: House, url: str) -> Path:
    """Where the command line on this machine finds the running server (0600)."""
    path = Path(house.settings.data.folder) / "server.json"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": url, "token": house.control_token, "pid": os.getpid()}, file)
    return path


def _warm(house: House) -> None:
    """Build, on a thread, what the first call of it would wait for."""
    count("warm", "o200k")
    house.application.warm()
    house.telemetry.metrics_text()
    quieten_collector()
    release_pages()


async def _sweep(house: House) -> None:
    """End holds that are past their time, every half minute (money.md R9)."""
    while True:
        await asyncio.sleep(30)
        if house.store.ledger.is_available:
            await house.store.sweep(int(time.time()))


def _first_model(catalogue: Catalogue, *, has_local: bool) -> str:
    """The model to show in the first call: the real local one, else the cheapest well-known one, else simulated."""
    if has_local:
        return next((name for name in catalogue.models if name.startswith("local/")), "simulated/small")
    for name in ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "google/gemini-2.5-flash"):
        model = catalogue.find(name)
        if model is not None and any(offer.provider.is_usable for offer in model.offers):
            return name
    return "simulated/small"


def _has_keys(catalogue: Catalogue) -> bool:
    return any(one.is_usable and one.key for one in catalogue.providers.values())


def _age_of_process() -> float:
    """Seconds since this process began, imports included; 0.0 where the system does not tell."""
    try:
        started_ticks = int(_MEMORY.read_text().rpartition(")")[2].split()[19])
        return float(Path("/proc/uptime").read_text().split()[0]) - started_ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
