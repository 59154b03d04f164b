"""The world of the tenancy matrix: one tenant whose every name holds `canary`, another one, and a credential per column."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from api.house import House, bearer, opened
from api.people import Mailbox
from contract.tenancy import CALLERS, FOREIGN, ROLES, SCOPES, Caller, Row
from gateway.road import catalogue as chat_catalogue
from gateway.road import model, provider
from tollway.api.chat import ChatEndpoint
from tollway.api.naming import named
from tollway.api.rooms import PeopleRules
from tollway.api.server import Server
from tollway.catalogue.offers import Catalogue
from tollway.delivery.exchange import Exchange
from tollway.gateway.call import CallPolicy, Calls
from tollway.gateway.chat import Road
from tollway.gateway.health import OfferHealthBook
from tollway.gateway.reserve import HoldPolicy, Reserve
from tollway.gateway.settle import Till
from tollway.gateway.steer import Steering
from tollway.gateway.stick import Sticky
from tollway.mail import Outbox
from tollway.providers.simulated import SimulatedProvider
from tollway.providers.upstream import dialects
from tollway.routing.router import Router
from tollway.routing.standings import NOTHING_KNOWN
from tollway.workspaces.actor import By
from tollway.workspaces.key import ADMIN_PREFIX, PREFIX, SESSION_PREFIX, new_secret
from tollway.workspaces.profile import Preset, Profile

CANARY = "canary"
PLAN = {"actor": "test", "reason": "test"}
OPERATOR = By("operator", "test")
KEPT = (
    "organizations", "workspaces", "keys", "users", "members", "invitations", "webhook_endpoints", "webhook_deliveries",
    "alert_settings", "subscriptions", "overrides", "postings", "password_resets", "generations", "audit_log", "plan_changes",
    "routing_profiles", "model_aliases", "presets", "preset_versions",
    "feedback",
)  # fmt: skip
"""Tables that a refused request leaves as they are."""


class World:
    """Both tenants. `tokens`: column -> headers of its credential."""

    def __init__(self, house: House, client: httpx.AsyncClient, server: Server) -> None:
        self.house, self.store, self.client, self.server = house, house.store, client, server
        self.tokens: dict[str, dict[str, str]] = {}
        self.users: dict[str, str] = {}
        self.home_id = self.sibling_id = self.home_organization_id = self.other_id = self.other_organization_id = ""
        self.generation_id = self.used_key_id = ""
        self._count = 0
        self._things: dict[str, str] = {}
        self._watch = sqlite3.connect(f"file:{house.folder / 'tollway.db'}?mode=ro", uri=True)

    # --- requests ---

    async def ask(self, row: Row, caller: Caller, names: dict[str, str]) -> httpx.Response:
        """The row's example by this caller about the things that are named."""
        # A minute later: what counts tries per minute is not what is tested here.
        self.house.clock.time += 61
        path = row.path.format(**{name: names[row.given.get(name, name)] for name in _fields(row.path)})
        query = row.query.format(**names)
        body = None if row.body is None else {name: _filled(value, names) for name, value in row.body.items()}
        return await self.client.request(row.method, path + query, json=body, headers=self.tokens[caller.name])

    async def names(self, row: Row) -> dict[str, str]:
        """Things for the row's example; those that were not used up are used again."""
        wanted = [row.given.get(name, name) for name in _fields(row.path)]
        for text in (row.query, *(row.body or {}).values()):
            wanted += _fields(text) if isinstance(text, str) else []
        for name in wanted:
            if name not in self._things:
                make: Callable[[], Coroutine[Any, Any, str]] = getattr(self, f"new_{name}")
                self._things[name] = await make()
        return {name: self._things[name] for name in wanted}

    def use_up(self) -> None:
        """What was named has been changed: the next example gets new things."""
        self._things.clear()

    def dump(self) -> dict[str, list[tuple]]:
        """Everything that is kept, but sessions and counters."""
        return {table: sorted(self._watch.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in KEPT}

    # --- things of the first tenant ---

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{CANARY} {what} {self._count}"

    async def new_email(self) -> str:
        self._count += 1
        return f"guest-{self._count}@acme.test"

    async def new_model_id(self) -> str:
        return "gpt"

    async def new_generation_id(self) -> str:
        return self.generation_id

    async def new_used_key_id(self) -> str:
        return self.used_key_id

    async def new_home_id(self) -> str:
        return self.home_id

    async def new_home_organization_id(self) -> str:
        return self.home_organization_id

    async def new_organization_id(self) -> str:
        return (await self.store.workspaces.add_organization(self._name("organization"))).id

    async def new_workspace_id(self) -> str:
        return (await self.store.workspaces.add_workspace(self.home_organization_id, self._name("workspace"))).id

    async def new_gone_id(self) -> str:
        return (await self.store.workspaces.delete_workspace(await self.new_workspace_id())).id

    async def new_key_id(self) -> str:
        scopes = frozenset({"models"})
        return (await self.store.workspaces.add_key(self.home_id, name=self._name("key"), scopes=scopes))[0].id

    async def new_profile_id(self) -> str:
        rules = Profile(id="", workspace_id=self.home_id, name=self._name("profile"))
        return (await self.store.profiles.add(rules, {"scopes": frozenset({"models"})}))[0].id

    async def new_profile_name(self) -> str:
        return await self.new_fresh_name()

    async def new_alias_id(self) -> str:
        name = self._name("alias").replace(" ", "-")
        return (await self.store.profiles.add_alias(self.home_id, name, "auto", is_override=False, by=None)).id

    async def new_alias_name(self) -> str:
        return await self.new_fresh_name()

    async def new_preset_name(self) -> str:
        made = await self.store.presets.add(
            Preset(
                workspace_id=self.home_id,
                name=self._name("preset").replace(" ", "-"),
                version=0,
                system=self._name("prompt"),
            )
        )
        return made.name

    async def new_fresh_name(self) -> str:
        """A name that anybody may give: no canary."""
        self._count += 1
        return f"fresh-{self._count}"

    async def new_user_id(self) -> str:
        return await self.person(self.home_organization_id, "viewer")

    async def new_invitation_id(self) -> str:
        people, email = self.store.people, f"{CANARY}-{await self.new_email()}"
        return (await people.invite(self.home_organization_id, email, "viewer", OPERATOR))[0].id

    async def new_webhook_id(self) -> str:
        """A webhook that nobody listens at; the one before is removed, since a workspace has only so many."""
        for one in self.store.webhooks.endpoints_of(self.home_id)[1:]:
            await self.store.webhooks.remove(one.id)
        made, _ = await self.store.webhooks.add(
            self.home_id,
            url=f"http://127.0.0.1:9/{CANARY}",
            events=None,
            description=self._name("webhook"),
            is_enabled=True,
        )
        return made.id

    async def new_delivery_id(self) -> str:
        path = f"/v1/webhooks/{await self.new_webhook_id()}/test"
        reply = await self.client.post(path, headers=self.tokens["key of all scopes"])
        return reply.json()["data"]["delivery"]["id"]

    async def person(self, organization_id: str, role: str, name: str = CANARY) -> str:
        """A member with this role; the id of the user."""
        self._count += 1
        user = await self.store.people.accounts.add(f"{name}-{self._count}@acme.test", name, "no hash")
        await self.store.people.join(organization_id, user.id, role)
        return user.id

    async def session(self, user_id: str) -> str:
        return (await self.store.people.accounts.open_session(user_id, 10**9))[1]

    async def log_in(self, name: str) -> None:
        """A session for this column; the ones before may have ended."""
        chosen = {"tollway-workspace": self.home_id} if name.startswith("viewer who") else {}
        chosen = {"tollway-workspace": self.other_id} if name.startswith("owner who") else chosen
        self.tokens[name] = bearer(await self.session(self.users[name])) | chosen

    # --- setting up ---

    async def settle(self) -> None:
        """Both tenants and every column."""
        store, house = self.store, self.house
        self.home_id, self.home_organization_id = house.workspace_id, house.key.organization_id
        await store.workspaces.rename_organization(self.home_organization_id, self._name("organization"))
        await store.workspaces.rename_workspace(self.home_id, self._name("workspace"))
        self.sibling_id = (await store.workspaces.add_workspace(self.home_organization_id, self._name("sibling"))).id
        self.other_id, other_key, _ = await house.tenant("stranger")
        self.other_organization_id = other_key.organization_id
        for organization in (self.home_organization_id, self.other_organization_id):
            await store.plans.set_plan(organization, "enterprise", **PLAN)
        for workspace in (self.home_id, self.sibling_id, self.other_id):
            await store.wallets.credit(workspace, 10**12, kind="grant", reason=f"of {workspace}")
        used, _ = await store.workspaces.add_key(self.home_id, name=self._name("key"))
        self.used_key_id, self.generation_id = used.id, await house.asked(7, key=used)
        await self._people()
        await self._keys()
        self._strangers()
        await self.new_webhook_id()
        await self.new_invitation_id()
        missing = {one.name for one in CALLERS} ^ set(self.tokens)
        assert not missing, missing

    def _strangers(self) -> None:
        self.tokens |= {
            "nobody": {},
            "unknown key": bearer(new_secret(os.urandom, PREFIX)),
            "unknown session": bearer(new_secret(os.urandom, SESSION_PREFIX)),
            "unknown operator": bearer(new_secret(os.urandom, ADMIN_PREFIX)),
            "garbage": bearer("' OR 1=1 --"),
            "another scheme": {"authorization": "Basic dHc6dHc="},
            "operator": self.house.operator,
            "command line of this machine": bearer(self.house.rooms.control_token),
        }

    async def _people(self) -> None:
        home, other = self.home_organization_id, self.other_organization_id
        for role in ROLES:
            self.users[f"{role}'s session"] = await self.person(home, role)
        both = self.users["viewer who owns another organization"] = await self.person(other, "owner", "both")
        self.house.clock.time += 1
        await self.store.people.join(home, both, "viewer")
        self.users["owner who names another's workspace"] = await self.person(home, "owner")
        self.users[FOREIGN[1]] = await self.person(other, "owner", "stranger")
        ended, gone = await self.person(home, "owner"), await self.person(home, "owner")
        self.users |= {"ended session": ended, "member who was taken out": gone}
        for name in self.users:
            await self.log_in(name)
        reply = await self.client.post("/v1/auth/logout", headers=self.tokens["ended session"])
        assert reply.status_code == 200
        await self.store.people.remove(home, gone, OPERATOR)

    async def _keys(self) -> None:
        add, scopes, now = self.store.workspaces.add_key, frozenset(SCOPES), int(self.house.clock.time)
        secrets, made = dict[str, str](), dict[str, str]()

        async def key(name: str, workspace_id: str = self.home_id, **fields: Any) -> None:
            one, secrets[name] = await add(workspace_id, name=self._name(name), **{"scopes": scopes, **fields})
            made[name] = one.id

        for one in SCOPES:
            await key(f"key of {one} alone", scopes=frozenset({one}))
            await key(f"key of all but {one}", scopes=scopes - {one})
        await key("key of all scopes")
        await key("key of a sibling workspace", self.sibling_id)
        _, secrets[FOREIGN[0]] = await add(self.other_id, name="stranger", scopes=scopes)
        await key("expired key", expires_at=now + 1)
        await key("key for another address", ip_allow=("203.0.113.7",))
        for name in ("disabled key", "revoked key", "replaced text of a rotated key"):
            await key(name)
        await self.store.workspaces.disable_key(made["disabled key"])
        await self.store.workspaces.revoke_key(made["revoked key"])
        await self.store.workspaces.rotate_key(made["replaced text of a rotated key"])
        doomed = await self.new_workspace_id()
        await key("key of a deleted workspace", doomed)
        await self.store.workspaces.delete_workspace(doomed)
        self.tokens |= {name: bearer(secret) for name, secret in secrets.items()}

    def close(self) -> None:
        self._watch.close()


def _fields(text: str) -> list[str]:
    return [piece.split("}")[0] for piece in text.split("{")[1:]]


def _filled(value: object, names: dict[str, str]) -> object:
    return value.format(**names) if isinstance(value, str) and "{" in value else value


def chat_of(house: House) -> ChatEndpoint:
    """The hot endpoint on the same store, over the simulated provider."""
    clock, telemetry, limiter = house.clock, house.telemetry, house.rooms.limiter
    ledger = house.store.ledger
    echo = model(provider("estimate", "estimate"), "echo")
    known = chat_catalogue()
    offers = Catalogue({**known.models, echo.id: echo}, {**known.models, echo.id: echo}, known.providers, version="1")
    reserve = Reserve(ledger, limiter, HoldPolicy(1_000, 100, 900))
    health, sticky = OfferHealthBook(), Sticky(os.urandom)
    calls = Calls(
        SimulatedProvider(), dialects(), reserve, CallPolicy(2.0, 5.0, 0, 4), clock, telemetry, lambda: 0.0, health
    )
    router = Router(lambda: offers, NOTHING_KNOWN, health)
    steering = Steering(router, house.store.profiles, sticky, 1_000, lambda: 0.0)
    return ChatEndpoint(
        gate=house.rooms.gate,
        road=Road(steering, reserve, calls, Till(ledger, limiter, clock, telemetry, health, sticky), clock),
        limiter=limiter,
        replies=house.store.idempotency,
        clock=clock,
        ids=house.ids,
        telemetry=telemetry,
        bytes_max=100_000,
        is_draining=lambda: False,
        names=partial(named, house.store.profiles, house.store.presets),
    )


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """The world, settled."""
    outbox = Outbox(Mailbox())
    exchange = Exchange(allow_http=True, allow_private=True, timeout_s=2)
    rules = PeopleRules("open", 10**9, "")
    async with opened(folder, people=rules, outbox=outbox, exchange=exchange, api_requests=-1) as house:
        house.folder = folder
        server = Server(chat_of(house), house.rooms)
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            made = World(house, client, server)
            await made.settle()
            yield made
            made.close()
        while outbox.waiting:
            await outbox.close()
        await outbox.close()
    exchange.close()
    await asyncio.sleep(0)
