"""What a key may give to another: nothing beyond its own terms (security.md, CVE-2026-47101).

Scopes are checked for keys and people alike (`role.py::missing`); a key has further terms. Those that are sets are handed
down as parts of them. Those that are counted cannot be: two keys of one budget would spend it twice.
"""

from tollway.errors import Forbidden
from tollway.workspaces.key import Key, lies_within

_HINT = "Use a key without one, or sign in."


def check_grant(giver: Key, given: Key) -> None:
    """Refuse a key that may do more than the one which makes, changes or rotates it. Scopes are not looked at.

    Raises:
        Forbidden: with the field as `param`; it says what would do.
    """
    if giver.profile_id:
        problem = "This is the key of a routing profile, so it cannot manage others: they would not follow its rules."
        raise Forbidden(f"{problem} Use another key, or sign in.")
    counted = {
        "budget_usd": ("budget", giver.budget_nano is not None),
        "requests_per_minute": ("request limit", giver.requests_per_minute >= 0),
        "tokens_per_day": ("token limit", giver.tokens_per_day >= 0),
    }
    for param, (noun, is_limited) in counted.items():
        if is_limited:
            problem = f"This key has a {noun} of its own, so it cannot manage others: all of them would have more."
            raise Forbidden(f"{problem} {_HINT}", param=param)
    models, ends = giver.allowed_models, giver.expires_at
    if models is not None and (given.allowed_models is None or not given.allowed_models <= models):
        named = ", ".join(sorted(models))
        raise Forbidden(f"This key may use only {named}; name `allowed_models` among them.", param="allowed_models")
    if ends is not None and (given.expires_at is None or given.expires_at > ends):
        raise Forbidden(
            "This key expires, so what it makes cannot outlive it; give an earlier one.", param="expires_at"
        )
    if not lies_within(given.ip_allow, giver.ip_allow):
        named = ", ".join(giver.ip_allow)
        raise Forbidden(f"This key works only from {named}; name `ip_allow` within them.", param="ip_allow")
