"""The book: decisions in one step, refused whole or done whole."""

import pytest

from tollway.errors import (
    AccountOnHold,
    AlreadyExists,
    Broken,
    BudgetExceeded,
    InsufficientBalance,
    NotFound,
    ValidationFailed,
)
from tollway.ledger.book import Book, Wallet
from tollway.ledger.budget import Budget
from tollway.ledger.hold import Hold
from tollway.money.amount import NANO_MAX

DAY = 20_000


def book(posted: int = 100, frozen: int = 0) -> Book:
    made = Book()
    made.wallets["w"] = Wallet("w", posted, 0, frozen)
    return made


def hold(name: str, nano: int, budget: Budget | None = None) -> Hold:
    return Hold(
        name,
        workspace_id="w",
        key_id="k",
        amount_nano=nano,
        opened_at=DAY * 86_400,
        expires_at=0,
        day=DAY,
        budget=budget,
    )


def test_the_key_is_asked_before_the_wallet() -> None:
    """R5: key, then wallet; the refusal names the first that cannot cover it."""
    with pytest.raises(BudgetExceeded):
        book(posted=5).open(hold("a", 10, Budget(5, "day")))


def test_pains_22_unknown_things_are_refused_not_let_through() -> None:
    with pytest.raises(NotFound):
        Book().open(hold("a", 1))
    with pytest.raises(Broken):
        book().open(hold("a", -1))


def test_pains_23_a_worst_case_beyond_the_budget_is_told_exactly() -> None:
    """The budget of $25 is 25, not 25.000000000000004, and what is left is told."""
    made = book(posted=10**12)
    made.open(hold("a", 24_999_999_999, Budget(25 * 10**9, "month")))
    with pytest.raises(BudgetExceeded) as refused:
        made.open(hold("b", 2, Budget(25 * 10**9, "month")))
    assert refused.value.details["available_usd"] == "0.000000001"
    assert refused.value.details["limit_usd"] == "25"
    made.open(hold("c", 1, Budget(25 * 10**9, "month")))


def test_pains_26_no_budget_no_refusal() -> None:
    made = book(posted=10)
    made.open(hold("a", 10))
    made.open(hold("free", 0, Budget(0, "day")))


def test_pains_29_a_budget_of_zero_refuses_everything_that_costs() -> None:
    with pytest.raises(BudgetExceeded):
        book().open(hold("a", 1, Budget(0, "lifetime")))


def test_frozen_money_is_named_as_the_reason() -> None:
    made = book(posted=100, frozen=60)
    with pytest.raises(AccountOnHold):
        made.open(hold("a", 41))
    with pytest.raises(InsufficientBalance):
        made.open(hold("a", 101))
    made.open(hold("a", 40))


def test_a_hold_ends_once() -> None:
    made = book()
    one = hold("a", 40)
    made.open(one)
    with pytest.raises(AlreadyExists):
        made.open(hold("a", 40))
    made.settle(one, 10)
    for again in (lambda: made.settle(one, 10), lambda: made.release(one, "void"), lambda: made.enlarge(one, 1)):
        with pytest.raises(Broken):
            again()
    assert (made.wallet("w").posted_nano, made.wallet("w").held_nano) == (90, 0)
    made.check()


def test_a_refused_raise_changes_nothing() -> None:
    made = book()
    one = hold("a", 40, Budget(50, "day"))
    made.open(one)
    with pytest.raises(BudgetExceeded):
        made.enlarge(one, 11)
    with pytest.raises(Broken):
        made.enlarge(one, -1)
    made.enlarge(one, 10)
    assert (one.amount_nano, made.wallet("w").held_nano) == (50, 50)
    made.check()


def test_moves_are_all_or_nothing() -> None:
    made = book()
    made.wallets["v"] = Wallet("v", 5)
    with pytest.raises(InsufficientBalance):
        made.post({"v": 101, "w": -101})
    assert made.wallet("v").posted_nano == 5
    made.post({"v": 100, "w": -100})
    assert (made.wallet("v").posted_nano, made.wallet("w").posted_nano) == (105, 0)


def test_what_a_column_cannot_hold_is_refused() -> None:
    made = book()
    with pytest.raises(ValidationFailed):
        made.post({"w": NANO_MAX})
    with pytest.raises(Broken):
        made.cover("w", NANO_MAX + 1, 0)


def test_a_book_that_does_not_match_its_holds_is_noticed() -> None:
    made = book()
    made.open(hold("a", 40))
    made.wallet("w").held_nano = 39
    with pytest.raises(Broken):
        made.check()
