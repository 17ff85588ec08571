"""One-time links: a random token that signs its user in once. The database knows only its hash."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from api.database import Connection, fetch_one, sql

LIFETIME = timedelta(hours=24)


def token_hash(token: str) -> str:
    """SHA-256 of a token: enough for 256 random bits, which no list of guesses contains."""
    return hashlib.sha256(token.encode()).hexdigest()


def mint(connection: psycopg.Connection[DictRow], user_id: UUID, now: datetime) -> str:
    """A fresh token for a user, valid for `LIFETIME`."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        sql("one_time_mint"), {"token_hash": token_hash(token), "user_id": user_id, "expires_at": now + LIFETIME}
    )
    return token


async def redeem(connection: Connection, token: str, now: datetime) -> UUID | None:
    """Uses a token up: its user, or None if it is unknown, expired or used. Of two at once, one gets the user."""
    row = await fetch_one(connection, sql("one_time_redeem"), token_hash=token_hash(token), now=now)
    return None if row is None else UUID(str(row["user_id"]))


def link(public_url: str, token: str) -> str:
    """The address to open. The token is in the fragment, which no server or proxy writes into a log."""
    return f"{public_url.rstrip('/')}/#one-time={token}"
