"""The shipped catalogues, cell by cell against the seeds' tables."""

import pytest

from plans.tables import FEATURES, NAMES, PLANS, PRICES, PRICING_LIMITS, REFERENCE_LIMITS, TRIAL_DAYS
from tollway.plans.limits import FEATURES as KNOWN_FEATURES
from tollway.plans.limits import LIMITS
from tollway.plans.load import load_plans

CATALOGUES = {name: load_plans(name) for name in ("reference", "pricing", "payg")}
TABLES = {"reference": REFERENCE_LIMITS, "pricing": PRICING_LIMITS}


def cells(table):
    return [
        pytest.param(name, plan, number, id=f"{plan}-{name}")
        for name, row in table.items()
        for plan, number in zip(PLANS, row, strict=True)
    ]


@pytest.mark.parametrize(("name", "plan", "number"), cells(REFERENCE_LIMITS))
def test_a_limit_of_the_api_reference(name, plan, number) -> None:
    assert CATALOGUES["reference"].plan(plan).limits[name] == number


@pytest.mark.parametrize(("name", "plan", "number"), cells(PRICING_LIMITS))
def test_a_limit_of_the_pricing_page(name, plan, number) -> None:
    assert CATALOGUES["pricing"].plan(plan).limits[name] == number


@pytest.mark.parametrize("catalogue", ["reference", "pricing"])
@pytest.mark.parametrize(("name", "plan", "has"), cells(FEATURES))
def test_a_feature(catalogue, name, plan, has) -> None:
    assert CATALOGUES[catalogue].plan(plan).features[name] is has


@pytest.mark.parametrize("catalogue", ["reference", "pricing"])
def test_order_names_prices_and_trials(catalogue) -> None:
    found = CATALOGUES[catalogue]
    assert (found.name, found.default_plan.id, found.highest.id) == (catalogue, "hobby", "enterprise")
    assert tuple(plan.id for plan in found.plans) == PLANS
    assert tuple(plan.name for plan in found.plans) == NAMES
    assert tuple((plan.month_cents, plan.year_cents) for plan in found.plans) == PRICES
    assert tuple(plan.trial_days for plan in found.plans) == TRIAL_DAYS
    assert all(plan.allowed_models is None for plan in found.plans)
    assert all(not plan.margins_bps for plan in found.plans)


def test_pay_as_you_go() -> None:
    (plan,) = CATALOGUES["payg"].plans
    assert (plan.id, plan.month_cents, plan.year_cents, plan.trial_days) == ("payg", 0, 0, 0)
    assert dict(plan.margins_bps) == {"direct": 550, "auto": 1_000, "tier": 800}
    # Seed 003: every account has one routing profile, a second is a 403.
    assert {name: number for name, number in plan.limits.items() if number != -1} == {"routing_profiles": 1}
    assert all(plan.features.values())


def test_the_tables_name_all_that_the_code_knows() -> None:
    assert REFERENCE_LIMITS.keys() == LIMITS.keys()
    assert FEATURES.keys() == KNOWN_FEATURES.keys()
    assert list(LIMITS)[:10] == [
        "api_keys", "assistants", "documents_per_assistant", "storage_mb", "nerfing_rules", "requests_per_minute",
        "tokens_per_day", "web_search_per_minute", "file_search_per_minute", "max_context_tokens",
    ]  # fmt: skip


def test_a_version_is_of_the_content() -> None:
    reference, pricing = CATALOGUES["reference"], CATALOGUES["pricing"]
    versions = [plan.version for plan in reference.plans]
    assert len(set(versions)) == 4
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in versions)
    assert reference.plan("enterprise").version == pricing.plan("enterprise").version
    assert reference.plan("pro").version != pricing.plan("pro").version
    assert load_plans("reference").plan("pro").version == reference.plan("pro").version
