"""Deliveries with a real receiver and a clock of our own: tries, dead letters, replay, claims, and endpoints that fail."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from store.world import NOW, FakeClock, World, opened
from support.receiver import Receiver
from tollway.alerts.events import PlanChanged
from tollway.alerts.schedule import RETRY_DELAYS_S
from tollway.alerts.webhook import Delivery, Endpoint
from tollway.delivery.courier import Courier
from tollway.delivery.exchange import Exchange
from tollway.errors import AlreadyExists, LedgerUnavailable, NotFound, ValidationFailed
from tollway.store.deliveries import DISABLE_AFTER_S, KEPT_S

PLAN = PlanChanged("pro", "hobby", "test")


def run(scenario) -> None:
    asyncio.run(scenario)


class Post:
    """A world with one endpoint at a receiver, and a courier."""

    def __init__(self, world: World, endpoint: Endpoint, secret: str, courier: Courier) -> None:
        self.world, self.endpoint, self.secret, self.courier = world, endpoint, secret, courier
        self.store = world.store

    async def announce(self) -> None:
        await self.store.webhooks.announce("plan.changed", self.world.ws, PLAN)

    async def step(self) -> int:
        begun = await self.courier.step()
        await self.courier.settled()
        return begun

    async def all(self) -> list[Delivery]:
        return (await self.store.deliveries.page(self.endpoint.id, limit=100)).deliveries

    async def one(self) -> Delivery:
        (found,) = await self.all()
        return found

    @property
    def now(self) -> Endpoint:
        return self.store.webhooks.endpoint(self.endpoint.id)


@asynccontextmanager
async def posting(tmp_path, url: str, clock: FakeClock | None = None):
    async with opened(tmp_path, clock) as world:
        exchange = Exchange(allow_http=True, allow_private=True, timeout_s=2)
        try:
            endpoint, secret = await world.store.webhooks.add(world.ws, url=url)
            courier = Courier(world.store.webhooks, world.store.deliveries, exchange, world.clock)
            yield Post(world, endpoint, secret, courier)
        finally:
            exchange.close()


def test_a_delivery_arrives_signed_once(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            assert await post.step() == 1
            assert await post.step() == 0
            one = await post.one()
            assert (one.status, one.attempts, one.next_at) == ("delivered", 1, None)
            (attempt,) = one.log
            assert (attempt.status, attempt.error, attempt.response) == (200, "", "thanks")
            (came,) = receiver.received
            assert came.id == one.event_id
            assert came.body == one.body
            assert came.is_signed(post.secret)

    with Receiver() as receiver:
        run(scenario())


def test_tries_come_at_their_times_then_the_letter_is_dead_and_can_be_replayed(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with posting(tmp_path, receiver.url, clock) as post:
            await post.announce()
            for number, delay in enumerate(RETRY_DELAYS_S, 1):
                assert await post.step() == 1
                one = await post.one()
                assert (one.status, one.attempts, one.next_at) == ("pending", number, int(clock.time) + delay)
                with pytest.raises(AlreadyExists):
                    await post.store.deliveries.replay(one.id)
                clock.time += delay - 1
                assert await post.step() == 0
                clock.time += 1
            assert await post.step() == 1
            dead = await post.one()
            assert (dead.status, dead.attempts, dead.next_at) == ("dead", 9, None)
            assert [one.number for one in dead.log] == list(range(1, 10))
            assert {one.error for one in dead.log} == {"it answered 500"}
            assert await post.step() == 0
            assert (await post.store.deliveries.page(post.endpoint.id, limit=5, status="dead")).deliveries == [dead]

            receiver.status = 204
            clock.time += 60
            again = await post.store.deliveries.replay(dead.id, post.world.ws)
            assert (again.status, again.tries) == ("pending", 0)
            assert await post.step() == 1
            done = await post.one()
            assert (done.status, done.attempts) == ("delivered", 10)
            assert {one.id for one in receiver.received} == {dead.event_id}
            assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == 10
            assert all(one.is_signed(post.secret) for one in receiver.received)

            with pytest.raises(NotFound):
                await post.store.deliveries.replay(dead.id, "another workspace")
            with pytest.raises(NotFound):
                await post.store.deliveries.replay("nothing")

    with Receiver(500) as receiver:
        run(scenario())


def test_both_secrets_sign_for_a_day(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with posting(tmp_path, receiver.url, clock) as post:
            _, newer = await post.store.webhooks.rotate(post.endpoint.id)
            for _ in range(2):
                await post.announce()
                await post.step()
                clock.time += 86_400
            first, second = receiver.received
            assert first.is_signed(post.secret)
            assert first.is_signed(newer)
            assert second.is_signed(newer)
            assert not second.is_signed(post.secret)

    with Receiver() as receiver:
        run(scenario())


def test_one_courier_sends_each(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            for _ in range(20):
                await post.announce()
            couriers = [
                Courier(post.store.webhooks, post.store.deliveries, post.courier._exchange, post.world.clock)
                for _ in range(5)
            ]
            while sum(await asyncio.gather(*(one.step() for one in couriers))):
                await asyncio.gather(*(one.settled() for one in couriers))
            assert len(receiver.received) == 20
            assert len({one.id for one in receiver.received}) == 20

    with Receiver() as receiver:
        run(scenario())


def test_a_slow_receiver_holds_up_only_itself(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, slow.url) as post:
            fast, _ = await post.store.webhooks.add(post.world.ws, url=quick.url)
            for _ in range(3):
                await post.announce()
            for _ in range(3):
                await post.courier.step()
                await asyncio.sleep(0.15)
            assert len(quick.received) == 3
            assert len(slow.received) == 1
            await post.courier.settled()
            assert fast.id

    with Receiver(delay_s=0.8) as slow, Receiver() as quick:
        run(scenario())


def test_a_claim_dies_with_the_process_and_the_delivery_does_not(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            (claimed,) = await post.store.deliveries.claim(5)
            assert await post.store.deliveries.claim(5) == []
        async with opened(tmp_path, prefix=1) as world:
            (again,) = await world.store.deliveries.claim(5)
            assert again == claimed

    with Receiver() as receiver:
        run(scenario())


def test_what_cannot_be_written_down_is_sent_again_under_the_same_id(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            (claimed,) = await post.store.deliveries.claim(5)
            post.store._writer.is_down = True
            with pytest.raises(LedgerUnavailable):
                await post.courier.send(claimed)
            post.store._writer.is_down = False
            assert await post.step() == 1
            assert (await post.one()).status == "delivered"
            assert [one.id for one in receiver.received] == [claimed.event_id] * 2

    with Receiver() as receiver:
        run(scenario())


def test_days_of_only_failures_switch_an_endpoint_off_with_an_alert(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with posting(tmp_path, failing.url, clock) as post:
            await post.store.webhooks.add(post.world.ws, url=other.url, events=frozenset({"webhook.disabled"}))
            await post.announce()
            await post.step()
            assert post.now.failing_since == NOW
            failing.status = 200
            await post.announce()
            await post.step()
            assert post.now.failing_since is None
            failing.status = 503
            await post.announce()
            await post.step()
            clock.time += DISABLE_AFTER_S
            await post.announce()
            await post.step()
            assert not post.now.is_enabled
            assert post.now.disabled_reason == "nothing but failures for 5 days"
            (alert,) = (await post.store.alerts.recent(post.world.ws, limit=5)).alerts
            assert (alert.kind, alert.mail) == ("webhook.disabled", "due")
            assert alert.data["host"] == f"127.0.0.1:{failing.port}"
            seen = len(failing.received)
            await post.announce()
            while await post.step():
                pass
            assert len(failing.received) == seen
            (came,) = other.received
            assert b"webhook.disabled" in came.body
            dead = [one for one in await post.all() if one.status == "pending"]
            assert dead, "what was on its way waits for the endpoint"
            with pytest.raises(ValidationFailed):
                await post.store.deliveries.replay(
                    next(one.id for one in await post.all() if one.status == "delivered")
                )
            failing.status = 200
            changed = await post.store.webhooks.change(_enabled(post.now))
            assert (changed.disabled_reason, changed.failing_since) == ("", None)
            clock.time += 90_000
            while await post.step():
                pass
            assert {one.status for one in await post.all()} == {"delivered"}
        async with opened(tmp_path, clock, prefix=1) as world:
            assert all(one.is_enabled for one in world.store.webhooks.endpoints_of(world.ws))

    with Receiver(503) as failing, Receiver() as other:
        run(scenario())


def _enabled(endpoint):
    import msgspec

    return msgspec.structs.replace(endpoint, is_enabled=True)


def test_a_receiver_that_is_gone_is_believed(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            await post.step()
            assert not post.now.is_enabled
            assert (await post.one()).status == "dead"

    with Receiver(410) as receiver:
        run(scenario())


def test_a_test_is_sent_once_and_counts_against_nobody(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            sent = await post.store.deliveries.test(post.endpoint)
            assert await post.store.deliveries.claim(5) == []
            after, answer = await post.courier.send(sent, is_last=True)
            assert (after.status, answer.status, answer.body) == ("dead", 500, "thanks")
            assert post.now.failing_since is None
            assert await post.step() == 0
            assert receiver.received[0].is_signed(post.secret)

    with Receiver(500) as receiver:
        run(scenario())


def test_removing_an_endpoint_cancels_what_was_on_its_way(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            (claimed,) = await post.store.deliveries.claim(1)
            await post.store.webhooks.remove(post.endpoint.id)
            assert (await post.one()).status == "cancelled"
            with pytest.raises(NotFound):
                await post.courier.send(claimed)
            assert await post.step() == 0
            assert receiver.received == []

    with Receiver() as receiver:
        run(scenario())


def test_what_has_ended_is_kept_for_thirty_days(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with posting(tmp_path, receiver.url, clock) as post:
            await post.announce()
            await post.step()
            receiver.status = 500
            await post.announce()
            await post.step()
            clock.time += KEPT_S - 1
            await post.store.deliveries.purge(int(clock.time))
            assert len(await post.all()) == 2
            clock.time += 2
            await post.store.deliveries.purge(int(clock.time))
            (left,) = await post.all()
            assert left.status == "pending"
            assert await post.world.ask("SELECT count(*) FROM webhook_events") == [(1,)]
            assert await post.world.ask("SELECT count(*) FROM webhook_attempts") == [(1,)]

    with Receiver() as receiver:
        run(scenario())


def test_a_lost_pepper_is_told_in_the_attempt(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            await post.announce()
            post.store.webhooks._sealer._key = b"q" * 32
            await post.step()
            one = await post.one()
            assert "kept under another pepper; rotate it" in one.log[0].error
            assert (one.log[0].status, one.status) == (0, "pending")
            assert receiver.received == []

    with Receiver() as receiver:
        run(scenario())


def test_pages_follow_each_other(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            for _ in range(5):
                await post.announce()
            seen, after = [], ""
            while True:
                page = await post.store.deliveries.page(post.endpoint.id, limit=2, after=after)
                seen += [one.id for one in page.deliveries]
                after = page.next_cursor
                if not after:
                    break
            assert seen == sorted(seen, reverse=True)
            assert len(set(seen)) == 5

    with Receiver() as receiver:
        run(scenario())


def test_the_courier_runs_until_it_is_stopped(tmp_path) -> None:
    async def scenario() -> None:
        async with posting(tmp_path, receiver.url) as post:
            running = asyncio.create_task(post.courier.run(0.05))
            for _ in range(3):
                await post.announce()
            await asyncio.to_thread(receiver.wait, 3)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    with Receiver() as receiver:
        run(scenario())
