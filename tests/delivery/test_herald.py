"""Mails of alerts: to owners, admins and billing members; tried again, and given up."""

import asyncio

from store.world import FakeClock, opened
from tollway.alerts.alert import MAIL_DELAYS_S
from tollway.alerts.events import BalanceLow
from tollway.alerts.letters import Audience
from tollway.delivery.herald import Herald
from tollway.store.alerts import Subject
from tollway.store.audience import Audiences

LOW = BalanceLow("5", "4.20")


def run(scenario) -> None:
    asyncio.run(scenario)


class Mailbox:
    """Takes mails; `broken` addresses fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.mails: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        if to in self.broken:
            raise OSError("the mail server is away")
        self.mails.append((to, subject, text))


async def fire(world, name: str = "wallet") -> None:
    subject = Subject(f"{name}:{world.ws}", "balance.low", world.ws, is_level=True)
    await world.store.alerts.fire(subject, [5], lambda _: LOW)


async def states(world) -> list[str]:
    return [row[0] for row in await world.ask("SELECT mail FROM alerts ORDER BY id")]


def test_who_is_told(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store
            organization = store.workspaces.workspace(world.ws).organization_id
            for role in ("owner", "admin", "member", "viewer", "billing"):
                user = await store.people.accounts.add(f"{role}@example.com", role, "hash")
                await store.people.join(organization, user.id, role)
            box = Mailbox()
            herald = Herald(store.alerts, Audiences(store.workspaces, store.people).of, box.send)
            await fire(world)
            assert await herald.step() == 1
            assert await herald.step() == 0
            assert sorted(to for to, _, _ in box.mails) == [
                "admin@example.com",
                "billing@example.com",
                "owner@example.com",
            ]
            _, subject, text = box.mails[0]
            assert subject == "[main] The wallet is down to 4.20 USD"
            assert "you asked to be told at 5 USD" in text
            assert "Organization: Acme" in text
            assert await states(world) == ["sent"]

    run(scenario())


def test_nobody_is_told_where_there_is_nobody(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store
            herald = Herald(store.alerts, Audiences(store.workspaces, store.people).of, Mailbox().send)
            await fire(world)
            assert await herald.step() == 1
            assert await states(world) == ["sent"]

    run(scenario())


def test_a_mail_is_tried_again_and_given_up_in_the_end(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with opened(tmp_path, clock) as world:
            box = Mailbox("a@example.com")
            herald = Herald(world.store.alerts, lambda _: Audience("Acme", "main", ["a@example.com"]), box.send)
            await fire(world)
            for delay in MAIL_DELAYS_S:
                assert await herald.step() == 0
                assert await states(world) == ["due"]
                clock.time += delay - 1
                assert await world.store.alerts.to_mail(5) == []
                clock.time += 1
            await herald.step()
            assert await states(world) == ["failed"]
            await fire(world, "again")
            box.broken.clear()
            assert await herald.step() == 1
            assert len(box.mails) == 1

    run(scenario())


def test_one_address_that_fails_does_not_mail_the_others_twice(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            box = Mailbox("a@example.com")
            both = Audience("Acme", "main", ["a@example.com", "b@example.com"])
            herald = Herald(world.store.alerts, lambda _: both, box.send)
            await fire(world)
            assert await herald.step() == 1
            assert await herald.step() == 0
            assert [to for to, _, _ in box.mails] == ["b@example.com"]

    run(scenario())
