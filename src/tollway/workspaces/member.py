"""People: who has an account, where they belong, and who is invited. Frozen values; a change is a new value.

An e-mail address is kept as it was typed, its domain in lower case, and compared without regard to case.
"""

import re
from dataclasses import dataclass, field

from tollway.errors import ValidationFailed
from tollway.workspaces.actor import By, Role

EMAIL_MAX = 254
PASSWORD_MIN, PASSWORD_MAX = 10, 1_000
INVITATION_PREFIX = "twi_"
RESET_PREFIX = "twr_"
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. password_hash: argon2id, with its parameters. created_at: unix seconds."""

    id: str
    email: str
    name: str
    password_hash: str = field(repr=False)
    created_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """A login. Times in unix seconds; expires_at moves on while it is used."""

    id: str
    user_id: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organization. created_at: when they joined, unix seconds."""

    organization_id: str
    user_id: str
    role: Role
    created_at: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody asked to join; its token went out by mail once. Times in unix seconds."""

    id: str
    organization_id: str
    email: str
    role: Role
    invited_by: By
    created_at: int
    expires_at: int


def checked_email(text: str) -> str:
    """An address as it is kept: trimmed, its domain in lower case.

    Raises:
        ValidationFailed: with `param` `email`.
    """
    email = text.strip()
    if len(email) > EMAIL_MAX or not _EMAIL.fullmatch(email):
        raise ValidationFailed(
            f"{email[:80]!r} is not an e-mail address: name@domain, plain ASCII, no spaces, at most {EMAIL_MAX} characters.",
            param="email",
        )
    name, _, domain = email.partition("@")
    return f"{name}@{domain.lower()}"


def email_key(email: str) -> str:
    """What two spellings of one address have in common."""
    return email.strip().lower()


def checked_password(text: str, param: str = "password") -> str:
    """A password that may be set: 10 to 1,000 characters of any kind (NIST SP 800-63B: length, no composition rules).

    Raises:
        ValidationFailed: with `param`.
    """
    if not PASSWORD_MIN <= len(text) <= PASSWORD_MAX:
        raise ValidationFailed(
            f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this one has {len(text)}.", param=param
        )
    return text
