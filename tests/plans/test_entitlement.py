"""The one entitlement check: properties over all numbers, and what it says to people."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import TierLimitExceeded
from tollway.plans.entitlement import Over, effect, over, require_feature, require_room, why
from tollway.plans.limits import FEATURES, LIMITS, counted
from tollway.plans.load import load_plans
from tollway.plans.overrides import Overrides, grants_of

REFERENCE = load_plans("reference")
names, plans = st.sampled_from(sorted(LIMITS)), st.sampled_from(REFERENCE.plans)
amounts = st.integers(0, 10**12)


def refused(check: Callable[[], None]) -> TierLimitExceeded | None:
    """What a check raised, None if it passed."""
    try:
        check()
    except TierLimitExceeded as error:
        return error
    return None


def refusal(plan: str, name: str, current: int, adding: int = 1, **more) -> TierLimitExceeded:
    grants = grants_of(REFERENCE.plan(plan), "reference")
    error = refused(lambda: require_room(grants, REFERENCE, name, current, adding, **more))
    assert error is not None
    return error


@given(plans, names, st.integers(-1, 10**12), amounts, amounts)
def test_there_is_room_exactly_up_to_the_limit(plan, name, limit, current, adding) -> None:
    grants = grants_of(plan, "reference", Overrides(limits={name: limit}))
    error = refused(lambda: require_room(grants, REFERENCE, name, current, adding))
    assert (error is None) == (limit < 0 or current + adding <= limit)
    if error is not None:
        assert (error.status, error.type, error.code) == (403, "tier_limit_exceeded", "tier_limit_exceeded")
        told = error.details
        assert (told["limit"], told["current"], told["limit_name"]) == (limit, current, name)


@given(plans, names, amounts, amounts)
def test_the_required_tier_is_the_smallest_other_one_that_would_do(plan, name, current, adding) -> None:
    grants = grants_of(plan, "reference")
    error = refused(lambda: require_room(grants, REFERENCE, name, current, adding))
    if error is None:
        return
    wanted = current + adding
    would_do = [one.id for one in REFERENCE.plans if one.id != plan.id and not 0 <= one.limits[name] < wanted]
    required = error.details["required_tier"]
    assert required == next(iter(would_do), None)
    if required is not None:  # and it does: the same question on that plan is not refused
        require_room(grants_of(REFERENCE.plan(required), "reference"), REFERENCE, name, current, adding)


@given(plans, st.sampled_from(sorted(FEATURES)))
def test_a_feature_is_refused_exactly_where_the_plan_has_it_not(plan, name) -> None:
    error = refused(lambda: require_feature(grants_of(plan, "reference"), REFERENCE, name))
    assert (error is None) is plan.features[name]
    if error is not None:
        assert REFERENCE.plan(error.details["required_tier"]).features[name]
        assert (error.details["limit"], error.details["limit_name"]) == (0, name)


@given(plans, st.dictionaries(names, amounts))
def test_what_is_over_is_what_has_no_room_for_nothing_more(plan, counts) -> None:
    grants = grants_of(plan, "reference")
    found = over(grants, counts)
    assert {one.name for one in found} == {
        name for name, current in counts.items() if grants.limit(name) >= 0 and current > grants.limit(name)
    }
    for one in found:
        with pytest.raises(TierLimitExceeded):
            require_room(grants, REFERENCE, one.name, one.current, 0)
        assert (one.limit, one.current) == (grants.limit(one.name), counts[one.name])


def test_a_feature_that_no_plan_knows_is_refused() -> None:
    with pytest.raises(TierLimitExceeded, match="ask the operator") as raised:
        require_feature(grants_of(REFERENCE.highest, "reference"), REFERENCE, "teleport")
    assert raised.value.details["required_tier"] is None


def test_what_it_says() -> None:
    url = "https://example.com/plans"
    error = refusal("hobby", "api_keys", 1, upgrade_url=url, param="name")
    assert error.message == (
        "the plan Hobby has 1 API key, and 1 is there already; remove some, or upgrade to Pro (5 API keys): "
        "https://example.com/plans"
    )
    assert error.param == "name"
    assert error.body()["error"] == {
        "type": "tier_limit_exceeded",
        "message": error.message,
        "code": "tier_limit_exceeded",
        "param": "name",
        "limit": 1,
        "current": 1,
        "limit_name": "api_keys",
        "required_tier": "pro",
        "upgrade_url": url,
    }
    assert refusal("hobby", "web_search_per_minute", 0).message == (
        "web searches per minute are not part of the plan Hobby; upgrade to Pro (30 web searches per minute)"
    )
    assert refusal("hobby", "max_context_tokens", 0, 9_000).message == (
        "this asks for 9,000 tokens of context; the plan Hobby allows 8,000; "
        "ask for less, or upgrade to Pro (128,000 tokens of context)"
    )
    assert refusal("pro", "assistants", 12).message == (
        "the plan Pro has 10 assistants, and there are 12; remove some, or upgrade to Team (unlimited assistants)"
    )
    assert refusal("hobby", "storage_mb", 90, 20).message == (
        "the plan Hobby has 100 MB of storage: 90 are used, 20 more do not fit; "
        "remove some, or upgrade to Pro (5,120 MB of storage)"
    )
    assert refusal("hobby", "workspaces", 1, 20).details["required_tier"] == "enterprise"


def test_what_being_over_means() -> None:
    grants = grants_of(REFERENCE.plan("hobby"), "reference")
    assert over(grants, {"api_keys": 3, "assistants": 1, "members": 900}) == (Over("api_keys", 1, 3),)
    assert why(grants, Over("api_keys", 1, 3)) == "The plan Hobby has 1 API key; there are 3."
    assert "Nothing is deleted" in effect(Over("api_keys", 1, 3))
    assert "at most 1 API key." in effect(Over("api_keys", 1, 3))
    assert counted("images_per_day", 5) == "images_per_day 5"
