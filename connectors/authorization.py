"""What a connector shows a vendor to be let in."""

import threading
from collections.abc import Callable
from typing import Protocol


class Authorization(Protocol):
    """Credentials of a vendor."""

    def header(self) -> str:
        """Value of the `Authorization` header."""
        ...

    def renew(self, rejected: str) -> None:
        """Replaces credentials that the vendor rejected; `rejected` is the header that was sent."""
        ...


class FixedAuthorization:
    """Credentials that do not expire: a key, or a user and a secret."""

    def __init__(self, header: str) -> None:
        self._header = header

    def header(self) -> str:
        """Value of the `Authorization` header."""
        return self._header

    def renew(self, rejected: str) -> None:
        """Nothing to renew: the same header is tried once more, because a 401 may be an edge's passing fault."""


class TokenAuthorization:
    """A bearer token that is asked for when needed and again when it is rejected, by one thread at a time."""

    def __init__(self, obtain: Callable[[], str]) -> None:
        self._obtain = obtain
        self._header = ""
        self._lock = threading.Lock()

    def header(self) -> str:
        """Value of the `Authorization` header; asks for a token the first time."""
        with self._lock:
            if not self._header:
                self._header = f"Bearer {self._obtain()}"
            return self._header

    def renew(self, rejected: str) -> None:
        """A new token, unless another thread has already replaced the rejected one."""
        with self._lock:
            if self._header == rejected:
                self._header = ""
                self._header = f"Bearer {self._obtain()}"
