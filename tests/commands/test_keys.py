"""`tollway keys`."""

import json
import re
import time

import pytest

from commands.installation import DATA, Operator
from tollway.workspaces.key import digest, looks_like_key


def test_create_prints_the_key_once_and_keeps_a_digest(tollway, workspace) -> None:
    ran = tollway(
        "keys",
        "create",
        "--name",
        "ci",
        "--budget-usd",
        "5",
        "--budget-window",
        "month",
        "--rpm",
        "60",
        "--models",
        "a/b, c/d",
    )
    assert ran.code == 0
    secret = ran.out.strip()
    assert looks_like_key(secret)
    assert "shown once" in ran.err
    listed = tollway("keys", "list").out
    assert secret not in listed
    assert secret[:7] in listed
    assert "5.00 / month" in listed
    told = json.loads(tollway("keys", "list", "--json").out)[-1]
    assert (told["name"], told["requests_per_minute"], told["allowed_models"]) == ("ci", 60, ["a/b", "c/d"])
    assert digest(secret, (DATA / "pepper").read_bytes())  # and the server finds it by this
    assert secret.encode() not in (DATA / "tollway.db").read_bytes()


def test_revoke(tollway, workspace) -> None:
    made = json.loads(tollway("keys", "create", "--name", "k", "--json").out)
    ran = tollway("keys", "revoke", made["data"]["id"])
    assert ran.code == 0
    assert "is revoked" in ran.out
    assert json.loads(tollway("keys", "list", "--json").out)[-1]["disabled"] is True
    assert tollway("keys", "revoke", "nobody").code == 1


def test_expiry(tollway, workspace) -> None:
    made = json.loads(tollway("keys", "create", "--name", "k", "--expires", "30d", "--json").out)
    assert made["data"]["expires_at"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 29 * 86_400))
    made = json.loads(tollway("keys", "create", "--name", "k", "--expires", "2099-06-30", "--json").out)
    assert made["data"]["expires_at"] == "2099-06-30T00:00:00Z"
    made = json.loads(tollway("keys", "create", "--name", "k", "--expires", "2099-06-30T02:00:00+02:00", "--json").out)
    assert made["data"]["expires_at"] == "2099-06-30T00:00:00Z"
    assert "active until 2099-06-30T00:00:00Z" in tollway("keys", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "--name"),
        (("--name", " "), 1, "printable characters"),
        (("--name", "k", "--expires", "soon"), 2, "neither a date"),
        (("--name", "k", "--expires", "2001-01-01"), 2, "has passed"),
        (("--name", "k", "--budget-usd", "much"), 2, "not an amount"),
        (("--name", "k", "--budget-usd", "-1"), 1, "zero or more"),
        (("--name", "k", "--models", " , "), 2, "at least one"),
        (("--name", "k", "--scopes", "root"), 1, "Scopes are among"),
        (("--name", "k", "--rpm", "-2"), 2, "--rpm"),
    ],
)
def test_what_is_no_key(tollway, workspace, arguments, code, told) -> None:
    ran = tollway("keys", "create", *arguments)
    assert ran.code == code
    assert told in ran.err


def made(tollway, *more: str) -> dict:
    return json.loads(tollway("keys", "create", "--name", "k", "--json", *more).out)["data"]


def shown(tollway, key_id: str) -> dict:
    return json.loads(tollway("keys", "show", key_id, "--json").out)


def test_update_changes_what_is_named_and_none_takes_it_away(tollway, workspace) -> None:
    key = made(tollway, "--budget-usd", "5", "--ip-allow", "10.0.0.0/8,::1", "--expires", "2099-06-30")
    assert (key["budget_usd"], key["ip_allow"]) == ("5", ["10.0.0.0/8", "::1"])
    ran = tollway(
        "keys", "update", key["id"], "--name", "new", "--rpm", "7", "--models", "a/b", "--scopes", "chat,models"
    )
    assert ran.code == 0, ran.err
    assert "is changed" in ran.out
    now = shown(tollway, key["id"])
    assert now == key | {
        "name": "new",
        "requests_per_minute": 7,
        "allowed_models": ["a/b"],
        "scopes": ["chat", "models"],
    }
    ran = tollway(
        "keys", "update", key["id"], "--budget-usd", "none", "--ip-allow", "none", "--expires", "none", "--models", "none"
    )  # fmt: skip
    assert ran.code == 0, ran.err
    gone = {"budget_usd": None, "ip_allow": [], "expires_at": None, "allowed_models": None}
    assert shown(tollway, key["id"]) == now | gone
    nothing = tollway("keys", "update", key["id"])
    assert (nothing.code, "say what to change" in nothing.err) == (2, True)


