"""Reads committed records: whole topics, and the parts of `quarantine` that wait."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.quarantine.waiting import Waiting
from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError, RetriableError
from vitals.kafka import consumer_options
from vitals.settings import Settings

QUARANTINE = "quarantine"
READ_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Committed:
    """A record with its place. `name` and `record` are None for a tombstone."""

    partition: int
    offset: int
    key: bytes
    name: str | None
    record: dict[str, Any] | None


@contextmanager
def _reading(settings: Settings, topic: str) -> Iterator[Consumer]:
    options = consumer_options(settings, f"vitals-read-{topic}")
    consumer = Consumer(options | {"enable.partition.eof": True, "partition.assignment.strategy": "range"})
    try:
        yield consumer
    except KafkaException as error:
        raise RetriableError(f"The topic {topic} cannot be read: {error}") from error
    finally:
        consumer.close()


def read_topic(
    settings: Settings, serde: AvroSerde, topic: str, wanted: Callable[[bytes], bool] = lambda _key: True
) -> Iterator[Committed]:
    """Every committed record from the beginning to the end that the topic has now; what is unreadable is passed over.

    `wanted` chooses by the key, before anything is decoded.

    Raises:
        RetriableError: the brokers do not answer.
    """
    with _reading(settings, topic) as consumer:
        ends = {}
        for partition in range(TOPICS[topic].partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=READ_SECONDS)
            if low < high:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        while ends:
            for message in consumer.consume(500, timeout=0.1):
                partition, offset = message.partition() or 0, message.offset() or 0
                problem = message.error()
                if problem is not None:
                    if problem.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(problem)
                    if offset >= ends.get(partition, 0):
                        ends.pop(partition, None)
                    continue
                key = message.key() or b""
                found = _decoded(serde, message.value()) if wanted(key) else None
                if found is not None:
                    yield Committed(partition, offset, key, *found)


def read_waiting(settings: Settings, serde: AvroSerde, stream: str, wanted: Iterable[Waiting]) -> Iterator[Committed]:
    """The quarantined events of a stream at these places, in the order of the topic.

    Raises:
        RetriableError: the brokers do not answer in time.
    """
    by_partition: dict[int, list[Waiting]] = {}
    for one in wanted:
        by_partition.setdefault(one.partition, []).append(one)
    with _reading(settings, QUARANTINE) as consumer:
        for partition, places in sorted(by_partition.items()):
            last = max(place.last for place in places)
            names = {place.account_ref for place in places}
            consumer.assign([TopicPartition(QUARANTINE, partition, min(place.first for place in places))])
            for found in _through(consumer, serde, last):
                record = found.record or {}
                if (
                    record.get("stream") == stream
                    and record["account_ref"] in names
                    and any(
                        place.first <= found.offset <= place.last and place.account_ref == record["account_ref"]
                        for place in places
                    )
                ):
                    yield found


def _through(consumer: Consumer, serde: AvroSerde, last: int) -> Iterator[Committed]:
    """Records of the one assigned partition up to the offset `last`."""
    while True:
        message = consumer.poll(READ_SECONDS)
        if message is None:
            raise RetriableError(f"The topic {QUARANTINE} did not answer in {READ_SECONDS:.0f} s.")
        problem, offset = message.error(), message.offset() or 0
        if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(problem)
        if problem is None and offset <= last:
            found = _decoded(serde, message.value())
            if found is not None:
                yield Committed(message.partition() or 0, offset, message.key() or b"", *found)
        # At the end, or behind what aborted transactions left, `last` is passed without a record.
        if offset > last or (problem is None and offset == last):
            return


def _decoded(serde: AvroSerde, value: bytes | None) -> tuple[str | None, dict[str, Any] | None] | None:
    if value is None:
        return None, None
    try:
        return serde.decode(value)
    except BadRecordError:
        return None
