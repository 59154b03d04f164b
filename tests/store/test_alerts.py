"""Alert rows: unique whatever happens, and lists of them."""

import asyncio

import pytest

from store.world import opened
from tollway.alerts.events import BalanceLow
from tollway.alerts.thresholds import AlertSettings
from tollway.errors import ValidationFailed
from tollway.store.alerts import Alerts, Subject

LOW = BalanceLow("5", "4.20")


def run(scenario) -> None:
    asyncio.run(scenario)


def test_two_processes_that_both_think_it_is_new_tell_it_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store
            await store.webhooks.add(world.ws, url="https://example.com/")
            level = Subject("wallet", "balance.low", world.ws, is_level=True)
            window = Subject("key", "balance.low", world.ws, 86_400)
            connection = store._writer._connect()
            blind = Alerts(connection, store.ledger, store.reader, store.webhooks, clock=store.clock, ids=store.ids)
            connection.close()
            for subject in (level, window):
                for alerts in (store.alerts, blind):
                    await alerts.fire(subject, [50], lambda _: LOW)
            world.clock.time += 5
            await blind.fire(level._replace(name="wallet"), [50], lambda _: LOW)
            assert await world.ask("SELECT count(*) FROM alerts") == [(2,)]
            assert await world.ask("SELECT count(*) FROM webhook_events") == [(2,)]
            assert await world.ask("SELECT count(*) FROM webhook_deliveries") == [(2,)]
            assert world.store.ledger.is_available

    run(scenario())


def test_a_level_may_be_told_again_once_it_was_cleared(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            alerts, subject = world.store.alerts, Subject("wallet", "balance.low", world.ws, is_level=True)
            assert await alerts.fire(subject, [5, 0], lambda _: LOW) == 2
            assert await alerts.fire(subject, [5, 0], lambda _: LOW) == 0
            world.clock.time += 1
            await alerts.clear(subject, [5])
            assert alerts.told(subject) == {0}
            world.clock.time += 1
            assert await alerts.fire(subject, [5, 0], lambda _: LOW) == 1
            page = await alerts.recent(world.ws, limit=2)
            assert [one.threshold for one in page.alerts] == [5, 0]
            rest = await alerts.recent(world.ws, limit=2, after=page.next_cursor)
            assert [(one.threshold, one.cleared_at is None) for one in rest.alerts] == [(5, False)]
            assert rest.next_cursor == ""
            assert (await alerts.recent("elsewhere", limit=5)).alerts == []
            assert (await alerts.recent(world.ws, limit=5, kind="tokens.threshold")).alerts == []

    run(scenario())


def test_old_windows_are_forgotten_and_lifetimes_are_not(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            alerts, now = world.store.alerts, int(world.clock.time)
            old = Subject("old", "balance.low", world.ws, now - 41 * 86_400)
            ever = Subject("ever", "balance.low", world.ws, 0)
            level = Subject("level", "balance.low", world.ws, is_level=True)
            for subject in (old, ever, level):
                await alerts.fire(subject, [50], lambda _: LOW)
            alerts.forget_before(now)
            assert [alerts.told(one) for one in (old, ever, level)] == [set(), {50}, {50}]
        async with opened(tmp_path, prefix=1) as world:
            assert [world.store.alerts.told(one) for one in (old, ever, level)] == [set(), {50}, {50}]

    run(scenario())


def test_settings_are_checked(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            for bad, param in (
                (AlertSettings(budget_percent=(0,)), "budget_percent"),
                (AlertSettings(storage_percent=(1001,)), "storage_percent"),
                (AlertSettings(low_balance_nano=-1), "low_balance_usd"),
                (AlertSettings(low_balance_nano=2**63), "low_balance_usd"),
            ):
                with pytest.raises(ValidationFailed) as refused:
                    await world.store.alerts.set_settings(world.ws, bad)
                assert refused.value.param == param

    run(scenario())
