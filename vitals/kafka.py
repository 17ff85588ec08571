"""Kafka client configurations, in one place because a wrong default here loses or misplaces records."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import KafkaError, Producer

from vitals.settings import Settings

log = structlog.get_logger()

REPEAT_SECONDS = 10.0
"""A client that cannot reach its brokers says so at most once in this time."""


def _troubles() -> Callable[[KafkaError], None]:
    """Logs a client's troubles, which it repeats with every attempt to connect, now and then."""
    said: dict[str, float] = {}

    def say(error: KafkaError) -> None:
        now = time.monotonic()
        if now - said.get(error.name(), -REPEAT_SECONDS) >= REPEAT_SECONDS:
            said[error.name()] = now
            log.warning("kafka_client_in_trouble", error=error.name(), detail=error.str())

    return say


def connection(settings: Settings) -> dict[str, Any]:
    """How any librdkafka client reaches the brokers."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
        # Its own lines on standard error are not structured, and come with every attempt; `_troubles` says it instead.
        "log_level": 2,
        "error_cb": _troubles(),
    }
    if settings.kafka_security_protocol == "SASL_SSL":
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    return options


def java_connection(settings: Settings) -> dict[str, str]:
    """How a Kafka client written in Java, as engines have it, reaches the brokers."""
    options = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol == "SASL_SSL":
        family = "plain.Plain" if settings.kafka_sasl_mechanism == "PLAIN" else "scram.Scram"
        user, password = (
            text.replace("\\", "\\\\").replace('"', '\\"')
            for text in (settings.kafka_username, settings.kafka_password.get_secret_value())
        )
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.jaas.config": f"org.apache.kafka.common.security.{family}LoginModule required "
            f'username="{user}" password="{password}";',
        }
    return options


def producer_options(settings: Settings, transactional_id: str | None = None) -> dict[str, Any]:
    """A producer that never loses, repeats or misplaces a record.

    `murmur2_random` puts a key on the partition where Java's clients and Faust look for it; librdkafka's own default
    does not.
    """
    options = connection(settings) | {
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.max.bytes": 8 * 1024 * 1024,
    }
    if transactional_id is not None:
        options |= {"transactional.id": transactional_id, "transaction.timeout.ms": 10_000}
    return options


def consumer_options(settings: Settings, group: str) -> dict[str, Any]:
    """A consumer that reads committed records only and whose position is kept elsewhere than in Kafka."""
    return connection(settings) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 10_000,
        "fetch.wait.max.ms": 50,
        "enable.partition.eof": False,
    }


def producer(settings: Settings, transactional_id: str | None = None) -> Producer:
    """A librdkafka producer with `producer_options`."""
    return Producer(producer_options(settings, transactional_id))
