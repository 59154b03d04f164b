"""R5-R9 and R13 of money.md on the embedded ledger, with numbers by hand."""

import asyncio

import pytest

from store.world import NOW, FakeClock, opened
from tollway.errors import AlreadyExists, Broken, BudgetExceeded, InsufficientBalance, LedgerUnavailable, NotFound
from tollway.ledger.transfer import between, credit
from tollway.ports import Settled


def run(scenario) -> None:
    asyncio.run(scenario)


def test_r6_vector_hold_charge_release(tmp_path) -> None:
    """1234 in, max 4096 out at 3/15 + 10 %: hold 71,656,200; 567 out: charge 13,427,700; released 58,228,500."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100_000_000)
            await world.hold("r1", 71_656_200)
            assert world.available == 100_000_000 - 71_656_200 == 28_343_800
            before = world.available
            settled = await world.settle("r1", 13_427_700, cost=12_207_000)
            assert settled == Settled(13_427_700, 0)
            assert world.available - before == 58_228_500
            assert world.available == 100_000_000 - 13_427_700 == 86_572_300
            assert await world.ask(
                "SELECT code, amount_nano FROM postings JOIN accounts ON accounts.id = account_id WHERE transfer_id = 2"
            ) == [
                (f"wallet:{world.ws}", -13_427_700),
                ("payable:openai", 12_207_000),
                ("revenue:margin", 1_220_700),
            ]

    run(scenario())


def test_r4_every_transfer_sums_to_zero_and_is_keyed_for_ever(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            first = await world.ledger.post(credit("topup", world.ws, 500, external_ref="pay_1"))
            again = await world.ledger.post(credit("topup", world.ws, 500, external_ref="pay_1"))
            assert (first.id, first.is_replay) == (again.id, False)
            assert again.is_replay
            assert world.balance.posted_nano == 500
            with pytest.raises(AlreadyExists):
                await world.ledger.post(credit("topup", world.ws, 501, external_ref="pay_1"))
            # Another kind with the same reference is another movement.
            await world.ledger.post(credit("grant", world.ws, 7, external_ref="pay_1"))
            assert world.balance.posted_nano == 507
            assert await world.ask("SELECT sum(amount_nano) FROM postings GROUP BY transfer_id") == [(0,), (0,)]

    run(scenario())


def test_r4_two_credits_of_one_payment_at_the_same_time_give_one(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            same = [world.ledger.post(credit("topup", world.ws, 500, external_ref="pay_1")) for _ in range(20)]
            results = await asyncio.gather(*same)
            assert [result.is_replay for result in results].count(False) == 1
            assert world.balance.posted_nano == 500

    run(scenario())


def test_r5_a_hold_is_all_or_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            with pytest.raises(InsufficientBalance) as refused:
                await world.hold("b", 41)
            assert refused.value.details["needed_usd"] == "0.000000041"
            assert refused.value.details["available_usd"] == "0.00000004"
            assert world.available == 40
            await world.hold("c", 40)
            assert world.available == 0
            with pytest.raises(InsufficientBalance):
                await world.hold("d", 1)
            await world.hold("e", 0)

    run(scenario())


def test_r5_settling_twice_gives_the_earlier_result(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(1000)
            await world.hold("a", 100)
            assert await world.settle("a", 30) == Settled(30)
            assert await world.settle("a", 99) == Settled(30, 0, is_replay=True)
            await world.void("a")
            assert world.balance.posted_nano == 970
            assert await world.ask("SELECT count(*) FROM transfers WHERE kind = 'usage'") == [(1,)]

    run(scenario())


def test_r5_racing_settles_wait_for_the_first(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(1000)
            await world.hold("a", 100)
            results = await asyncio.gather(*(world.settle("a", 30 + n) for n in range(5)), world.void("a"))
            assert results[0] == Settled(30)
            assert results[1:5] == [Settled(30, 0, is_replay=True)] * 4
            assert world.balance.posted_nano == 970

    run(scenario())


def test_r7_overrun_takes_the_hold_then_what_is_available_then_bad_debt(tmp_path) -> None:
    """Wallet 100: holds a=50, b=20; a costs 90: 50 from its hold, 30 available, 10 bad debt; b's hold is untouched."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 50)
            await world.hold("b", 20)
            assert await world.settle("a", 90, cost=80) == Settled(80, 10)
            assert (world.balance.posted_nano, world.balance.held_nano, world.available) == (20, 20, 0)
            lines = await world.ask(
                "SELECT code, amount_nano FROM postings JOIN accounts ON accounts.id = account_id WHERE transfer_id = 2"
            )
            assert lines == [
                (f"wallet:{world.ws}", -80),
                ("bad_debt", -10),
                ("payable:openai", 80),
                ("revenue:margin", 10),
            ]
            assert world.ledger.gauges().bad_debt_nano == 10
            assert await world.settle("b", 20) == Settled(20)
            assert world.balance.posted_nano == 0

    run(scenario())


