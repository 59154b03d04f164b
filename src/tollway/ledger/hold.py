"""A hold: reserved money, from its opening to its one end.

A hold is not a posting: it only lowers what a wallet has available. The table below is all that can happen to it; what
is missing is refused. The one arrow out of an end is the late settle of an expired hold: the usage arrived after all,
and is charged from what is available (money.md R9).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from tollway.ledger.budget import Budget

HoldState = Literal["open", "settled", "void", "expired"]
HoldEvent = Literal["raise", "settle", "void", "expire"]

TRANSITIONS: Mapping[tuple[HoldState, HoldEvent], HoldState] = {
    ("open", "raise"): "open",
    ("open", "settle"): "settled",
    ("open", "void"): "void",
    ("open", "expire"): "expired",
    ("expired", "settle"): "settled",
}


def next_state(state: HoldState, event: HoldEvent) -> HoldState | None:
    """The state after an event, None if a hold in `state` refuses it."""
    return TRANSITIONS.get((state, event))


class Hold(msgspec.Struct, gc=False, eq=False):
    """An open or ending hold as the book keeps it in memory. Its id is the request's.

    amount_nano: reserved, nano-USD after margin. day: UTC day number it was opened in; it counts in that day's budget
    windows for ever (R13). opened_at, expires_at: unix seconds. price_list_id, margin_bps, offer_id: pinned (R11).
    budget: the key's, counted in the same step; None: none.
    """

    id: str
    workspace_id: str
    key_id: str
    amount_nano: int
    opened_at: int
    expires_at: int
    day: int
    budget: Budget | None = None
    price_list_id: str = ""
    margin_bps: int = 0
    offer_id: str = ""
    state: HoldState = "open"


class Split(NamedTuple):
    """How a charge is covered, nano-USD: `taken + bad_debt = charge`."""

    taken_nano: int
    bad_debt_nano: int


def split(charge_nano: int, hold_nano: int, available_nano: int) -> Split:
    """Cover a charge: first the hold, then what is available, down to zero; what remains is bad debt (R7).

    Args:
        charge_nano: >= 0.
        hold_nano: what this request still holds; 0 for a late settle, whose hold has ended.
        available_nano: what the wallet has beyond all holds; >= 0.
    """
    taken = min(charge_nano, hold_nano + available_nano)
    return Split(taken, charge_nano - taken)
