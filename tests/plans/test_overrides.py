"""What is agreed with one organization, over its plan."""

import pytest

from tollway.errors import InvalidField
from tollway.plans.load import load_plans
from tollway.plans.overrides import Overrides, check_overrides, grants_of

PRO = load_plans("reference").plan("pro")


def test_only_what_is_named_is_replaced() -> None:
    agreed = Overrides(
        limits={"tokens_per_day": -1, "api_keys": 50}, features={"sso": True}, margins_bps={"direct": 300}
    )
    plain, grants = grants_of(PRO, "reference"), grants_of(PRO, "reference", agreed)
    assert grants.tokens_per_day == -1 == grants.limits["tokens_per_day"]
    assert grants.limits == {**plain.limits, "tokens_per_day": -1, "api_keys": 50}
    assert grants.features == {**plain.features, "sso": True}
    assert grants.margins_bps == {"direct": 300}
    assert (grants.plan_id, grants.plan_name, grants.version) == ("pro", "Pro", PRO.version)
    assert (plain.requests_per_minute, plain.tokens_per_day, plain.max_context_tokens) == (60, 1_000_000, 128_000)
    assert list(grants.limits)[:3] == ["api_keys", "assistants", "documents_per_assistant"]


@pytest.mark.parametrize(
    ("agreed", "param", "said"),
    [
        (Overrides(limits={"api_key": 5}), "limits.api_key", "did you mean `api_keys`?"),
        (Overrides(limits={"api_keys": -2}), "limits.api_keys", "-1 \\(no limit\\)"),
        (Overrides(features={"saml": True}), "features.saml", "is not in the plan"),
        (Overrides(margins_bps={"direct": -1}), "margins_bps.direct", "basis points"),
        (Overrides(margins_bps={"dirct": 1}), "margins_bps.dirct", "did you mean `direct`?"),
    ],
)
def test_what_cannot_be_agreed(agreed, param, said) -> None:
    with pytest.raises(InvalidField, match=said.replace("?", "\\?")) as raised:
        check_overrides(agreed, PRO)
    assert raised.value.param == param


def test_a_known_limit_can_be_agreed_though_an_old_plan_version_lacks_it() -> None:
    check_overrides(Overrides(limits={"members": 3}), PRO)
