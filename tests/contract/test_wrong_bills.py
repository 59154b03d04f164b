"""The wrong bills of other gateways (design: pains, C-1, 1-18), asked over HTTP: what we charge, and what they did.

Each case is the usage that its issue reports, said by an upstream in the provider's own shape, at the prices of then, with
no margin, so that the sums can be compared with the amounts that people paid. Issues: LL BerriAI/litellm,
NA QuantumNous/new-api, BF maximhq/bifrost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import openai
import pytest

from contract.bill import available
from contract.conftest import provider
from contract.talk import ask, client, heard
from support.gateway import Gateway
from support.upstreams import FaultUpstream

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Wrong:
    """A case. model: `<provider>/fault-usage-told#<price list>` of PRICES below.

    usage: as the provider reports it. charge: USD by hand. theirs: USD that was charged, "" where the issue has no amount.
    """

    name: str
    where: str
    usage: dict[str, Any]
    charge: str
    theirs: str = ""


GPT = {"input": "1.25", "cache_read": "0.625", "output": "10"}
SONNET = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "cache_write_1h": "6", "output": "15"}
OPUS = {"input": "5", "cache_read": "0.5", "cache_write_5m": "6.25", "cache_write_1h": "10", "output": "25"}
FLASH = {"input": "0.5", "cache_read": "0.05", "input_audio": "1", "cache_read_audio": "0.3", "output": "3"}
PRICES = {
    "google": {"gemini-pro": GPT, "gemini-flash": FLASH},
    "openai": {"gpt": GPT},
    "anthropic": {"sonnet": SONNET, "opus": OPUS},
    "x-ai": {"grok": {"input": "2", "cache_read": "0.5", "output": "10"}},
    "vllm": {"own": {"input": "1", "cache_read": "0.1", "output": "2"}},
}


def openai_usage(prompt: int, completion: int, **prompt_details: int) -> dict[str, Any]:
    total = prompt + completion
    head = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {**head, "prompt_tokens_details": prompt_details} if prompt_details else head


def gemini_usage(prompt: int, candidates: int, **more: Any) -> dict[str, Any]:
    total = {"totalTokenCount": prompt + candidates}
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, **total, **more}


def anthropic_usage(given: int, output: int, *, read: int = 0, written: int = 0, hour: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
    }


AUDIO = {
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 500}],
}
CASES = [
    # 5,005 x 1.25 + 257,955 x 0.625 + 1,744 x 10.
    Wrong(
        "pain_01_gemini_cached_tokens_charged_twice_LL14849",
        "google/gemini-pro",
        gemini_usage(262_960, 1_744, cachedContentTokenCount=257_955),
        "0.184918125",
        "0.7642",
    ),
    # 29 x 2 + 1,024 x 0.5 + 50 x 10: the image tokens lie inside the cached ones, and are no second prompt.
    Wrong(
        "pain_02_and_10_cached_image_tokens_charged_twice_LL37407_NA7229",
        "x-ai/grok",
        openai_usage(1_053, 50, cached_tokens=1_024, image_tokens=1_000, text_tokens=53),
        "0.00107",
    ),
    # 3 x 3 + 12,304 x 3.75 + 550 x 15.
    Wrong(
        "pain_03_anthropic_cache_writes_charged_twice_LL9812",
        "anthropic/sonnet",
        anthropic_usage(3, 550, written=12_304),
        "0.054399",
        "0.0913",
    ),
    # 1,000 x 1.25 + 430,000 x 0.625.
    Wrong(
        "pain_04_and_13_cached_tokens_charged_as_input_LL11935_BF904",
        "openai/gpt",
        openai_usage(431_000, 0, cached_tokens=430_000),
        "0.27",
    ),
    # 200 x 1.25 + 1,800 x 0.625 + 10 x 10: an implicit hit tells no modality.
    Wrong(
        "pain_05_gemini_implicit_cache_shown_as_zero_LL16341",
        "google/gemini-pro",
        gemini_usage(2_000, 10, cachedContentTokenCount=1_800),
        "0.001475",
    ),
    # 10 x 5 + 66,360 x 0.5 + 32,435 x 6.25 + 5,120 x 25.
    Wrong(
        "pain_06_reads_and_writes_of_one_request_LL11364",
        "anthropic/opus",
        anthropic_usage(10, 5_120, read=66_360, written=32_435),
        "0.36394875",
        "0.04708",
    ),
    # 11 x 1 + 96 x 0.1 + 7 x 2.
    Wrong(
        "pain_07_cached_tokens_of_ones_own_server_dropped_LL22986",
        "vllm/own",
        openai_usage(107, 7, cached_tokens=96),
        "0.0000346",
    ),
    # All of the prompt was cached and no more than all of it: 100 x 0.625 + 20 x 10, never less than nothing.
    Wrong(
        "pain_08_more_cached_than_prompt_paid_the_user_NA5003",
        "openai/gpt",
        openai_usage(100, 20, cached_tokens=9_000),
        "0.0002625",
        "-0.0089",
    ),
    # 10 x 3 + 1,000 x 3.75 + 500 x 6 + 20 x 15: both lifetimes have their price.
    Wrong(
        "pain_09_cache_writes_not_billed_NA6353",
        "anthropic/sonnet",
        anthropic_usage(10, 20, written=1_500, hour=500),
        "0.00708",
    ),
    # 6 x 5 + 159,217 x 6.25 + 2,745 x 25: the stream says the writes at its start and again at its end.
    Wrong(
        "pain_14_and_15_anthropic_stream_counts_summed_BF3451_BF5354",
        "anthropic/opus",
        anthropic_usage(6, 2_745, written=159_217),
        "1.06376125",
        "1.8598",
    ),
    # 200 x 0.5 + 300 x 1 + 500 x 0.3 + 20 x 3.
    Wrong(
        "pain_17_cached_audio_at_the_full_price",
        "google/gemini-flash",
        gemini_usage(1_000, 20, cachedContentTokenCount=500, **AUDIO),
        "0.00061",
    ),
]


def prices(table: dict[str, str]) -> str:
    return "prices = { " + ", ".join(f'{unit} = "{price}"' for unit, price in table.items()) + " }"


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory, fault_server: FaultUpstream) -> Iterator[Gateway]:
    """A gateway without margin whose built-in providers lead to the upstream that says what it is told."""
    dialects = {"google": "gemini", "anthropic": "anthropic"}
    urls = {"gemini": fault_server.gemini, "anthropic": fault_server.anthropic, "openai": fault_server.openai}
    toml = '[money]\nopening_grant_usd = "1000"\nmargin_direct_bps = 0\n'
    for name, lists in PRICES.items():
        dialect = dialects.get(name, "openai")
        models = [f'[[providers.{name}.models]]\nid = "{one}"\n{prices(table)}\n' for one, table in lists.items()]
        toml += provider(name, dialect, urls[dialect], ()) + "".join(models)
    with Gateway(tmp_path_factory.mktemp("till"), toml=toml) as running:
        yield running


@pytest.fixture(scope="module")
def till_sdk(till: Gateway) -> Iterator[openai.OpenAI]:
    with client(till) as made:
        yield made


def charged(till: Gateway, sdk: openai.OpenAI, faulty: FaultUpstream, case: Wrong, *, stream: bool) -> Any:
    """The receipt of a case, once reply, receipt and wallet agree on its charge."""
    before = available(till)
    faulty.tell_usage(case.usage)
    faulty.program("fault-usage-told")
    said: Any = sdk.chat.completions.create(model=case.where, messages=ask("hi"), stream=stream)
    last = heard(said)[1] if stream else said
    spent = before - available(till)
    receipt = till.receipt(last.tollway["generation_id"])["data"]
    assert spent == Decimal(last.tollway["cost_usd"]) == Decimal(receipt["charge_usd"])
    counts = [line["count"] for line in receipt["receipt"]["lines"]]
    assert all(count > 0 for count in counts)
    return receipt


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_charged_right(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream, case: Wrong, stream: bool
) -> None:
    receipt = charged(till, till_sdk, faulty, case, stream=stream)
    assert Decimal(receipt["charge_usd"]) == Decimal(case.charge)
    if case.theirs:
        assert abs(Decimal(receipt["charge_usd"]) - Decimal(case.theirs)) > Decimal("0.005")


def test_pain_06_cached_tokens_are_on_the_row_and_in_the_usage(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream
) -> None:
    """LL#11364 showed no cache hit on any row."""
    case = next(one for one in CASES if "pain_06" in one.name)
    receipt = charged(till, till_sdk, faulty, case, stream=False)
    assert receipt["usage"] == {
        "input_tokens": 98_805,
        "output_tokens": 5_120,
        "cached_tokens": 66_360,
        "reasoning_tokens": 0,
        "total_tokens": 103_925,
        "source": "provider",
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_pain_12_a_negative_report_never_pays_the_user(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream, stream: bool
) -> None:
    """lingyuins/octopus#243: negative counts raised the quota of whoever caused them."""
    case = Wrong("", "openai/gpt", openai_usage(-50_000, -9_000), "")
    receipt = charged(till, till_sdk, faulty, case, stream=stream)
    assert Decimal(receipt["charge_usd"]) > 0
    assert receipt["usage"]["source"] != "provider"


def test_pain_16_totals_of_a_stream_are_not_summed(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream
) -> None:
    """BF#2438: every chunk carries the total so far, and only the last of them counts: 1,234 x 1.25 + 567 x 10."""
    before = available(till)
    faulty.program("fault-usage-snapshots")
    _, last = heard(till_sdk.chat.completions.create(model="openai/gpt", messages=ask("hi"), stream=True))
    assert before - available(till) == Decimal(last.tollway["cost_usd"]) == Decimal("0.0072125")


def test_pain_18_a_stream_that_knows_its_usage_only_at_the_end(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream
) -> None:
    """vercel/ai#17326: `message_start` says 0 / 0, the truth comes with `message_delta`: 1,234 x 3 + 567 x 15."""
    before = available(till)
    faulty.program("fault-usage-late")
    _, last = heard(till_sdk.chat.completions.create(model="anthropic/sonnet", messages=ask("hi"), stream=True))
    assert before - available(till) == Decimal(last.tollway["cost_usd"]) == Decimal("0.012207")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_pain_09_a_long_prompt_pays_the_tier_for_all_of_it(
    till: Gateway, till_sdk: openai.OpenAI, faulty: FaultUpstream, stream: bool
) -> None:
    """NA#5756: cache writes count for the tier and are billed at it. The model and its prices are the catalogue's own."""
    model = "anthropic/claude-sonnet-4-5"
    offers = till.ask("GET", f"/v1/models/{model}/offers")[1]["data"]
    tier = next(one for one in offers if one["provider"] == "anthropic")["pricing_tiers"][0]
    assert tier["min_prompt_tokens"] == 200_000
    assert float(tier["cache_write"]) > float(offers[0]["pricing"]["cache_write"])
    price = {name: Decimal(tier[name]) for name in ("prompt", "cache_read", "cache_write", "completion")}
    wanted = {"prompt": 50_000, "cache_read": 30_000, "cache_write": 150_000, "completion": 100}
    usage = anthropic_usage(50_000, 100, read=30_000, written=150_000)
    receipt = charged(till, till_sdk, faulty, Wrong("", model, usage, ""), stream=stream)
    assert Decimal(receipt["charge_usd"]) == sum(price[name] * count for name, count in wanted.items())
