"""The road and the health of offers: what is written down, who is asked while offers are out, and when they heal."""

import asyncio
from dataclasses import replace

import pytest

from gateway.road import Built, built, model, provider
from gateway.test_call import ANSWER, DONE, ERROR, HELLO, ROLE, STOP, Scripted
from tollway.catalogue.offers import Catalogue, Model
from tollway.errors import NoHealthyOffer, TollwayError
from tollway.gateway.line import ClientGone, Line

SMALL, CHEAP = "estimate/small", "estimate/cheap"
OK = (200, ANSWER)


class Slow(Scripted):
    """Waits for a word before each answer."""

    def __init__(self, *steps: object) -> None:
        super().__init__(*steps)
        self.go = asyncio.Event()

    async def fetch(self, outgoing, timeout_s):
        await self.go.wait()
        return await super().fetch(outgoing, timeout_s)


async def failed(house: Built, times: int) -> None:
    for _ in range(times):
        with pytest.raises(TollwayError):
            await house.whole(house.enter(max_tokens=50))


def state(house: Built, offer: str = SMALL, later: float = 0.0) -> str:
    return house.health.of(offer, house.world.clock.now() + later).state


def test_an_offer_that_is_out_is_not_asked(tmp_path) -> None:
    upstream = Scripted(*[(500, {})] * 5, OK)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            await failed(house, 5)
            assert state(house) == "open"
            passage = house.enter(models=[CHEAP], max_tokens=50)
            await house.whole(passage)
            assert [(one.model, one.reason) for one in passage.attempts] == [(CHEAP, "ok")]
            assert passage.is_fallback
            assert house.health.of(CHEAP, passage.created + 1).samples == 1

    asyncio.run(scenario())


def test_a_retry_is_not_made_once_it_is_out(tmp_path) -> None:
    upstream = Scripted(*[(500, {})] * 4, (500, {}), OK)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream, retries=1) as house:
            await failed(house, 2)
            passage = house.enter(models=[CHEAP], max_tokens=50)
            await house.whole(passage)
            assert [(one.model, one.reason) for one in passage.attempts] == [(SMALL, "server"), (CHEAP, "ok")]

    asyncio.run(scenario())


def test_when_all_are_out_one_request_at_a_time_tries(tmp_path) -> None:
    async def scenario() -> None:
        upstream = Slow(*[(500, {})] * 5, OK, OK)
        async with built(tmp_path, upstream=upstream) as house:
            upstream.go.set()
            await failed(house, 5)
            upstream.go.clear()
            first = asyncio.create_task(house.whole(house.enter(max_tokens=50)))
            await asyncio.sleep(0.05)
            refused = house.enter(max_tokens=50)
            with pytest.raises(NoHealthyOffer) as told:
                await house.whole(refused)
            assert 1 <= told.value.details["retry_after_seconds"] <= 5
            assert refused.attempts == []
            upstream.go.set()
            await first
            assert state(house) == "half_open"
            await house.whole(house.enter(max_tokens=50))
            assert state(house) == "closed"
            assert house.held == 0

    asyncio.run(scenario())


def test_the_one_that_is_out_is_tried_when_the_others_have_failed(tmp_path) -> None:
    upstream = Scripted(*[(500, {})] * 5, (500, {}), OK)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            await failed(house, 5)
            passage = house.enter(models=[CHEAP], max_tokens=50)
            await house.whole(passage)
            assert [(one.model, one.reason) for one in passage.attempts] == [(CHEAP, "server"), (SMALL, "ok")]

    asyncio.run(scenario())


def test_a_bad_request_is_nobodys_fault_and_keeps_no_probe(tmp_path) -> None:
    upstream = Scripted(*[(500, {})] * 5, *[(400, {"error": {"message": "no"}})] * 3, OK)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            await failed(house, 5)
            await failed(house, 3)
            assert state(house) == "open"
            await house.whole(house.enter(max_tokens=50))
            assert state(house) == "half_open"

    asyncio.run(scenario())


