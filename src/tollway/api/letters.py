"""The mails that people get: short plain text that says who wrote, why, and what to do."""

from typing import NamedTuple

from tollway.api.rooms import PeopleRules
from tollway.workspaces.actor import Role


class Letter(NamedTuple):
    """A mail without its recipient."""

    subject: str
    text: str


def invitation(rules: PeopleRules, token: str, *, inviter: str, organization: str, role: Role) -> Letter:
    """`inviter` asks somebody to join `organization`."""
    return Letter(
        f"Join {organization} on Tollway",
        f"{inviter} invites you to join the organization {organization!r} as {role}.\n\n"
        f"{_way(rules, '/invitation', token)}\n"
        "Send it to POST /v1/auth/invitations/accept, with a password of your choice.\n"
        "It works once, within seven days. If you do not know them, do nothing.\n",
    )


def reset(rules: PeopleRules, token: str) -> Letter:
    """The way to a new password."""
    return Letter(
        "A new password for Tollway",
        "Somebody, probably you, asked for a new password for this address.\n\n"
        f"{_way(rules, '/reset', token)}\n"
        "Send it to POST /v1/auth/password/reset, with the new password.\n"
        "It works once, within an hour. If it was not you, do nothing: your password stays as it is.\n",
    )


def changed() -> Letter:
    """The password is another one now."""
    return Letter(
        "Your Tollway password was changed",
        "The password of your account was changed just now, and your other sessions have ended.\n\n"
        "If it was not you, ask for a new password with POST /v1/auth/password/forgot, and tell whoever runs the gateway.\n",
    )


def _way(rules: PeopleRules, path: str, token: str) -> str:
    # Behind the `#`, so that the token is in no log of a web server and in no Referer.
    page = f"Page: {rules.public_url.rstrip('/')}{path}#token={token}\n" if rules.public_url else ""
    return f"{page}Token: {token}"
