"""catalogue/genai.py: the importer, against the package's own arithmetic."""

import random
import re
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from tollway.catalogue import genai
from tollway.catalogue.genai import UNITS, Unrepresentable, exact_pico, package_version, read_package
from tollway.catalogue.load import PACKAGED_SNAPSHOT
from tollway.catalogue.prices import price_at
from tollway.catalogue.snapshot import price_lists, read_snapshot
from tollway.catalogue.units import BY_NAME
from tollway.catalogue.update import updated


@pytest.fixture(scope="module")
def entries():
    return {entry.key: entry for entry in read_package("2026-11-24")}


def imported(prices, **more):
    """The entry of one model with these prices."""
    model = ModelInfo("m", ClauseEquals("m"), prices=prices, **more)
    (entry,) = genai._entries(Provider("p", "P", "", pricing_urls=["https://p.test"], models=[model]), "2026-11-24")
    return entry


def test_every_provider_and_model_of_the_package_is_there(entries):
    assert len(providers) >= 47
    assert len(entries) == sum(len(provider.models) for provider in providers) >= 2330
    assert all(entry.lists or entry.quarantine for entry in entries.values())
    assert sum(not entry.quarantine for entry in entries.values()) > len(entries) * 0.9


def test_the_packaged_snapshot_is_up_to_date_with_the_locked_package(entries):
    snapshot = read_snapshot(PACKAGED_SNAPSHOT)
    assert snapshot.package == package_version()
    again, changes = updated(snapshot, tuple(entries.values()), package=package_version(), today="2026-11-24")
    assert changes == ()
    assert again == snapshot


def test_prices_are_the_packages_own_at_any_instant_and_length(entries):
    """Compares with `get_prices` and the tier rule of the package for 20 instants and lengths of every model."""
    chance = random.Random(20261124)
    for provider in providers:
        for model in provider.models:
            entry = entries[f"{provider.id}/{model.id}"]
            if entry.quarantine:
                continue
            lists = price_lists(entry.key, entry.lists)
            for _ in range(20):
                when = datetime.fromtimestamp(chance.randrange(1_640_000_000, 1_830_000_000), UTC)
                length = chance.choice([1, 32_000, 32_001, 200_000, 200_001, 272_001, 1_000_000])
                theirs = {key: value for key, value in vars(model.get_prices(when)).items() if value is not None}
                ours = price_at(lists, int(when.timestamp())).at(length)
                for key, price in theirs.items():
                    unit, scale = UNITS[key]
                    if isinstance(price, TieredPrices):
                        tiers = [tier.price for tier in price.tiers if length > tier.start]
                        price = tiers[-1] if tiers else price.base  # noqa: PLW2901
                    assert abs(ours[unit] - price * scale) < 1, (entry.key, key, when, length)


def test_every_price_key_in_use_is_mapped_or_named_in_a_quarantine(entries):
    for provider in providers:
        for model in provider.models:
            entry = entries[f"{provider.id}/{model.id}"]
            conditional = model.prices if isinstance(model.prices, list) else []
            lists = [one.prices for one in conditional] or [model.prices]
            strange = {key for each in lists for key, value in vars(each).items() if value is not None} - UNITS.keys()
            assert not strange or any(key in entry.quarantine for key in strange), entry.key


def test_all_our_units_can_be_imported_or_come_from_our_own_files():
    assert {unit for unit, _ in UNITS.values()} == set(BY_NAME)


# --- one rule each ---


def test_noise_of_binary_fractions_is_rounded_to_six_decimals_with_a_note():
    entry = imported(ModelPrice(input_mtok=Decimal("0.18000000000000002"), output_mtok=Decimal("0.0833333333333333")))
    assert entry.lists[0].prices == {"input": 180_000, "output": 83_333}
    assert entry.notes == ("rounded: 0.18000000000000002", "rounded: 0.0833333333333333")


