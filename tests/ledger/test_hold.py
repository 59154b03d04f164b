"""The life of a hold, and how a charge is covered."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.ledger.hold import TRANSITIONS, Hold, HoldEvent, HoldState, Split, next_state, split


def test_the_table_is_all_that_can_happen() -> None:
    lives = {(state, event): next_state(state, event) for state in get_args(HoldState) for event in get_args(HoldEvent)}
    assert {pair: after for pair, after in lives.items() if after is not None} == {
        ("open", "raise"): "open",
        ("open", "settle"): "settled",
        ("open", "void"): "void",
        ("open", "expire"): "expired",
        ("expired", "settle"): "settled",
    }
    assert len(lives) == 16
    assert len(TRANSITIONS) == 5


@pytest.mark.parametrize(
    ("charge", "hold", "available", "taken", "bad_debt"),
    [
        (13_427_700, 71_656_200, 0, 13_427_700, 0),
        (50, 50, 0, 50, 0),
        (90, 50, 30, 80, 10),
        (70, 50, 30, 70, 0),
        (0, 50, 30, 0, 0),
        (25, 0, 30, 25, 0),
        (95, 0, 90, 90, 5),
        (5, 0, 0, 0, 5),
    ],
)
def test_r7_hold_first_then_available_then_bad_debt(charge, hold, available, taken, bad_debt) -> None:
    assert split(charge, hold, available) == Split(taken, bad_debt)


@given(st.integers(0, 2**63), st.integers(0, 2**62), st.integers(0, 2**62))
def test_r7_nothing_is_lost_and_nothing_goes_negative(charge, hold, available) -> None:
    taken, bad_debt = split(charge, hold, available)
    assert taken + bad_debt == charge
    assert 0 <= taken <= hold + available
    assert bad_debt >= 0
    assert not bad_debt or taken == hold + available


def test_a_hold_belongs_to_the_day_it_was_opened_in() -> None:
    hold = Hold(
        "r", workspace_id="w", key_id="k", amount_nano=1, opened_at=86_400 * 20_000 + 86_399, expires_at=0, day=20_000
    )
    assert (hold.day, hold.state) == (20_000, "open")
