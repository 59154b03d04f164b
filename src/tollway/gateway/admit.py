"""Stop 2, admit: the credential becomes a `Caller`, with what the operator and the plan decide about it pinned."""

from collections.abc import Callable

import msgspec

from tollway.errors import (
    AddressNotAllowed,
    ConflictingCredentials,
    InvalidKey,
    KeyDisabled,
    KeyExpired,
    MissingKey,
    ScopeMissing,
)
from tollway.plans.grants import Grants
from tollway.ports import Directory, Quota
from tollway.workspaces.key import Key, digest, ip_is_allowed, looks_like_key

CALLERS_MAX = 10_000


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks, with what is pinned at admission.

    grants: what their organization's plan allows. quota: the limits that count this key, the plan's and its own.
    margin_bps: of a model that is named, basis points (money.md R3).
    """

    key: Key
    grants: Grants
    quota: Quota
    margin_bps: int


class KeyDefaults(msgspec.Struct, frozen=True):
    """The operator's choices for keys. -1: no limit. margin_direct_bps: where the plan has none."""

    margin_direct_bps: int
    requests_per_minute: int = -1
    tokens_per_day: int = -1


class Gate:
    """Turns credential headers into a caller. One place for every credential header (security.md, CVE-2026-45339)."""

    def __init__(
        self, directory: Directory, grants: Callable[[str], Grants], pepper: bytes, defaults: KeyDefaults
    ) -> None:
        """`grants`: what an organization, by its id, may do as of now."""
        self._directory = directory
        self._grants = grants
        self._pepper = pepper
        self._defaults = defaults
        self._callers: dict[tuple[bytes | None, bytes | None], tuple[bytes, Caller]] = {}

    def admit(
        self, authorization: bytes | None, api_key: bytes | None, scope: str, now: float, address: str = ""
    ) -> Caller:
        """The caller of a request.

        Args:
            authorization, api_key: the `Authorization` and `x-api-key` headers, None when absent.
            scope: what the endpoint needs. now: unix seconds. address: the peer's IP address; "" where unknown.

        Raises:
            MissingKey, InvalidKey, KeyExpired, KeyDisabled: 401.
            ConflictingCredentials: 400; two different keys.
            ScopeMissing, AddressNotAllowed: 403.
        """
        headers = (authorization, api_key)
        known = self._callers.get(headers)
        if known is None:
            known = self._met(headers)
        # What a header stands for never changes; whether the key is still good, and what it may, is asked every time.
        caller = known[1]
        key = self._directory.key(known[0])
        if key is None:
            raise InvalidKey
        if key.state != "active":
            raise KeyDisabled(key.refusal)
        if key.expires_at is not None and key.expires_at <= now:
            raise KeyExpired
        if scope not in key.scopes:
            raise ScopeMissing(f"this key has no scope `{scope}`; it has: {', '.join(sorted(key.scopes))}", scope=scope)
        if key.ip_allow and not ip_is_allowed(key, address):
            raise AddressNotAllowed(f"this API key may not be used from {address or 'an unknown address'}")
        if caller.key is not key or caller.grants is not self._grants(key.organization_id):
            caller = self.caller(key)
            self._callers[headers] = known[0], caller
        return caller

    def _met(self, headers: tuple[bytes | None, bytes | None]) -> tuple[bytes, Caller]:
        """What well-formed credentials of an existing key stand for; remembered."""
        secret = credential(*headers)
        if not looks_like_key(secret):
            raise InvalidKey
        found = digest(secret, self._pepper)
        key = self._directory.key(found)
        if key is None:
            raise InvalidKey
        if len(self._callers) >= CALLERS_MAX:
            self._callers.clear()
        known = self._callers[headers] = found, self.caller(key)
        return known

    def caller(self, key: Key) -> Caller:
        """The caller that a key would be now, whatever its state."""
        grants, defaults = self._grants(key.organization_id), self._defaults
        requests, tokens = key.requests_per_minute, key.tokens_per_day
        quota = Quota(
            key.workspace_id,
            key.id,
            requests=grants.requests_per_minute,
            tokens=grants.tokens_per_day,
            key_requests=requests if requests >= 0 else defaults.requests_per_minute,
            key_tokens=tokens if tokens >= 0 else defaults.tokens_per_day,
        )
        return Caller(key, grants, quota, grants.margins_bps.get("direct", defaults.margin_direct_bps))


def credential(authorization: bytes | None, api_key: bytes | None) -> str:
    """The one secret in the credential headers. Raises MissingKey, InvalidKey or ConflictingCredentials."""
    secret = ""
    if authorization is not None:
        scheme, _, value = authorization.decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidKey("the Authorization header is not of the form `Bearer tw_...`")
        secret = value.strip()
    if api_key is not None:
        other = api_key.decode("latin-1").strip()
        if secret and other and other != secret:
            raise ConflictingCredentials
        secret = secret or other
    if not secret:
        raise MissingKey
    return secret
