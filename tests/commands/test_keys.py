"""`tollway keys`."""

import json
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


def test_a_running_server_makes_and_revokes(tollway, owned) -> None:
    Operator.status, Operator.reply = 201, b'{"data": {"id": "key_1"}, "key": "tw_secret"}'
    ran = tollway("keys", "create", "--name", "k", "--budget-usd", "1.5", "--expires", "2099-01-01")
    assert ran.out.strip() == "tw_secret"
    method, path, _, body = Operator.asked[0]
    assert (method, path) == ("POST", "/admin/keys")
    assert json.loads(body) == {
        "workspace_id": owned,
        "name": "k",
        "scopes": None,
        "allowed_models": None,
        "budget_usd": "1.5",
        "budget_window": "lifetime",
        "requests_per_minute": -1,
        "tokens_per_day": -1,
        "expires_at": "2099-01-01T00:00:00Z",
    }
    Operator.status, Operator.reply = 200, b'{"data": {}}'
    assert tollway("keys", "revoke", "key_1").code == 0
    assert Operator.asked[1][:2] == ("DELETE", "/admin/keys/key_1")
