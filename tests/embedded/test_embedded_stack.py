"""The real parts: what they hold survives stops and kills, they listen on the loopback only, none is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from embedded.endpoints import Endpoints
from embedded.service_spec import ServiceSpec
from embedded.stack import Stack
from embedded.state_folder import StateFolder
from embedded.status import read_status
from vitals.errors import UserError

SCHEMA = {"type": "record", "name": "Kept", "fields": [{"name": "a", "type": "long"}]}
INCOMPATIBLE = {"type": "record", "name": "Kept", "fields": [{"name": "b", "type": "long"}]}


def vitals(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vitals", *arguments], capture_output=True, text=True, timeout=120)


def wait_until(condition: Callable[[], Any], timeout_seconds: float = 30) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def part_status(state: StateFolder, name: str) -> dict[str, Any]:
    return next(service for service in read_status(state)["services"] if service["name"] == name)


def write_everywhere(endpoints: Endpoints) -> None:
    admin = AdminClient({"bootstrap.servers": endpoints.kafka_bootstrap})
    admin.create_topics([NewTopic("kept", num_partitions=1)])["kept"].result(10)
    # A transaction, so that the transaction coordinator's own topic is part of what must come back.
    producer = Producer({"bootstrap.servers": endpoints.kafka_bootstrap, "transactional.id": "kept"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("kept", b"record")
    producer.commit_transaction(20)
    body = {"schema": json.dumps(SCHEMA)}
    httpx.post(f"{endpoints.registry_url}/subjects/kept-value/versions", json=body).raise_for_status()
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'row' AS text")
    redis.Redis.from_url(endpoints.redis_url).set("kept", "value")


def assert_all_is_there(endpoints: Endpoints) -> None:
    settings = {"bootstrap.servers": endpoints.kafka_bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings | {"enable.auto.commit": False})
    consumer.subscribe(["kept"])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"record"
    latest = httpx.get(f"{endpoints.registry_url}/subjects/kept-value/versions/latest").json()
    assert json.loads(latest["schema"]) == SCHEMA
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        assert connection.execute("SELECT text FROM kept").fetchone() == ("row",)
    assert redis.Redis.from_url(endpoints.redis_url).get("kept") == b"value"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A stack that `vitals up --detach` started."""
    state = StateFolder(tmp_path_factory.mktemp("embedded") / "state")
    started = vitals("up", "--detach", "--no-services", "--state", str(state.path))
    try:
        assert started.returncode == 0, started.stderr
        yield state
    finally:
        vitals("down", "--state", str(state.path))


@pytest.fixture
def endpoints(running: StateFolder) -> Endpoints:
    return Endpoints.of(running, read_status(running)["ports"])


def test_status_shows_every_part(running: StateFolder) -> None:
    shown = vitals("status", "--json", "--state", str(running.path))
    assert shown.returncode == 0
    document = json.loads(shown.stdout)
    states = {service["name"]: service["state"] for service in document["services"] if service["kind"] != "service"}
    assert states == dict.fromkeys(("kafka", "registry", "postgres", "valkey"), "ready")
    assert "pipeline" in document
    assert "kafka" in vitals("status", "--state", str(running.path)).stdout


def test_the_supervisor_tells_prometheus_which_parts_are_up(running: StateFolder) -> None:
    port = read_status(running)["ports"]["supervisor-metrics"]
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    for part in ("kafka", "registry", "postgres", "valkey"):
        assert f'vitals_part_up{{part="{part}"}} 1.0' in metrics
        assert f'vitals_part_restarts_total{{part="{part}"}} 0.0' in metrics
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200


def test_second_up_is_refused(running: StateFolder) -> None:
    for options in ((), ("--detach",), ("--fresh",)):
        refused = vitals("up", "--state", str(running.path), *options)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"vitals: Vitals is already running on {running.path} (pid ")
        assert "Traceback" not in refused.stderr


