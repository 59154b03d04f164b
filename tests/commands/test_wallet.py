"""`tollway wallet` and where a command acts: on the store itself, or through the server that owns it."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from commands.installation import DATA, Operator, installed


def test_show(tollway, workspace) -> None:
    ran = tollway("wallet", "show")
    assert ran.code == 0
    title, row = ran.out.splitlines()
    assert title.split() == ["organization", "workspace", "id", "balance", "USD", "reserved", "USD", "available", "USD"]
    assert row.split() == ["First", "organization", "Default", workspace, "10.00", "0.00", "10.00"]
    assert json.loads(tollway("wallet", "show", "--json").out)[0]["available_usd"] == "10"
    assert tollway("wallet", "show", "--workspace", "nobody").code == 1


def test_credit_moves_once_per_reference(tollway, workspace) -> None:
    ran = tollway("wallet", "credit", "--usd", "2.50", "--external-ref", "inv_1", "--reason", "Invoice 1")
    assert (ran.code, ran.err) == (0, "")
    assert "topup of 2.50 USD" in ran.out
    assert "12.50 USD available" in ran.out
    again = tollway("wallet", "credit", "--usd", "2.50", "--external-ref", "inv_1", "--json")
    assert json.loads(again.out)["is_replay"] is True
    assert json.loads(again.out)["wallets"][0]["available_usd"] == "12.5"
    listed = tollway("wallet", "transactions").out
    assert "Invoice 1" in listed
    assert "Opening grant" in listed
    down = tollway("wallet", "credit", "--usd", "-0.5", "--kind", "adjustment", "--reason", "typo")
    assert "12.00 USD available" in down.out
    page = json.loads(tollway("wallet", "transactions", "--json", "--limit", "1").out)
    assert page["data"][0]["amount_usd"] == "-0.5"
    rest = json.loads(tollway("wallet", "transactions", "--json", "--after", page["next_cursor"]).out)
    assert [one["type"] for one in rest["data"]] == ["topup", "grant"]
    assert [
        one["type"] for one in json.loads(tollway("wallet", "transactions", "--json", "--type", "grant").out)["data"]
    ] == ["grant"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--usd", "1e"), 2, "not an amount of money"),
        (("--usd", "0.0000000001"), 2, "finer than a nano-USD"),
        (("--usd", "-1"), 1, "above zero"),
        (("--usd", "1", "--kind", "adjustment"), 2, "needs a --reason"),
        (("--usd", "-11", "--kind", "adjustment", "--reason", "x"), 1, "cannot cover"),
        (("--usd", "1", "--workspace", "nobody"), 1, "no workspace nobody"),
        ((), 2, "--usd"),
    ],
)
def test_what_cannot_be_credited(tollway, workspace, arguments, code, told) -> None:
    ran = tollway("wallet", "credit", *arguments)
    assert ran.code == code
    assert told in ran.err
    assert json.loads(tollway("wallet", "show", "--json").out)[0]["balance_usd"] == "10"


def test_transfer(tollway) -> None:
    first, second = asyncio.run(installed(2))
    ran = tollway("wallet", "transfer", "--usd", "4", "--from", first, "--to", second)
    assert ran.code == 0
    assert f"wallet of {first}: 6.00 USD available" in ran.out
    assert f"wallet of {second}: 4.00 USD available" in ran.out
    assert tollway("wallet", "transfer", "--usd", "7", "--from", first, "--to", second).code == 1
    # With two workspaces, one must be named.
    ran = tollway("wallet", "credit", "--usd", "1")
    assert ran.code == 2
    assert first in ran.err
    assert second in ran.err


def test_a_mistyped_folder_is_not_made(tollway) -> None:
    for arguments in (("show",), ("credit", "--usd", "1"), ("transactions",)):
        ran = tollway("wallet", *arguments, "--data", "typo")
        assert ran.code == 2
        assert "no ledger here" in ran.err
    assert not Path("typo").exists()


def test_a_running_server_is_asked(tollway, owned, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not see the credential
    wallet = {"workspace_id": owned, "available_usd": "11"}
    entry = {"transaction_id": "txn_9", "kind": "topup", "amount_usd": "1", "is_replay": False, "wallets": [wallet]}
    Operator.status, Operator.reply = 200, json.dumps({"data": entry}).encode()
    ran = tollway("wallet", "credit", "--usd", "1", "--reason", "because")
    assert (ran.code, ran.err) == (0, "")
    assert "11.00 USD available" in ran.out
    method, path, credential, body = Operator.asked[0]
    assert (method, path, credential) == ("POST", f"/admin/wallets/{owned}/credit", "Bearer secret")
    assert json.loads(body) == {"usd": "1", "kind": "topup", "reason": "because", "external_ref": None}
    # Looking needs nobody.
    assert tollway("wallet", "show").code == 0
    assert tollway("audit").code == 0
    assert len(Operator.asked) == 1


def test_a_server_that_refuses_is_heard(tollway, owned) -> None:
    Operator.status, Operator.reply = 402, b'{"error": {"message": "The wallet cannot cover it."}}'
    ran = tollway("wallet", "credit", "--usd", "-99", "--kind", "adjustment", "--reason", "x")
    assert ran.code == 1
    assert "The wallet cannot cover it." in ran.err
    Operator.status, Operator.reply = 502, b"<html>"
    assert "answered 502" in tollway("wallet", "credit", "--usd", "1").err


def test_an_owner_that_cannot_be_asked_is_named(tollway, owned) -> None:
    (DATA / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "token": "t", "pid": 1}))
    ran = tollway("wallet", "credit", "--usd", "1")
    assert ran.code == 2
    assert f"process {os.getpid()}" in ran.err
    assert "does not answer" in ran.err
    (DATA / "server.json").unlink()
    ran = tollway("wallet", "credit", "--usd", "1")
    assert ran.code == 2
    assert "server.json" in ran.err


@pytest.mark.servers
def test_a_real_server_is_asked_and_nothing_is_written_behind_its_back(tollway, gateway) -> None:
    data = ("--data", gateway.data)
    (before,) = json.loads(tollway("wallet", "show", *data, "--json").out)
    ran = tollway("wallet", "credit", *data, "--usd", "3", "--reason", "e2e", "--external-ref", "e2e_1", "--json")
    assert (ran.code, ran.err) == (0, "")
    posted = json.loads(ran.out)
    assert posted["wallets"][0]["workspace_id"] == before["workspace_id"]
    assert posted["wallets"][0]["balance_usd"] == "13"
    made = json.loads(tollway("keys", "create", *data, "--name", "e2e", "--budget-usd", "0.5", "--json").out)
    assert tollway("keys", "revoke", *data, made["data"]["id"]).code == 0
    assert json.loads(tollway("keys", "list", *data, "--json").out)[-1]["disabled"] is True
    assert tollway("audit", *data).code == 0
