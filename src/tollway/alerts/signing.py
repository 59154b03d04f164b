"""Signatures of webhooks, as in Standard Webhooks (https://www.standardwebhooks.com).

`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; while a secret is being replaced, both sign. Secrets are
`whsec_` and the base64 of 32 random bytes.
"""

import base64
import hmac
from collections.abc import Callable, Iterable

SECRET_PREFIX = "whsec_"  # noqa: S105 - the visible beginning of every secret
_SECRET_BYTES = 32


def new_secret(random_bytes: Callable[[int], bytes]) -> bytes:
    """The bytes of a fresh secret; `secret_text` shows them. `random_bytes(n)`: n bytes of a cryptographic source."""
    return random_bytes(_SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """A secret as its owner is shown it, once."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature. timestamp: unix seconds of this attempt."""
    signed = hmac.digest(secret, b"%s.%d.%s" % (message_id.encode(), timestamp, body), "sha256")
    return "v1," + base64.b64encode(signed).decode()


def headers(secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery; one signature per secret, with spaces between them."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(one, message_id, timestamp, body) for one in secrets),
    }
