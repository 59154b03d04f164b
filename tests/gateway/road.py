"""A road of real parts - store on disk, ledger, limiter, simulated provider - that a test can stop at any point."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.world import SystemClock, World, opened
from tollway.api.wire import read_chat
from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, UsageSpec, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import CACHE_READ, INPUT, OUTPUT, WEB_SEARCH
from tollway.gateway.admit import Caller
from tollway.gateway.call import CallPolicy, Calls
from tollway.gateway.chat import Road
from tollway.gateway.health import OfferHealthBook
from tollway.gateway.line import Line
from tollway.gateway.passage import Passage
from tollway.gateway.reserve import HoldPolicy, Reserve
from tollway.gateway.settle import Till
from tollway.gateway.steer import Steering
from tollway.gateway.stick import Sticky
from tollway.plans.grants import Grants
from tollway.ports import Generation, Quota
from tollway.providers.simulated import SimulatedProvider
from tollway.providers.upstream import dialects
from tollway.routing.router import Router
from tollway.routing.standing import Standings
from tollway.routing.standings import NOTHING_KNOWN
from tollway.store.limiter import InProcessLimiter
from tollway.workspaces.key import Key

MARGIN_BPS = 550
GRANTS = Grants(plan_id="all", plan_name="All", catalogue="test", version="1", limits={}, features={})
STEP = 100
USD = 1_000_000_000
PRICES = {INPUT: 3_000_000, OUTPUT: 15_000_000, CACHE_READ: 300_000}
USAGE = UsageSpec(
    (
        (INPUT, ("usage", "prompt_tokens")),
        (CACHE_READ, ("usage", "prompt_tokens_details", "cached_tokens")),
        (OUTPUT, ("usage", "completion_tokens")),
        (WEB_SEARCH, ("usage", "searches")),
    ),
    ((CACHE_READ, INPUT),),
)


def provider(name: str, policy: str) -> Provider:
    wire = WireSpec("simulated", "simulated:", usage=USAGE, on_disconnect=policy)
    return Provider(name, name, wire, is_usable=True)


def model(where: Provider, name: str, scale: int = 1, **facts: Any) -> Model:
    offer_id = f"{where.id}/{name}"
    prices = PriceList(f"{offer_id}@0", 0, {unit: price // scale for unit, price in PRICES.items()})
    offer = Offer(offer_id, offer_id, where, name, prices=(prices,), tokenizer="o200k", **facts)
    return Model(offer_id, name, (offer,))


def catalogue() -> Catalogue:
    """`<policy>/small`, and `estimate/cheap` at a third of its price; searches have no price."""
    providers = {name: provider(name, name) for name in ("estimate", "drain", "no_bill")}
    models = [model(one, "small") for one in providers.values()]
    models += [model(providers["estimate"], "cheap", 3)]
    by_id = {one.id: one for one in models}
    return Catalogue(by_id, dict(by_id), providers, version="1")


@dataclass
class Told:
    """The telemetry of these tests."""

    finished_ones: list[Generation] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def finished(self, generation: Generation, stages: object) -> None:
        self.finished_ones.append(generation)

    def refused(self, code: str, status: int, request_id: str) -> None: ...

    def upstream_failed(self, provider: str, reason: str) -> None:
        self.failures.append(reason)


class Caught:
    """A sink that keeps what it gets. on_send: called before each piece is taken."""

    def __init__(self, on_send: Callable[[int], Any] | None = None) -> None:
        self.pieces = list[bytes]()
        self.kept: bytes | None = None
        self.forgotten = self.is_finished = self.has_started = self.is_sending = False
        self._on_send = on_send

    async def start(self) -> None:
        self.has_started = True

    def write(self, data: bytes) -> bool:
        return False

    async def send(self, data: bytes) -> None:
        self.is_sending = True
        if self._on_send is not None:
            waiting = self._on_send(len(self.pieces))
            if waiting is not None:
                await waiting
        self.pieces.append(data)
        self.is_sending = False

    def keep(self, last: bytes) -> None:
        self.kept = b"".join(self.pieces) + last

    def forget(self) -> None:
        self.forgotten = True

    async def finish(self, data: bytes) -> None:
        self.pieces.append(data)
        self.is_finished = True

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(line[6:]) for line in self.body.decode().split("\n\n") if line.startswith("data: {")]


class Breaking:
    """The real ledger, but for methods that raise when told to: `fails[name] = error`."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.fails: dict[str, Exception] = {}
        self.calls = list[str]()
        self.before: dict[str, Callable[[], Any]] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._ledger, name)

        async def told(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name in self.before:
                self.before[name]()
                await asyncio.sleep(0)
            if name in self.fails:
                raise self.fails[name]
            return await real(*args, **named)

        return told if name in {"hold", "raise_hold", "settle", "void"} else real


@dataclass
class Built:
    """The road and its parts."""

    world: World
    road: Road
    reserve: Reserve
    till: Till
    calls: Calls
    limiter: InProcessLimiter
    ledger: Breaking
    told: Told
    tokens_per_day: int = -1
    grants: Grants = GRANTS
    key: Key | None = None
    health: OfferHealthBook = field(default_factory=OfferHealthBook)
    sticky: Sticky | None = None

    def enter(self, name: str = "estimate/small", text: str = "Say some words.", **fields: Any) -> Passage:
        """Stop 3 of a request."""
        body = {"model": name, "messages": [{"role": "user", "content": text}], **fields}
        chat = read_chat(json.dumps(body).encode(), 1 << 20)
        clock = self.world.clock
        return self.road.enter(chat, self.caller, self.world.store.ids.new(), clock.monotonic())

    @property
    def caller(self) -> Caller:
        """Who asks: `key`, or the first key, on the plan `grants`."""
        key, grants = self.key or self.world.key, self.grants
        limits = (grants.requests_per_minute, grants.tokens_per_day, key.requests_per_minute, self.tokens_per_day)
        return Caller(key, grants, Quota(key.workspace_id, key.id, *limits), MARGIN_BPS)

    async def whole(
        self, passage: Passage, line: Line | None = None, keep: Callable[[bytes], None] = lambda body: None
    ) -> Any:
        """Stops 4 to 9; the decoded body."""
        return json.loads(await self.road.whole(passage, line or Line(passage), keep))

    async def stream(self, passage: Passage, sink: Caught | None = None, line: Line | None = None) -> Caught:
        sink = sink or Caught()
        await self.road.stream(passage, line or Line(passage), sink)
        return sink

    @property
    def available(self) -> int:
        return self.world.available

    @property
    def held(self) -> int:
        return self.world.balance.held_nano

    async def kept(self, passage: Passage) -> Any:
        """(generation, end) as they are on disk."""
        return await self.world.store.generations.get(self.world.ws, passage.id)


@asynccontextmanager
async def built(
    folder: Path,
    funds: int = USD,
    upstream: Any = None,
    retries: int = 0,
    attempts_max: int = 4,
    attempt_s: float = 2.0,
    tokens_per_day: int = -1,
    grants: Grants = GRANTS,
    standings: Standings | None = None,
    **key: Any,
) -> AsyncIterator[Built]:
    """`key`: fields of the API key, such as budget_nano."""
    async with opened(folder, SystemClock(), **key) as world:
        if funds:
            await world.fund(funds)
        clock, told, ledger = world.clock, Told(), Breaking(world.ledger)
        limiter = InProcessLimiter()
        reserve = Reserve(ledger, limiter, HoldPolicy(1000, STEP, 900))
        policy = CallPolicy(attempt_s, 5.0, retries, attempts_max)
        health = OfferHealthBook()
        calls = Calls(upstream or SimulatedProvider(), dialects(), reserve, policy, clock, told, lambda: 0.0, health)
        sticky = Sticky(os.urandom)
        till = Till(ledger, limiter, clock, told, health, sticky)
        offers = catalogue()
        router = Router(lambda: offers, standings or NOTHING_KNOWN, health)
        steering = Steering(router, world.store.profiles, sticky, 1000, lambda: 0.0)
        yield Built(
            world,
            Road(steering, reserve, calls, till, clock),
            reserve,
            till,
            calls,
            limiter,
            ledger,
            told,
            tokens_per_day,
            grants,
            health=health,
            sticky=sticky,
        )


def charge(input_tokens: int, output_tokens: int) -> int:
    """Nano-USD by hand, where there is no fraction of a nano."""
    pico = input_tokens * PRICES[INPUT] + output_tokens * PRICES[OUTPUT]
    nano, rest = divmod(pico * (10_000 + MARGIN_BPS), 10_000 * 1_000)
    assert rest == 0, "choose other numbers"
    return nano
