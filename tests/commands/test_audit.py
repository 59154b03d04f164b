"""`tollway audit`: green or the first broken row, and an exit code that says which."""

import json

from commands.installation import DATA
from store.test_audit import tamper


def test_a_ledger_that_adds_up(tollway, workspace) -> None:
    ran = tollway("audit")
    assert (ran.code, ran.err) == (0, "")
    assert "The ledger adds up." in ran.out
    told = json.loads(tollway("audit", "--json").out)
    assert told["ok"] is True
    assert [one["name"] for one in told["invariants"]][:3] == ["I1", "I2", "I3"]


def test_the_first_broken_row_is_named(tollway, workspace) -> None:
    tamper(DATA / "tollway.db", "UPDATE postings SET amount_nano = amount_nano - 1 WHERE line = 0")
    ran = tollway("audit")
    assert ran.code == 1
    assert "does NOT add up" in ran.out
    assert "I1: transfer 1 (grant opening:" in ran.err
    told = json.loads(tollway("audit", "--json").out)
    assert told["ok"] is False
    assert told["invariants"][0]["broken"][0]["problem"] == "its postings in USD sum to -1 nano, not 0"


def test_no_ledger_and_a_newer_one(tollway, workspace) -> None:
    assert tollway("audit", "--data", "typo").code == 2
    tamper(DATA / "tollway.db", "INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', 'x', 0)")
    ran = tollway("audit")
    assert ran.code == 2
    assert "newer Tollway" in ran.err
