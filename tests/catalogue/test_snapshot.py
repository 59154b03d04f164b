"""catalogue/snapshot.py: the file, and the lists that come out of it."""

from hypothesis import given
from hypothesis import strategies as st

from tollway.catalogue.load import PACKAGED_SNAPSHOT
from tollway.catalogue.snapshot import (
    Entry,
    ListRow,
    Snapshot,
    TierRow,
    day_start,
    in_force,
    price_lists,
    read_snapshot,
    written,
)
from tollway.catalogue.units import BY_NAME

prices = st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.integers(0, 10**12), min_size=1)
rows = st.builds(
    ListRow,
    prices=prices,
    start=st.dates().map(lambda day: day.isoformat()),
    tiers=st.lists(st.builds(TierRow, above=st.integers(0, 10**6), prices=prices), max_size=2).map(tuple),
    window=st.none() | st.tuples(st.integers(0, 86_399), st.integers(0, 86_399)),
    source=st.text(max_size=9),
)
entries = st.builds(
    Entry, provider=st.text(max_size=9), id=st.text(max_size=9), lists=st.lists(rows, max_size=3).map(tuple)
)


@given(st.lists(entries, max_size=4).map(tuple))
def test_what_is_written_is_read_again(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("snapshot") / "prices.json"
    snapshot = Snapshot(1, "p 1", "2026-11-24", found)
    path.write_bytes(written(snapshot))
    assert read_snapshot(path) == snapshot


def test_one_line_per_model():
    lines = PACKAGED_SNAPSHOT.read_text().splitlines()
    assert len(lines) == len(read_snapshot(PACKAGED_SNAPSHOT).entries) + 2
    assert all(line.startswith('{"provider":') for line in lines[1:-1])


def test_ids_of_lists():
    found = price_lists(
        "acme/m",
        (
            ListRow({"input": 1}),
            ListRow({"input": 2}, window=(0, 60)),
            ListRow({"input": 3}, window=(60, 90)),
            ListRow({"input": 4}, "2026-05-01"),
        ),
        "https://p.test",
    )
    assert [each.id for each in found] == [
        "acme/m@1970-01-01",
        "acme/m@1970-01-01#1",
        "acme/m@1970-01-01#2",
        "acme/m@2026-05-01",
    ]
    assert [each.effective_from for each in found] == [0, 0, 0, 1_777_593_600]


def test_the_group_in_force():
    history = (
        ListRow({"input": 1}),
        ListRow({"input": 2}, "2026-05-01"),
        ListRow({"input": 3}, "2026-05-01", window=(0, 60)),
    )
    assert in_force(history, "2026-04-30") == history[:1]
    assert in_force(history, "2026-05-01") == history[1:]
    assert in_force(history[1:], "2026-04-30") == ()


def test_days_are_utc():
    assert day_start("1970-01-02") == 86_400
    assert day_start("2026-11-24") == 1_795_478_400
