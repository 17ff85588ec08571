"""A database and a Redis database of each test's own, a log that starts where the test starts, and a running sink."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from pydantic import SecretStr

from embedded.endpoints import Endpoints
from schemas.bootstrap import bootstrap
from schemas.topics import PARTITIONS, TOPICS
from sinks.consumption import Consumption
from sinks.dead_letters import DeadLetters
from sinks.delivery import RECORD_OF
from sinks.destination import Destination
from sinks.timescale.migrate import upgrade
from tests.sinks.records import Record
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

REDIS_DATABASE = 7


def dsn_of(database: str, dsn: str) -> str:
    """The libpq URL with another database."""
    return dsn.rpartition("/")[0] + "/" + database


@pytest.fixture(scope="session")
def migrated(stack: Endpoints) -> str:
    """Name of a migrated database that others are copied from."""
    name = f"sinks_{uuid4().hex[:8]}"
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    upgrade(dsn_of(name, stack.postgres_dsn))
    return name


@pytest.fixture
def dsn(stack: Endpoints, migrated: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"{migrated}_{uuid4().hex[:6]}"
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name} template {migrated}")
    yield dsn_of(name, stack.postgres_dsn)
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        for attempt in range(50):
            try:
                connection.execute(f"drop database {name} with (force)")
            except psycopg.errors.InsufficientPrivilege:
                # An autovacuum worker is in it, which only a superuser may end: it leaves by itself.
                if attempt == 49:
                    raise
                time.sleep(0.2)
            else:
                break


@pytest.fixture
def database(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(stack: Endpoints) -> Iterator["redis.Redis"]:
    """An empty Redis database."""
    client = redis.Redis.from_url(redis_url(stack), decode_responses=True)
    client.flushdb()
    yield client
    client.close()


def redis_url(stack: Endpoints) -> str:
    """The Redis database of these tests."""
    return stack.redis_url.rpartition("/")[0] + f"/{REDIS_DATABASE}"


@pytest.fixture(scope="session")
def serde(settings: Settings) -> AvroSerde:
    """Serde over topics and schemas that exist, once every partition of theirs has a leader."""
    bootstrap(settings)
    consumer = Consumer(consumer_options(settings, "sinks.tests"))

    def has_leader(partition: TopicPartition) -> bool:
        try:
            consumer.get_watermark_offsets(partition, timeout=10)
        except KafkaException:
            return False
        return True

    for topic in (*RECORD_OF, "dead_letters"):
        for number in range(PARTITIONS):
            wait_until(partial(has_leader, TopicPartition(topic, number)), f"{topic}/{number} has a leader")
    consumer.close()
    return AvroSerde(Registry(settings.registry_url))


@pytest.fixture
def sink_settings(
    settings: Settings, stack: Endpoints, serde: AvroSerde, dsn: str, database: psycopg.Connection[Any]
) -> Settings:
    """Settings of a sink on the test's own database. What other tests left in the log lies before its offsets."""
    consumer = Consumer(consumer_options(settings, "sinks.tests"))
    for topic in RECORD_OF:
        for partition in range(PARTITIONS):
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            database.execute("insert into sink_offsets values ('timescale', %s, %s, %s)", (topic, partition, end))
    consumer.close()
    changes = {"postgres_dsn": SecretStr(dsn), "redis_url": SecretStr(redis_url(stack))}
    return settings.model_copy(update=changes)


class Log:
    """Writes records to the log as the streams do."""

    def __init__(self, settings: Settings, serde: AvroSerde) -> None:
        self._serde = serde
        self._producer: Producer = producer(settings)
        self.ends: dict[tuple[str, int], int] = {}

    def write(self, topic: str, partition: int, *records: Record) -> None:
        """Writes records to a partition."""
        for record in records:
            # Kafka takes no record without a key on a compacted topic.
            key = b"key" if TOPICS[topic].compacted else None
            self.write_bytes(topic, partition, self._serde.encode(topic, RECORD_OF[topic], record), key)

    def write_bytes(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        """Writes a message as it is."""
        self._producer.produce(topic, value, key, partition, on_delivery=self._delivered)

    def flush(self) -> None:
        """Waits until the broker has everything."""
        assert self._producer.flush(30) == 0

    def _delivered(self, error: object, message: Any) -> None:
        assert error is None
        place = (message.topic(), message.partition())
        self.ends[place] = max(self.ends.get(place, 0), message.offset() + 1)


@pytest.fixture
def log(sink_settings: Settings, serde: AvroSerde) -> Log:
    """The log."""
    return Log(sink_settings, serde)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Returns once the condition holds; fails after the given time."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"after {seconds:.0f} s still not: {what}")


@contextmanager
def running(settings: Settings, serde: AvroSerde, destination: Destination) -> Iterator[Consumption]:
    """The sink's loop in a thread of this process, ended at the end of the block; a fatal error fails the test."""
    stopping, ready = threading.Event(), threading.Event()
    faults: list[BaseException] = []
    dead_letters = DeadLetters(settings, serde, WallClock(), destination.name)
    consumption = Consumption(settings, serde, destination, dead_letters, stopping, ready.set)

    def run() -> None:
        try:
            consumption.run()
        except BaseException as error:  # noqa: BLE001  (raised again in the test's own thread)
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: ready.is_set() or faults, "the sink is ready")
        if not faults:
            yield consumption
    finally:
        stopping.set()
        thread.join(30)
    assert not thread.is_alive()
    if faults:
        raise faults[0]


@contextmanager
def sink_process(name: str, settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """`vitals sink <name>` as a process of its own, killed at the end of the block if it still runs."""
    environment = os.environ | {
        "VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "VITALS_REGISTRY_URL": settings.registry_url,
        "VITALS_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        "VITALS_REDIS_URL": settings.redis_url.get_secret_value(),
    }
    process = subprocess.Popen([sys.executable, "-m", "vitals", "sink", name], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def applied(database: psycopg.Connection[Any], log: Log) -> bool:
    """Whether PostgreSQL has everything that the test wrote."""
    rows = database.execute(
        "select topic, partition, next_offset from sink_offsets where sink = 'timescale'"
    ).fetchall()
    offsets = {(topic, partition): offset for topic, partition, offset in rows}
    return all(offsets.get(place, -1) >= end for place, end in log.ends.items())
