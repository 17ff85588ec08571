"""OAuth tokens of the simulated vendors: issued, expiring, rotated, and kept over a restart where that matters."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from vitals.errors import UserError


@dataclass(slots=True)
class _Access:
    vendor: str
    lifetime: float
    expires_at: float
    sliding: bool


@dataclass(slots=True)
class TokenStore:
    """Access tokens live in memory on the wall clock: at a high speed, a source hour would pass between two pages.

    The refresh token in force is saved, because a connector keeps its own over a restart of the simulator.
    """

    wall: Callable[[], float]
    path: Path | None = None
    _access: dict[str, _Access] = field(default_factory=dict)
    _refresh: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            try:
                self._refresh = {
                    str(vendor): str(token) for vendor, token in orjson.loads(self.path.read_bytes()).items()
                }
            except (ValueError, AttributeError) as error:
                raise UserError(f"{self.path} does not hold refresh tokens; delete it to start again.") from error

    def issue(self, vendor: str, prefix: str, lifetime: float, *, sliding: bool = False) -> str:
        """A new access token; with `sliding`, each use starts its lifetime anew."""
        token = prefix + secrets.token_urlsafe(24)
        self._access[token] = _Access(vendor, lifetime, self.wall() + lifetime, sliding)
        return token

    def accepts(self, vendor: str, token: str) -> bool:
        """Whether `token` is an unexpired access token of the vendor."""
        access = self._access.get(token)
        if access is None or access.vendor != vendor:
            return False
        if self.wall() >= access.expires_at:
            del self._access[token]
            return False
        if access.sliding:
            access.expires_at = self.wall() + access.lifetime
        return True

    def expire(self, vendor: str) -> None:
        """Withdraw every access token of the vendor."""
        self._access = {token: access for token, access in self._access.items() if access.vendor != vendor}

    def refresh_token(self, vendor: str, first: str) -> str:
        """The refresh token in force, which is `first` until one was rotated."""
        return self._refresh.get(vendor, first)

    def rotate(self, vendor: str, prefix: str) -> str:
        """A new refresh token; the old one and every access token die at once."""
        self.expire(vendor)
        self._refresh[vendor] = prefix + secrets.token_urlsafe(12)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            written = self.path.with_suffix(".tmp")
            written.write_bytes(orjson.dumps(self._refresh))
            written.replace(self.path)
        return self._refresh[vendor]