def test_a_shell_takes_the_settings_of_the_running_stack(running: StateFolder, endpoints: Endpoints) -> None:
    def shell(command: str) -> str:
        script = f'eval "$({sys.executable} -m vitals env --state {running.path})" && {command}'
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout

    assert f"VITALS_KAFKA_BOOTSTRAP={endpoints.kafka_bootstrap}\n" in shell(f"{sys.executable} -m vitals settings")
    with psycopg.connect(shell('echo "$VITALS_POSTGRES_DSN"').strip()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_logs_are_shown_by_name(running: StateFolder) -> None:
    assert "Ready to accept connections" in vitals("logs", "valkey", "--state", str(running.path)).stdout
    unknown = vitals("logs", "kafak", "--state", str(running.path))
    assert unknown.returncode == 2
    assert "there are kafka, postgres" in unknown.stderr


def test_everything_listens_on_the_loopback_only(running: StateFolder) -> None:
    supervisor = psutil.Process(running.running_pid())
    listening = [
        connection.laddr.ip
        for process in (supervisor, *supervisor.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 6  # two of Kafka, two of the registry, PostgreSQL, Valkey
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_registry_refuses_incompatible_schemas(endpoints: Endpoints) -> None:
    assert httpx.get(f"{endpoints.registry_url}/config").json() == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    url = f"{endpoints.registry_url}/subjects/strict-value/versions"
    httpx.post(url, json={"schema": json.dumps(SCHEMA)}).raise_for_status()
    assert httpx.post(url, json={"schema": json.dumps(INCOMPATIBLE)}).status_code == 409


def test_postgres_wants_the_password_and_the_role_is_no_superuser(endpoints: Endpoints) -> None:
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        row = connection.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == (False, True)
    port = endpoints.ports["postgres"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://vitals:wrong@127.0.0.1:{port}/vitals")


def test_data_survive_kills_and_a_stop_and_nothing_is_left_behind(running: StateFolder, endpoints: Endpoints) -> None:
    write_everywhere(endpoints)
    before = {name: part_status(running, name)["pid"] for name in ("kafka", "postgres", "registry", "valkey")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(part_status(running, name)["restarts"] >= 1 for name in before))
    wait_until(lambda: read_status(running)["state"] == "ready")
    assert all(part_status(running, name)["pid"] != pid for name, pid in before.items())
    assert_all_is_there(endpoints)

    processes = psutil.Process(running.running_pid()).children(recursive=True)
    assert vitals("down", "--state", str(running.path)).returncode == 0
    assert [process for process in processes if process.is_running()] == []
    assert vitals("status", "--state", str(running.path)).returncode == 3

    assert vitals("up", "--detach", "--no-services", "--state", str(running.path)).returncode == 0
    assert read_status(running)["ports"] == dict(endpoints.ports)  # remembered
    assert_all_is_there(endpoints)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent's life")
def test_killed_supervisor_takes_its_parts_along(running: StateFolder) -> None:
    """The last test on this stack."""
    pid = running.running_pid()
    assert pid is not None
    parts = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(parts, timeout=10)
    assert alive == []
    assert vitals("status", "--state", str(running.path)).returncode == 3


def test_stack_for_tests_kills_and_restarts_parts_and_runs_services(tmp_path: Path) -> None:
    code = "import os, pathlib, time; pathlib.Path('seen').write_text(os.environ['VITALS_REDIS_URL']); time.sleep(600)"
    service = ServiceSpec("seer", (sys.executable, "-c", code), depends_on=("valkey",), health_path=None)
    left_out = ServiceSpec("left-out", ("vitals", "nothing"), when=lambda: False)
    stack = Stack(tmp_path / "state", [service, left_out])
    began = time.monotonic()
    with stack.infrastructure(only=("postgres", "valkey")) as endpoints:
        assert time.monotonic() - began < 8
        assert set(stack.supervisor.runs) == {"postgres", "valkey"}
        client = redis.Redis.from_url(endpoints.redis_url)
        client.set("a", "1")
        stack.kill("valkey")
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        stack.start_part("valkey")
        assert client.get("a") == b"1"
        stack.restart("postgres")
        psycopg.connect(endpoints.postgres_dsn).close()
    with stack.running() as endpoints:
        assert set(stack.supervisor.runs) == {"kafka", "registry", "postgres", "valkey", "seer"}
        wait_until((tmp_path / "state" / "seen").exists)
        assert (tmp_path / "state" / "seen").read_text() == endpoints.redis_url


def test_part_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state")
    stack.state.create()
    (stack.state.path / "postgres" / "data").mkdir(parents=True)  # not a database
    with (
        pytest.raises(UserError, match=r"postgres did not start. The end of its log"),
        stack.infrastructure(["postgres"]),
    ):
        pass
    assert stack.state.running_pid() is None
