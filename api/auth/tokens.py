"""Signed tokens (JWT, HS256): a short access token for programs, a session in a cookie for browsers."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import jwt

from vitals.clock import Clock
from vitals.errors import UserError
from vitals.settings import Settings

Use = Literal["access", "session"]

LIFETIMES: dict[Use, timedelta] = {"access": timedelta(minutes=15), "session": timedelta(hours=12)}
SHORTEST_SECRET = 32

_ALGORITHM = "HS256"
_ISSUER = "vitals"


class InvalidTokenError(Exception):
    """The token is not one of ours, was changed, is for another use, or has expired."""


@dataclass(frozen=True)
class Claims:
    """What a token says: who, until when, and a mark that a change of password makes stale."""

    user_id: UUID
    expires_at: datetime
    password_mark: str


class TokenSigner:
    """Signs and reads tokens with one secret and an injected clock."""

    def __init__(self, secret: str, clock: Clock) -> None:
        # Derived, so that the secret can sign something else one day without the two being interchangeable.
        self._key = hashlib.sha256(b"vitals session tokens\0" + secret.encode()).digest()
        self._clock = clock

    def sign(self, user_id: UUID, password_hash: str | None, use: Use) -> str:
        """A token for a user, from now on for the lifetime of its use."""
        now = self._clock.now()
        claims = {
            "iss": _ISSUER,
            "aud": use,
            "sub": str(user_id),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIMES[use]).timestamp()),
            "pwm": self.password_mark(password_hash),
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, token: str, use: Use) -> Claims:
        """The claims of a token.

        Raises:
            InvalidTokenError: it must not be trusted.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=use,
                issuer=_ISSUER,
                # Expiry is checked below, on the injected clock.
                options={"require": ["exp", "sub", "iat", "aud"], "verify_exp": False, "verify_iat": False},
            )
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            user_id = UUID(claims["sub"])
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            raise InvalidTokenError(str(error)) from error
        if expires_at <= self._clock.now():
            raise InvalidTokenError("expired")
        return Claims(user_id, expires_at, str(claims.get("pwm", "")))

    def password_mark(self, password_hash: str | None) -> str:
        """A mark of the current password: tokens signed before it changed do not carry it."""
        return hmac.new(self._key, (password_hash or "").encode(), "sha256").hexdigest()[:16]


def session_secret(settings: Settings) -> str:
    """The secret that signs tokens: the setting, or in dev one that is made once and kept in the state folder.

    Raises:
        UserError: it is missing outside dev, or too short.
    """
    secret = settings.session_secret.get_secret_value()
    if secret:
        if len(secret) < SHORTEST_SECRET:
            raise UserError(f"VITALS_SESSION_SECRET has fewer than {SHORTEST_SECRET} characters: set a longer one.")
        return secret
    if settings.profile != "dev":
        raise UserError(
            f"VITALS_SESSION_SECRET is empty: in {settings.profile}, set it to at least {SHORTEST_SECRET} random "
            "characters, the same for every API process."
        )
    path = settings.state_dir / "session_secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    made = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(made)
    return made
