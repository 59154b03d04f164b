"""`tollway orgs`."""

import json

from commands.installation import Operator


def test_made_listed_and_renamed(tollway, workspace) -> None:
    made = json.loads(tollway("orgs", "create", "--name", " Beta ", "--json").out)
    assert made["name"] == "Beta"
    assert "Gamma" in tollway("orgs", "rename", made["id"], "--name", "Gamma").out
    told = json.loads(tollway("orgs", "list", "--json").out)
    assert [(one["name"], one["workspaces"]) for one in told] == [("First organization", [workspace]), ("Gamma", [])]
    assert [one["plan"] for one in told] == ["enterprise", "hobby"]
    assert "Gamma" in tollway("orgs", "list").out
    for words, text in (
        (("create", "--name", " "), "printable characters"),
        (("rename", "x", "--name", "n"), "no organization x"),
    ):
        ran = tollway("orgs", *words)
        assert (ran.code, text in ran.err) == (1, True)


def test_a_running_server_is_asked(tollway, owned) -> None:
    Operator.status, Operator.reply = 200, b'{"data": {"id": "org_1", "name": "n"}}'
    assert tollway("orgs", "create", "--name", "n").out == "org_1  n\n"
    assert tollway("orgs", "rename", "org_1", "--name", "n").code == 0
    assert [(method, path, json.loads(body)) for method, path, _, body in Operator.asked] == [
        ("POST", "/admin/organizations", {"name": "n"}),
        ("PATCH", "/admin/organizations/org_1", {"name": "n"}),
    ]
