"""The commands, the process of the API, and end offsets of a real Kafka."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, NewTopic

from api.cli import commands
from api.kafka_offsets import EndOffsets, end_offsets
from embedded.endpoints import Endpoints
from embedded.ports import choose_ports
from tests.api.conftest import SECRET, RunningApi
from vitals.clock import WallClock
from vitals.errors import UserError
from vitals.kafka import connection, producer
from vitals.settings import Settings

USERS = next(command for command in commands if command.name == "users")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, dsn: str, stores: Endpoints, tmp_path: Path) -> dict[str, str]:
    values = {
        "VITALS_POSTGRES_DSN": dsn,
        "VITALS_REDIS_URL": stores.redis_url,
        "VITALS_STATE_DIR": str(tmp_path),
        "VITALS_SESSION_SECRET": SECRET,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def test_added_user_can_sign_in_with_the_printed_password(
    environment: object, api: RunningApi, database: psycopg.Connection[Any]
) -> None:
    result = CliRunner().invoke(USERS, ["add", "Grace@Example.com", "--role", "manager"], catch_exceptions=False)
    assert "Added grace@example.com as manager." in result.output
    password = re.search(r"Password: (\S+)", result.output)
    assert password is not None
    with api.client() as client:
        answer = client.post("/v1/auth/login", json={"email": "grace@example.com", "password": password[1]})
        assert answer.json()["user"]["role"] == "manager"


def test_given_password_is_not_printed(environment: object) -> None:
    arguments = ["add", "grace@example.com", "--password-stdin"]
    result = CliRunner().invoke(USERS, arguments, input="correct horse battery\n", catch_exceptions=False)
    assert result.output == "Added grace@example.com as viewer.\n"


def test_printed_link_signs_in(environment: object, api: RunningApi) -> None:
    result = CliRunner().invoke(USERS, ["one-time-link", "ada@example.com"], catch_exceptions=False)
    token = result.output.strip().partition("#one-time=")[2]
    with api.client() as client:
        assert client.post("/v1/auth/one-time", json={"token": token}).status_code == 200


def test_users_without_a_database_is_one_sentence(environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_POSTGRES_DSN", "postgresql://vitals@127.0.0.1:1/vitals")
    with pytest.raises(UserError, match="PostgreSQL does not answer"):
        CliRunner().invoke(USERS, ["add", "grace@example.com"], catch_exceptions=False)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_process_serves_until_it_is_stopped(environment: dict[str, str], live_writer: object, stop: int) -> None:
    chosen = choose_ports(["api", "api-metrics"], forced={}, remembered={}, prefer_defaults=False)
    ports = {name: choice.port for name, choice in chosen.items()}
    settings = {"VITALS_API_PORT": str(ports["api"]), "VITALS_METRICS_PORT": str(ports["api-metrics"])}
    process = subprocess.Popen(
        [sys.executable, "-m", "vitals", "api"],
        env={**os.environ, **environment, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        metrics = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['api-metrics']}", transport=httpx.HTTPTransport(retries=10)
        )
        while metrics.get("/healthz").status_code != 200:
            assert process.poll() is None
        assert httpx.get(f"http://127.0.0.1:{ports['api']}/healthz").status_code == 200
        assert 'route="/healthz"' in metrics.get("/metrics").text
        assert "vitals_ws_clients" in metrics.get("/metrics").text
        process.send_signal(stop)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_taken_port_is_one_sentence(environment: dict[str, str], api: RunningApi) -> None:
    port = api.url.rpartition(":")[2]
    result = subprocess.run(
        [sys.executable, "-m", "vitals", "api"],
        env={**os.environ, **environment, "VITALS_API_PORT": port},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert f"127.0.0.1:{port}" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


async def offsets(settings: Settings, topic: str) -> dict[tuple[str, int], int]:
    return await EndOffsets(settings, WallClock()).of([(topic, 0), (topic, 1)])


def test_end_offsets_of_kafka(settings: Settings) -> None:
    import asyncio

    topic = f"api-{uuid4().hex[:8]}"
    admin = AdminClient(connection(settings))
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    writer = producer(settings)
    for _ in range(3):
        writer.produce(topic, b"x", partition=1)
    writer.flush(30)
    assert end_offsets(admin, [(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}
    assert end_offsets(admin, []) == {}
    assert asyncio.run(offsets(settings, topic)) == {(topic, 0): 0, (topic, 1): 3}
