"""`tollway receipt`: a receipt that adds up by hand, from a ledger on disk."""

import asyncio
import json

import msgspec
import pytest

from store.world import opened
from tollway.catalogue.units import INPUT, OUTPUT, WEB_SEARCH
from tollway.gateway.passage import Attempt
from tollway.gateway.receipt import Story
from tollway.metering.rating import Charge
from tollway.money.amount import NanoUSD, PicoUSD
from tollway.ports import Settlement

# Money.md, vector of R6: 1234 in, 4096 out at 3/15 with 10 % is held at 71,656,200; 567 out are charged 13,427,700.
ATTEMPTS = [
    Attempt("openai/gpt", "openai", "gpt", 503, "overloaded", "secret words of the provider", 3, 120),
    Attempt("azure/gpt", "azure", "gpt", 200, "", "", 121, 1_530),
]


def story(**fields):
    told = {
        "model_asked": "gpt",
        "model": "openai/gpt",
        "offer": "azure/gpt",
        "provider": "azure",
        "price_list": "openai/gpt@2026-01-01",
        "margin_bps": 1_000,
        "hold_nano": 71_656_200,
        "attempts": ATTEMPTS,
        "stages_us": {"hold": 120},
        "streamed": True,
        "finish_reason": "stop",
        "usage_source": "provider",
        "price_source": "https://example.com/pricing",
        "lines": ((INPUT, 1_234, 3_000_000), (OUTPUT, 567, 15_000_000)),
        "charge_nano": 13_427_700,
        "ttft_ms": 210,
    }
    return msgspec.json.encode(Story(**(told | fields)))


async def serve_some(folder):
    async with opened(folder) as world:
        await world.fund(1_000_000_000, ref="pay")

        async def ended(hold_id, held, charge, kept, *, failover=0, **fields):
            await world.hold(hold_id, held)
            generation = world.generation(
                hold_id, receipt=kept, offer_id="azure/gpt", usage_source="provider", latency_ms=1_531,
                finish_reason="stop", is_streamed=True, ttft_ms=210, **fields,
            )  # fmt: skip
            generation.provider = "azure"
            if charge is None:
                await world.ledger.void(hold_id, generation)
            else:
                await world.ledger.settle(Settlement(hold_id, charge, "azure", generation, failover))

        lines = ((INPUT, 1_234, PicoUSD(3_000_000)), (OUTPUT, 567, PicoUSD(15_000_000)))
        usual = Charge(NanoUSD(13_427_700), NanoUSD(12_207_000), NanoUSD(1_220_700), lines)
        await ended("usual", 71_656_200, usual, story())
        search = Charge(NanoUSD(11_000_000), NanoUSD(10_000_000), NanoUSD(1_000_000), ())
        await ended(
            "search", 11_000_000, search, story(lines=((WEB_SEARCH, 1, 10_000_000_000),), charge_nano=11_000_000)
        )
        over = story(hold_nano=10_000_000, warnings=["counted twice"], excluded=[("x/gpt", "no key")])
        await ended("over", 10_000_000, usual, over)
        failed = story(lines=(), charge_nano=0, error={"code": "upstream_error", "status": 502}, attempts=ATTEMPTS[:1])
        await ended("failed", 71_656_200, None, failed, status="error", http_status=502, error_code="upstream_error")
        await world.hold("left", 5_000)
    async with opened(folder):
        pass  # recovery ends the hold that was left


@pytest.fixture(autouse=True)
def ledger(tollway, tmp_path):
    asyncio.run(serve_some(tmp_path / "tollway-data"))


