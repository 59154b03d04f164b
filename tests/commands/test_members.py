"""`tollway members`."""

import asyncio
import json
import os
import re

import pytest

from commands.installation import DATA, Operator
from store.world import SystemClock
from tollway.app import SystemIds
from tollway.store import EmbeddedStore


def arrive(text: str) -> None:
    """Whoever was invited comes, with the token that was printed."""

    async def scenario() -> None:
        store = await EmbeddedStore.open(DATA, clock=SystemClock(), ids=SystemIds(), random_bytes=os.urandom)
        token = re.search(r"twi_\w+", text)[0]
        user = await store.people.accounts.add(store.people.invitation(token).email, "Somebody", "hash")
        await store.people.accept(token, user)
        await store.close()

    asyncio.run(scenario())


def test_invite_prints_the_mail_and_list_shows_who_there_is(tollway, workspace) -> None:
    assert "nobody yet" in tollway("members", "list").out
    ran = tollway("members", "invite", "jane@acme.test", "--role", "owner")
    assert (ran.code, "invited jane@acme.test as owner" in ran.out) == (0, True)
    assert "mail to jane@acme.test" in ran.err
    told = json.loads(tollway("members", "list", "--json").out)
    assert [(one["email"], one["role"], one["state"]) for one in told] == [("jane@acme.test", "owner", "invited")]
    arrive(ran.err)
    out = tollway("members", "list").out
    assert "Somebody" in out
    assert re.search(r"jane@acme.test +Somebody +owner +member", out)


def test_role_and_remove(tollway, workspace) -> None:
    for email, role in (("jane@acme.test", "owner"), ("bob@acme.test", "member")):
        arrive(tollway("members", "invite", email, "--role", role).err)
    assert "bob@acme.test is admin now" in tollway("members", "role", "Bob@acme.test", "admin").out
    assert "bob@acme.test is no member any more" in tollway("members", "remove", "bob@acme.test").out
    told = json.loads(tollway("members", "list", "--json").out)
    assert [(one["email"], one["role"]) for one in told] == [("jane@acme.test", "owner")]
    ran = tollway("members", "role", "JANE@acme.test", "viewer")
    assert (ran.code, "at least one owner" in ran.err) == (1, True)
    ran = tollway("members", "remove", "nobody@acme.test")
    assert (ran.code, "tollway members list" in ran.err) == (1, True)
    assert tollway("members", "role", "jane@acme.test", "owner", "--json").code == 0


def test_a_mail_that_cannot_be_sent_is_told(tollway, workspace) -> None:
    tollway.set("TOLLWAY_PEOPLE_SMTP_URL", "smtp://127.0.0.1:9")
    ran = tollway("members", "invite", "jane@acme.test")
    assert ran.code == 1
    assert "its mail was not sent: 127.0.0.1" in ran.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("invite", "nobody"), "is not an e-mail address"),
        (("invite", "a@b", "--role", "king"), "king"),
        (("invite", "a@b", "--organization", "none"), "name one with --organization"),
        (("remove", "a@b"), "there is no member a@b"),
    ],
)
def test_what_is_refused(tollway, workspace, words: tuple[str, ...], problem: str) -> None:
    ran = tollway("members", *words)
    assert ran.code != 0
    assert problem in ran.err


def test_a_running_server_is_asked(tollway, owned) -> None:
    Operator.status, Operator.reply = 201, b'{"data": {"id": "x", "email": "a@b", "role": "admin"}}'
    try:
        ran = tollway("members", "invite", "a@b", "--role", "admin")
    finally:
        Operator.status, Operator.reply = 200, b"{}"
    assert ran.code == 0
    assert "no mail server is set" in ran.out
    method, path, authorization, body = Operator.asked[-1]
    assert (method, authorization) == ("POST", "Bearer secret")
    assert re.fullmatch(r"/admin/organizations/[0-9a-f-]{36}/members", path)
    assert json.loads(body) == {"email": "a@b", "role": "admin"}
