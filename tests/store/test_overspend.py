"""T3 and T4 of reliability.md: nothing is admitted beyond what is there, and a hold has one end whoever races for it."""

import asyncio

import pytest

from store.test_audit import verdicts
from store.world import NOW, opened
from tollway.errors import BudgetExceeded, PaymentRequired

M, PRICE = 1_000, 71_656_200


@pytest.mark.parametrize("k", [0, 1, 37, 500, 999])
@pytest.mark.parametrize("limit", ["wallet", "key"])
def test_a_thousand_concurrent_requests_with_credit_for_k(tmp_path, k, limit) -> None:
    """Pains C-2 20, 21, 30, 31, 34: concurrent requests on one wallet, or one key's budget, never pass it."""

    async def scenario() -> None:
        credit = k * PRICE + PRICE - 1
        budget = credit if limit == "key" else None
        async with opened(tmp_path, budget_nano=budget) as world:
            await world.fund(credit if limit == "wallet" else M * PRICE)

            async def request(number: int) -> bool:
                await asyncio.sleep(0)
                try:
                    await world.hold(f"r{number}", PRICE)
                except PaymentRequired as refused:
                    limits.add(refused.details["limit_source"])
                    return False
                await asyncio.sleep(0.001 * (number % 5))
                await world.settle(f"r{number}", PRICE)
                return True

            limits = set[str]()
            admitted = await asyncio.gather(*(request(number) for number in range(M)))
            assert sum(admitted) == k
            assert limits == {limit}
            assert world.balance.held_nano == 0
            assert await world.ask("SELECT count(*), coalesce(sum(charge_nano), 0) FROM generations") == [
                (k, k * PRICE)
            ]
        assert verdicts(tmp_path / "tollway.db") == {}

    asyncio.run(scenario())


def test_a_refused_request_leaves_nothing_behind(tmp_path) -> None:
    """Pains C-2 24, 25: refusals and voids do not eat the budget."""

    async def scenario() -> None:
        async with opened(tmp_path, budget_nano=100, budget_window="month") as world:
            await world.fund(1_000)
            for number in range(300):
                with pytest.raises(BudgetExceeded):
                    await world.hold(f"big{number}", 101)
                await world.hold(f"r{number}", 100)
                await world.void(f"r{number}")
            await world.hold("last", 100)
            await world.settle("last", 100)
            assert await world.ask("SELECT spent_nano, held_nano FROM key_days") == [(100, 0)]

    asyncio.run(scenario())


def test_t4_one_winner_among_settle_void_and_expire(tmp_path, request) -> None:
    holds = 10_000 if request.config.getoption("--full", default=False) else 600

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(holds * 10)
            names = [f"r{number}" for number in range(holds)]
            for name in names:
                await world.hold(name, 10, lasts=0)

            async def race(number: int, name: str) -> None:
                racers = [world.settle(name, 7), world.void(name), world.store.ledger.sweep(NOW)]
                await asyncio.gather(*(racers[(at + number) % 3] for at in range(3)))

            for start in range(0, holds, 100):
                await asyncio.gather(*(race(number, names[number]) for number in range(start, min(start + 100, holds))))
            rows = await world.ask("SELECT id, outcome, charge_nano FROM generations")
            assert sorted(row[0] for row in rows) == sorted(names)
            settled = [row for row in rows if row[1] == "settled"]
            assert all(row[2] == 7 for row in settled)
            assert all(row[2] == 0 for row in rows if row[1] != "settled")
            assert await world.ask("SELECT count(*) FROM transfers WHERE kind = 'usage'") == [(len(settled),)]
            assert world.balance.posted_nano == holds * 10 - 7 * len(settled)
            assert world.balance.held_nano == 0
        assert verdicts(tmp_path / "tollway.db") == {}

    asyncio.run(scenario())
