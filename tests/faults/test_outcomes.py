"""Every way in which a provider can fail: what the caller gets, what it costs, what the receipt tells (R8, pains C-3)."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from faults.client import Reply, ask_all
from faults.outcomes import CELLS, COUNTED, EXACT, NOTHING, Cell, Outcome, expected
from faults.rig import Rig, attempts_of, charge_of, lines_of, run, tokens, toml, total, usd
from support.fault_answers import text_of
from support.gateway import Gateway
from support.upstreams import FaultUpstream

TYPES = {
    "upstream_error": "upstream_error",
    "upstream_timeout": "upstream_timeout",
    "no_offer_available": "service_unavailable",
    "upstream_refused": "invalid_request_error",
}
THIRD = Decimal(1) / 3
Played = dict[Cell, tuple[Reply, dict[str, Any]]]


def play(rig: Rig, cells: Sequence[Cell], at_once: int = 48) -> list[Reply]:
    """Ask all cells, so many at once."""

    async def scenario() -> list[Reply]:
        limit = asyncio.Semaphore(at_once)

        async def one(cell: Cell) -> Reply:
            async with limit:
                return await rig.chat(cell.model, stream=cell.stream, max_tokens=1000)

        return await asyncio.gather(*(one(cell) for cell in cells))

    return run(scenario())


@pytest.fixture(scope="module")
def played(running: Rig, fault_server: FaultUpstream) -> Played:
    """Every cell of the table, played at the same time, with its generation."""
    fault_server.reset()
    before = running.wallet()["balance"]
    replies = play(running, CELLS)
    running.assert_settled()
    found = {cell: (reply, running.generation(reply.generation_id)) for cell, reply in zip(CELLS, replies, strict=True)}
    # What the receipts say is what the wallet lost, to the nano, over the whole table.
    charged = total(charge_of(generation) for _, generation in found.values())
    assert before - running.wallet()["balance"] == charged
    return found


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_outcome_table_holds(cell: Cell, played: Played) -> None:
    reply, generation = played[cell]
    outcome = expected(cell)
    assert reply.is_whole, "the answer did not end as HTTP promises"
    assert reply.status == outcome.status, reply.body
    if outcome.status != 200:
        check_error(reply, outcome, cell)
    elif outcome.broken:
        check_broken(reply, outcome)
    else:
        check_delivered(reply, outcome)
    check_generation(generation, outcome, cell)


def check_error(reply: Reply, outcome: Outcome, cell: Cell) -> None:
    error = reply.error
    provider = cell.model.partition("/")[0]
    assert error["code"] == outcome.code
    assert error["type"] == TYPES[outcome.code]
    (attempt,) = error["attempts"]
    assert attempt["provider"] == provider
    assert attempt["model"] == cell.model
    assert attempt["reason"] == outcome.reason
    assert set(attempt) == {"provider", "model", "status", "reason"}
    assert reply.headers["content-type"] == "application/json"
    # A provider's words reach the caller only when the caller's own request was at fault.
    assert ("fault upstream" in error["message"]) == (outcome.code == "upstream_refused")
    if outcome.status == 503:
        assert int(reply.headers["retry-after"]) == error["retry_after_seconds"] > 0


def check_broken(reply: Reply, outcome: Outcome) -> None:
    """The documented error of a stream: one chunk with `error` and finish_reason `error`, and it is the last."""
    chunks = reply.chunks
    assert [("error" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    last = chunks[-1]
    assert last["error"]["code"] == outcome.code
    assert last["error"]["type"] == TYPES[outcome.code]
    assert last["error"]["message"]
    assert [choice["finish_reason"] for choice in last["choices"]] == ["error"]
    assert last["object"] == "chat.completion.chunk"
    assert last["tollway"]["cost_usd"] == "0"
    assert b"[DONE]" not in reply.body
    assert text_of().startswith(reply.text)
    assert "fault upstream" not in reply.body.decode()


def check_delivered(reply: Reply, outcome: Outcome) -> None:
    last = reply.last
    assert Decimal(last["tollway"]["cost_usd"]) == outcome.charge
    assert Decimal(str(last["usage"]["cost"])).quantize(Decimal("1e-9")) == outcome.charge.quantize(Decimal("1e-9"))
    assert last["tollway"]["usage_source"] == outcome.source
    assert bool(last["tollway"]["warnings"]) == outcome.warns
    counts = [last["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    assert all(isinstance(number, int) and number >= 0 for number in counts)
    if reply.headers["content-type"].startswith("text/event-stream"):
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert last["choices"][0]["finish_reason"] == "stop"
    else:
        assert "error" not in last
    assert reply.text in (text_of(), "")


def check_generation(generation: dict[str, Any], outcome: Outcome, cell: Cell) -> None:
    is_good = outcome.status == 200 and not outcome.broken
    assert generation["status"] == ("ok" if is_good else "error")
    assert generation["hold"]["outcome"] == ("settled" if is_good else "void")
    assert charge_of(generation) == outcome.charge
    assert total(Decimal(line["amount_usd"]) for line in generation["postings"]) == -outcome.charge
    assert attempts_of(generation) == [(cell.model, outcome.reason)]
    assert all(count >= 0 for count in lines_of(generation).values())
    assert generation["uncovered_usd"] == "0"
    if not is_good:
        assert generation["error_code"] == outcome.code
        assert generation["receipt"]["error"]["code"] == outcome.code
        assert generation["finish_reason"] == ("error" if outcome.broken else None)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_the_outcome_table_holds_five_hundred_times(running: Rig) -> None:
    """reliability.md T9."""
    for _ in range(500):
        for cell, reply in zip(CELLS, play(running, CELLS, 200), strict=True):
            outcome = expected(cell)
            assert reply.status == outcome.status, cell
            if outcome.status == 200 and not outcome.broken:
                check_delivered(reply, outcome)
    running.assert_settled(timeout_s=60)


# --- what the provider says about its own usage -------------------------------------------------------------------------


def test_pain_42_an_explicit_zero_is_believed_and_costs_nothing(played: Played) -> None:
    for dialect in ("openai", "anthropic", "gemini"):
        for stream in (False, True):
            reply, generation = played[Cell("usage-zero", dialect, stream)]
            assert reply.text == text_of()
            assert charge_of(generation) == NOTHING
            assert generation["usage"]["source"] == "provider"


def test_pain_44_the_text_of_an_error_frame_is_not_output(played: Played) -> None:
    for dialect in ("openai", "anthropic", "gemini"):
        reply, generation = played[Cell("error-frame-mid", dialect, stream=True)]
        assert charge_of(generation) == NOTHING
        assert generation["usage"]["output_tokens"] == 0
        assert "failed in mid-stream" not in reply.text


def test_pain_50_an_error_in_mid_stream_is_visible(played: Played) -> None:
    reply, generation = played[Cell("reset-mid", "openai", stream=True)]
    assert reply.status == 200
    assert reply.chunks[-1]["error"]["code"] == "upstream_error"
    assert generation["status"] == "error"


def test_a_usage_below_zero_is_counted_by_us_and_told_as_what_was_charged(played: Played) -> None:
    reply, generation = played[Cell("negative-usage", "openai", stream=False)]
    assert charge_of(generation) == COUNTED
    assert reply.json["usage"]["prompt_tokens"] == generation["usage"]["input_tokens"] > 0
    assert reply.json["usage"]["completion_tokens"] == tokens(text_of())
    (warning,) = reply.json["tollway"]["warnings"]
    assert "-1234" in warning
    assert warning in generation["receipt"]["warnings"]


def test_cached_tokens_beyond_the_prompt_leave_no_negative_bucket(played: Played) -> None:
    _, generation = played[Cell("cached-gt-prompt", "openai", stream=True)]
    assert lines_of(generation) == {"cache_read": 100, "output": 20}


def test_an_overrun_takes_the_hold_then_what_is_available_and_never_more(rig: Rig) -> None:
    """R7: the provider ignored `max_tokens`; the wallet ends at zero, what remains is nobody's debt."""
    workspace = rig.new_workspace("0.001")
    key = rig.new_key(workspace)
    reply = run(rig.chat("fault/fault-ok", key=key, max_tokens=20))
    assert reply.status == 200
    _, body, _ = rig.gateway.ask("GET", f"/v1/generations/{reply.generation_id}", key=key)
    assert Decimal(body["data"]["charge_usd"]) == Decimal("0.001")
    assert Decimal(body["data"]["uncovered_usd"]) == EXACT - Decimal("0.001")
    assert rig.wallet(key) == {"available": 0, "reserved": 0, "balance": 0}


