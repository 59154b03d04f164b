"""A small file of plans to break: every known limit and feature, two plans."""

from tollway.plans.limits import FEATURES, LIMITS


def plan_text(plan_id: str, limits: dict | None = None, features: dict | None = None, head: str = "") -> str:
    numbers = {**dict.fromkeys(LIMITS, -1), **(limits or {})}
    flags = {**dict.fromkeys(FEATURES, False), **(features or {})}
    return "\n".join(
        [
            "[[plans]]",
            f'id = "{plan_id}"',
            f'name = "{plan_id.title()}"',
            head or "prices = {month_cents = 0, year_cents = 0}",
            "[plans.limits]",
            *(f"{name} = {number}" for name, number in numbers.items()),
            "[plans.features]",
            *(f"{name} = {str(flag).lower()}" for name, flag in flags.items()),
            "",
        ]
    )


def catalogue_text(*plans: str) -> str:
    return 'catalogue = "mine"\n' + "".join(plans)


SMALL = plan_text("small", {"api_keys": 2, "requests_per_minute": 5, "tokens_per_day": 1_000})
LARGE = plan_text("large", {"api_keys": 9}, {"sso": True}, "prices = {month_cents = 1000, year_cents = 10000}")
TWO = catalogue_text(SMALL, LARGE)
