"""Secrets that must be read again: AES-256-GCM under a key made from the installation's pepper.

A digest would not do: we sign with a webhook's secret. The pepper is not in the database, so a copy of the database
alone gives no secret away; who replaces the pepper loses them (they are rotated by their owners).
"""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

from tollway.errors import Broken

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE = b"tollway webhook secrets v1"
_NONCE_BYTES = 12


class Sealer:
    """Encrypts and decrypts small secrets. `random_bytes(n)`: n bytes of a cryptographic source."""

    def __init__(self, pepper: bytes, random_bytes: Callable[[int], bytes]) -> None:
        # HKDF (RFC 5869) with SHA-256, no salt, and one block of output.
        extracted = hmac.digest(bytes(32), pepper, "sha256")
        self._key = hmac.digest(extracted, _PURPOSE + b"\x01", "sha256")
        self._random_bytes = random_bytes

    def seal(self, secret: bytes, owner_id: str) -> bytes:
        """Nonce and ciphertext; it opens for the same owner only."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, secret, owner_id.encode())

    def open(self, sealed: bytes, owner_id: str) -> bytes:
        """The secret. Raises Broken: it was sealed under another pepper, or for another owner."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see `_cipher`

        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner_id.encode())
        except (InvalidTag, ValueError):
            raise Broken(f"the secret of webhook {owner_id} was kept under another pepper; rotate it") from None

    def _cipher(self) -> "AESGCM":
        # Imported at the first secret: 25 ms that a start need not wait for.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        return AESGCM(self._key)
