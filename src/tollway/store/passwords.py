"""Passwords: argon2id on two threads of its own, so that neither the event loop nor the memory feels it.

A check takes the same time whether there is an account or not.
"""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_THREADS = 2
_MEMORY_KIB = 47_104
"""46 MiB for each of the threads while it works (OWASP's first choice for argon2id)."""


class Passwords:
    """Makes and checks hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=_MEMORY_KIB, parallelism=1)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tollway-passwords")
        self._nobodys = self._hasher.hash("the password of nobody")

    async def hashed(self, password: str) -> str:
        """What is kept of a password: argon2id with its salt and parameters."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, _as_bytes(password))

    async def is_right(self, kept: str | None, password: str) -> bool:
        """The password is the one of this hash. None, where there is no account: False, and as slow."""
        hashed = self._nobodys if kept is None else kept
        is_match = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._matches, hashed, _as_bytes(password)
        )
        return is_match and kept is not None

    def _matches(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False


def _as_bytes(password: str) -> bytes:
    """The same bytes however a keyboard composes its letters (NIST SP 800-63B: NFKC)."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