def test_one_that_is_out_is_not_tried_when_another_answers(tmp_path) -> None:
    upstream = Scripted(*[(500, {})] * 5, OK, OK)

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            await failed(house, 5)
            passage = house.enter(models=[CHEAP], max_tokens=50)
            await house.whole(passage)
            assert [one.model for one in passage.attempts] == [CHEAP]
            await house.whole(house.enter(max_tokens=50))
            assert state(house) == "half_open"

    asyncio.run(scenario())


def test_streams(tmp_path) -> None:
    good = (200, [ROLE, HELLO, STOP, DONE])
    upstream = Scripted(good, (200, [ROLE, HELLO, ERROR]))

    async def scenario() -> None:
        async with built(tmp_path, upstream=upstream) as house:
            await house.stream(house.enter(stream=True, max_tokens=50))
            told = house.health.of(SMALL, house.world.clock.now())
            assert (told.samples, told.error_rate) == (1, 0.0)
            assert told.ttft_ms > 0
            assert told.latency_ms > 0
            await house.stream(house.enter(stream=True, max_tokens=50))
            told = house.health.of(SMALL, house.world.clock.now())
            assert (told.samples, told.error_rate) == (2, 0.5)

    asyncio.run(scenario())


def test_a_caller_who_leaves_says_nothing_of_the_offer(tmp_path) -> None:
    async def scenario() -> None:
        upstream = Slow(OK)
        async with built(tmp_path, upstream=upstream) as house:
            passage = house.enter(max_tokens=50)
            line = Line(passage)
            task = asyncio.create_task(house.whole(passage, line))
            await asyncio.sleep(0.05)
            line.hang_up()
            with pytest.raises(ClientGone):
                await task
            assert house.health.of(SMALL, passage.created + 1).samples == 0

    asyncio.run(scenario())


def test_an_answer_tells_latency_and_pace(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            simulate = {"delay_ms": 30, "chunk_ms": 2, "chunks": 10}
            await house.stream(house.enter(stream=True, max_tokens=50, simulate=simulate))
            told = house.health.of(SMALL, house.world.clock.now())
            assert told.latency_ms > told.ttft_ms >= 25
            assert told.tokens_per_s > 0
            await house.whole(house.enter(max_tokens=50, simulate=simulate))
            assert house.health.of(SMALL, house.world.clock.now()).samples == 2

    asyncio.run(scenario())


def two_offers() -> Catalogue:
    """`gpt` at two providers, `a` the cheaper one."""
    offers = tuple(model(provider(where, "estimate"), "gpt", scale).offers[0] for where, scale in (("a", 3), ("b", 1)))
    offers = tuple(replace(one, model="gpt") for one in offers)
    gpt = Model("gpt", "gpt", offers)
    return Catalogue({"gpt": gpt}, {"gpt": gpt}, {one.provider.id: one.provider for one in offers}, version="1")


def cached(tokens: int) -> tuple[int, dict]:
    usage = {**ANSWER["usage"], "prompt_tokens_details": {"cached_tokens": tokens}}
    return 200, {**ANSWER, "usage": usage}


def test_a_conversation_stays_where_its_prompt_is_cached(tmp_path) -> None:
    async def scenario() -> None:
        upstream = Scripted((500, {}), cached(10), OK, OK, (500, {}), OK, OK)
        async with built(tmp_path, upstream=upstream) as house:
            offers = two_offers()
            steering = house.road._steering
            steering._router = replace(steering._router, catalogue=lambda: offers)

            async def asked(**fields: object) -> list[str]:
                passage = house.enter("gpt", max_tokens=50, **fields)
                await house.whole(passage)
                return [one.provider for one in passage.attempts]

            assert await asked() == ["a", "b"]
            assert await asked() == ["b"], "its cache paid"
            assert await asked(provider={"order": ["a"]}) == ["a"], "the caller chose"
            assert await asked() == ["b", "a"], "it failed, and the other one has no cache yet"
            assert await asked() == ["a"]
            assert house.enter("gpt", text="Another one.").candidate.offer.provider.id == "a"

    asyncio.run(scenario())
