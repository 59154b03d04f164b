"""What differs between plans and catalogues."""

from plans.files import LARGE, SMALL, catalogue_text, plan_text
from tollway.plans.difference import Difference, between, differences
from tollway.plans.load import load_plans, read_plans


def test_the_pricing_page_against_the_api_reference() -> None:
    assert between(load_plans("reference"), load_plans("pricing")) == {
        "hobby": (Difference("limits.api_keys", 1, 2), Difference("limits.assistants", 1, 2)),
        "pro": (Difference("limits.api_keys", 5, 10),),
        "team": (Difference("limits.api_keys", 20, 50), Difference("limits.tokens_per_day", -1, 10_000_000)),
    }


def test_plans_that_come_and_go_and_values_that_are_not_said() -> None:
    before = read_plans(catalogue_text(SMALL), "a")
    after = read_plans(catalogue_text(LARGE), "b")
    assert between(before, after) == {
        "small": (Difference("plan", "yes", None),),
        "large": (Difference("plan", None, "yes"),),
    }
    more = read_plans(
        catalogue_text(
            plan_text("small", {"api_keys": 2, "requests_per_minute": 5, "tokens_per_day": 1_000, "images": 0})
        ),
        "c",
    )
    assert differences(before.plan("small"), more.plan("small")) == (Difference("limits.images", None, 0),)
    assert differences(before.plan("small"), before.plan("small")) == ()
