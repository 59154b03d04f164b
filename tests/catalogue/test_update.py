"""catalogue/update.py: history is kept, and what looks wrong is out of sale until accepted (money.md R11)."""

import msgspec
import pytest

from tollway.catalogue.genai import NO_PRICE
from tollway.catalogue.snapshot import Entry, ListRow, Snapshot, TierRow, price_lists
from tollway.catalogue.update import spliced, updated

OLD = ListRow({"input": 3_000_000, "output": 15_000_000}, source="p 1", checked="2026-11-24")


def row(price, start="1970-01-01", **more):
    return ListRow({"input": price, "output": price * 5}, start=start, source="p 2", checked="2026-12-01", **more)


def entry(*lists, quarantine="", name="m"):
    return Entry("acme", name, lists=lists, quarantine=quarantine)


def snapshot(*entries):
    return Snapshot(1, "p 1", "2026-11-24", entries)


def update(old, *fresh, accept=(), today="2026-12-01"):
    new, changes = updated(old, fresh, package="p 2", today=today, accept=accept)
    return new.entries[0], [(change.key, change.kind) for change in changes]


def starts(found):
    return [(each.start, each.prices["input"]) for each in found.lists]


def test_nothing_changed():
    found, changes = update(snapshot(entry(OLD)), entry(row(3_000_000)))
    assert found.lists == (OLD,)  # read again, and still the same: it keeps its source and day
    assert changes == []


def test_a_new_price_starts_today_and_the_old_one_stays():
    found, changes = update(snapshot(entry(OLD)), entry(row(4_000_000)))
    assert starts(found) == [("1970-01-01", 3_000_000), ("2026-12-01", 4_000_000)]
    assert found.lists[0] is OLD
    assert changes == [("acme/m", "price")]
    old, new = price_lists("acme/m", found.lists)
    assert (old.id, new.id, new.effective_from) == ("acme/m@1970-01-01", "acme/m@2026-12-01", 1_796_083_200)


def test_a_price_dated_into_the_past_starts_today_all_the_same():
    found, _ = update(snapshot(entry(OLD)), entry(row(3_000_000), row(4_000_000, "2026-11-28")))
    assert starts(found) == [("1970-01-01", 3_000_000), ("2026-12-01", 4_000_000)]


def test_an_announced_price_starts_when_announced_and_may_be_withdrawn():
    announced, _ = update(snapshot(entry(OLD)), entry(row(3_000_000), row(4_000_000, "2027-01-01")))
    assert starts(announced) == [("1970-01-01", 3_000_000), ("2027-01-01", 4_000_000)]
    withdrawn, _ = update(snapshot(announced), entry(row(3_000_000)), today="2026-12-15")
    assert withdrawn.lists == (OLD,)


def test_two_updates_on_one_day_leave_one_list_of_that_day():
    first, _ = update(snapshot(entry(OLD)), entry(row(4_000_000)))
    second, _ = update(snapshot(first), entry(row(5_000_000)))
    assert starts(second) == [("1970-01-01", 3_000_000), ("2026-12-01", 5_000_000)]


def test_windows_and_tiers_move_with_their_list():
    tier = TierRow(200_000, {"input": 8_000_000})
    fresh = (row(4_000_000, tiers=(tier,)), row(2_000_000, window=(3600, 7200)))
    found, _ = update(snapshot(entry(OLD)), entry(*fresh))
    assert [(each.start, each.window, each.tiers) for each in found.lists[1:]] == [
        ("2026-12-01", None, (tier,)),
        ("2026-12-01", (3600, 7200), ()),
    ]


def test_splicing_never_touches_the_past():
    history = (OLD, row(4_000_000, "2026-06-01"))
    assert spliced(history, (row(9_000_000),), "2026-12-01")[:2] == history


# --- the gate ---


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (15_000_001, "input went from 3 USD/M to 15.000001 USD/M"),
        (599_999, "input went from 3 USD/M to 0.599999 USD/M"),
        (0, "input costs nothing"),
    ],
)
def test_a_zero_or_a_fivefold_jump_takes_the_model_out_of_sale(new, reason):
    found, changes = update(snapshot(entry(OLD)), entry(row(new)))
    assert reason in found.quarantine
    assert found.lists == (OLD,)  # the history is untouched
    assert changes == [("acme/m", "quarantined")]


@pytest.mark.parametrize("new", [15_000_000, 600_000])
def test_exactly_fivefold_is_believed(new):
    found, _ = update(snapshot(entry(OLD)), entry(row(new)))
    assert found.quarantine == ""