def test_r7_overrun_within_the_wallet_is_no_debt(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 50)
            assert await world.settle("a", 70) == Settled(70, 0)
            assert world.balance.posted_nano == 30

    run(scenario())


def test_r8_void_releases_everything_and_failover_is_ours(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            await world.void("a", failover=13)
            assert world.available == 100
            assert await world.ask(
                "SELECT kind, code, amount_nano FROM postings JOIN accounts ON accounts.id = account_id JOIN transfers ON transfers.id = transfer_id WHERE kind = 'failover'"
            ) == [("failover", "cost_of_failover", -13), ("failover", "payable:openai", 13)]
            assert await world.ask("SELECT outcome, charge_nano, status FROM generations") == [("void", 0, "error")]
            # Delivered at the second attempt: one charge, the failed attempt is ours.
            await world.hold("b", 60)
            await world.settle("b", 40, cost=36, failover=5)
            assert world.balance.posted_nano == 60
            kept = await world.store.generations.get(world.ws, "b")
            assert [tuple(posting) for posting in kept.postings] == [
                (f"wallet:{world.ws}", -40),
                ("payable:openai", 36),
                ("revenue:margin", 4),
                ("cost_of_failover", -5),
                ("payable:openai", 5),
            ]

    run(scenario())


def test_a_free_answer_ends_its_hold_and_moves_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            assert await world.settle("a", 0) == Settled(0)
            assert world.available == 100
            assert await world.ask("SELECT count(*) FROM transfers WHERE kind = 'usage'") == [(0,)]
            assert await world.ask("SELECT outcome, charge_nano, hold_nano FROM generations") == [("settled", 0, 60)]

    run(scenario())


def test_r6b_a_rolling_hold_grows_or_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 10)
            await world.ledger.raise_hold("a", 40)
            assert world.balance.held_nano == 50
            with pytest.raises(InsufficientBalance):
                await world.ledger.raise_hold("a", 51)
            assert world.balance.held_nano == 50
            await world.ledger.execute()
            assert await world.ask("SELECT amount_nano FROM holds") == [(50,)]
            await world.ledger.raise_hold("a", 50)
            assert await world.settle("a", 100) == Settled(100)
            assert await world.ask("SELECT hold_nano, charge_nano FROM generations") == [(100, 100)]
            assert await world.ask("SELECT count(*) FROM holds") == [(0,)]
            with pytest.raises(LedgerUnavailable):
                await world.ledger.raise_hold("a", 1)

    run(scenario())


def test_r9_an_overdue_hold_expires_and_settles_late(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, budget_nano=1000, budget_window="day") as world:
            await world.fund(100)
            await world.hold("a", 60, lasts=900)
            await world.hold("b", 10, lasts=2000)
            assert (await world.store.sweep(NOW + 899)).holds == 0
            leaked = await world.store.sweep(NOW + 900)
            assert (leaked.holds, leaked.amount_nano) == (1, 60)
            assert world.available == 90
            assert world.ledger.gauges().leaked_nano == 60
            kept = await world.store.generations.get(world.ws, "a")
            assert (kept.generation.status, kept.end.outcome, kept.end.charge_nano) == ("expired", "expired", 0)
            # Late: from what is available, down to zero; the rest is bad debt.
            assert await world.settle("a", 95, cost=90) == Settled(90, 5)
            assert await world.settle("a", 95, cost=90) == Settled(90, 5, is_replay=True)
            kept = await world.store.generations.get(world.ws, "a")
            assert (kept.generation.status, kept.end.outcome, kept.end.charge_nano, kept.end.hold_nano) == (
                "ok",
                "settled",
                90,
                0,
            )
            assert (world.balance.posted_nano, world.balance.held_nano) == (10, 10)
            assert await world.ask("SELECT spent_nano, held_nano FROM key_days") == [(90, 10)]

    run(scenario())


def test_r9_late_settles_at_the_same_time_charge_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            sweep = asyncio.create_task(world.store.sweep(NOW + 900))
            await asyncio.sleep(0)
            results = await asyncio.gather(*(world.settle("a", 30) for _ in range(5)))
            await sweep
            assert sorted(result.is_replay for result in results) == [False, True, True, True, True]
            assert world.balance.posted_nano == 70

    run(scenario())


def test_r9_a_void_after_expiry_changes_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            await world.store.sweep(NOW + 900)
            await world.void("a")
            assert await world.ask("SELECT outcome FROM generations") == [("expired",)]

    run(scenario())