def test_a_receipt_adds_up_by_hand(tollway):
    ran = tollway("receipt", "usual")
    assert ran.code == 0, ran.err
    assert ran.out == (
        "request      usual\n"
        "when         2027-01-15 08:00:00.000 UTC, 1,531 ms, first token after 210 ms\n"
        "workspace    0190c3f0-0000-7000-8000-000000000002, key 0190c3f0-0000-7000-8000-000000000003\n"
        "asked for    openai/gpt, streamed\n"
        "answered by  openai/gpt at azure (offer azure/gpt)\n"
        "answer       200 ok, finish reason stop\n"
        "outcome      settled: charged\n"
        "counted by   the provider\n"
        "price list   openai/gpt@2026-01-01, source: https://example.com/pricing\n"
        "\n"
        "Attempts\n"
        "#  provider  model  status  result               ms\n"
        "1  openai    gpt       503  overloaded      3 - 120\n"
        "2  azure     gpt       200  ok          121 - 1,530\n"
        "\n"
        "Charge\n"
        "unit                  count  x price USD               = amount USD\n"
        "input                 1,234         3.00  per million     0.003702\n"
        "output                  567        15.00  per million     0.008505\n"
        "sum                                                       0.012207\n"
        "margin 10 %                                               0.0012207\n"
        "with margin, exact                                        0.0134277\n"
        "charge, rounded once                                      0.0134277\n"
        "\n"
        "Hold\n"
        "                              USD\n"
        "held                    0.0716562\n"
        "taken from the wallet  -0.0134277\n"
        "released                0.0582285\n"
        "\n"
        "Ledger\n"
        "account                                             USD\n"
        "wallet:0190c3f0-0000-7000-8000-000000000002  -0.0134277\n"
        "payable:azure                                 0.012207\n"
        "revenue:margin                                0.0012207\n"
        "sum                                           0.00\n"
    )


def test_nobody_reads_the_providers_own_words(tollway):
    assert "secret words" not in tollway("receipt", "usual").out
    assert "secret words" not in tollway("receipt", "usual", "--json").out


def test_a_price_per_call(tollway):
    out = tollway("receipt", "search").out
    assert "web_search                1         0.01  each         0.01" in out


def test_an_overrun_says_what_was_beyond_the_hold(tollway):
    out = tollway("receipt", "over").out
    rows = {name.strip(): amount for name, _, amount in (line.rpartition(" ") for line in out.split("\n"))}
    assert rows["held"] == "0.01"
    assert rows["taken from the wallet"] == "-0.0134277"
    assert rows["of it beyond the hold"] == "-0.0034277"
    assert "warning: counted twice\nnot asked: x/gpt: no key" in out


def test_what_was_not_charged_says_so(tollway):
    out = tollway("receipt", "failed").out
    assert "answer       502 upstream_error" in out
    assert "outcome      void: not charged" in out
    assert "Charge\n" not in out
    assert "Ledger\nnothing was posted" in out
    assert 'error: {"code": "upstream_error", "status": 502}' in out
    assert "released               0.0716562" in out


def test_a_request_whose_story_died_with_the_server(tollway):
    ran = tollway("receipt", "left")
    assert ran.code == 0
    assert "outcome     expired: not charged: the server stopped" in ran.out
    assert "released               0.000005" in ran.out
    assert json.loads(tollway("receipt", "left", "--json").out)["receipt"] is None


def test_json(tollway):
    told = json.loads(tollway("receipt", "usual", "--json").out)
    assert told["id"] == "usual"
    assert told["outcome"] == "settled"
    assert told["taken_usd"] == told["receipt"]["charge_usd"] == "0.0134277"
    assert told["receipt"]["released_usd"] == "0.0582285"
    assert [posting["amount_usd"] for posting in told["postings"]] == ["-0.0134277", "0.012207", "0.0012207"]


def test_a_request_that_is_not_there(tollway):
    ran = tollway("receipt", "nope")
    assert (ran.code, ran.err) == (
        1,
        "tollway: there is no request nope in tollway-data; one that still runs has no receipt yet\n",
    )


def test_a_folder_without_a_ledger(tollway):
    ran = tollway("receipt", "usual", "--data", "elsewhere")
    assert ran.code == 2
    assert "there is no ledger here" in ran.err
