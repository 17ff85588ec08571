"""Kafka client configurations, in one place because a wrong default here loses or misplaces records."""

from typing import Any

from confluent_kafka import Producer

from vitals.settings import Settings


def connection(settings: Settings) -> dict[str, Any]:
    """How any librdkafka client reaches the brokers."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
        "log_level": 3,
    }
    if settings.kafka_security_protocol == "SASL_SSL":
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
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
