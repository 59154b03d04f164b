"""The line to the caller: a hang-up at every moment that HTTP cannot be made to hit, under every policy."""

import asyncio

import pytest

from gateway.road import USD, Built, Caught, built
from tollway.gateway.line import ClientGone, Line
from tollway.gateway.passage import Interruption

POLICIES = ("estimate", "drain", "no_bill")
SLOW = {"simulate": {"delay_ms": 5_000}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_gone_before_the_provider_is_asked(tmp_path, policy: str, stream: bool) -> None:
    """During the hold: nobody was asked, so nobody bills, and no policy charges; not even `drain` makes the call."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(f"{policy}/small", stream=stream, **SLOW)
            line = Line(passage)
            house.ledger.before["hold"] = line.hang_up
            with pytest.raises(ClientGone):
                await (house.stream(passage, line=line) if stream else house.whole(passage, line))
            kept = await house.kept(passage)
            assert (kept.generation.status, kept.end.outcome, kept.end.charge_nano) == ("cancelled", "void", 0)
            assert passage.attempts == []
            assert (house.available, house.held) == (USD, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_gone_while_it_is_settled_changes_nothing(tmp_path, policy: str, stream: bool) -> None:
    """Accounting is never interrupted: the answer was there, so it is an ordinary one."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(
                f"{policy}/small", stream=stream, max_tokens=5, simulate={"delay_ms": 0, "chunk_ms": 0}
            )
            line = Line(passage)
            house.ledger.before["settle"] = line.hang_up
            await (house.stream(passage, line=line) if stream else house.whole(passage, line))
            kept = await house.kept(passage)
            assert (kept.generation.status, kept.end.outcome) == ("ok", "settled")
            assert kept.end.charge_nano == USD - house.available > 0

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", POLICIES)
def test_gone_in_the_pause_between_two_attempts(tmp_path, policy: str) -> None:
    """The first attempt has failed: it was not delivered, and nobody is asked again for a caller who left."""

    async def scenario() -> None:
        async with built(tmp_path, retries=3) as house:
            passage = house.enter(f"{policy}/small", simulate={"status": 503, "delay_ms": 0})
            line = Line(passage)

            async def leave() -> None:
                while not passage.attempts:
                    await asyncio.sleep(0.005)
                line.hang_up()

            with pytest.raises(ClientGone):
                await asyncio.gather(house.whole(passage, line), leave())
            kept = await house.kept(passage)
            assert (kept.generation.status, kept.end.charge_nano) == ("cancelled", 0)
            assert [one.reason for one in passage.attempts] == ["overloaded"]

    asyncio.run(scenario())


def test_gone_during_the_first_attempt_of_a_drained_provider_makes_no_second(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path, retries=3) as house:
            passage = house.enter("drain/small", simulate={"status": 503, "delay_ms": 100})
            line = Line(passage)
            asyncio.get_running_loop().call_later(0.02, line.hang_up)
            with pytest.raises(ClientGone):
                await house.whole(passage, line)
            assert len(passage.attempts) == 1
            assert passage.interruption is Interruption.CLIENT_GONE
            assert (await house.kept(passage)).end.charge_nano == 0

    asyncio.run(scenario())


def test_a_cancelled_attempt_is_written_down(tmp_path) -> None:
    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(**SLOW)
            line = Line(passage)
            asyncio.get_running_loop().call_later(0.02, line.hang_up)
            with pytest.raises(ClientGone):
                await house.whole(passage, line)
            (attempt,) = passage.attempts
            assert (attempt.reason, attempt.status) == ("cancelled", 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("moment", range(12))
@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_the_moment_the_money_adds_up(tmp_path, policy: str, moment: int) -> None:
    """A hang-up after each piece of a stream of ten: one end, no hold, and the charge that the policy says."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            passage = house.enter(
                f"{policy}/small", stream=True, max_tokens=100, simulate={"chunks": 10, "delay_ms": 1, "chunk_ms": 2}
            )
            line = Line(passage)

            def leave(pieces: int) -> None:
                if pieces == moment:
                    asyncio.get_running_loop().call_soon(line.hang_up)

            sink = Caught(leave)
            try:
                await house.stream(passage, sink, line)
            except ClientGone:
                assert policy != "drain"
            kept = await house.kept(passage)
            assert house.held == 0
            assert USD - house.available == kept.end.charge_nano
            assert house.ledger.calls.count("settle") + house.ledger.calls.count("void") == 1
            if policy == "drain":
                # Read to its end, for the provider's own count of ten words.
                assert kept.generation.output_tokens == 10
                assert sink.is_finished
            if policy == "no_bill" and kept.generation.status == "cancelled":
                assert kept.end.charge_nano == 0
            check_words(house, kept.generation.output_tokens)

    asyncio.run(scenario())


def check_words(house: Built, output_tokens: int) -> None:
    assert 0 <= output_tokens <= 20
    assert house.told.failures == []


def test_a_hang_up_and_a_timeout_at_once_are_one_end(tmp_path) -> None:
    """Both cancel the same task; neither may swallow the other's, or the task would be cancelled later, elsewhere."""

    async def scenario() -> None:
        async with built(tmp_path, attempt_s=0.2) as house:
            for delay in (0.19, 0.199, 0.2, 0.201):
                passage = house.enter(**SLOW)
                line = Line(passage)
                loop = asyncio.get_running_loop()
                loop.call_later(delay, line.hang_up)
                task = asyncio.ensure_future(house.whole(passage, line))
                with pytest.raises(Exception) as caught:  # noqa: PT011 - either is right
                    await task
                assert not isinstance(caught.value, asyncio.CancelledError)
                assert house.held == 0
                assert asyncio.current_task().cancelling() == 0

    asyncio.run(scenario())


def test_a_shutdown_in_mid_answer_voids_and_passes_on(tmp_path) -> None:
    """Cancelled by somebody else than the caller: the hold ends, and the cancellation is not swallowed."""

    async def scenario() -> None:
        async with built(tmp_path) as house:
            for stream in (False, True):
                passage = house.enter(
                    stream=stream, max_tokens=50, simulate={"chunks": 50, "delay_ms": 10, "chunk_ms": 50}
                )
                task = asyncio.ensure_future(house.stream(passage) if stream else house.whole(passage))
                await asyncio.sleep(0.1 if stream else 0.005)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert (house.available, house.held) == (USD, 0)
                assert (await house.kept(passage)).end.outcome == "void"

    asyncio.run(scenario())
