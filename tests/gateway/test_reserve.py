"""Stops 4 and 5: what is held covers what can be charged; what is refused has reserved nothing."""

import asyncio
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.road import MARGIN_BPS, PRICES, STEP, USD, Built, built
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import BudgetExceeded, InsufficientBalance, InvalidField, LedgerUnavailable, TokensPerDayExceeded
from tollway.gateway.passage import Interruption, Passage
from tollway.metering.usage import Usage
from tollway.money.amount import format_usd, parse_usd

FAST = {"simulate": {"delay_ms": 0, "chunk_ms": 0, "chunks": 10}}
DAY = 86_400


def worst(input_tokens: int, output_tokens: int, scale: int = 1) -> int:
    """The hold by hand: rounded up, on exact fractions."""
    pico = Fraction(input_tokens * PRICES[INPUT] + output_tokens * PRICES[OUTPUT], scale)
    return -(-pico * (10_000 + MARGIN_BPS) // 10_000_000)


def used_today(house: Built, passage: Passage) -> int:
    return house.limiter._days.seen(int(passage.created) // DAY).get(passage.caller.key.id, 0)


def run(scenario: object) -> None:
    asyncio.run(scenario)


# --- opening ------------------------------------------------------------------------------------------------------------


def test_a_named_bound_is_held_to_the_nano(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(max_tokens=123, n=2)
            await house.reserve.open(passage)
            assert passage.input is not None
            assert house.held == passage.held_nano == worst(passage.input.tokens, 246)
            assert passage.tokens_reserved == passage.input.tokens + 246 == used_today(house, passage)

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_has_reserved_nothing(tmp_path, stream: bool) -> None:
    async def scenario() -> None:
        async with built(tmp_path, funds=1000) as house:
            passage = house.enter(stream=stream, max_tokens=100)
            with pytest.raises(InsufficientBalance) as caught:
                await house.reserve.open(passage)
            assert caught.value.details["needed_usd"] == format_usd(worst(11, 100))
            assert caught.value.details["available_usd"] == format_usd(1000)
            assert (house.held, house.available, used_today(house, passage)) == (0, 1000, 0)

    run(scenario())


def test_a_ledger_that_is_down_reserves_no_tokens_either(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(max_tokens=10)
            house.ledger.fails["hold"] = LedgerUnavailable()
            with pytest.raises(LedgerUnavailable):
                await house.reserve.open(passage)
            assert (used_today(house, passage), passage.tokens_reserved) == (0, 0)

    run(scenario())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(money=st.integers(0, 40_000_000), choices=st.integers(1, 3))
def test_without_a_bound_the_most_that_can_be_paid_is_held_and_no_more(
    tmp_path_factory, money: int, choices: int
) -> None:
    """R6b: one token more for each choice would be too much; fewer than 16 tokens help nobody."""

    async def scenario() -> None:
        async with built(tmp_path_factory.mktemp("afford"), funds=money) as house:
            passage = house.enter(n=choices)
            try:
                await house.reserve.open(passage)
            except InsufficientBalance:
                assert worst(11, 16 * choices) > money
                assert house.held == 0
                return
            assert passage.output is not None
            each = passage.output.send_max_tokens
            assert each is not None
            assert house.held == worst(11, each * choices) <= money
            assert each == 1000 or worst(11, (each + 1) * choices) > money
            assert (each == 1000) == (not passage.warnings)

    run(scenario())


def test_the_smaller_of_budget_and_wallet_counts_whichever_refuses_first(tmp_path) -> None:
    """The key's budget is asked first; what it affords may still be too much for the wallet."""

    async def scenario(budget: int, funds: int, folder: str) -> None:
        async with built(tmp_path / folder, funds=funds, budget_nano=budget) as house:
            passage = house.enter()
            await house.reserve.open(passage)
            assert passage.output is not None
            smaller = min(budget, funds)
            assert house.held <= smaller
            assert worst(11, (passage.output.send_max_tokens or 0) + 1) > smaller

    run(scenario(9_000_000, 5_000_000, "wallet"))
    run(scenario(5_000_000, 9_000_000, "budget"))


# --- covering another candidate -----------------------------------------------------------------------------------------


def test_a_dearer_candidate_raises_the_hold_and_a_cheaper_one_leaves_it(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter("estimate/cheap", models=["estimate/small"], max_tokens=100)
            await house.reserve.open(passage)
            first = house.held
            await house.reserve.cover(passage, passage.route.candidates[1])
            assert house.held == passage.held_nano == worst(11, 100) > first
            await house.reserve.cover(passage, passage.route.candidates[0])
            assert house.held == passage.held_nano == worst(11, 100)

    run(scenario())


def test_a_candidate_that_cannot_be_paid_leaves_the_hold_as_it_was(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, funds=worst(11, 100, 3)) as house:
            passage = house.enter("estimate/cheap", models=["estimate/small"], max_tokens=100)
            await house.reserve.open(passage)
            before = (house.held, passage.held_nano, passage.held_output_tokens, passage.tokens_reserved)
            with pytest.raises(InsufficientBalance):
                await house.reserve.cover(passage, passage.route.candidates[1])
            assert (house.held, passage.held_nano, passage.held_output_tokens, passage.tokens_reserved) == before
            assert used_today(house, passage) == passage.tokens_reserved

    run(scenario())


def test_what_is_held_already_counts_for_another_candidate(tmp_path) -> None:
    """R6b: all money is in the hold of the first model; the second gets the output that this money buys there."""

    async def scenario() -> None:
        async with built(tmp_path, funds=3_000_000) as house:
            passage = house.enter("estimate/cheap", models=["estimate/small"])
            await house.reserve.open(passage)
            await house.reserve.cover(passage, passage.route.candidates[1])
            assert passage.output is not None
            sent = passage.output.send_max_tokens or 0
            assert worst(11, sent) <= 3_000_000 < worst(11, sent + 1)

    run(scenario())


def test_max_price_holds_for_every_candidate(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            limit = format_usd(worst(11, 100, 3))
            passage = house.enter("estimate/cheap", models=["estimate/small"], max_tokens=100, max_price=limit)
            await house.reserve.open(passage)
            with pytest.raises(InvalidField):
                await house.reserve.cover(passage, passage.route.candidates[1])
            assert house.held == worst(11, 100, 3)
            dear = house.enter(max_tokens=100, max_price=format_usd(worst(11, 100) - 1))
            with pytest.raises(InvalidField) as caught:
                await house.reserve.open(dear)
            assert parse_usd(str(caught.value.details["needed_usd"])) == worst(11, 100)

    run(scenario())


# --- growing ------------------------------------------------------------------------------------------------------------


async def rolling(house: Built, **fields: object) -> Passage:
    passage = house.enter(stream=True, **fields)
    await house.reserve.open(passage)
    assert passage.output is not None
    assert passage.output.is_rolling
    return passage


def test_a_rolling_hold_grows_before_its_step_is_used_up(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = await rolling(house)
            for delivered in (0, 74):
                assert await house.reserve.extend(passage, delivered)
                assert (passage.held_output_tokens, house.held) == (STEP, worst(11, STEP))
            assert await house.reserve.extend(passage, 75)
            assert (passage.held_output_tokens, house.held) == (2 * STEP, worst(11, 2 * STEP))
            assert passage.tokens_reserved == 11 + 2 * STEP == used_today(house, passage)

    run(scenario())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.integers(1, 900), max_size=12), money=st.integers(2_000_000, 60_000_000))
def test_while_the_stream_flows_the_hold_covers_what_was_delivered(
    tmp_path_factory, pieces: list[int], money: int
) -> None:
    """A model: after each piece either the hold covers it, or the answer ends; and the hold is never more than the money."""

    async def scenario() -> None:
        async with built(tmp_path_factory.mktemp("roll"), funds=money) as house:
            passage = await rolling(house)
            delivered = 0
            for piece in pieces:
                delivered += piece
                goes_on = await house.reserve.extend(passage, delivered)
                assert house.held == passage.held_nano <= money
                assert passage.tokens_reserved == 11 + passage.held_output_tokens == used_today(house, passage)
                if not goes_on:
                    assert passage.interruption is Interruption.NO_FUNDS
                    assert worst(11, max(delivered, passage.held_output_tokens) + STEP) > money
                    assert "ended early" in passage.warnings[-1]
                    return
                assert passage.held_output_tokens >= delivered

    run(scenario())


def test_a_refused_step_eats_neither_money_nor_the_day(tmp_path) -> None:
    """While the rest of a step is being used, each piece asks again; the day's tokens must not melt away meanwhile."""

    async def scenario() -> None:
        async with built(tmp_path, funds=worst(11, STEP) + 5) as house:
            passage = await rolling(house)
            for delivered in range(75, STEP):
                assert await house.reserve.extend(passage, delivered)
            assert used_today(house, passage) == 11 + STEP
            await house.world.fund(USD)
            assert await house.reserve.extend(passage, STEP - 1)
            assert passage.held_output_tokens == 2 * STEP
            assert passage.warnings == []

    run(scenario())


def test_the_day_ends_a_stream_as_the_wallet_does(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, tokens_per_day=11 + STEP + 10) as house:
            passage = await rolling(house)
            assert await house.reserve.extend(passage, STEP - 1)
            assert not await house.reserve.extend(passage, STEP)
            assert passage.interruption is Interruption.NO_FUNDS
            assert used_today(house, passage) == 11 + STEP

    run(scenario())


def test_max_price_ends_a_stream_too(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = await rolling(house, max_price=format_usd(worst(11, STEP) + 1))
            assert await house.reserve.extend(passage, STEP - 1)
            assert not await house.reserve.extend(passage, STEP)
            assert "max_price" in passage.warnings[0]
            assert house.held == worst(11, STEP)

    run(scenario())


def test_the_budget_of_a_key_and_the_tokens_of_a_day_refuse_in_their_own_words(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path / "budget", budget_nano=10) as house:
            with pytest.raises(BudgetExceeded):
                await house.reserve.open(house.enter(max_tokens=50))
        async with built(tmp_path / "day", tokens_per_day=20) as house:
            with pytest.raises(TokensPerDayExceeded):
                await house.reserve.open(house.enter(max_tokens=50))
            assert house.held == 0

    run(scenario())


def test_a_finished_request_leaves_the_tokens_that_it_used(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(max_tokens=50, **FAST)
            await house.whole(passage)
            usage = passage.usage
            assert isinstance(usage, Usage)
            assert used_today(house, passage) == usage.input_tokens + usage.output_tokens
            assert passage.created // DAY == house.world.clock.now() // DAY

    run(scenario())
