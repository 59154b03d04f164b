"""An API key: what it looks like, what of it is kept, and what it may do.

`tw_` + 4 public characters + 43 characters of 32 random bytes, base62. Only an HMAC-SHA256 under the installation's
pepper is kept; the key itself is shown once (contract.md, security.md CVE-2026-42208).
"""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, TypedDict

from tollway.errors import ValidationFailed

PREFIX = "tw_"
ADMIN_PREFIX = "twa_"
SESSION_PREFIX = "tws_"
PUBLIC_LENGTH = 4
SECRET_LENGTH = 43
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALLOWED = frozenset(_ALPHABET)

BudgetWindow = Literal["day", "week", "month", "lifetime"]
SCOPES: tuple[str, ...] = (
    "chat", "models", "usage", "wallet", "keys", "workspaces", "members", "webhooks", "billing", "transfer"
)  # fmt: skip
"""What a key or a role may be allowed to do; a new key may use the gateway and look, and manage nothing."""
DEFAULT_SCOPES = frozenset({"chat", "models", "usage", "wallet"})


KeyState = Literal["active", "disabled", "revoked", "workspace_deleted"]
"""disabled: may be enabled again. revoked: for ever. workspace_deleted: until the workspace is restored."""
_REFUSALS: dict[KeyState, str] = {
    "active": "",
    "disabled": "This API key is disabled. Enable it again, or use another.",
    "revoked": "This API key was revoked. Create another.",
    "workspace_deleted": "The workspace of this API key was deleted. Restore the workspace, or use a key of another.",
}
IP_ALLOW_MAX = 100
"""Addresses and networks that one key may name."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as admission sees it.

    prefix: the public part, `tw_` and 4 characters. allowed_models: None means all.
    budget_nano: nano-USD per `budget_window`, None means none. requests_per_minute, tokens_per_day: -1 means no limit.
    expires_at: unix seconds, None means never. ip_allow: networks as `checked_networks` writes them; empty means all
    addresses. created_by: id of the key, user or operator that made it; "" of the first one. profile_id: the routing profile
    whose key it is, and whose rules it follows; "" of any other.
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
    state: KeyState = "active"
    created_at: int = 0
    ip_allow: tuple[str, ...] = ()
    created_by: str = ""
    profile_id: str = ""

    @property
    def is_disabled(self) -> bool:
        """It is refused now, for whatever reason."""
        return self.state != "active"

    @property
    def is_revoked(self) -> bool:
        """It is refused for ever."""
        return self.state == "revoked"

    @property
    def refusal(self) -> str:
        """Why it is refused, and what would do; "" of one that is not."""
        return _REFUSALS[self.state]


class Terms(TypedDict, total=False):
    """What somebody wants a key to be, as fields of `Key`; what is absent is left out, or stays as it is."""

    scopes: frozenset[str]
    allowed_models: frozenset[str] | None
    budget_nano: int | None
    budget_window: BudgetWindow
    requests_per_minute: int
    tokens_per_day: int
    expires_at: int | None
    ip_allow: tuple[str, ...]


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


def checked_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks as they are kept: `203.0.113.7`, `10.0.0.0/8`, `2001:db8::/32`; each once, in order.

    An IPv4 address written as IPv6 (`::ffff:203.0.113.7`) is kept as IPv4.

    Raises:
        ValidationFailed: with `param` `ip_allow[n]`; it says what would do.
    """
    found = dict.fromkeys(_written(_network(text.strip(), f"ip_allow[{at}]")) for at, text in enumerate(texts))
    if len(found) > IP_ALLOW_MAX:
        raise ValidationFailed(
            f"ip_allow has {len(found)} entries; a key takes {IP_ALLOW_MAX}. Join addresses to networks.",
            param="ip_allow",
        )
    return tuple(found)


def ip_is_allowed(key: Key, address: str) -> bool:
    """The key may be used from this address, as the socket or a trusted proxy names it. One dict lookup, mostly.

    A text that is no address is allowed only to a key that allows all.
    """
    return not key.ip_allow or _is_inside(key.ip_allow, address)


def lies_within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    """Every address that `inner` allows is one that `outer` allows; both as `Key.ip_allow`, where empty allows all."""
    if not outer:
        return True
    around = _networks(outer)
    return bool(inner) and all(any(_covers(wide, narrow) for wide in around) for narrow in _networks(inner))


@lru_cache(maxsize=16_384)
def _is_inside(networks: tuple[str, ...], address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in _networks(networks))


@lru_cache(maxsize=4_096)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


def _covers(wide: IPv4Network | IPv6Network, narrow: IPv4Network | IPv6Network) -> bool:
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


def _network(text: str, param: str) -> IPv4Network | IPv6Network:
    shown = text[:60]
    try:
        if "%" in text:
            raise ValueError("a zone")  # noqa: TRY301 - said below like the others
        found = ip_network(text, strict=False)
    except ValueError:
        problem = f"{shown!r} is neither an IP address nor a network. Write 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32."
        raise ValidationFailed(problem, param=param) from None
    if isinstance(found, IPv6Network) and found.prefixlen >= 96 and (mapped := found.network_address.ipv4_mapped):
        found = IPv4Network((mapped, found.prefixlen - 96))
    elif "/" in text and ip_address(text.partition("/")[0]) != found.network_address:
        problem = f"{shown!r} has bits set beyond its prefix. Write {found}, or the address alone."
        raise ValidationFailed(problem, param=param)
    return found


def _written(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)
