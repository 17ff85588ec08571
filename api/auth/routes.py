"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import one_time
from api.auth.identity import COOKIE, USER_EXAMPLE, SignedIn, User, user_of
from api.auth.passwords import LONGEST_PASSWORD
from api.auth.tokens import LIFETIMES
from api.auth.users import normalized
from api.context import ApiContext, Context
from api.database import Row, fetch_one, sql
from api.problems import ProblemError, documented

router = APIRouter(tags=["auth"])


class Login(BaseModel):
    """E-mail and password."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "ada@example.com", "password": "the password"}]}
    )

    email: Annotated[str, StringConstraints(min_length=3, max_length=254)] = Field(
        description="E-mail; upper and lower case are the same.", examples=["ada@example.com"]
    )
    password: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PASSWORD)] = Field(
        description="Password.", examples=["the password"]
    )


class OneTimeToken(BaseModel):
    """The token of a one-time link."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"token": "Zk3s0rE2Fq0oV8mJm3tqQm1bYxgqk0wP1uYg8sJwZ7c"}]}
    )

    token: Annotated[str, StringConstraints(min_length=16, max_length=256)] = Field(
        description="What follows `#one-time=` in the link.", examples=["Zk3s0rE2Fq0oV8mJm3tqQm1bYxgqk0wP1uYg8sJwZ7c"]
    )


class SignedInAnswer(BaseModel):
    """Proof of who signed in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "expires_in": 900, "user": USER_EXAMPLE},
            ]
        }
    )

    access_token: str = Field(
        description="Send it as `Authorization: Bearer …`.", examples=["eyJhbGciOiJIUzI1NiJ9.e30.c2ln"]
    )
    expires_in: int = Field(description="Seconds until the access token expires.", examples=[900])
    user: User = Field(description="Who signed in.")


@router.post("/v1/auth/login", summary="Sign in with a password", responses=documented(401, 403, 422, 429, 503))
async def login(body: Login, request: Request, response: Response, context: Context) -> SignedInAnswer:
    """Gives an access token, and sets the session cookie `vitals_session` for browsers.

    After five failed attempts from one address, an e-mail has to wait up to five minutes.
    """
    email, address = normalized(body.email), request.client.host if request.client else ""
    wait_seconds = context.attempts.begin(email, address)
    if wait_seconds:
        raise ProblemError(
            429,
            f"Too many failed attempts: try again in {wait_seconds} seconds.",
            headers={"Retry-After": str(wait_seconds)},
        )
    async with context.pool.connection() as connection:
        row = await fetch_one(connection, sql("user_by_email"), email=email)
    password_hash = None if row is None else row["password_hash"]
    if not await context.passwords.verify(password_hash, body.password) or row is None:
        raise ProblemError(401, "E-mail or password is not right.")
    context.attempts.succeeded(email, address)
    if context.passwords.needs_rehash(row["password_hash"]):
        row["password_hash"] = context.passwords.hash(body.password)
        async with context.pool.connection() as connection:
            await connection.execute(
                sql("user_set_password_hash"), {"user_id": row["user_id"], "password_hash": row["password_hash"]}
            )
    return _sign_in(row, response, context)


@router.post("/v1/auth/one-time", summary="Sign in with a one-time link", responses=documented(401, 403, 422, 503))
async def one_time_login(body: OneTimeToken, response: Response, context: Context) -> SignedInAnswer:
    """As signing in with a password. A token works once, and for 24 hours."""
    async with context.pool.connection() as connection:
        user_id = await one_time.redeem(connection, body.token, context.clock.now())
        row = None if user_id is None else await fetch_one(connection, sql("user_by_id"), user_id=user_id)
    if row is None:
        raise ProblemError(
            401, "This link was used before, has expired or is not one of ours: `vitals users one-time-link` makes one."
        )
    return _sign_in(row, response, context)


@router.post("/v1/auth/logout", summary="Sign out", status_code=204, responses=documented(403))
async def logout(response: Response, context: Context) -> None:
    """Makes the browser forget the session cookie."""
    response.delete_cookie(COOKIE, path="/", secure=context.secure_cookies, httponly=True, samesite="strict")


@router.get("/v1/auth/me", summary="Who am I", responses=documented(401, 503))
async def me(user: SignedIn) -> User:
    """The signed-in user."""
    return user


def _sign_in(row: Row, response: Response, context: ApiContext) -> SignedInAnswer:
    session = context.tokens.sign(row["user_id"], row["password_hash"], "session")
    response.set_cookie(
        COOKIE,
        session,
        max_age=int(LIFETIMES["session"].total_seconds()),
        path="/",
        secure=context.secure_cookies,
        httponly=True,
        samesite="strict",
    )
    return SignedInAnswer(
        access_token=context.tokens.sign(row["user_id"], row["password_hash"], "access"),
        expires_in=int(LIFETIMES["access"].total_seconds()),
        user=user_of(row),
    )
