"""Signing in: passwords, cookies, one-time links, and what refuses them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.auth.attempts import AttemptLimit
from api.auth.one_time import link, token_hash
from api.auth.tokens import InvalidTokenError, TokenSigner, session_secret
from api.auth.users import add_user, ensure_first_user, one_time_token
from tests.api.conftest import EMAIL, PASSWORD, SECRET, RunningApi
from vitals.clock import ManualClock
from vitals.errors import UserError
from vitals.settings import Settings

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def login(client: httpx.Client, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
    return client.post("/v1/auth/login", json={"email": email, "password": password})


def test_password_gives_token_and_cookie(api: RunningApi) -> None:
    with api.client() as client:
        answer = login(client, "  ADA@example.com ")
        assert answer.status_code == 200
        body = answer.json()
        assert body["expires_in"] == 900
        assert body["user"]["email"] == EMAIL
        assert body["user"]["role"] == "csm"
        cookie = answer.headers["set-cookie"]
        for part in ("vitals_session=", "HttpOnly", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert "Secure" not in cookie
        assert client.get("/v1/auth/me").json() == body["user"]
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    assert httpx.get(f"{api.url}/v1/auth/me", headers=bearer).json() == body["user"]


def test_cookie_is_secure_behind_https(live_writer: object, serve: Callable[..., Any]) -> None:
    with serve(public_url="https://vitals.example.com") as api, api.client() as client:
        answer = login(client)
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_password_and_unknown_user_look_alike(api: RunningApi, email: str, password: str) -> None:
    with api.client() as client:
        answer = login(client, email, password)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "E-mail or password is not right."
        assert "set-cookie" not in answer.headers


def test_password_is_never_repeated_in_an_error(api: RunningApi) -> None:
    with api.client() as client:
        answer = client.post("/v1/auth/login", json={"email": EMAIL, "password": ["a secret"]})
        assert answer.status_code == 422
        assert "a secret" not in answer.text


def test_too_many_attempts_have_to_wait(live_writer: object, serve: Callable[..., Any], clock: ManualClock) -> None:
    with serve(options={"clock": clock}) as api, api.client() as client:
        for _ in range(5):
            assert login(client, password="wrong").status_code == 401
        refused = login(client)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "300"
        # Another e-mail of the same address is not held up, and time heals.
        assert login(client, "other@example.com").status_code == 401
        clock.advance(timedelta(minutes=5))
        assert login(client).status_code == 200


def test_success_forgets_failed_attempts(clock: ManualClock) -> None:
    limit = AttemptLimit(clock, limit=2)
    assert limit.begin("a", "1") == 0
    limit.succeeded("a", "1")
    assert [limit.begin("a", "1") for _ in range(3)] == [0, 0, 300]
    assert limit.begin("a", "2") == 0


def test_signing_out_forgets_the_cookie(api: RunningApi) -> None:
    with api.signed_in() as client:
        assert client.post("/v1/auth/logout").status_code == 204
        assert client.get("/v1/auth/me").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/auth/me",
        "/v1/summary",
        "/v1/accounts",
        "/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11",
        "/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11/health",
        "/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11/metrics?metric=product.events",
        "/v1/pipeline",
    ],
)
def test_everything_else_needs_signing_in(api: RunningApi, path: str) -> None:
    with api.client() as client:
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert client.get(path, headers={"Authorization": "Bearer x"}).status_code == 401


def test_change_of_password_ends_sessions(client: httpx.Client, database: psycopg.Connection[Any]) -> None:
    database.execute("update users set password_hash = 'another'")
    assert client.get("/v1/auth/me").status_code == 401


def test_removed_user_is_out(client: httpx.Client, database: psycopg.Connection[Any]) -> None:
    database.execute("delete from users")
    assert client.get("/v1/auth/me").status_code == 401


def test_foreign_page_may_not_post(client: httpx.Client, api: RunningApi) -> None:
    refused = client.post("/v1/auth/logout", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert client.post("/v1/auth/logout", headers={"Origin": api.url}).status_code == 204


def test_one_time_link_works_once(api: RunningApi, dsn: str, database: psycopg.Connection[Any]) -> None:
    token = one_time_token(dsn, EMAIL)
    kept = database.execute("select token_hash from one_time_links").fetchall()
    assert kept == [(token_hash(token),)]
    with api.client() as client:
        assert client.post("/v1/auth/one-time", json={"token": token}).json()["user"]["email"] == EMAIL
        assert client.get("/v1/auth/me").status_code == 200
    with api.client() as client:
        assert client.post("/v1/auth/one-time", json={"token": token}).status_code == 401


def test_one_time_link_used_by_many_at_once_lets_one_in(api: RunningApi, dsn: str) -> None:
    token = one_time_token(dsn, EMAIL)
    barrier = threading.Barrier(8)
    outcomes: list[int] = []

    def use() -> None:
        with api.client() as client:
            barrier.wait()
            outcomes.append(client.post("/v1/auth/one-time", json={"token": token}).status_code)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200] + [401] * 7


def test_one_time_link_expires(live_writer: object, serve: Callable[..., Any], dsn: str, clock: ManualClock) -> None:
    token = one_time_token(dsn, EMAIL, clock)
    clock.advance(timedelta(hours=24))
    with serve(options={"clock": clock}) as api, api.client() as client:
        assert client.post("/v1/auth/one-time", json={"token": token}).status_code == 401


def test_link_keeps_the_token_out_of_logs() -> None:
    assert link("https://vitals.example.com/", "abc") == "https://vitals.example.com/#one-time=abc"


def test_first_user_is_made_once(dsn: str, database: psycopg.Connection[Any]) -> None:
    database.execute("delete from users")
    first = ensure_first_user(dsn)
    assert first.email == "admin@localhost"
    assert first.password
    again = ensure_first_user(dsn)
    assert (again.email, again.password) == ("admin@localhost", None)
    assert again.one_time_token != first.one_time_token
    assert database.execute("select role from users").fetchall() == [("admin",)]


def test_first_user_of_simultaneous_starts_is_one(dsn: str, database: psycopg.Connection[Any]) -> None:
    database.execute("delete from users")
    made: list[str | None] = []
    threads = [threading.Thread(target=lambda: made.append(ensure_first_user(dsn).password)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([password for password in made if password]) == 1


def test_first_user_with_a_password_can_sign_in(api: RunningApi, dsn: str, database: psycopg.Connection[Any]) -> None:
    database.execute("delete from users")
    ensure_first_user(dsn, "Boss@Example.com", "a password to remember")
    with api.client() as client:
        assert login(client, "boss@example.com", "a password to remember").json()["user"]["role"] == "admin"


@pytest.mark.parametrize(
    ("email", "role", "password", "sentence"),
    [
        (EMAIL, "viewer", None, "already"),
        ("new@example.com", "king", None, "choose one of viewer, csm"),
        ("no-address", "viewer", None, "not an e-mail"),
        ("new@example.com", "viewer", "short", "12 to 1024"),
    ],
)
def test_mistakes_are_one_sentence(dsn: str, email: str, role: str, password: str | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        add_user(dsn, email, role, password)


def test_link_for_an_unknown_user_says_how_to_add_one(dsn: str) -> None:
    with pytest.raises(UserError, match="vitals users add"):
        one_time_token(dsn, "nobody@example.com")


def test_tokens_expire_and_are_for_one_use(clock: ManualClock) -> None:
    from uuid import uuid4

    signer, user_id = TokenSigner(SECRET, clock), uuid4()
    token = signer.sign(user_id, "hash", "access")
    assert signer.read(token, "access").user_id == user_id
    with pytest.raises(InvalidTokenError):
        signer.read(token, "session")
    with pytest.raises(InvalidTokenError):
        TokenSigner(SECRET + "x", clock).read(token, "access")
    clock.advance(timedelta(minutes=15))
    with pytest.raises(InvalidTokenError):
        signer.read(token, "access")


def test_unsigned_token_is_refused(clock: ManualClock) -> None:
    import jwt

    forged = jwt.encode({"iss": "vitals", "aud": "access", "sub": "x", "iat": 0, "exp": 2**31}, None, "none")
    with pytest.raises(InvalidTokenError):
        TokenSigner(SECRET, clock).read(forged, "access")


def test_secret_is_made_once_in_dev(api_settings: Settings) -> None:
    settings = api_settings.model_copy(update={"session_secret": SecretStr("")})
    made = session_secret(settings)
    assert len(made) >= 32
    assert session_secret(settings) == made
    assert (settings.state_dir / "session_secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("secret", ["", "short"])
def test_secret_is_required_outside_dev(api_settings: Settings, secret: str) -> None:
    changed = {"session_secret": SecretStr(secret), "profile": "prod"}
    with pytest.raises(UserError, match="VITALS_SESSION_SECRET"):
        session_secret(api_settings.model_copy(update=changed))
