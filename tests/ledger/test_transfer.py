"""Transfers: sums of zero, legal accounts only, reversals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import Broken
from tollway.ledger.chart import ACCOUNTS, KINDS, TRANSFERS, family, payable, wallet
from tollway.ledger.transfer import Posting, between, build, credit, failover, reversal, shadow, usage


def test_r4_a_transfer_that_does_not_sum_to_zero_cannot_be_built() -> None:
    with pytest.raises(Broken, match="out of balance by 1"):
        build("topup", "p1", (("cash:manual", -10), ("wallet:w", 11)))


@pytest.mark.parametrize(
    ("kind", "lines", "problem"),
    [
        ("gift", (("wallet:w", 1), ("grants", -1)), "no transfer kind"),
        ("grant", (("wallet:w", -1), ("grants", 1)), "may not take from wallet:w"),
        ("topup", (("wallet:w", 1), ("revenue:margin", -1)), "may not take from revenue:margin"),
        ("usage", (("wallet:w", -1), ("wallet:v", 1)), "may not give to wallet:v"),
        ("topup", (("wallet:w", 1), ("pocket", -1)), "no account 'pocket'"),
        ("topup", (("wallet:", 1), ("cash:manual", -1)), "no account 'wallet:'"),
        ("topup", (("wallet:*", 1), ("cash:manual", -1)), "no account"),
        ("topup", (("wallet:w", 0), ("cash:manual", 0)), "moves nothing"),
        ("topup", (), "moves nothing"),
    ],
)
def test_what_the_chart_does_not_list_cannot_be_built(kind, lines, problem) -> None:
    with pytest.raises(Broken, match=problem):
        build(kind, "ref", lines)


def test_a_transfer_answers_to_something() -> None:
    with pytest.raises(Broken, match="external reference"):
        build("topup", "", (("cash:manual", -1), ("wallet:w", 1)))


def test_usage_within_the_hold() -> None:
    transfer = usage(
        "r", workspace_id="w", provider="openai", taken_nano=13_427_700, cost_nano=12_207_000, margin_nano=1_220_700
    )
    assert transfer is not None
    assert transfer.postings == (
        Posting("wallet:w", -13_427_700),
        Posting("payable:openai", 12_207_000),
        Posting("revenue:margin", 1_220_700),
    )
    assert transfer.on(wallet("w")) == -13_427_700


def test_usage_with_bad_debt_and_failover() -> None:
    transfer = usage(
        "r",
        workspace_id="w",
        provider="x",
        taken_nano=80,
        cost_nano=80,
        margin_nano=10,
        bad_debt_nano=10,
        failover_nano=5,
    )
    assert transfer is not None
    assert {posting.account: transfer.on(posting.account) for posting in transfer.postings} == {
        "wallet:w": -80,
        "bad_debt": -10,
        "payable:x": 85,
        "revenue:margin": 10,
        "cost_of_failover": -5,
    }


def test_usage_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(Broken):
        usage("r", workspace_id="w", provider="x", taken_nano=80, cost_nano=80, margin_nano=1)


def test_a_free_reply_moves_nothing() -> None:
    assert usage("r", workspace_id="w", provider="x", taken_nano=0, cost_nano=0, margin_nano=0) is None
    assert failover("r", provider="x", failover_nano=0) is None
    assert payable("") == "payable:unattributed"


def test_shadow_is_the_operators_cost() -> None:
    assert shadow("r", (("x", 0),)) is None
    told = shadow("r", (("x", 5), ("y", 0), ("x", 2), ("z", 1)))
    assert (told.kind, told.external_ref, sum(one.amount_nano for one in told.postings)) == ("shadow", "r", 0)
    assert (told.on("cost_of_shadow"), told.on("payable:x"), told.on("payable:z")) == (-8, 7, 1)
    with pytest.raises(Broken):
        build("shadow", "r", (("wallet:w", -1), ("payable:x", 1)))


def test_a_reversal_is_the_mirror_and_has_none_itself() -> None:
    original = credit("topup", "w", 100, external_ref="pay_1")
    back = reversal(original, "paid twice")
    assert (back.kind, back.external_ref) == ("reversal", "topup:pay_1")
    assert back.on("wallet:w") == -100
    assert back.on("cash:manual") == 100
    with pytest.raises(Broken):
        reversal(back, "again")


def test_credits() -> None:
    assert credit("topup", "w", 5, external_ref="r", method="bank").on("cash:bank") == -5
    assert credit("adjustment", "w", -5, external_ref="r").on("adjustments") == 5
    with pytest.raises(Broken):
        credit("grant", "w", -5, external_ref="r")
    with pytest.raises(Broken, match="use one of topup, grant, adjustment, refund"):
        credit("usage", "w", 5, external_ref="r")


def test_between_wallets() -> None:
    assert between("a", "b", 5, external_ref="r").on("wallet:a") == -5
    for source, target, nano in (("a", "a", 5), ("a", "b", 0), ("a", "b", -1)):
        with pytest.raises(Broken):
            between(source, target, nano, external_ref="r")


def test_every_kind_names_accounts_of_the_chart() -> None:
    assert len(KINDS) == len(TRANSFERS)
    for kind in TRANSFERS:
        assert kind.takes_from <= set(ACCOUNTS)
        assert kind.gives_to <= set(ACCOUNTS)
        assert kind.meaning
    # What contract.md lets an owner see.
    assert {"topup", "auto_topup", "usage", "refund", "adjustment", "grant", "transfer", "subscription"} <= set(KINDS)
    assert family("cash:manual") == "cash:*"


@given(st.sampled_from(TRANSFERS), st.lists(st.integers(-1000, 1000), min_size=1, max_size=4), st.data())
def test_whatever_is_built_sums_to_zero(kind, amounts, data) -> None:
    accounts = [name.replace("*", "x") for name in ACCOUNTS]
    lines = [(data.draw(st.sampled_from(accounts)), amount) for amount in amounts]
    try:
        transfer = build(kind.name, "ref", lines)
    except Broken:
        return
    assert sum(posting.amount_nano for posting in transfer.postings) == 0
    assert all(posting.amount_nano for posting in transfer.postings)
    for posting in transfer.postings:
        assert family(posting.account) in (kind.takes_from if posting.amount_nano < 0 else kind.gives_to)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
def test_the_short_way_of_an_ordinary_charge_is_the_long_way(taken, cost, margin, bad_debt, over) -> None:
    lines = (
        ("wallet:w", -taken),
        ("bad_debt", -bad_debt),
        ("payable:p", cost),
        ("revenue:margin", margin),
        ("cost_of_failover", -over),
        ("payable:p", over),
    )
    try:
        short = usage(
            "r",
            workspace_id="w",
            provider="p",
            taken_nano=taken,
            cost_nano=cost,
            margin_nano=margin,
            bad_debt_nano=bad_debt,
            failover_nano=over,
        )
    except Broken:
        with pytest.raises(Broken):
            build("usage", "r", lines)
        return
    assert short == (build("usage", "r", lines) if any(nano for _, nano in lines) else None)
