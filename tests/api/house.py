"""The real server object on a real store in a temporary folder, a small catalogue with prices by hand, and an ASGI client."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from store.world import NOW, PEPPER, CountingIds, FakeClock, charge_of
from tollway.api.rooms import Rooms
from tollway.api.server import Server
from tollway.catalogue.offers import Catalogue, Model, Offer, Provider, WireSpec
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import CACHE_READ, INPUT, OUTPUT
from tollway.gateway.admit import Gate, KeyDefaults
from tollway.ledger.budget import Budget
from tollway.ledger.hold import Hold
from tollway.ports import Generation, Settlement
from tollway.store import EmbeddedStore
from tollway.store.limiter import InProcessLimiter
from tollway.workspaces.key import Key

CONTROL = "control-token-of-this-start"


def provider(name: str, *, usable: bool = True) -> Provider:
    wire = WireSpec("openai", f"https://{name}.test/v1", secret=f"{name.upper()}_API_KEY")
    return Provider(name, name.title(), wire, is_usable=usable, key="sk-secret" if usable else "")


def priced(offer_id: str, dollars_in: int, dollars_out: int, since: int = 0, **more: int) -> PriceList:
    """Whole dollars per million tokens; `cache_read` in pico-USD per token."""
    prices = {INPUT: dollars_in * 1_000_000, OUTPUT: dollars_out * 1_000_000}
    if "cache_read" in more:
        prices[CACHE_READ] = more["cache_read"]
    return PriceList(f"{offer_id}@{since}", since, prices)


ACME, BETA, DARK = provider("acme"), provider("beta"), provider("dark", usable=False)


def offer(where: Provider, model: str, *prices: PriceList, **facts: object) -> Offer:
    return Offer(f"{where.id}/{model}", model, where, model, prices=prices, **facts)


GPT = Model(
    "acme/gpt",
    "Acme GPT",
    (
        offer(
            ACME,
            "acme/gpt",
            priced("acme/acme/gpt", 3, 15, cache_read=300_000),
            context_tokens=128_000,
            tokenizer="o200k",
        ),
        offer(BETA, "acme/gpt", priced("beta/acme/gpt", 2, 12), region="eu"),
        offer(DARK, "acme/gpt", priced("dark/acme/gpt", 1, 1)),
    ),
    aliases=("gpt",),
    description="A model of the tests.",
    context_tokens=128_000,
    max_output_tokens=4_096,
    input_modalities=("text", "image"),
    capabilities=("tools", "json_schema"),
    created=1_700_000_000,
    owned_by="acme",
)
MINI = Model("acme/mini", "Acme Mini", (offer(ACME, "acme/mini", priced("acme/acme/mini", 1, 2)),), owned_by="acme")
UNPRICED = Model("beta/free-for-all", "Unpriced", (offer(BETA, "beta/free-for-all"),))
HIDDEN = Model("dark/matter", "Dark Matter", (offer(DARK, "dark/matter", priced("dark/dark/matter", 1, 1)),))
FUTURE = Model("acme/next", "Acme Next", (offer(ACME, "acme/next", priced("acme/acme/next", 5, 5, NOW + 60)),))


def catalogue(*models: Model) -> Catalogue:
    by_id = {model.id: model for model in models}
    names = dict(by_id) | {alias: model for model in models for alias in model.aliases}
    return Catalogue(by_id, names, {one.id: one for one in (ACME, BETA, DARK)}, version="1")


class Refusals:
    """The telemetry of these tests: what was refused."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, str]] = []

    def finished(self, generation: Generation, stages: object) -> None: ...

    def refused(self, code: str, status: int, request_id: str) -> None:
        self.told.append((code, status, request_id))

    def upstream_failed(self, provider: str, reason: str) -> None: ...


class House:
    """Everything of one installation. `secret` is the text of the first key; `headers` sends it."""

    def __init__(self, store: EmbeddedStore, clock: FakeClock, ids: CountingIds, **settings: object) -> None:
        self.store, self.clock, self.ids = store, clock, ids
        self.catalogue = catalogue(GPT, MINI, UNPRICED, HIDDEN, FUTURE)
        self.is_draining = False
        self.telemetry = Refusals()
        self.chats: list[str] = []
        self.rooms = Rooms(
            catalogue=lambda: self.catalogue,
            store=store,
            gate=Gate(store.workspaces, store.plans.grants, PEPPER, KeyDefaults(1_000, 60)),
            limiter=InProcessLimiter(),
            clock=clock,
            ids=ids,
            telemetry=self.telemetry,
            metrics=lambda: b"tollway_up 1\n",
            is_draining=lambda: self.is_draining,
            bytes_max=100_000,
            control_token=CONTROL,
            **settings,
        )
        self.server = Server(self.chat, self.rooms)
        self.workspace_id = self.secret = self.token = ""
        self.key: Key
        self.client: httpx.AsyncClient

    async def chat(self, scope, receive, send) -> None:
        """Stands for the hot endpoint: says that it was asked."""
        self.chats.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hot"})

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.secret)

    @property
    def operator(self) -> dict[str, str]:
        return bearer(self.token)

    async def get(self, path: str, headers: dict[str, str] | None = None, **more: object) -> httpx.Response:
        return await self.client.get(path, headers=self.headers if headers is None else headers, **more)

    async def post(self, path: str, json: object, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.post(path, json=json, headers=self.headers if headers is None else headers)

    async def tenant(self, name: str = "other") -> tuple[str, Key, str]:
        """Another organization's workspace, its key and the key's text."""
        organization = await self.store.workspaces.add_organization(name)
        workspace = await self.store.workspaces.add_workspace(organization.id, name)
        key, secret = await self.store.workspaces.add_key(workspace.id, name=name)
        return workspace.id, key, secret

    async def asked(self, charge: int, cost: int | None = None, key: Key | None = None, **facts: object) -> str:
        """A request that was held for twice its charge and settled; its id. Amounts in nano-USD."""
        key = key or self.key
        now = int(self.clock.time)
        name = self.ids.new()
        await self.store.ledger.hold(hold_of(name, key, charge * 2, now))
        facts = {"model": "acme/gpt", "provider": "acme", "offer_id": "acme/acme/gpt", **facts}
        generation = Generation(name, key.workspace_id, key.id, now * 1_000, "acme/gpt", **facts)
        await self.store.ledger.settle(Settlement(name, charge_of(charge, cost), "acme", generation))
        return name


def hold_of(name: str, key: Key, nano: int, now: int) -> Hold:
    """A hold of a request to acme/gpt."""
    budget = None if key.budget_nano is None else Budget(key.budget_nano, key.budget_window)
    pinned = ("acme/acme/gpt@0", 1_000, "acme/acme/gpt")
    return Hold(name, key.workspace_id, key.id, nano, now, now + 900, now // 86_400, budget, *pinned)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def refused(reply: httpx.Response, status: int, type_: str, code: str, param: str | None = None) -> dict:
    """The reply is an error of the documented shape; the error."""
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"], error["param"]) == (status, type_, code, param), reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    return error


@asynccontextmanager
async def opened(folder: Path, **settings: object) -> AsyncIterator[House]:
    clock, ids = FakeClock(), CountingIds()
    store = await EmbeddedStore.open(folder, clock=clock, ids=ids, random_bytes=os.urandom, pepper=PEPPER)
    try:
        house = House(store, clock, ids, **settings)
        house.workspace_id, house.key, house.secret = await house.tenant("first")
        house.token = await store.workspaces.add_operator("op")
        transport = httpx.ASGITransport(house.server, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as house.client:
            yield house
    finally:
        await store.close()
