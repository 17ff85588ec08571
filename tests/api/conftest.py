"""The API as a server of its own process-wide thread, on real PostgreSQL and Valkey."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.auth.users import add_user
from api.serving import ApiServer
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from sinks.timescale.migrate import upgrade
from tests.api.portfolio_rows import LiveWriter
from tests.conftest import settings_for
from vitals.settings import Settings
from vitals.telemetry import Health

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
SECRET = "a-secret-of-at-least-thirty-two-characters"


@pytest.fixture(scope="session")
def stores_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL and Valkey alone: these tests stop and flush them, and need no Kafka."""
    stack = Stack(tmp_path_factory.mktemp("api-stores"))
    with stack.infrastructure(only=("postgres", "valkey")):
        yield stack


@pytest.fixture(scope="session")
def stores(stores_stack: Stack) -> Endpoints:
    return stores_stack.endpoints


@pytest.fixture(scope="session")
def template_database(stores: Endpoints) -> str:
    """A migrated database with one user, to be copied."""
    dsn = _with_database(stores, "api_template")
    upgrade(dsn)
    add_user(dsn, EMAIL, "csm", PASSWORD)
    return "api_template"


@pytest.fixture
def dsn(stores: Endpoints, template_database: str) -> Iterator[str]:
    """A fresh migrated database with the user `EMAIL`."""
    name = f"api_{uuid4().hex[:12]}"
    with psycopg.connect(stores.postgres_dsn, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{template_database}"')
    yield _replace_database(stores.postgres_dsn, name)
    with psycopg.connect(stores.postgres_dsn, autocommit=True) as connection:
        # Not with (force): that is refused while autovacuum, which is the server's own, looks at the database.
        connection.execute(f'drop database "{name}"')


@pytest.fixture
def database(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def live_writer(stores: Endpoints) -> LiveWriter:
    """An empty Redis."""
    writer = LiveWriter(stores.redis_url)
    writer.redis.flushall()
    return writer


@pytest.fixture
def api_settings(stores: Endpoints, dsn: str, tmp_path: Path) -> Settings:
    settings = settings_for(stores, tmp_path, session_secret=SecretStr(SECRET))
    return settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})


@dataclass(frozen=True)
class RunningApi:
    url: str

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/v1/live"

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    @contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        with self.client() as client:
            client.post("/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
            yield client


@contextmanager
def running_api(settings: Settings, **options: Any) -> Iterator[RunningApi]:
    """The API on a free port, in a thread."""
    health = Health()
    server = ApiServer(settings.model_copy(update={"api_port": 0}), create_app(settings, **options), health)
    listener = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert health._ready.wait(30), "the API did not start"
        yield RunningApi(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
        assert not thread.is_alive(), "the API did not stop"


@pytest.fixture
def serve(api_settings: Settings) -> Callable[..., Any]:
    """Starts an API with other settings or options: `with serve(public_url=…) as api`."""

    def start(*, options: dict[str, Any] | None = None, **changes: Any) -> Any:
        return running_api(api_settings.model_copy(update=changes), **(options or {}))

    return start


@pytest.fixture
def api(live_writer: LiveWriter, serve: Callable[..., Any]) -> Iterator[RunningApi]:
    with serve() as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    """A client with a session cookie."""
    with api.signed_in() as client:
        yield client


def _with_database(endpoints: Endpoints, name: str) -> str:
    with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return _replace_database(endpoints.postgres_dsn, name)


def _replace_database(dsn: str, name: str) -> str:
    return f"{dsn.rpartition('/')[0]}/{name}"
