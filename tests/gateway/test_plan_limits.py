"""What a plan allows, on the road: minutes, days, context and models; what is refused neither counts nor holds."""

import asyncio

import msgspec
import pytest

from gateway.road import GRANTS, Built, built
from tollway.errors import InsufficientBalance, ModelNotAllowed, RateLimited, TierLimitExceeded, TokensPerDayExceeded
from tollway.ports import Counted

FAST = {"simulate": {"delay_ms": 0, "chunk_ms": 0, "chunks": 3}}


def plan(**changes: object) -> object:
    return msgspec.structs.replace(GRANTS, **changes)


async def counted(house: Built) -> Counted:
    return await house.limiter.counted(house.world.ws, house.world.clock.now())


def run(scenario: object) -> None:
    asyncio.run(scenario)


def test_a_minute_of_the_plan_is_shared_by_the_keys_of_a_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, grants=plan(requests_per_minute=3)) as house:
            other, _ = await house.world.store.workspaces.add_key(house.world.ws, name="other")
            for key in (house.world.key, other, house.world.key):
                house.key = key
                await house.whole(house.enter(max_tokens=5, **FAST))
            house.key = other
            with pytest.raises(RateLimited, match="your plan allows 3 requests per minute") as refused:
                await house.whole(house.enter(max_tokens=5, **FAST))
            assert refused.value.details["limit_source"] == "plan"
            assert (await counted(house)).requests_this_minute == 3

    run(scenario())


def test_a_keys_own_minute_lies_below_the_plans(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, grants=plan(requests_per_minute=3), requests_per_minute=1) as house:
            passage = house.enter(max_tokens=5, **FAST)
            await house.whole(passage)
            assert passage.window is not None
            assert (passage.window.limit, passage.window.remaining) == (1, 0)
            with pytest.raises(RateLimited, match="this key may make 1 requests per minute"):
                await house.whole(house.enter(max_tokens=5, **FAST))
            assert (await counted(house)).requests_this_minute == 1

    run(scenario())


def test_a_request_that_the_wallet_refuses_does_not_count(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, funds=0, grants=plan(requests_per_minute=3, tokens_per_day=10_000)) as house:
            for _ in range(5):
                passage = house.enter(max_tokens=5)
                with pytest.raises(InsufficientBalance):
                    await house.whole(passage)
                assert (passage.tokens_reserved, passage.window) == (0, None)
            assert await counted(house) == Counted(0, 0, 0)

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_counts_once_streamed_or_not_whatever_its_tries(tmp_path, stream: bool) -> None:
    async def scenario() -> None:
        async with built(tmp_path, retries=2, grants=plan(requests_per_minute=5)) as house:
            passage = house.enter(max_tokens=9, stream=stream, **FAST)
            await (house.stream(passage) if stream else house.whole(passage))
            found = await counted(house)
            assert passage.usage is not None
            assert found == Counted(1, 1, passage.usage.input_tokens + passage.usage.output_tokens)

    run(scenario())


def test_the_tokens_of_a_day_never_overshoot_the_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, grants=plan(tokens_per_day=300)) as house:
            outcomes = await asyncio.gather(
                *(house.whole(house.enter(max_tokens=50, **FAST)) for _ in range(20)), return_exceptions=True
            )
            refused = [one for one in outcomes if isinstance(one, TokensPerDayExceeded)]
            assert 0 < len(refused) < 20
            assert "of 300 per day your plan has" in refused[0].message
            assert (await counted(house)).tokens_today <= 300

    run(scenario())


def test_a_prompt_longer_than_the_plan_allows_is_told_both_numbers(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, grants=plan(plan_name="Hobby", max_context_tokens=20)) as house:
            passage = house.enter(text="one two three four " * 20)
            with pytest.raises(TierLimitExceeded, match="your plan Hobby allows 20") as refused:
                await house.whole(passage)
            error = refused.value.body()["error"]
            assert (error["type"], error["limit_name"], error["limit"]) == (
                "tier_limit_exceeded",
                "max_context_tokens",
                20,
            )
            assert error["current"] > 20
            assert (house.held, await counted(house)) == (0, Counted(0, 0, 0))
            await house.whole(house.enter(text="one two", **FAST))

    run(scenario())


def test_a_model_outside_the_plan(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, grants=plan(allowed_models=frozenset({"estimate/cheap"}))) as house:
            with pytest.raises(ModelNotAllowed, match="your plan does not include `estimate/small`"):
                house.enter()
            fallback = house.enter(models=["estimate/cheap"])
            assert [one.offer.model for one in fallback.route.candidates] == ["estimate/cheap"]

    run(scenario())
