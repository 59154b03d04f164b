"""A period at other terms: sums by model and in all."""

from hypothesis import given
from hypothesis import strategies as st

from learning.shop import request
from tollway.learning.replay import Line, replay
from tollway.learning.repricing import Outcome

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 10**15), st.none() | st.integers(0, 10**15)), max_size=60
)


def test_sums_and_what_is_left_out() -> None:
    asked = [request(1), request(2, model="small", charge_nano=5), request(3, charge_nano=7), request(4, charge_nano=9)]
    outcomes = {"r1": Outcome(500), "r2": Outcome(8), "r3": Outcome(None, "", "why"), "r4": Outcome(None, "", "why")}
    bounds = {"r3": (1, 20)}
    found = replay(asked, lambda one: outcomes[one.id], lambda one: bounds.get(one.id))
    assert found.lines == [Line("large", 1, 16_500, 500, 2, 16), Line("small", 1, 5, 8)]
    assert [one.difference_nano for one in (*found.lines, found.total)] == [-16_000, 3, -15_997]
    assert found.total == Line("total", 2, 16_505, 508, 2, 16)
    assert found.reasons == {"why": 2}
    assert (found.bounded, found.least_nano, found.most_nano) == (1, 1, 20)
    nothing = replay([], lambda one: outcomes[one.id])
    assert (nothing.lines, nothing.total) == ([], Line("total"))


@given(ROWS)
def test_every_request_is_counted_once(rows) -> None:
    asked = [request(at, model=name, charge_nano=charge) for at, (name, charge, _) in enumerate(rows)]
    would = {one.id: row[2] for one, row in zip(asked, rows, strict=True)}
    found = replay(asked, lambda one: Outcome(would[one.id], "", "why"))
    total = found.total
    assert total.priced + total.left_out == len(rows)
    assert total.charged_nano + total.left_out_nano == sum(charge for _, charge, _ in rows)
    assert total.would_nano == sum(one or 0 for _, _, one in rows)
    for field in ("priced", "charged_nano", "would_nano", "difference_nano", "left_out", "left_out_nano"):
        assert getattr(total, field) == sum(getattr(one, field) for one in found.lines)
    assert found.reasons.total() == total.left_out
