"""Who makes a request: the user behind an access token or a session cookie."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from api.auth.tokens import InvalidTokenError, Use
from api.auth.users import Role
from api.context import ApiContext, Context
from api.database import Row, fetch_one, sql
from api.problems import ProblemError

COOKIE = "vitals_session"
USER_EXAMPLE: dict[str, Any] = {
    "user_id": "3f5c1df2-0f6b-4d0e-9d0a-5d0b1f6c7a10",
    "email": "ada@example.com",
    "role": "csm",
}


class User(BaseModel):
    """A user of Vitals."""

    model_config = ConfigDict(json_schema_extra={"examples": [USER_EXAMPLE]})

    user_id: UUID = Field(description="Id of the user.", examples=[USER_EXAMPLE["user_id"]])
    email: str = Field(description="E-mail, in lower case.", examples=[USER_EXAMPLE["email"]])
    role: Role = Field(description="What the user may do.", examples=[USER_EXAMPLE["role"]])


@dataclass(frozen=True)
class Identity:
    """A user and when the proof of it expires."""

    user: User
    expires_at: datetime


async def identify(context: ApiContext, token: str, use: Use) -> Identity | None:
    """The user behind a token; None if it must not be trusted, the user is gone or the password was changed since."""
    try:
        claims = context.tokens.read(token, use)
    except InvalidTokenError:
        return None
    async with context.pool.connection() as connection:
        row = await fetch_one(connection, sql("user_by_id"), user_id=claims.user_id)
    if row is None or claims.password_mark != context.tokens.password_mark(row["password_hash"]):
        return None
    return Identity(user_of(row), claims.expires_at)


def user_of(row: Row) -> User:
    """The user in a row of table users."""
    return User(user_id=row["user_id"], email=row["email"], role=cast("Role", row["role"]))


async def require_user(request: Request, context: Context) -> User:
    """The signed-in user of a request.

    Raises:
        ProblemError: 401 without a valid access token or session.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    identity = None
    if scheme.lower() == "bearer":
        identity = await identify(context, token.strip(), "access")
    elif COOKIE in request.cookies:
        identity = await identify(context, request.cookies[COOKIE], "session")
    if identity is None:
        raise ProblemError(
            401,
            "Sign in first: send an access token of POST /v1/auth/login, or its session cookie.",
            headers={"WWW-Authenticate": 'Bearer realm="vitals"'},
        )
    return identity.user


SignedIn = Annotated[User, Depends(require_user)]
SIGNED_IN = Depends(require_user)
"""For routers whose routes do not care who it is."""


def same_origin(connection: HTTPConnection, public_url: str) -> bool:
    """Whether a browser's request comes from our own page. Without an Origin header it is no browser's."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    theirs = urlsplit(origin).netloc.lower()
    ours = {connection.headers.get("host", "").lower(), urlsplit(public_url).netloc.lower()} - {""}
    return theirs in ours
