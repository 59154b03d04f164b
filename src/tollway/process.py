"""The process: it listens, says once that it is ready, does what must be done beside requests, and drains.

What it runs is built in `app.py`.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
import uvloop

from tollway.api.connection import Connection
from tollway.app import House, build
from tollway.catalogue.offers import Catalogue
from tollway.errors import ConfigurationError
from tollway.metering.tokens import count
from tollway.money.amount import format_usd
from tollway.providers.local_process import URL_VARIABLE, LocalModel, is_installed
from tollway.settings import Settings, disabled_providers
from tollway.telemetry.logs import configure_logging
from tollway.telemetry.memory import quieten_collector, release_pages
from tollway.welcome import Ready, welcome

_MEMORY = Path("/proc/self/stat")


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
        asyncio.create_task(_watch_plans(house)),
        asyncio.create_task(asyncio.to_thread(_warm, house)),
        *(asyncio.create_task(one()) for one in house.aside),
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


def _write_control(house: House, url: str) -> Path:
    """Where the command line on this machine finds the running server (0600)."""
    path = Path(house.settings.data.folder) / "server.json"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": url, "token": house.rooms.control_token, "pid": os.getpid()}, file)
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


async def _watch_plans(house: House) -> None:
    """End overrides, and see whether the file of the plans has changed, every second."""
    while True:
        await asyncio.sleep(1)
        await house.store.plans.tick()


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
