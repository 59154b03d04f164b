"""People for the tests of the API: a house that lets them in, and a mailbox that keeps their mails."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from api.house import House, bearer, opened
from tollway.api.rooms import PeopleRules
from tollway.mail import Outbox

PASSWORD = "correct horse battery"
TOKEN = re.compile(r"\btw[ir]_\w{47}\b")


class Mailbox:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.mails.append((to, subject, text))

    def token(self, to: str) -> str:
        """The token in the last mail to this address that has one."""
        found = [TOKEN.search(text) for whom, _, text in self.mails if whom == to]
        return [one[0] for one in found if one][-1]


class Town:
    """A house with people."""

    def __init__(self, house: House, outbox: Outbox, mailbox: Mailbox) -> None:
        self.house, self.outbox, self.mailbox = house, outbox, mailbox
        self.people = house.store.people

    async def ask(self, method: str, path: str, token: str = "", body: object = None, **headers: str) -> httpx.Response:
        """One request. `token`: the credential, none if ""."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | (bearer(token) if token else {})
        return await self.house.client.request(method, path, json=body, headers=headers)

    async def sign_up(self, email: str = "jane@acme.test", **fields: object) -> str:
        """A new owner of a new organization; their token."""
        reply = await self.ask("POST", "/v1/auth/signup", body={"email": email, "password": PASSWORD, **fields})
        assert reply.status_code == 201, reply.text
        return reply.json()["token"]

    async def log_in(self, email: str = "jane@acme.test", password: str = PASSWORD) -> str:
        reply = await self.ask("POST", "/v1/auth/login", body={"email": email, "password": password})
        assert reply.status_code == 200, reply.text
        return reply.json()["token"]

    async def join(self, owner: str, email: str, role: str) -> str:
        """Invite somebody, who accepts; their token."""
        reply = await self.ask("POST", "/v1/members", owner, {"email": email, "role": role})
        assert reply.status_code == 201, reply.text
        await self.post()
        body = {"token": self.mailbox.token(email), "password": PASSWORD}
        reply = await self.ask("POST", "/v1/auth/invitations/accept", body=body)
        assert reply.status_code == 200, reply.text
        return reply.json()["token"]

    async def me(self, token: str) -> dict:
        reply = await self.ask("GET", "/v1/auth/me", token)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    async def user_id(self, token: str) -> str:
        return (await self.me(token))["user"]["id"]

    async def is_in(self, token: str) -> bool:
        """The session is good now."""
        return (await self.ask("GET", "/v1/auth/me", token)).status_code == 200

    async def post(self) -> None:
        """Wait until every mail is out."""
        while self.outbox.waiting:
            await self.outbox.close()

    def later(self, seconds: int) -> None:
        """Time passes."""
        self.house.clock.time += seconds


@asynccontextmanager
async def town(folder: Path, signup: str = "open", public_url: str = "") -> AsyncIterator[Town]:
    mailbox = Mailbox()
    outbox = Outbox(mailbox)
    async with opened(folder, people=PeopleRules(signup, 3_600, public_url), outbox=outbox) as house:
        yield Town(house, outbox, mailbox)
        await outbox.close()
