"""The caller hangs up, at every stage and under every policy: who pays what, and who is told to stop (R8c, pains C-3)."""

import asyncio
import os
import uuid
from decimal import Decimal
from typing import Any

import pytest

from faults.client import Connection, ask_all, request_bytes
from faults.outcomes import EXACT, NOTHING
from faults.rig import SPOKEN, Rig, attempts_of, charge_of, lines_of, run, tokens, usd
from support.fault_answers import text_of
from support.upstreams import FaultUpstream

MODEL = {"estimate": "fault", "drain": "drain", "no_bill": "nobill"}
POLICIES = tuple(MODEL)
INPUT_ONLY = usd(input=tokens(SPOKEN))
HALF = text_of(2)
"""What `hang-mid` says before it falls silent: two of five words."""


class Leaving:
    """A request whose caller leaves."""

    def __init__(
        self, rig: Rig, model: str, *, stream: bool, text: str = SPOKEN, headers: dict[str, str] | None = None
    ) -> None:
        self.rig = rig
        self.user = f"leaver-{uuid.uuid4()}"
        self.bytes = rig.request(model, text, stream=stream, max_tokens=1000, user_id=self.user, headers=headers)

    async def until_asked(self) -> None:
        """Leave once the provider has the request, before it says anything."""
        connection = await Connection.open(self.rig.port)
        await connection.send(self.bytes)
        while not await asyncio.to_thread(self.rig.upstream.journal):
            await asyncio.sleep(0.02)
        # The gateway listens for the end of a connection only some milliseconds into the request.
        await asyncio.sleep(0.05)
        await connection.hang_up()

    async def after(self, words: int, *, pause_s: float = 0.0, reset: bool = False) -> None:
        """Leave when so many words have come."""
        connection = await Connection.open(self.rig.port)
        await connection.send(self.bytes)
        assert await connection.head() == 200
        said = ""
        while said.count("word") < words:
            (event,) = await connection.events(1)
            said += event.decode()
        await asyncio.sleep(pause_s)
        await connection.hang_up(reset=reset)

    def generation(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """What is kept of it."""
        return self.rig.wait_generation(self.user, timeout_s)


def check_cancelled(generation: dict[str, Any], charge: Decimal) -> None:
    assert generation["status"] == "cancelled"
    assert charge_of(generation) == charge
    assert generation["hold"]["outcome"] == ("settled" if charge else "void")
    assert sum(Decimal(line["amount_usd"]) for line in generation["postings"]) == -charge


def check_stopped(faulty: FaultUpstream) -> dict[str, Any]:
    """The upstream was told to stop, at once: well before any timeout of ours would have done it."""
    (entry,) = faulty.ended(1, timeout=1.5)
    assert entry["client_closed_early"]
    return entry


# --- before the provider is asked ---------------------------------------------------------------------------------------


def test_before_the_body_is_complete_nothing_happens(rig: Rig, faulty: FaultUpstream) -> None:
    before = rig.wallet()

    async def scenario() -> None:
        request = rig.request("fault/fault-ok", stream=True)
        for cut in (30, len(request) // 2, len(request) - 1):
            connection = await Connection.open(rig.port)
            await connection.send(request[:cut])
            await asyncio.sleep(0.05)
            await connection.hang_up(reset=cut % 2 == 0)
        await asyncio.sleep(0.2)

    run(scenario())
    assert faulty.journal() == []
    assert rig.wallet() == before


@pytest.mark.parametrize("policy", POLICIES)
def test_a_caller_who_leaves_at_once_costs_nothing_or_what_was_asked(
    rig: Rig, faulty: FaultUpstream, policy: str
) -> None:
    """A race by nature - before the hold, in it, after it; whatever wins, no hold stays and no charge is invented."""
    before = rig.wallet()["balance"]

    async def one(number: int) -> None:
        connection = await Connection.open(rig.port)
        await connection.send(rig.request(f"{MODEL[policy]}/fault-hang", stream=number % 2 == 0, max_tokens=1000))
        await asyncio.sleep(number % 5 * 0.002)
        await connection.hang_up(reset=number % 3 == 0)

    async def scenario() -> None:
        await asyncio.gather(*(one(number) for number in range(20)))

    run(scenario())
    rig.assert_settled()
    spent = before - rig.wallet()["balance"]
    each = {"estimate": INPUT_ONLY, "drain": NOTHING, "no_bill": NOTHING}[policy]
    assert spent == (spent // each * each if each else 0)
    assert spent <= each * 20


# --- while the provider has said nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["fault", "fault-a", "fault-g"])
def test_before_the_first_byte_the_prompt_is_charged(
    rig: Rig, faulty: FaultUpstream, provider: str, stream: bool
) -> None:
    """Pains 45, 47, 48: the provider has read the prompt and bills it; nothing more than that, and by count."""
    leaving = Leaving(rig, f"{provider}/fault-hang", stream=stream)
    run(leaving.until_asked())
    generation = leaving.generation()
    check_cancelled(generation, INPUT_ONLY)
    assert generation["usage"]["output_tokens"] == 0
    assert attempts_of(generation) == [(f"{provider}/fault-hang", "cancelled")]
    check_stopped(faulty)


@pytest.mark.parametrize("stream", [False, True])
def test_no_bill_before_the_first_byte(rig: Rig, faulty: FaultUpstream, stream: bool) -> None:
    leaving = Leaving(rig, "nobill/fault-hang", stream=stream)
    run(leaving.until_asked())
    check_cancelled(leaving.generation(), NOTHING)
    check_stopped(faulty)


@pytest.mark.parametrize("stream", [False, True])
def test_drain_waits_for_the_answer_of_a_slow_provider(rig: Rig, faulty: FaultUpstream, stream: bool) -> None:
    faulty.program("ok delay_ms=400")
    leaving = Leaving(rig, "drain/fault-ok", stream=stream)
    run(leaving.until_asked())
    generation = leaving.generation()
    check_cancelled(generation, EXACT)
    assert generation["receipt"]["interruption"] == "drained"
    assert not faulty.ended(1)[0]["client_closed_early"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_drained_answer_that_fails_is_not_asked_for_again_and_is_free(
    rig: Rig, faulty: FaultUpstream, stream: bool
) -> None:
    leaving = Leaving(rig, "drain/fault-hang", stream=stream)
    run(leaving.until_asked())
    generation = leaving.generation()
    assert charge_of(generation) == NOTHING
    assert generation["status"] == "cancelled"
    assert attempts_of(generation) == [("drain/fault-hang", "timeout")]
    assert len(faulty.journal()) == 1


def test_a_caller_who_leaves_between_two_attempts_pays_nothing(rig: Rig, faulty: FaultUpstream) -> None:
    """The provider that was asked has failed, and the next has not been asked: R8a, though the caller left."""
    faulty.program("fault-status-429 retry_after=5")
    body = {"model": "fault/fault-ok", "models": ["fault/cheap"], "max_tokens": 1000}
    # The rig does not retry; the fallback hangs, so that the caller can leave while only it is being asked.
    faulty.program("fault-hang")
    leaving = Leaving(rig, body["model"], stream=False)
    leaving.bytes = rig.request(**body, user_id=leaving.user)

    async def scenario() -> None:
        connection = await Connection.open(rig.port)
        await connection.send(leaving.bytes)
        while len(await asyncio.to_thread(faulty.journal)) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        await connection.hang_up()

    run(scenario())
    generation = leaving.generation()
    # What is charged is the prompt at the price of the one that was being asked.
    check_cancelled(generation, usd(input=tokens(SPOKEN), scale=Decimal(1) / 3))
    assert attempts_of(generation) == [("fault/fault-ok", "rate_limited"), ("fault/cheap", "cancelled")]


# --- in the middle of the answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
def test_pains_38_43_in_mid_stream_what_was_delivered_is_charged(rig: Rig, faulty: FaultUpstream, reset: bool) -> None:
    """Neither nothing (pain 38), nor a refund of everything (43), nor the whole answer."""
    leaving = Leaving(rig, "fault/fault-hang-mid", stream=True)
    run(leaving.after(2, reset=reset))
    generation = leaving.generation()
    check_cancelled(generation, usd(input=tokens(SPOKEN), output=tokens(HALF)))
    assert generation["usage"]["source"] == "tokenizer"
    assert generation["finish_reason"] == "cancelled"
    assert generation["receipt"]["interruption"] == "client_gone"


def test_pain_51_in_mid_stream_the_upstream_is_cancelled(rig: Rig, faulty: FaultUpstream) -> None:
    leaving = Leaving(rig, "fault/fault-ok", stream=True, text=f"{SPOKEN} ((chunks=200 chunk_ms=20))")
    run(leaving.after(5))
    entry = check_stopped(faulty)
    assert entry["frames_sent"] < 60
    generation = leaving.generation()
    # What the gateway read is charged; that is between what the caller saw and what the upstream sent.
    counts = [tokens(text_of(words)) for words in range(5, entry["frames_sent"] + 1)]
    assert generation["usage"]["output_tokens"] in counts


def test_pain_37_an_input_that_the_provider_has_told_is_believed(rig: Rig, faulty: FaultUpstream) -> None:
    """Anthropic says the exact prompt at the start: that, and our count of the output (provider_partial)."""
    leaving = Leaving(rig, "fault-a/fault-hang-mid", stream=True)
    run(leaving.after(2))
    generation = leaving.generation()
    check_cancelled(generation, usd(input=1234, output=tokens(HALF)))
    assert generation["usage"]["source"] == "provider_partial"


def test_a_later_count_of_the_provider_is_believed_too(rig: Rig, faulty: FaultUpstream) -> None:
    """Gemini's usage grows with every chunk; thinking that we cannot see is in it."""
    leaving = Leaving(rig, "fault-g/fault-hang-mid", stream=True)
    run(leaving.after(2))
    check_cancelled(leaving.generation(), usd(input=1234, output=567 * 2 // 5))


def test_no_bill_in_mid_stream(rig: Rig, faulty: FaultUpstream) -> None:
    leaving = Leaving(rig, "nobill/fault-hang-mid", stream=True)
    run(leaving.after(2))
    check_cancelled(leaving.generation(), NOTHING)
    check_stopped(faulty)


@pytest.mark.parametrize("provider", ["drain", "drain-a"])
def test_pain_40_drain_reads_to_the_terminal_usage(rig: Rig, faulty: FaultUpstream, provider: str) -> None:
    leaving = Leaving(rig, f"{provider}/fault-ok", stream=True, text=f"{SPOKEN} ((chunks=20 chunk_ms=20))")
    run(leaving.after(3))
    generation = leaving.generation()
    check_cancelled(generation, EXACT)
    assert generation["usage"]["source"] == "provider"
    (entry,) = faulty.ended(1)
    assert not entry["client_closed_early"]
    assert entry["frames_sent"] == entry["frames_total"]


def test_drain_without_usage_counts_all_that_the_provider_said(rig: Rig, faulty: FaultUpstream) -> None:
    faulty.program("fault-no-usage chunk_ms=40")
    leaving = Leaving(rig, "drain/fault-ok", stream=True)
    run(leaving.after(2))
    check_cancelled(leaving.generation(), usd(input=tokens(SPOKEN), output=tokens(text_of())))


def test_a_drained_stream_that_breaks_is_free(rig: Rig, faulty: FaultUpstream) -> None:
    leaving = Leaving(rig, "drain/fault-hang-mid", stream=True)
    run(leaving.after(2))
    generation = leaving.generation()
    assert charge_of(generation) == NOTHING
    assert generation["hold"]["outcome"] == "void"


def test_pain_41_a_plain_request_that_is_left_is_cancelled_and_charged_for_its_prompt(
    rig: Rig, faulty: FaultUpstream
) -> None:
    leaving = Leaving(rig, "fault/fault-hang-mid", stream=False)
    run(leaving.until_asked())
    check_cancelled(leaving.generation(), INPUT_ONLY)
    check_stopped(faulty)


# --- after the last content ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_after_the_last_content_before_the_usage(rig: Rig, faulty: FaultUpstream, policy: str) -> None:
    """All has been said but the finish reason and the usage, which are 300 ms away."""
    faulty.program("ok chunk_ms=300 chunks=2")
    leaving = Leaving(rig, f"{MODEL[policy]}/fault-ok", stream=True)
    run(leaving.after(2))
    counted = usd(input=tokens(SPOKEN), output=tokens(text_of(2)))
    check_cancelled(leaving.generation(), {"estimate": counted, "drain": EXACT, "no_bill": NOTHING}[policy])


def test_pain_45_a_charge_is_never_more_than_the_hold(rig: Rig, faulty: FaultUpstream) -> None:
    """A huge prompt, an output of nothing, the client gone: what is charged is what we counted before we asked."""
    text = "many words, " * 4000
    leaving = Leaving(rig, "fault/fault-hang", stream=True, text=text)
    run(leaving.until_asked())
    generation = leaving.generation()
    assert lines_of(generation)["input"] <= generation["receipt"]["input_bound_tokens"]
    assert charge_of(generation) <= Decimal(generation["hold"]["amount_usd"])
    assert generation["uncovered_usd"] == "0"


# --- what must not happen -----------------------------------------------------------------------------------------------


def test_a_left_stream_with_a_key_may_be_asked_again(rig: Rig, faulty: FaultUpstream) -> None:
    """A cancelled answer is no reply to keep; the second request is a new one (R10)."""
    key = str(uuid.uuid4())
    leaving = Leaving(rig, "fault/fault-hang-mid", stream=True, headers={"idempotency_key": key})
    run(leaving.after(2))
    assert leaving.generation()["status"] == "cancelled"
    faulty.program("ok")

    async def again() -> int:
        (reply,) = await ask_all(rig.port, [leaving.bytes])
        assert reply is not None
        assert reply.text == text_of()
        return reply.status

    assert run(again()) == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_drained_answer_is_kept_whole_for_its_key(rig: Rig, faulty: FaultUpstream, stream: bool) -> None:
    """The caller lost the connection and asks again: the answer that was paid for is there, every word of it."""
    faulty.program("ok delay_ms=200 chunk_ms=30")
    leaving = Leaving(rig, "drain/fault-ok", stream=stream, headers={"idempotency_key": str(uuid.uuid4())})
    run(leaving.after(2) if stream else leaving.until_asked())
    generation = leaving.generation()
    before = rig.wallet()["balance"]

    async def again() -> None:
        (reply,) = await ask_all(rig.port, [leaving.bytes])
        assert reply is not None
        assert reply.headers["idempotent-replayed"] == "true"
        assert reply.text == text_of()
        assert reply.last["tollway"]["generation_id"] == generation["id"]

    run(again())
    assert rig.wallet()["balance"] == before
    assert len(faulty.journal()) == 1


def test_a_caller_who_stays_and_does_not_read_is_cut_off_and_charged(rig: Rig, faulty: FaultUpstream) -> None:
    """Buffers full on both sides: when the request's time is over, it ends as if the caller had left."""
    faulty.program("ok chunks=60000")
    leaving = Leaving(rig, "fault/fault-ok", stream=True)

    async def scenario() -> None:
        connection = await Connection.open(rig.port, is_deaf=True)
        await connection.send(leaving.bytes)
        await asyncio.to_thread(leaving.generation, 20.0)
        await connection.hang_up(reset=True)

    run(scenario())
    generation = leaving.generation()
    assert generation["status"] == "cancelled"
    assert charge_of(generation) > INPUT_ONLY
    check_stopped(faulty)


def test_nothing_leaks(rig: Rig, faulty: FaultUpstream) -> None:
    """Two hundred callers leave at random; then no hold, no socket to a caller and none to the upstream is left over."""

    def sockets() -> int:
        place = f"/proc/{rig.gateway.process.pid}/fd"
        links = [os.path.join(place, name) for name in os.listdir(place)]
        return sum(os.path.exists(link) or os.readlink(link).startswith("socket:") for link in links)

    async def one(number: int) -> None:
        model = f"{('fault', 'fault-a', 'fault-g', 'nobill')[number % 4]}/fault-hang-mid"
        connection = await Connection.open(rig.port)
        await connection.send(request_bytes(rig.gateway.key, _body(model, stream=number % 5 > 0)))
        await asyncio.sleep(number % 7 * 0.02)
        await connection.hang_up(reset=number % 2 == 0)

    async def scenario() -> None:
        for _ in range(4):
            await asyncio.gather(*(one(number) for number in range(50)))

    run(scenario())
    rig.assert_settled()
    before = sockets()
    run(scenario())
    rig.assert_settled()
    assert rig.metric("tollway_holds_open") == 0
    # Both ends notice within moments; pooled connections stay within what the first round needed.
    faulty.ended(len(faulty.journal()))
    assert sockets() <= before + 5


def _body(model: str, *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": SPOKEN}], "stream": stream, "max_tokens": 1000}
