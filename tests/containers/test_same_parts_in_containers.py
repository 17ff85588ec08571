"""The same parts from their official images, where a Docker engine answers: bootstrap, tables on native TimescaleDB,
and a record through Kafka under the registry's schema. The one suite that may skip.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
import redis
from pydantic import SecretStr

from vitals import bootstrap
from vitals.avro import AvroSerde, Registry
from vitals.kafka import producer
from vitals.settings import Settings

pytestmark = pytest.mark.containers

KAFKA = "confluentinc/cp-kafka:8.1.0"
REGISTRY = "apicurio/apicurio-registry:3.1.4"
TIMESCALE = "timescale/timescaledb:2.23.0-pg18"
VALKEY = "valkey/valkey:9.0"


def docker_answers() -> bool:
    import docker

    try:
        return bool(docker.from_env(timeout=5).ping())
    except docker.errors.DockerException:
        return False


@pytest.fixture(scope="module")
def container_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    if not docker_answers():
        pytest.skip("no Docker engine answers on this machine")
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs
    from testcontainers.kafka import KafkaContainer
    from testcontainers.postgres import PostgresContainer
    from testcontainers.redis import RedisContainer

    with (
        KafkaContainer(KAFKA).with_kraft() as kafka,
        DockerContainer(REGISTRY).with_exposed_ports(8080) as registry,
        PostgresContainer(TIMESCALE, driver=None) as postgres,
        RedisContainer(VALKEY) as valkey,
    ):
        wait_for_logs(registry, "started in", timeout=60)
        address = f"http://{registry.get_container_host_ip()}:{registry.get_exposed_port(8080)}"
        yield Settings(
            kafka_bootstrap=kafka.get_bootstrap_server(),
            registry_url=f"{address}/apis/ccompat/v7",
            postgres_dsn=SecretStr(postgres.get_connection_url()),
            redis_url=SecretStr(f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}/0"),
            state_dir=tmp_path_factory.mktemp("containers"),
            simulator_url="http://127.0.0.1:1",
        )


def test_bootstrap_makes_hypertables_on_the_native_extension(container_settings: Settings) -> None:
    bootstrap.run(container_settings)
    bootstrap.run(container_settings)
    with psycopg.connect(container_settings.postgres_dsn.get_secret_value()) as connection:
        rows = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables").fetchall()
    assert {"metric_values", "health_scores"} <= {name for (name,) in rows}


def test_a_record_passes_kafka_under_the_registered_schema(container_settings: Settings) -> None:
    bootstrap.run(container_settings)
    serde = AvroSerde(Registry(container_settings.registry_url))
    record = {
        "identity": "crm:account:1",
        "account_id": "a",
        "linked_at": datetime(2026, 1, 1, tzinfo=UTC),
        "source": "s",
    }
    encoded = serde.encode("identities", "Identity", record)
    client = producer(container_settings)
    client.produce("identities", encoded, b"crm:account:1")
    assert client.flush(20) == 0
    assert serde.decode(encoded) == ("Identity", record)


def test_valkey_answers(container_settings: Settings) -> None:
    assert redis.Redis.from_url(container_settings.redis_url.get_secret_value()).ping()
