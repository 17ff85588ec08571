"""Password hashes (argon2id, library defaults of argon2-cffi)."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

LONGEST_PASSWORD = 1024
SHORTEST_PASSWORD = 12


class Passwords:
    """Hashes and verifies.

    Verification takes as long for an unknown user as for a known one, and never runs more than twice at once: each
    takes 64 MiB and a core for some tens of milliseconds.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._stand_in = self._hasher.hash(secrets.token_urlsafe())
        self._running = asyncio.Semaphore(2)

    def hash(self, password: str) -> str:
        """A salted hash."""
        return self._hasher.hash(password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed; no hash matches nothing, in the same time."""
        async with self._running:
            matches = await asyncio.to_thread(self._matches, password_hash or self._stand_in, password)
        return matches and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False


def generated_password() -> str:
    """A random password: 20 characters of 64, 120 bits."""
    return secrets.token_urlsafe(15)
