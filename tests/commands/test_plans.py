"""`tollway plans`."""

import json
import time
import urllib.request
from pathlib import Path

import pytest

from plans.files import LARGE, SMALL, TWO, catalogue_text
from support.gateway import Gateway


@pytest.fixture
def organization(tollway, workspace) -> str:
    """The organization of an installation that nobody runs."""
    rows = json.loads(tollway("wallet", "show", "--json").out)
    return rows[0]["organization_id"]


def test_the_plans_beside_each_other(tollway) -> None:
    ran = tollway("plans", "list")
    assert ran.code == 0
    assert "catalogue reference; sign-ups start on hobby" in ran.out
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()[3:]}
    assert rows["api_keys"] == ["1", "5", "20", "unlimited"]
    assert rows["sso"] == ["-", "-", "-", "yes"]
    assert "by talking" in ran.out
    assert "29.00" in ran.out
    told = json.loads(tollway("plans", "list", "--catalogue", "payg", "--json").out)
    assert [one["id"] for one in told["data"]] == ["payg"]
    assert told["data"][0]["margins_bps.auto"] == 1_000


def test_one_plan(tollway) -> None:
    ran = tollway("plans", "show", "team", "--catalogue", "pricing")
    assert "Team (team), version " in ran.out
    assert "10,000,000" in ran.out
    assert "5.5 %" in tollway("plans", "show", "payg", "--catalogue", "payg").out
    assert json.loads(tollway("plans", "show", "team", "--json").out)["month_cents"] == 9_900
    ran = tollway("plans", "show", "tem")
    assert ran.code == 1
    assert "did you mean `team`?" in ran.err


def test_the_settings_name_the_catalogue(tollway) -> None:
    Path("plans.toml").write_text(TWO)
    Path("tollway.toml").write_text('[plans]\ncatalogue = "plans.toml"\ndefault_plan = "large"\n')
    assert "catalogue mine; sign-ups start on large" in tollway("plans", "list").out
    Path("tollway.toml").write_text('[plans]\ncatalogue = "plans.toml"\ndefault_plan = "lage"\n')
    ran = tollway("plans", "list")
    assert ran.code == 2
    assert "tollway.toml:3: plans.default_plan: plans.toml: there is no plan `lage`" in ran.err
    assert "did you mean `large`?" in ran.err
    Path("tollway.toml").write_text('[plans]\n\ncatalogue = "refrence"\n')
    ran = tollway("plans", "list")
    assert ran.code == 2
    assert "tollway.toml:3: plans.catalogue: refrence: it cannot be read" in ran.err
    assert "reference, pricing, payg" in ran.err


def test_doctor_looks_at_the_plans(tollway) -> None:
    assert "reference: hobby, pro, team, enterprise; sign-ups: hobby" in tollway("doctor").out
    Path("plans.toml").write_text(TWO.replace("api_keys = 2", "api_keys = -2"))
    Path("tollway.toml").write_text('[plans]\ncatalogue = "plans.toml"\n')
    ran = tollway("doctor")
    assert ran.code == 1
    assert "plans.toml:7: plans.0.limits.api_keys: -2 is not -1 for no limit" in ran.out


def test_a_path_in_the_settings_is_relative_to_them(tollway) -> None:
    Path("etc").mkdir()
    Path("etc/plans.toml").write_text(TWO)
    Path("etc/my.toml").write_text('[plans]\ncatalogue = "plans.toml"\n')
    assert "catalogue mine" in tollway("plans", "list", "--config", "etc/my.toml").out


def test_check_tells_every_mistake_with_its_line_and_fix(tollway) -> None:
    Path("plans.toml").write_text(TWO)
    ran = tollway("plans", "check", "plans.toml")
    assert ran.code == 0
    assert "plans.toml: the catalogue mine is good: small, large; sign-ups start on small" in ran.out
    Path("plans.toml").write_text(
        TWO.replace("api_keys = 2", "api_key = 2").replace("month_cents = 1000", "month_cents = -1")
    )
    ran = tollway("plans", "check", "plans.toml")
    assert ran.code == 1
    assert "plans.toml:7: plans.0.limits.api_key: there is no such limit\n  fix: did you mean `api_keys`?" in ran.out
    assert "prices.month_cents: -1 is not a whole number of US cents" in ran.out
    assert "2 mistakes" in ran.err
    ran = tollway("plans", "check", "nothing.toml")
    assert ran.code == 1
    assert "nothing.toml: file: it cannot be read" in ran.out


def test_diff(tollway) -> None:
    ran = tollway("plans", "diff", "reference", "pricing")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["team", "tokens_per_day", "unlimited", "10,000,000"] in rows
    assert len(rows) == 6
    assert tollway("plans", "diff", "payg", "payg").out.strip() == "they are the same"
    Path("plans.toml").write_text(TWO)
    told = json.loads(tollway("plans", "diff", "plans.toml", "payg", "--json").out)
    assert told["small"] == [{"what": "plan", "before": "yes", "after": None}]


def test_set_tells_what_is_over(tollway, organization) -> None:
    for name in ("a", "b"):
        assert tollway("keys", "create", "--name", name).code == 0
    ran = tollway("plans", "set", organization, "hobby", "--reason", "Asked for it")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Hobby (hobby), version ")
    assert "api_keys. The plan Hobby has 1 API key; there are 3. Nothing is deleted" in ran.out
    assert "plan by local: Asked for it" in ran.out
    told = json.loads(tollway("plans", "of", organization, "--json").out)
    assert told["subscription"]["plan"] == "hobby"
    assert told["over_limit"][0]["current"] == 3
    assert [one["reason"] for one in told["history"]] == ["Asked for it", "The first organization"]
    assert tollway("plans", "set", organization, "hobby").code == 2
    ran = tollway("plans", "set", organization, "gold", "--reason", "r")
    assert ran.code == 1
    assert "there is no plan `gold`" in ran.err
    assert tollway("plans", "of", "nobody").code == 1