def test_r13_a_budget_counts_spent_and_held(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, budget_nano=100, budget_window="day") as world:
            await world.fund(1_000)
            await world.hold("a", 60)
            with pytest.raises(BudgetExceeded) as refused:
                await world.hold("b", 41)
            assert refused.value.details["limit_source"] == "key"
            assert refused.value.details["needed_usd"] == "0.000000041"
            assert refused.value.details["available_usd"] == "0.00000004"
            assert refused.value.details["limit_usd"] == "0.0000001"
            assert refused.value.details["resets_at"] == (NOW // 86_400 + 1) * 86_400
            assert world.available == 940
            await world.settle("a", 10)
            await world.hold("b", 90)
            with pytest.raises(BudgetExceeded):
                await world.ledger.raise_hold("b", 1)

    run(scenario())


def test_r13_an_old_call_neither_spends_nor_erases_the_new_window(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock((NOW // 86_400 + 1) * 86_400 - 1)  # one second before midnight
        async with opened(tmp_path, clock, budget_nano=100, budget_window="day") as world:
            await world.fund(1_000)
            await world.hold("old", 100)
            clock.time += 1
            await world.hold("new", 70)
            assert await world.settle("old", 80) == Settled(80)
            with pytest.raises(BudgetExceeded):
                await world.hold("more", 31)
            await world.hold("more", 30)
            day = int(clock.time) // 86_400
            assert await world.ask("SELECT day, spent_nano, held_nano FROM key_days ORDER BY day") == [
                (day - 1, 80, 0),
                (day, 0, 70),
            ]

    run(scenario())


def test_r13_a_changed_budget_counts_what_was_spent_before_it(tmp_path) -> None:
    """Pains C-2 27, 33: a budget set later is in force at once, and knows the window's past."""

    async def scenario() -> None:
        from dataclasses import replace

        async with opened(tmp_path) as world:
            await world.fund(1_000)
            await world.hold("a", 60)
            await world.settle("a", 60)
            world.key = await world.store.workspaces.change_key(
                replace(world.key, budget_nano=100, budget_window="month")
            )
            with pytest.raises(BudgetExceeded):
                await world.hold("b", 41)
            await world.hold("b", 40)

    run(scenario())


def test_wallets_of_one_organization_exchange_money(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            other = (await world.store.workspaces.add_workspace(world.key.organization_id, "other")).id
            await world.fund(100)
            await world.hold("a", 60)
            with pytest.raises(InsufficientBalance):
                await world.ledger.post(between(world.ws, other, 41, external_ref="t1"))
            await world.ledger.post(between(world.ws, other, 40, external_ref="t1"))
            assert (world.available, world.ledger.balance(other).available_nano) == (0, 40)
            with pytest.raises(NotFound):
                await world.ledger.post(between(world.ws, "nobody", 1, external_ref="t2"))

    run(scenario())


def test_a_negative_or_unbalanced_charge_is_refused_and_changes_nothing(tmp_path) -> None:
    """Pains C-1 8: a negative charge would pay the customer."""

    async def scenario() -> None:
        from tollway.metering.rating import Charge
        from tollway.ports import Settlement

        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            for charge in (Charge(-5, -5, 0, ()), Charge(5, 3, 1, ()), Charge(5, 6, -1, ())):
                with pytest.raises(Broken):
                    await world.ledger.settle(Settlement("a", charge, "openai", world.generation("a")))
            assert (world.balance.posted_nano, world.balance.held_nano) == (100, 60)
            assert await world.settle("a", 60) == Settled(60)

    run(scenario())


def test_unknown_requests_and_wallets(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            with pytest.raises(LedgerUnavailable):
                await world.settle("never", 1)
            with pytest.raises(LedgerUnavailable):
                await world.void("never")
            with pytest.raises(NotFound):
                world.ledger.balance("nobody")
            await world.fund(10)
            await world.hold("a", 1)
            with pytest.raises(AlreadyExists):
                await world.hold("a", 1)

    run(scenario())


def test_a_cancelled_waiter_does_not_take_the_charge_back(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100)
            await world.hold("a", 60)
            settling = asyncio.create_task(world.settle("a", 50))
            await asyncio.sleep(0)
            settling.cancel()
            assert await world.settle("a", 50) == Settled(50, 0, is_replay=True)
            assert world.balance.posted_nano == 50

    run(scenario())


def test_balance_after_follows_the_order_of_decisions(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(1_000, ref="pay")
            for number in range(20):
                await world.hold(f"r{number}", 10)
            await asyncio.gather(*(world.settle(f"r{number}", number) for number in range(20)))
            history = await world.store.wallets.history(world.ws, limit=100)
            running = 0
            for transaction in reversed(history.transactions):
                running += transaction.amount_nano
                assert transaction.balance_after_nano == running
            assert running == 1_000 - sum(range(20))

    run(scenario())
