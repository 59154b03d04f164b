"""Stop 2, admit: who is calling, and may they? The key becomes a `Caller` with everything pinned for this request."""

import msgspec

from tollway.errors import (
    ConflictingCredentials,
    InvalidKey,
    KeyDisabled,
    KeyExpired,
    MissingKey,
    ScopeMissing,
)
from tollway.ports import Directory
from tollway.workspaces.key import Key, digest, looks_like_key

DIGESTS_MAX = 10_000


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks, with what is pinned at admission: the margin in basis points (money.md R3)."""

    key: Key
    margin_bps: int


class Gate:
    """Turns credential headers into a caller. One place for every credential header (security.md, CVE-2026-45339)."""

    def __init__(self, directory: Directory, pepper: bytes, margin_direct_bps: int) -> None:
        self._directory = directory
        self._pepper = pepper
        self._margin_direct_bps = margin_direct_bps
        self._digests: dict[tuple[bytes | None, bytes | None], bytes] = {}

    def admit(self, authorization: bytes | None, api_key: bytes | None, scope: str, now: float) -> Caller:
        """The caller of a request.

        Args:
            authorization, api_key: the `Authorization` and `x-api-key` headers, None when absent.
            scope: what the endpoint needs. now: unix seconds.

        Raises:
            MissingKey, InvalidKey, KeyExpired, KeyDisabled: 401.
            ConflictingCredentials: 400; two different keys.
            ScopeMissing: 403.
        """
        key = self._directory.key(self._digest(authorization, api_key))
        if key is None:
            raise InvalidKey
        if key.is_disabled:
            raise KeyDisabled
        if key.expires_at is not None and key.expires_at <= now:
            raise KeyExpired
        if scope not in key.scopes:
            raise ScopeMissing(f"this key has no scope `{scope}`; it has: {', '.join(sorted(key.scopes))}", scope=scope)
        return Caller(key, self._margin_direct_bps)

    def _digest(self, authorization: bytes | None, api_key: bytes | None) -> bytes:
        """The digest of the key in these headers.

        It never changes, so well-formed ones are remembered; whether the key is still good is asked every time.
        """
        headers = (authorization, api_key)
        found = self._digests.get(headers)
        if found is None:
            secret = credential(authorization, api_key)
            if not looks_like_key(secret):
                raise InvalidKey
            found = digest(secret, self._pepper)
            if self._directory.key(found) is not None:
                if len(self._digests) >= DIGESTS_MAX:
                    self._digests.clear()
                self._digests[headers] = found
        return found


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
