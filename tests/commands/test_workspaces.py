"""`tollway workspaces`."""

import json

from commands.installation import Operator


def test_made_renamed_deleted_restored(tollway, workspace) -> None:
    made = json.loads(tollway("workspaces", "create", "--name", "second", "--json").out)
    assert tollway("workspaces", "rename", made["id"], "--name", "prod").code == 0
    assert "prod" in tollway("workspaces", "list").out
    kept = tollway("workspaces", "delete", workspace)
    assert (kept.code, "10 USD" in kept.err, "move_to" in kept.err) == (1, True, True)
    gone = tollway("workspaces", "delete", workspace, "--move-to", made["id"])
    assert f"tollway workspaces restore {workspace}" in gone.out
    told = json.loads(tollway("workspaces", "list", "--json").out)
    assert [(one["name"], one["balance_usd"], one["deleted_at"] is None) for one in told] == [
        ("Default", "0", False),
        ("prod", "10", True),
    ]
    assert "restorable until" in tollway("workspaces", "list").out
    last = tollway("workspaces", "delete", made["id"], "--move-to", workspace)
    assert (last.code, "last workspace" in last.err) == (1, True)
    assert "workspace deleted" in tollway("keys", "list").out
    assert "is back" in tollway("workspaces", "restore", workspace).out
    assert "workspace deleted" not in tollway("keys", "list").out
    assert tollway("workspaces", "restore", "nobody").code == 1
    assert tollway("workspaces", "list", "--org", "nobody").out.splitlines()[1:] == []


def test_export(tollway, workspace) -> None:
    told = json.loads(tollway("workspaces", "export", workspace).out)["data"]
    assert told["workspace"]["id"] == workspace
    assert [one["name"] for one in told["keys"]] == ["First key"]
    assert [one["amount_usd"] for one in told["transactions"]] == ["10"]
    lines = tollway("workspaces", "export", workspace, "--format", "ndjson").out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["workspace", "keys", "transactions"]
    nobody = tollway("workspaces", "export", "nobody")
    assert (nobody.code, "no workspace nobody" in nobody.err) == (1, True)


def test_which_organization_must_be_said(tollway, workspace) -> None:
    made = json.loads(tollway("orgs", "create", "--name", "Beta", "--json").out)
    ran = tollway("workspaces", "create", "--name", "w")
    assert (ran.code, "--org" in ran.err, made["id"] in ran.err) == (2, True, True)
    assert tollway("workspaces", "create", "--name", "w", "--org", made["id"]).code == 0


def test_a_running_server_is_asked(tollway, owned) -> None:
    Operator.status, Operator.reply = 200, b'{"data": {"id": "ws_1", "name": "n", "purge_at": "2099-01-01"}}'
    for words in (
        ("create", "--name", "n"),
        ("rename", "ws_1", "--name", "m"),
        ("delete", "ws_1", "--move-to", "ws_2"),
        ("delete", "ws_1"),
        ("restore", "ws_1"),
    ):
        assert tollway("workspaces", *words).code == 0
    asked = [(method, path, json.loads(body or b"null")) for method, path, _, body in Operator.asked]
    assert asked[1:] == [
        ("PATCH", "/admin/workspaces/ws_1", {"name": "m"}),
        ("DELETE", "/admin/workspaces/ws_1?move_to=ws_2", None),
        ("DELETE", "/admin/workspaces/ws_1", None),
        ("POST", "/admin/workspaces/ws_1/restore", None),
    ]
    assert (asked[0][1], asked[0][2]["name"]) == ("/admin/workspaces", "n")
