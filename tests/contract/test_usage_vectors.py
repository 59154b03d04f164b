"""What providers report is charged right to the nano: each usage vector, by hand, whole and streamed, in three dialects.

The upstream is our own that reports odd usage (support/fault_usage.py has the numbers); every unit has a price of its own
here, so that a token in the wrong bucket shows. Sums are in millionths of a dollar: tokens x USD per million.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from contract.bill import Bill
from contract.conftest import provider
from contract.talk import ask, client, heard
from support.fault_answers import text_of
from support.gateway import Gateway
from support.upstreams import FaultUpstream

pytestmark = pytest.mark.servers

BEHAVIOURS = (
    "ok",
    "fault-usage-cached",
    "fault-usage-cache-write",
    "fault-usage-reasoning",
    "fault-usage-audio",
    "fault-usage-search",
    "fault-usage-snapshots",
    "fault-usage-late",
    "fault-usage-zero",
    "fault-cached-gt-prompt",
    "fault-reasoning-gt-output",
    "fault-no-usage",
    "fault-negative-usage",
    "fault-huge-usage",
    "fault-text-usage",
)
PRICES = """prices = { input = "3", cache_read = "0.3", cache_write_5m = "3.75", cache_write_1h = "6", input_audio = "32", \
cache_read_audio = "0.4", output = "15", reasoning = "18", output_audio = "64", web_search = "10" }"""
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
"""Dialect -> the built-in provider whose data file says where usage is."""
PLAIN = {"input": 1234, "output": 567}
CACHED = {"input": 86, "cache_read": 1920, "output": 300}
AUDIO = {"input": 7, "cache_read": 10, "input_audio": 100, "output": 20, "output_audio": 40}

VECTORS: list[tuple[str, str, dict[str, int], str]] = [
    # dialect, behaviour, disjoint counts, millionths of a dollar before the margin
    ("openai", "ok", PLAIN, "12207"),
    ("anthropic", "ok", PLAIN, "12207"),
    ("gemini", "ok", PLAIN, "12207"),
    ("openai", "usage-cached", CACHED, "5334"),
    ("anthropic", "usage-cached", CACHED, "5334"),
    ("gemini", "usage-cached", CACHED, "5334"),
    ("openai", "usage-cache-write", {"input": 50, "cache_read": 1800, "cache_write_5m": 248, "output": 503}, "9165"),
    (
        "anthropic",
        "usage-cache-write",
        {"input": 50, "cache_read": 1800, "cache_write_5m": 148, "cache_write_1h": 100, "output": 503},
        "9390",
    ),
    ("gemini", "usage-cache-write", CACHED, "5334"),
    ("openai", "usage-reasoning", {"input": 75, "output": 162, "reasoning": 1024}, "21087"),
    # The Messages API counts thinking into the output and does not tell how much of it there is.
    ("anthropic", "usage-reasoning", {"input": 75, "output": 1186}, "18015"),
    ("gemini", "usage-reasoning", {"input": 75, "output": 162, "reasoning": 1024}, "21087"),
    ("openai", "usage-audio", AUDIO, "6084"),
    ("gemini", "usage-audio", AUDIO, "6084"),
    ("openai", "usage-search", PLAIN, "12207"),
    ("anthropic", "usage-search", {**PLAIN, "web_search": 2}, "32207"),
    # What a tool of Google's own found is read as a prompt.
    ("gemini", "usage-search", {"input": 1267, "output": 567}, "12306"),
    ("openai", "usage-snapshots", PLAIN, "12207"),
    ("anthropic", "usage-snapshots", PLAIN, "12207"),
    ("gemini", "usage-snapshots", PLAIN, "12207"),
    ("anthropic", "usage-late", PLAIN, "12207"),
    ("openai", "usage-zero", {}, "0"),
    ("anthropic", "usage-zero", {}, "0"),
    ("gemini", "usage-zero", {}, "0"),
    # Parts that do not fit into their total are cut down to it; nothing is ever negative.
    ("openai", "cached-gt-prompt", {"cache_read": 100, "output": 20}, "330"),
    (
        "anthropic",
        "cached-gt-prompt",
        {"input": 100, "cache_write_5m": 150, "cache_write_1h": 100, "output": 20},
        "1762.5",
    ),
    ("gemini", "cached-gt-prompt", {"cache_read": 100, "output": 20}, "330"),
    ("openai", "reasoning-gt-output", {"input": 75, "reasoning": 20}, "585"),
    ("gemini", "reasoning-gt-output", {"input": 75, "reasoning": 1024}, "18657"),
]
WARNED = {
    *((dialect, "cached-gt-prompt") for dialect in PROVIDERS),
    # Google's thoughts stand beside the answer, and need not fit into it.
    ("openai", "reasoning-gt-output"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, fault_server: FaultUpstream) -> Iterator[Gateway]:
    """A gateway whose built-in providers lead to the upstream with the odd usage."""
    urls = {"openai": fault_server.openai, "anthropic": fault_server.anthropic, "gemini": fault_server.gemini}
    toml = '[money]\nopening_grant_usd = "1000"\n' + "".join(
        provider(name, dialect, urls[dialect], BEHAVIOURS, PRICES) for dialect, name in PROVIDERS.items()
    )
    with Gateway(tmp_path_factory.mktemp("odd"), toml=toml) as running:
        yield running


@pytest.fixture(scope="module")
def odd_sdk(odd: Gateway) -> Iterator[openai.OpenAI]:
    with client(odd) as made:
        yield made


def answer(sdk: openai.OpenAI, dialect: str, behaviour: str, *, stream: bool) -> Any:
    """What carries the usage of one call."""
    model = f"{PROVIDERS[dialect]}/{behaviour if behaviour == 'ok' else f'fault-{behaviour}'}"
    said: Any = sdk.chat.completions.create(model=model, messages=ask("hi"), stream=stream)
    return heard(said)[1] if stream else said


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("dialect", "behaviour", "counts", "millionths"), VECTORS, ids=[f"{one[0]}-{one[1]}" for one in VECTORS]
)
def test_the_vector_is_charged_to_the_nano(
    odd: Gateway,
    odd_sdk: openai.OpenAI,
    dialect: str,
    behaviour: str,
    counts: dict[str, int],
    millionths: str,
    stream: bool,
) -> None:
    with Bill(odd) as bill:
        last = answer(odd_sdk, dialect, behaviour, stream=stream)
    receipt = bill.agrees(last, **counts)
    # 5.5 % on top, in nano-USD: the only half is 1,859,437.5, which goes to the even one.
    assert Decimal(receipt["charge_usd"]) * 10**9 == round(Decimal(millionths) * 1055)
    assert bool(receipt["receipt"]["warnings"]) is ((dialect, behaviour) in WARNED)
    assert receipt["usage"]["cached_tokens"] == counts.get("cache_read", 0)
    assert receipt["usage"]["reasoning_tokens"] == counts.get("reasoning", 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", list(PROVIDERS))
@pytest.mark.parametrize("behaviour", ["no-usage", "negative-usage", "huge-usage", "text-usage"])
def test_usage_that_cannot_be_billed_is_counted_by_us(
    odd: Gateway, odd_sdk: openai.OpenAI, dialect: str, behaviour: str, stream: bool
) -> None:
    """No report, or one that is none: prompt and answer are counted here, and the receipt says who counted."""
    with Bill(odd) as bill:
        last = answer(odd_sdk, dialect, behaviour, stream=stream)
    usage, told = last.usage, last.tollway
    assert told["usage_source"] in {"tokenizer", "heuristic"}
    # `hi` is one token or two; the answer has fifteen in o200k, at most its bytes in any vocabulary.
    assert 1 <= usage.prompt_tokens <= 3
    assert 10 <= usage.completion_tokens <= len(text_of())
    charge = (Decimal(usage.prompt_tokens) * 3 + Decimal(usage.completion_tokens) * 15) * 1055 / 10**9
    assert Decimal(told["cost_usd"]) == Decimal(str(usage.cost)) == charge == bill.spent()
    receipt = odd.receipt(told["generation_id"])["data"]
    assert receipt["usage"]["source"] == told["usage_source"]
    assert Decimal(receipt["charge_usd"]) == charge
    assert bool(told["warnings"]) is (behaviour != "no-usage")
