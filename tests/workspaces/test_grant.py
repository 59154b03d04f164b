"""What a key may give: nothing beyond its own terms."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import Forbidden
from tollway.workspaces.grant import check_grant
from tollway.workspaces.key import Key

KEY = Key("k", "w", "o", "name", "tw_abcd")


@pytest.mark.parametrize(
    ("giver", "given_", "param"),
    [
        ({"budget_nano": 0}, {"budget_nano": 0}, "budget_usd"),
        ({"requests_per_minute": 0}, {}, "requests_per_minute"),
        ({"tokens_per_day": 9}, {"tokens_per_day": 1}, "tokens_per_day"),
        ({"allowed_models": frozenset({"a"})}, {"allowed_models": frozenset({"b"})}, "allowed_models"),
        ({"expires_at": 9}, {"expires_at": 10}, "expires_at"),
        ({"ip_allow": ("10.0.0.0/8",)}, {"ip_allow": ("11.0.0.1",)}, "ip_allow"),
    ],
)
def test_what_is_beyond_is_named(giver, given_, param) -> None:
    with pytest.raises(Forbidden) as refused:
        check_grant(replace(KEY, **giver), replace(KEY, **given_))
    assert refused.value.param == param
    assert refused.value.message.endswith(".")


models = st.none() | st.frozensets(st.sampled_from("abc"))
ends = st.none() | st.integers(1, 5)


@given(models, models, ends, ends)
def test_what_is_given_does_no_more_and_lasts_no_longer(mine, theirs, my_end, their_end) -> None:
    giver = replace(KEY, allowed_models=mine, expires_at=my_end)
    given_ = replace(KEY, allowed_models=theirs, expires_at=their_end)
    every = frozenset("abc")
    fits = (every if theirs is None else theirs) <= (every if mine is None else mine) and (their_end or 99) <= (
        my_end or 99
    )
    fits = fits and not (mine is not None and theirs is None)
    try:
        check_grant(giver, given_)
    except Forbidden:
        assert not fits
    else:
        assert fits