# --- retries and fallbacks ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patient_running(fault_server: FaultUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A gateway that tries each offer three times, four times in all."""
    settings = "[upstream]\nretries_per_offer = 2\nattempts_max = 4\nattempt_timeout_s = 3\nidle_timeout_s = 3\n"
    with Gateway(tmp_path_factory.mktemp("patient"), toml(fault_server, settings=settings)) as gateway:
        rig = Rig(gateway, fault_server)
        yield rig
        rig.assert_settled()
        gateway.audit()


@pytest.fixture
def patient(patient_running: Rig) -> Rig:
    patient_running.heal()
    return patient_running


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("fault-status-500", "server"),
        ("fault-status-503", "overloaded"),
        ("fault-status-429 retry_after=1", "rate_limited"),
        ("fault-reset-0", "connection"),
        ("fault-reset-headers", "connection"),
        ("fault-html", "malformed"),
        ("fault-empty", "malformed"),
    ],
)
def test_a_failure_before_the_first_byte_is_tried_again_and_charged_once(
    patient: Rig, faulty: FaultUpstream, failure: str, reason: str, stream: bool
) -> None:
    faulty.program(failure, "ok")
    reply = run(patient.chat("fault/fault-ok", stream=stream, max_tokens=1000))
    assert reply.status == 200
    assert reply.text == text_of()
    generation = patient.generation(reply.generation_id)
    assert attempts_of(generation) == [("fault/fault-ok", reason), ("fault/fault-ok", "ok")]
    assert charge_of(generation) == EXACT
    assert len(faulty.journal()) == 2