def test_a_quarantine_holds_until_it_is_accepted():
    held, _ = update(snapshot(entry(OLD)), entry(row(30_000_000)))
    still, changes = update(snapshot(held), entry(row(30_000_000)), today="2026-12-09")
    assert still.quarantine
    assert changes == []
    freed, changes = update(snapshot(still), entry(row(30_000_000)), accept=["acme/m"], today="2026-12-10")
    assert (freed.quarantine, starts(freed)[-1]) == ("", ("2026-12-10", 30_000_000))
    assert changes == [("acme/m", "released")]
    later, changes = update(snapshot(freed), entry(row(30_000_000)), today="2026-12-20")
    assert (later, changes) == (freed, [])


def test_a_price_that_comes_back_to_earth_needs_no_hand():
    held, _ = update(snapshot(entry(OLD)), entry(row(30_000_000)))
    found, changes = update(snapshot(held), entry(row(3_000_000)), today="2026-12-09")
    assert (found.quarantine, found.lists) == ("", (OLD,))
    assert changes == [("acme/m", "released")]


def test_an_announced_jump_is_not_believed_either():
    found, _ = update(snapshot(entry(OLD)), entry(row(3_000_000), row(30_000_000, "2027-01-01")))
    assert "input went from" in found.quarantine


def test_a_new_model_that_costs_nothing_is_not_given_away():
    found, changes = update(snapshot(entry(OLD)), entry(OLD), entry(row(0), name="n"))
    assert changes == [("acme/n", "quarantined")]
    new, _ = updated(snapshot(entry(OLD)), (entry(OLD), entry(row(0), name="n")), package="p 2", today="2026-12-01")
    again, _ = updated(new, (entry(OLD), entry(row(0), name="n")), package="p 2", today="2026-12-02")
    assert again.entries[1].quarantine
    freed, _ = updated(
        again, (entry(OLD), entry(row(0), name="n")), package="p 2", today="2026-12-03", accept=["acme/n"]
    )
    assert (freed.entries[1].quarantine, freed.entries[1].accepted) == ("", ("zero",))
    later, changes = updated(freed, (entry(OLD), entry(row(0), name="n")), package="p 2", today="2026-12-04")
    assert (later.entries[1].quarantine, changes) == ("", ())


def test_a_free_price_of_one_unit_is_asked_about_too():
    fresh = msgspec.structs.replace(row(3_000_000), prices={**OLD.prices, "cache_read": 0})
    found, _ = update(snapshot(entry(OLD)), entry(fresh))
    assert "cache_read costs nothing" in found.quarantine


def test_no_price_at_all_is_free_only_when_accepted():
    held, changes = update(snapshot(entry(OLD)), entry(quarantine=NO_PRICE))
    assert (held.quarantine, held.lists) == (NO_PRICE, (OLD,))
    assert changes == [("acme/m", "quarantined")]
    freed, _ = update(snapshot(held), entry(quarantine=NO_PRICE), accept=["acme/m"])
    assert (freed.quarantine, freed.lists[-1].prices, freed.lists[-1].start) == (
        "",
        {"input": 0, "output": 0},
        "2026-12-01",
    )
    later, _ = update(snapshot(freed), entry(quarantine=NO_PRICE), today="2026-12-20")
    assert later.lists == freed.lists
    priced, _ = update(snapshot(later), entry(row(1_000_000)), today="2026-12-21")
    assert (priced.quarantine, starts(priced)[-1]) == ("", ("2026-12-21", 1_000_000))


def test_what_cannot_be_counted_cannot_be_accepted():
    found, _ = update(snapshot(entry(OLD)), entry(quarantine="it is charged by audio_hours"), accept=["acme/m"])
    assert found.quarantine == "it is charged by audio_hours"


def test_a_lost_output_price_and_a_lost_model_are_missing():
    found, _ = update(snapshot(entry(OLD)), entry(ListRow({"input": 3_000_000})))
    assert found.quarantine == "the price of output is missing"
    gone, changes = update(snapshot(entry(OLD)))
    assert (gone.quarantine, gone.lists, changes) == (
        "p 2 has no such model any more",
        (OLD,),
        [("acme/m", "quarantined")],
    )
    kept, _ = update(snapshot(gone), accept=["acme/m"])
    assert (kept.quarantine, kept.accepted) == ("", ("missing",))
    later, changes = update(snapshot(kept))
    assert (later, changes) == (kept, [])


def test_the_first_snapshot_takes_everything_that_has_a_price():
    new, changes = updated(None, (entry(row(3_000_000)), entry(row(0), name="n")), package="p 2", today="2026-12-01")
    assert [bool(each.quarantine) for each in new.entries] == [False, True]
    assert [(change.key, change.kind) for change in changes] == [("acme/n", "quarantined")]
