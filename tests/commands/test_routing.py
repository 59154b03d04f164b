"""`tollway routing report`: `auto` against single models, from a ledger on disk."""

import csv
import io
import json
import sqlite3
from decimal import Decimal

import pytest

from commands.installation import DATA
from store.usage_rows import insert

LAST = 1_769_903_999_999  # 2026-01-31, the last ms in UTC
PRICED = "simulated/priced"
SPAN = ("--from", "2026-01-01", "--to", "2026-01-31")


@pytest.fixture(autouse=True)
def _without_baseline(tollway) -> None:
    """Prices of real models change; each test names its own."""
    tollway.set("TOLLWAY_ROUTING_BASELINE_MODEL", "simulated/echo")


def use(workspace: str, auto: int, named: int, *, liked: int = 81, other: int = 84) -> None:
    """`auto` at 0.001 USD each, and requests that named `simulated/priced`; all of them rated."""
    common = {"workspace_id": workspace, "created_at_ms": LAST, "input_tokens": 1_000, "output_tokens": 100}
    common |= {"margin_bps": 1_000, "model": PRICED, "charge_nano": 1_000_000}
    rows = [
        common | {"id": f"a{n}", "model_asked": "auto", "tier": "nano", "model": "simulated/echo"} for n in range(auto)
    ]
    rows += [common | {"id": f"d{n}", "model_asked": PRICED, "charge_nano": 4_747_500} for n in range(named)]
    insert(DATA / "tollway.db", rows)
    connection = sqlite3.connect(DATA / "tollway.db")
    connection.executemany(
        "INSERT INTO feedback VALUES (NULL, ?, ?, 'key', 'k', ?, '', '', 1)",
        [
            (row["id"], workspace, (liked if row["id"][0] == "a" else other) + (-3, 3)[n % 2])
            for n, row in enumerate(rows)
        ],
    )
    connection.commit()
    connection.close()


def test_a_savings_statement(tollway, workspace) -> None:
    use(workspace, 40, 12)
    ran = tollway("routing", "report", *SPAN)
    assert (ran.code, ran.err) == (0, "")
    # 40 x 0.0047475 USD; 1 - 0.04 / 0.1899 is 78.94 %.
    assert ran.out.startswith(
        "auto, 2026-01-01 to 2026-01-31: 40 requests, 0.04 USD\n"
        "\n"
        "auto cost 0.04 USD; simulated/priced for everything would have cost 0.1899 USD (same tokens): 78.9 % less;\n"
        "  feedback 81 (77 to 85) of 100 from 40 ratings against 84 (70 to 92) from 12: no difference shown\n"
        "\n"
    ), ran.out
    table = [line.split() for line in ran.out.split("\n\n")[3].splitlines()]
    assert table == [
        ["tier", "model", "requests", "USD", "ratings", "mean", "of", "100"],
        ["(named)", PRICED, "12", "0.05697", "12", "84", "(70", "to", "92)"],
        ["nano", "simulated/echo", "40", "0.04", "40", "81", "(77", "to", "85)"],
    ]
    assert "it is free" in ran.out, "the echo costs nothing"


@pytest.mark.parametrize(
    ("auto", "named", "says"),
    [
        (5, 12, "78.9 % less; too few requests (5, of 30) to say how sure that is"),
        (5, 12, f"too few ratings to compare (5 of auto and 12 of {PRICED}; 10 of each are needed)"),
        (40, 0, f"too few ratings to compare (40 of auto and 0 of {PRICED}; 10 of each are needed)"),
    ],
)
def test_too_little_is_said(tollway, workspace, auto, named, says) -> None:
    use(workspace, auto, named)
    assert says in tollway("routing", "report", "--model", PRICED, *SPAN).out


@pytest.mark.parametrize(("liked", "other", "says"), [(95, 40, ": better by 55 ("), (30, 90, ": worse by 60 (")])
def test_a_difference_that_is_shown(tollway, workspace, liked, other, says) -> None:
    use(workspace, 40, 40, liked=liked, other=other)
    assert says in tollway("routing", "report", *SPAN).out