def test_override(tollway, organization) -> None:
    tollway("plans", "set", organization, "pro", "--reason", "r")
    ran = tollway(
        "plans", "override", organization, "--limit", "api_keys=50", "--limit", "tokens_per_day=-1", "--feature", "sso=true",
        "--margin", "direct=300", "--until", "30d", "--reason", "Contract 7",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "50 (agreed)" in ran.out
    assert "3 % (agreed)" in ran.out
    told = json.loads(tollway("plans", "of", organization, "--json").out)
    assert told["limits"]["tokens_per_day"] == -1
    assert told["overrides"]["until"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 29 * 86_400))
    ran = tollway("plans", "override", organization, "--clear", "--json")
    assert json.loads(ran.out)["limits"]["api_keys"] == 5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name at least one --limit"),
        (("--limit", "api_keys=5", "--clear"), 2, "--clear alone"),
        (("--limit", "api_keys=5"), 2, "a --reason is needed"),
        (("--limit", "api_keys", "--reason", "r"), 2, "such as api_keys=50"),
        (("--limit", "api_keys=many", "--reason", "r"), 2, "not a whole number"),
        (("--feature", "sso=1", "--reason", "r"), 2, "write true or false"),
        (("--limit", "api_key=5", "--reason", "r"), 1, "did you mean `api_keys`?"),
        (("--limit", "api_keys=5", "--reason", "r", "--until", "2001-01-01"), 2, "has passed"),
        (("--limit", "api_keys=5", "--reason", "r", "--until", "soon"), 2, "neither a date"),
    ],
)
def test_what_is_no_override(tollway, organization, words, code, said) -> None:
    ran = tollway("plans", "override", organization, *words)
    assert ran.code == code
    assert said in ran.err


def test_migrate(tollway, organization) -> None:
    Path("plans.toml").write_text(catalogue_text(SMALL, LARGE))
    Path("tollway.toml").write_text('[plans]\ncatalogue = "plans.toml"\n')
    tollway("plans", "set", organization, "small", "--reason", "r")
    assert "every subscription is on the version" in tollway("plans", "migrate", "--preview").out
    Path("plans.toml").write_text(catalogue_text(SMALL.replace("api_keys = 2", "api_keys = 7"), LARGE))
    assert "another version is sold now" in tollway("plans", "of", organization).out
    ran = tollway("plans", "migrate", "--preview")
    assert "api_keys: 2 -> 7" in ran.out
    assert "1 would change" in ran.out
    assert json.loads(tollway("plans", "of", organization, "--json").out)["limits"]["api_keys"] == 2
    assert "1 changed" in tollway("plans", "migrate", "--plan", "small", "--organization", organization).out
    assert json.loads(tollway("plans", "of", organization, "--json").out)["limits"]["api_keys"] == 7
    Path("plans.toml").write_text(catalogue_text(LARGE))
    assert "(not sold any more): stays as it is" in tollway("plans", "migrate").out
    assert tollway("plans", "migrate", "--plan", "small").code == 1


def test_commands_on_a_running_server_and_its_file(tmp_path) -> None:
    """A real server: a changed file is in force without a restart, a broken one is not, and commands reach it."""
    file = tmp_path / "plans.toml"
    file.write_text(TWO)
    with Gateway(tmp_path, '[plans]\ncatalogue = "plans.toml"\nupgrade_url = "https://x.test/plans"\n') as gateway:
        (one,) = gateway.ask("GET", "/admin/organizations", key=gateway.admin)[1]["data"]
        told = gateway.ask("GET", "/v1/limits")[1]["data"]
        assert (told["tier"], told["catalogue"], told["upgrade_url"]) == ("large", "mine", "https://x.test/plans")
        assert "Small (small)" in gateway.cli("plans", "set", one["id"], "small", "--reason", "r")
        assert gateway.ask("GET", "/v1/limits")[1]["data"]["limits"]["api_keys"] == 2
        assert "9 (agreed)" in gateway.cli("plans", "override", one["id"], "--limit", "api_keys=9", "--reason", "r")
        assert gateway.ask("GET", "/v1/limits")[1]["data"]["limits"]["api_keys"] == 9
        assert "limits" in gateway.cli("plans", "override", one["id"], "--clear", "--json")

        file.write_text(TWO.replace("api_keys = 2", "api_keys = 7"))
        _until(lambda: _small(gateway)["limits"]["api_keys"] == 7)
        assert gateway.ask("GET", "/v1/limits")[1]["data"]["limits"]["api_keys"] == 2
        assert "api_keys: 2 -> 7" in gateway.cli("plans", "migrate", "--preview")
        assert "1 changed" in gateway.cli("plans", "migrate")
        assert gateway.ask("GET", "/v1/limits")[1]["data"]["limits"]["api_keys"] == 7

        file.write_text(TWO.replace("api_keys = 2", "api_key = 5"))
        _until(lambda: "plans.0.limits.api_key: there is no such limit" in gateway.log)
        assert "did you mean `api_keys`?" in gateway.log
        assert _small(gateway)["limits"]["api_keys"] == 7


def _small(gateway: Gateway) -> dict:
    with urllib.request.urlopen(f"{gateway.url}/v1/limits/tiers", timeout=10) as reply:
        return json.load(reply)["data"][0]


def _until(is_so) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end, "it has not come about in 10 s"
        time.sleep(0.1)
