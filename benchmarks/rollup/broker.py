"""Topics for one log on the embedded Kafka: the real table's topics, with the partitions that the log has."""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.topics import EVENTS_TOPICS, TOPICS
from streams.rollup.worker import READING
from vitals.avro import Registry
from vitals.kafka import connection, consumer_options
from vitals.settings import Settings

EVENTS = "events.product"
VALUES = "metrics.values"
WORKERS_TOPICS = (*EVENTS_TOPICS, VALUES, "late_events", "dead_letters")
"""What the rollup reads and writes."""
TIMEOUT_SECONDS = 60.0


def admin_of(settings: Settings) -> AdminClient:
    """An admin client."""
    return AdminClient(connection(settings))


def lay_topics(settings: Settings, partitions: int) -> int:
    """Creates the worker's topics empty, with so many partitions, and registers their schemas.

    Returns the id of the event's schema.
    """
    topics = [replace(TOPICS[name], partitions=partitions) for name in WORKERS_TOPICS]
    admin = admin_of(settings)
    remove(admin, [topic.name for topic in topics])
    create(admin, [NewTopic(topic.name, partitions, 1, config=topic.configuration()) for topic in topics])
    registry = Registry(settings.registry_url)
    for topic in topics:
        for record_name in topic.records:
            registry.register(topic.name, record_name)
    return registry.writer_id(EVENTS, "Event")


def create(admin: AdminClient, topics: list[NewTopic]) -> None:
    """Creates topics and waits until they exist."""
    for outcome in admin.create_topics(topics).values():
        outcome.result(TIMEOUT_SECONDS)


def remove(admin: AdminClient, names: list[str]) -> None:
    """Removes those of the topics that exist and waits until they are gone."""
    existing = [name for name in names if name in admin.list_topics(timeout=TIMEOUT_SECONDS).topics]
    if not existing:
        return
    for outcome in admin.delete_topics(existing).values():
        outcome.result(TIMEOUT_SECONDS)
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while set(existing) & set(admin.list_topics(timeout=TIMEOUT_SECONDS).topics):
        if time.monotonic() > give_up:
            raise KafkaException(f"{existing} were not removed within {TIMEOUT_SECONDS:g} s")
        time.sleep(0.2)
    time.sleep(1.0)  # the broker lets go of the files a moment after the metadata say so


def end_offsets(consumer: Consumer, topic: str, partitions: int) -> list[int]:
    """Offset after the last message of each partition."""
    return [
        consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS)[1]
        for partition in range(partitions)
    ]


def reader(settings: Settings, group: str = "benchmark", more: Mapping[str, Any] = MappingProxyType({})) -> Consumer:
    """A consumer as the worker has it, with more options."""
    return Consumer(consumer_options(settings, group) | READING | dict(more))