def test_off_and_on_and_a_new_text(tollway, workspace) -> None:
    key = made(tollway)
    off = tollway("keys", "disable", key["id"])
    assert f"tollway keys enable {key['id']}" in off.out
    assert shown(tollway, key["id"])["status"] == "disabled"
    assert "disabled" in tollway("keys", "list").out
    assert "is enabled" in tollway("keys", "enable", key["id"]).out
    assert shown(tollway, key["id"])["status"] == "active"
    ran = tollway("keys", "rotate", key["id"], "--grace", "60")
    assert looks_like_key(ran.out.strip())
    assert "shown once" in ran.err
    assert shown(tollway, key["id"])["prefix"] == ran.out[:7] != key["prefix"]
    tollway("keys", "revoke", key["id"])
    for verb in ("disable", "enable", "rotate"):
        refused = tollway("keys", verb, key["id"])
        assert (refused.code, "Create another" in refused.err) == (1, True)


def test_show_tells_all_and_what_would_do(tollway, workspace) -> None:
    key = made(tollway, "--ip-allow", "10.0.0.0/8")
    told = tollway("keys", "show", key["id"]).out
    for line in (r"id +" + key["id"], r"ip_allow +10\.0\.0\.0/8", r"allowed_models +none", r"status +active"):
        assert re.search(line, told), told
    nobody = tollway("keys", "show", "nobody")
    assert (nobody.code, "`tollway keys list` lists them" in nobody.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ip-allow", "localhost"), "203.0.113.7"),
        (("--ip-allow", "10.0.0.1/8"), "10.0.0.0/8"),
        (("--expires", "soon"), "neither a date"),
        (("--budget-usd", "much"), "not an amount"),
    ],
)
def test_a_wrong_option_says_what_would_do(tollway, workspace, arguments, told) -> None:
    for words in (("create", "--name", "k"), ("update", "x")):
        ran = tollway("keys", *words, *arguments)
        assert (ran.code, told in ran.err) == (2, True), ran.err


def test_keys_beyond_the_plan_are_named(tollway, workspace) -> None:
    organization = json.loads(tollway("orgs", "list", "--json").out)[0]["id"]
    tollway("keys", "create", "--name", "second")
    assert "has room for" not in tollway("keys", "list").out
    assert tollway("plans", "set", organization, "hobby", "--reason", "downgrade").code == 0
    told = tollway("keys", "list").out
    assert f"workspace {workspace} has 2 keys, its plan Hobby has room for 1" in told
    assert "tollway plans set" in told
    assert [one["over_limit"] for one in json.loads(tollway("keys", "list", "--json").out)] == [False, True]


def test_a_running_server_is_asked(tollway, owned) -> None:
    Operator.status, Operator.reply = 201, b'{"data": {"id": "key_1"}, "key": "tw_secret"}'
    ran = tollway(
        "keys", "create", "--name", "k", "--budget-usd", "1.5", "--expires", "2099-01-01", "--ip-allow", "::1,10.0.0.0/8"
    )  # fmt: skip
    assert ran.out.strip() == "tw_secret"
    Operator.status = 200
    assert tollway("keys", "rotate", "key_1").out.strip() == "tw_secret"
    for words in (
        ("update", "key_1", "--rpm", "5", "--budget-usd", "none"),
        ("disable", "key_1"),
        ("enable", "key_1"),
        ("revoke", "key_1"),
    ):
        assert tollway("keys", *words).code == 0
    assert [(method, path, json.loads(body or b"null")) for method, path, _, body in Operator.asked] == [
        (
            "POST",
            "/admin/keys",
            {
                "workspace_id": owned,
                "name": "k",
                "budget_usd": "1.5",
                "expires_at": "2099-01-01T00:00:00Z",
                "ip_allow": ["::1", "10.0.0.0/8"],
            },
        ),
        ("POST", "/admin/keys/key_1/rotate", {"grace_seconds": 0}),
        ("PATCH", "/admin/keys/key_1", {"budget_usd": None, "requests_per_minute": 5}),
        ("PATCH", "/admin/keys/key_1", {"disabled": True}),
        ("PATCH", "/admin/keys/key_1", {"disabled": False}),
        ("DELETE", "/admin/keys/key_1", None),
    ]