def test_pain_50_a_lost_network_is_retried(patient: Rig, faulty: FaultUpstream) -> None:
    faulty.program("fault-reset-mid", "ok")
    reply = run(patient.chat("fault/fault-ok", max_tokens=1000))
    assert reply.status == 200
    assert attempts_of(patient.generation(reply.generation_id))[0][1] == "connection"


@pytest.mark.parametrize("stream", [False, True])
def test_the_attempts_are_bounded_and_all_told(patient: Rig, faulty: FaultUpstream, stream: bool) -> None:
    asked = {"models": ["fault-a/fault-status-500", "fault-g/fault-ok"], "stream": stream, "max_tokens": 1000}
    reply = run(patient.chat("fault/fault-status-500", **asked))
    assert reply.status == 502
    tried = ["fault/fault-status-500"] * 3 + ["fault-a/fault-status-500"]
    assert [one["model"] for one in reply.error["attempts"]] == tried
    assert [one for one, _ in attempts_of(patient.generation(reply.generation_id))] == tried
    assert len(faulty.journal()) == 4


def test_the_callers_own_mistake_is_not_tried_again(patient: Rig, faulty: FaultUpstream) -> None:
    assert run(patient.chat("fault/fault-status-400", max_tokens=1000)).status == 400
    assert len(faulty.journal()) == 1


def test_a_provider_that_asks_for_a_long_pause_is_left_alone(patient: Rig, faulty: FaultUpstream) -> None:
    faulty.program("fault-status-429 retry_after=3600", "ok")
    reply = run(patient.chat("fault/fault-ok", models=["fault/cheap"], max_tokens=1000))
    assert reply.status == 200
    generation = patient.generation(reply.generation_id)
    assert attempts_of(generation) == [("fault/fault-ok", "rate_limited"), ("fault/cheap", "ok")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "failure", ["status-500", "status-400", "status-401", "status-429", "reset-headers", "html", "hang"]
)
def test_a_fallback_is_charged_once_at_the_price_of_who_answered(rig: Rig, failure: str, stream: bool) -> None:
    """R8f, T10: one hold, one charge, at the delivered model's price; the other attempt is in the receipt."""
    before = rig.wallet()["balance"]
    reply = run(rig.chat(f"fault/fault-{failure}", models=["fault/cheap"], stream=stream, max_tokens=1000))
    assert reply.status == 200
    charge = usd(input=1234, output=567, scale=THIRD)
    assert Decimal(reply.last["tollway"]["cost_usd"]) == charge
    assert reply.last["tollway"]["model"] == "fault/cheap"
    assert reply.last["tollway"]["fallback_used"] is True
    generation = rig.generation(reply.generation_id)
    assert [model for model, _ in attempts_of(generation)] == [f"fault/fault-{failure}", "fault/cheap"]
    assert charge_of(generation) == charge
    assert generation["price_list"].startswith("fault/cheap@")
    assert before - rig.wallet()["balance"] == charge


