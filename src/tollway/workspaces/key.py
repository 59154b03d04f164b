"""An API key: what it looks like, what of it is kept, and what it may do.

`tw_` + 4 public characters + 43 characters of 32 random bytes, base62. Only an HMAC-SHA256 under the installation's
pepper is kept; the key itself is shown once (contract.md, security.md CVE-2026-42208).
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

PREFIX = "tw_"
ADMIN_PREFIX = "twa_"
PUBLIC_LENGTH = 4
SECRET_LENGTH = 43
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALLOWED = frozenset(_ALPHABET)

BudgetWindow = Literal["day", "week", "month", "lifetime"]
SCOPES: tuple[str, ...] = ("chat", "models", "usage", "wallet", "keys")
"""What a key may be allowed to do; a new key may do all but manage keys."""
DEFAULT_SCOPES = frozenset({"chat", "models", "usage", "wallet"})


@dataclass(frozen=True, slots=True)
class Key:
    """A key as admission sees it.

    prefix: the public part, `tw_` and 4 characters. allowed_models: None means all.
    budget_nano: nano-USD per `budget_window`, None means none. requests_per_minute, tokens_per_day: -1 means no limit.
    expires_at: unix seconds, None means never.
    """

    id: str
    workspace_id: str
    organization_id: str
    name: str
    prefix: str
    scopes: frozenset[str] = DEFAULT_SCOPES
    allowed_models: frozenset[str] | None = None
    budget_nano: int | None = None
    budget_window: BudgetWindow = "lifetime"
    requests_per_minute: int = -1
    tokens_per_day: int = -1
    expires_at: int | None = None
    is_disabled: bool = False
    created_at: int = 0


def new_secret(random_bytes: Callable[[int], bytes], prefix: str = PREFIX) -> str:
    """A fresh key text. `random_bytes(n)` gives n bytes of a cryptographic source."""
    public = "".join(_ALPHABET[byte % 62] for byte in random_bytes(PUBLIC_LENGTH))
    number = int.from_bytes(random_bytes(32), "big")
    digits = list[str]()
    for _ in range(SECRET_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return prefix + public + "".join(digits)


def looks_like_key(text: str, prefix: str = PREFIX) -> bool:
    """The text has the form of a key; checked before anything is hashed or looked up."""
    rest = text[len(prefix) :]
    return text.startswith(prefix) and len(rest) == PUBLIC_LENGTH + SECRET_LENGTH and _ALLOWED.issuperset(rest)


def public_part(secret: str, prefix: str = PREFIX) -> str:
    """What may be shown of a key: its prefix and public characters."""
    return secret[: len(prefix) + PUBLIC_LENGTH]


def digest(secret: str, pepper: bytes) -> bytes:
    """The 32 bytes that stand for a key: HMAC-SHA256 under the installation's pepper."""
    return hmac.digest(pepper, secret.encode(), "sha256")
