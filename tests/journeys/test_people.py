"""People on a real gateway: sign up, invite, work, lose access - and what stays after a restart."""

import re
import time
from pathlib import Path

from support.gateway import Gateway

OPEN = '[people]\nsignup = "open"\n'
PASSWORD = "correct horse battery"


def mailed(gateway: Gateway, email: str) -> str:
    """The token of the last mail to this address, as the console shows it; mails go out a moment after the answer."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = re.findall(rf"-- mail to {re.escape(email)}: [\s\S]*?(tw[ir]_\w{{47}})", gateway.log)
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {email} in:\n{gateway.log}")


def test_from_sign_up_to_log_out(tmp_path: Path) -> None:
    with Gateway(tmp_path, OPEN) as gateway:
        status, told, _ = gateway.ask(
            "POST", "/v1/auth/signup", {"email": "jane@acme.test", "password": PASSWORD, "organization": "Acme"}, key=""
        )
        assert status == 201
        jane = told["token"]
        workspace = told["data"]["memberships"][0]["workspaces"][0]["id"]
        status, wallet, _ = gateway.ask("GET", "/v1/wallet", key=jane)
        assert (status, wallet["data"]["balance_usd"]) == (200, "0")

        status, told, _ = gateway.ask("POST", "/v1/members", {"email": "bob@acme.test", "role": "member"}, key=jane)
        assert status == 201
        accept = {"token": mailed(gateway, "bob@acme.test"), "password": PASSWORD, "name": "Bob"}
        status, told, _ = gateway.ask("POST", "/v1/auth/invitations/accept", accept, key="")
        assert status == 200
        bob, bob_id = told["token"], told["data"]["user"]["id"]
        assert "bob@acme.test" in gateway.cli("members", "list")

        # A member makes a key and calls a model that costs nothing; a session is no key.
        status, made, _ = gateway.ask("POST", "/v1/keys", {"name": "Bob's"}, key=bob)
        assert status == 201, made
        asked = {"model": "simulated/echo", "messages": [{"role": "user", "content": "Hi"}]}
        assert gateway.ask("POST", "/v1/chat/completions", asked, key=made["key"])[0] == 200
        assert gateway.ask("POST", "/v1/chat/completions", asked, key=bob)[0] == 401

        # A restart knows everybody still.
        gateway.stop()
        gateway.start()
        status, told, _ = gateway.ask("GET", "/v1/auth/me", key=bob)
        assert (status, told["data"]["memberships"][0]["workspaces"][0]["id"]) == (200, workspace)

        assert gateway.ask("PATCH", f"/v1/members/{bob_id}", {"role": "viewer"}, key=jane)[0] == 200
        assert gateway.ask("GET", "/v1/auth/me", key=bob)[0] == 401
        gateway.cli(
            "members", "remove", "bob@acme.test", "--organization", told["data"]["memberships"][0]["organization_id"]
        )
        status, log, _ = gateway.ask("GET", "/v1/audit-log", key=jane)
        assert "member.remove" in [one["action"] for one in log["data"]]

        # A forgotten password, by the mail on the console.
        assert gateway.ask("POST", "/v1/auth/password/forgot", {"email": "jane@acme.test"}, key="")[0] == 202
        reset = {"token": mailed(gateway, "jane@acme.test"), "password": "another long password"}
        assert gateway.ask("POST", "/v1/auth/password/reset", reset, key="")[0] == 200
        assert gateway.ask("GET", "/v1/auth/me", key=jane)[0] == 401
        status, told, _ = gateway.ask(
            "POST", "/v1/auth/login", {"email": "jane@acme.test", "password": reset["password"]}, key=""
        )
        assert status == 200
        assert gateway.ask("POST", "/v1/auth/logout", {}, key=told["token"])[0] == 200
        assert gateway.ask("GET", "/v1/auth/me", key=told["token"])[0] == 401
        gateway.audit()
        assert PASSWORD not in gateway.log


def test_a_fresh_gateway_lets_no_stranger_in(gateway: Gateway) -> None:
    status, told, _ = gateway.ask("POST", "/v1/auth/signup", {"email": "a@b.test", "password": PASSWORD}, key="")
    assert (status, told["error"]["code"]) == (403, "signup_closed")
