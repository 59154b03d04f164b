"""The tables of the seeds, their numbers written by hand: what the shipped catalogues must say."""

PLANS = ("hobby", "pro", "team", "enterprise")

# Seeds 001 and 002: the API reference.
REFERENCE_LIMITS = {
    "requests_per_minute": (10, 60, 300, -1),
    "tokens_per_day": (100_000, 1_000_000, -1, -1),
    "web_search_per_minute": (0, 30, 100, -1),
    "file_search_per_minute": (0, 60, 200, -1),
    "api_keys": (1, 5, 20, -1),
    "assistants": (1, 10, -1, -1),
    "documents_per_assistant": (5, 50, -1, -1),
    "storage_mb": (100, 5 * 1024, 50 * 1024, -1),
    "nerfing_rules": (2, 10, -1, -1),
    "widgets": (1, 5, 20, -1),
    "workspaces": (1, 3, 10, -1),
    "max_context_tokens": (8_000, 128_000, -1, -1),
    "routing_profiles": (1, 1, -1, -1),
    "members": (-1, -1, -1, -1),
}
FEATURES = {
    "web_search": (False, True, True, True),
    "file_search": (False, True, True, True),
    "custom_models": (False, False, True, True),
    "custom_api_keys": (False, False, True, True),
    "remove_branding": (False, True, True, True),
    "priority_support": (False, False, True, True),
    "eu_mode": (False, False, True, True),
    "sso": (False, False, False, True),
}
# Seed 000: the pricing page. What it does not say is as in the API reference.
PRICING_LIMITS = {
    **REFERENCE_LIMITS,
    "api_keys": (2, 10, 50, -1),
    "assistants": (2, 10, -1, -1),
    "workspaces": (1, 3, 10, -1),
    "tokens_per_day": (100_000, 1_000_000, 10_000_000, -1),
    "documents_per_assistant": (5, 50, -1, -1),
    "storage_mb": (100, 5_120, 51_200, -1),
}
# US cents per month and per year; None: contact sales.
PRICES = ((0, 0), (2_900, 28_800), (9_900, 98_400), (None, None))
TRIAL_DAYS = (0, 14, 14, 0)
NAMES = ("Hobby", "Pro", "Team", "Enterprise")

# Seed 002: what GET /v1/limits says of Pro, in its order.
PRO_LIMITS = {
    "api_keys": 5,
    "assistants": 10,
    "documents_per_assistant": 50,
    "storage_mb": 5120,
    "nerfing_rules": 10,
    "requests_per_minute": 60,
    "tokens_per_day": 1000000,
    "web_search_per_minute": 30,
    "file_search_per_minute": 60,
    "max_context_tokens": 128000,
}
PRO_FEATURES = {
    "web_search": True,
    "file_search": True,
    "custom_models": False,
    "priority_support": False,
    "eu_mode": False,
    "sso": False,
}
USAGE_FIELDS = [
    "assistants",
    "storage_bytes",
    "storage_mb",
    "requests_this_minute",
    "tokens_today",
    "requests_today",
    "web_search_this_minute",
    "file_search_this_minute",
]