def test_a_dearer_fallback_is_held_for_before_it_is_asked(rig: Rig, faulty: FaultUpstream) -> None:
    faulty.program("fault-status-500", "ok")
    reply = run(rig.chat("fault/cheap", models=["fault/fault-ok"], max_tokens=1000))
    generation = rig.generation(reply.generation_id)
    assert charge_of(generation) == EXACT
    assert Decimal(generation["hold"]["amount_usd"]) >= EXACT


def test_a_fallback_that_cannot_be_paid_is_not_asked(rig: Rig, faulty: FaultUpstream) -> None:
    cheap = usd(input=100, output=1000, scale=THIRD)
    key = rig.new_key(rig.new_workspace(cheap))
    faulty.program("fault-status-500")
    reply = run(rig.chat("fault/cheap", key=key, models=["fault/fault-ok"], max_tokens=1000))
    assert reply.status == 502
    assert [one["model"] for one in reply.error["attempts"]] == ["fault/cheap"]
    assert len(faulty.journal()) == 1
    assert rig.wallet(key)["available"] == cheap


def test_a_fallback_without_a_named_bound_gets_what_the_wallet_affords(rig: Rig, faulty: FaultUpstream) -> None:
    """R6b holds for the second model too: the dear one is asked for fewer tokens, not left out."""
    key = rig.new_key(rig.new_workspace("0.01"))
    faulty.program("fault-status-500", "ok input=20 output=100")
    reply = run(rig.chat("fault/cheap", key=key, models=["fault/fault-ok"]))
    assert reply.status == 200
    first, second = (entry["body"]["max_tokens"] for entry in faulty.journal())
    assert first > second > 100
    assert Decimal(reply.last["tollway"]["cost_usd"]) == usd(input=20, output=100)


def test_pain_49_after_the_first_byte_no_other_model_is_asked(rig: Rig, faulty: FaultUpstream) -> None:
    """A decision, stated in the contract: half of one answer and half of another would be worse than an error."""
    reply = run(rig.chat("fault-a/fault-error-frame-mid", models=["fault/cheap"], stream=True, max_tokens=1000))
    assert "error" in reply.chunks[-1]
    assert len(faulty.journal()) == 1


def test_one_choice_of_two_that_never_ends_is_a_broken_stream(rig: Rig, faulty: FaultUpstream) -> None:
    """The upstream finishes choice 0 alone, without [DONE]: with `n` = 2 that is half an answer, and free."""
    faulty.program("fault-reset-before-usage")
    reply = run(rig.chat("fault/fault-ok", n=2, stream=True, max_tokens=1000))
    assert reply.chunks[-1]["choices"][0]["finish_reason"] == "error"
    assert charge_of(rig.generation(reply.generation_id)) == NOTHING


# --- load with faults ---------------------------------------------------------------------------------------------------

FAULTS = ("status-500", "status-503", "reset-0", "reset-headers", "reset-mid", "html", "malformed", "error-frame-mid")


def faulty_load(rig: Rig, count: int) -> None:
    """reliability.md T10: a fifth of the requests meet a fault; charged == delivered, one charge each."""
    draw = random.Random(20261124)  # noqa: S311 - the same load each time
    requests, streams = list[bytes](), list[bool]()
    for _ in range(count):
        behaviour = draw.choice(FAULTS) if draw.random() < 0.2 else "ok"
        streams.append(draw.random() < 0.5)
        model = f"{draw.choice(('fault', 'fault-a', 'fault-g'))}/fault-{behaviour}"
        requests.append(rig.request(model, stream=streams[-1], models=["fault/cheap"], max_tokens=1000))
    before = rig.wallet()["balance"]
    delivered = list[Decimal]()
    for reply in run(ask_all(rig.port, requests, connections=48)):
        assert reply is not None
        assert reply.status == 200
        scale = THIRD if reply.last["tollway"]["model"] == "fault/cheap" else Decimal(1)
        is_broken = "error" in reply.last
        delivered.append(NOTHING if is_broken else usd(input=1234, output=567, scale=scale))
        assert Decimal(reply.last["tollway"]["cost_usd"]) == delivered[-1]
    rig.assert_settled()
    assert before - rig.wallet()["balance"] == total(delivered)
    charged = sorted(Decimal(one["total_cost_usd"]) for one in rig.recent(min(count, 1000)))
    if count <= 1000:
        assert charged == sorted(delivered)


def test_a_fifth_of_faults_is_charged_exactly_for_what_was_delivered(rig: Rig) -> None:
    faulty_load(rig, 400)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_ten_thousand_requests_with_a_fifth_of_faults(rig: Rig) -> None:
    faulty_load(rig, 10_000)