def test_dearer_than_a_model(tollway, workspace) -> None:
    use(workspace, 40, 0)
    connection = sqlite3.connect(DATA / "tollway.db")
    connection.execute("DROP TRIGGER generations_never_change")
    connection.execute("UPDATE generations SET input_tokens = 100, output_tokens = 10")
    connection.commit()
    connection.close()
    out = tollway("routing", "report", "--model", PRICED, *SPAN).out
    # 0.001 against 0.00047475 USD.
    assert "110.6 % more;" in out


def test_what_second_models_said(tollway, workspace) -> None:
    use(workspace, 3, 0)
    connection = sqlite3.connect(DATA / "tollway.db")
    rows = [("a0", "m", "j", 50, 80, 60, 5), ("a1", "m", "", 71, None, None, 10**6), ("a2", "n", "", 0, None, None, 0)]
    connection.executemany("INSERT INTO shadow_runs VALUES (?, ?, ?, ?, ?, ?, ?, 1)", rows)
    connection.commit()
    connection.close()
    out = tollway("routing", "report", *SPAN).out
    table = [line.split() for line in out[out.index("Asked again, aside") :].splitlines()[2:4]]
    assert table == [
        ["m", "simulated/echo", "2", "60", "%", "1", "80", "60", "0.001000005"],
        ["n", "simulated/echo", "1", "0", "%", "0", "-", "-", "0.00"],
    ]
    told = json.loads(tollway("routing", "report", *SPAN, "--format", "json").out)["data"]["shadow"]
    assert told[0] == {
        "model": "m", "answered_by": "simulated/echo", "runs": 2, "agreement_sum": 121, "judged": 1, "score_sum": 80,
        "second_score_sum": 60, "cost_usd": "0.001000005",
    }  # fmt: skip


def test_the_baseline_is_there(tollway, workspace) -> None:
    use(workspace, 3, 0)
    tollway.set("TOLLWAY_ROUTING_BASELINE_MODEL", PRICED)
    assert f"; {PRICED} for everything would have cost 0.0142425 USD" in tollway("routing", "report", *SPAN).out


def test_nothing_by_auto(tollway, workspace) -> None:
    use(workspace, 0, 3)
    out = tollway("routing", "report", *SPAN).out
    assert out.startswith(
        "auto, 2026-01-01 to 2026-01-31: 0 requests, 0.00 USD; 3 requests named their model\nNothing to compare"
    )
    assert "`tollway replay --auto`" in out


def test_files_say_the_same(tollway, workspace) -> None:
    use(workspace, 40, 12)
    insert(DATA / "tollway.db", [{"id": "x", "workspace_id": workspace, "created_at_ms": LAST, "model": "left/us"}])
    told = json.loads(tollway("routing", "report", *SPAN, "--format", "json").out)["data"]
    assert told["period"] == {"from": "2026-01-01T00:00:00.000Z", "to": "2026-02-01T00:00:00.000Z"}
    assert (told["auto"]["requests"], told["direct"]["requests"]) == (40, 13)
    priced, echo = told["against"]
    assert priced["model"] == PRICED
    assert Decimal(priced["difference_usd"]) == Decimal(priced["model_usd"]) - Decimal(priced["auto_usd"])
    assert priced["saved"] == {"bps": 7894, "half_bps": 0}
    assert priced["ratings"]["mean"]["estimate"] == 84
    assert priced["auto_rated_better_by"]["estimate"] == -3
    assert (echo["saved"], echo["ratings"], echo["auto_rated_better_by"]) == (None, {"count": 0, "mean": None}, None)
    assert "left/us is not in the catalogue any more" in told["notes"]
    lines = list(csv.DictReader(io.StringIO(tollway("routing", "report", *SPAN, "--format", "csv").out, newline="")))
    assert [one["model"] for one in lines] == [PRICED, "simulated/echo"]
    assert (lines[0]["model_usd"], lines[0]["saved_bps"], lines[0]["mean_rating"]) == ("0.1899", "7894", "84.00")
    assert (lines[1]["saved_bps"], lines[1]["mean_rating"]) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--model", "simulated/prized"), 1, "did you mean simulated/priced"),
        (("--workspace", "typo"), 1, "there is no workspace typo"),
        (("--to", "2026-13-01"), 2, "--to"),
        (("--data", "typo"), 2, "no ledger here"),
    ],
)
def test_what_cannot_be_asked(tollway, workspace, arguments, code, told) -> None:
    ran = tollway("routing", "report", *arguments)
    assert ran.code == code
    assert told in ran.err