@pytest.mark.parametrize("figure", ["0.00000049", "0.0000005", "-1", "NaN", "Infinity", "0.00012345"])
def test_what_is_no_noise_is_refused(figure):
    with pytest.raises(Unrepresentable):
        exact_pico(Decimal(figure), 1_000_000, print)


def test_prices_per_thousand_calls_become_pico_per_call():
    entry = imported(
        ModelPrice(
            input_mtok=Decimal(1),
            output_mtok=Decimal(1),
            requests_kcount=Decimal(12),
            web_searches_kcount=Decimal("2.5"),
        )
    )
    assert entry.lists[0].prices == {
        "input": 1_000_000,
        "output": 1_000_000,
        "request": 12_000_000_000,
        "web_search": 2_500_000_000,
    }


def test_tiers_keep_their_threshold_and_only_what_changes():
    price = TieredPrices(Decimal(1), [Tier(128_000, Decimal(4)), Tier(32_000, Decimal(2))])
    entry = imported(ModelPrice(input_mtok=price, output_mtok=Decimal(9)))
    assert [(tier.above, tier.prices) for tier in entry.lists[0].tiers] == [
        (32_000, {"input": 2_000_000}),
        (128_000, {"input": 4_000_000}),
    ]


def dated(day, price):
    return ConditionalPrice(
        StartDateConstraint(datetime.fromisoformat(day).date()),
        prices=ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(price)),
    )


def daily(start, end, price="7"):
    return ConditionalPrice(
        TimeOfDateConstraint(start, end), prices=ModelPrice(input_mtok=Decimal(price), output_mtok=Decimal(price))
    )


FIRST = ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1)))


def test_dates_become_lists_and_times_of_day_become_windows_of_each():
    entry = imported([FIRST, dated("2026-05-01", "2"), daily(time(1, tzinfo=UTC), time(4, 30, tzinfo=UTC))])
    assert [(row.start, row.window, row.prices["input"]) for row in entry.lists] == [
        ("1970-01-01", None, 1_000_000),
        ("1970-01-01", (3_600, 16_200), 7_000_000),
        ("2026-05-01", None, 2_000_000),
        ("2026-05-01", (3_600, 16_200), 7_000_000),
    ]


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        (ModelPrice(), "the package has no price for it"),
        (ModelPrice(audio_hours=Decimal("0.36")), "audio_hours"),
        (ModelPrice(input_mtok=Decimal(1), input_video_mtok=Decimal(3)), "input_video_mtok"),
        (ModelPrice(input_mtok=Decimal(-1)), "not a price"),
        ([FIRST, dated("2026-05-01", "2"), dated("2026-04-01", "3")], "not in order"),
        ([dated("2026-05-01", "2")], "not in order"),
        ([FIRST, daily(time(1), time(4)), dated("2026-05-01", "2")], "follows"),
        ([FIRST, daily(time(1), time(4)), daily(time(3), time(5))], "overlap"),
        ([FIRST, daily(time(22), time(4)), daily(time(3), time(5))], "overlap"),
    ],
)
def test_what_cannot_be_said_is_quarantined_with_the_reason(prices, reason):
    entry = imported(prices)
    assert reason in entry.quarantine
    assert entry.lists == ()


def test_other_ways_of_buying_are_left_out_with_a_note():
    batch = PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=Decimal("0.5")))
    entry = imported(ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2)), price_variants=[batch])
    assert entry.lists[0].prices["input"] == 1_000_000
    assert entry.notes == ("left out: prices for batch",)


def test_names_and_stems(entries):
    entry = entries["anthropic/claude-sonnet-4-5"]
    assert "claude-sonnet-4-5" in entry.stems
    assert "gpt-4o-2024-08-06" in entries["openai/gpt-4o"].names
    assert entries["openai/gpt-4o"].stems == ()


def test_the_package_is_imported_by_nobody_who_only_reads_prices():
    """It takes half a second, and pydantic with it."""
    root = Path(genai.__file__).parents[1]
    users = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"^\s*(from|import) genai_prices", path.read_text(), re.MULTILINE)
    }
    assert users == {"catalogue/genai.py"}
