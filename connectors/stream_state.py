"""A connector stream's durable state: entries on the compacted topic `connectors.cursors`.

All entries of a stream live on one partition, chosen by the stream's name, so that a restart reads one partition.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.contract import Json
from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.errors import RetriableError
from vitals.kafka import consumer_options
from vitals.settings import Settings

CURSORS = "connectors.cursors"
LOAD_TIMEOUT_SECONDS = 60.0


def partition_of(name: str, topic: str = CURSORS) -> int:
    """The one partition of a topic that holds everything of a name: by default all state entries of a stream."""
    return zlib.crc32(name.encode()) % TOPICS[topic].partitions


def entry_key(stream: str, entry: str) -> bytes:
    """Kafka key of one entry."""
    return f"{stream}|{entry}".encode()


def entry_record(stream: str, entry: str, value: Json, written_at: datetime) -> dict[str, Any]:
    """Avro record (`CursorEntry`) of one entry."""
    return {"stream": stream, "entry": entry, "value": orjson.dumps(value).decode(), "written_at": written_at}


def load_state(settings: Settings, serde: AvroSerde, stream: str) -> dict[str, Json]:
    """Every committed entry of a stream, read to the stable end.

    Call it after `init_transactions` of the stream's producer: nothing of this stream is open then. Other streams may
    hold a transaction open on the same partition; the read waits until the partition is stable up to the end that it
    saw, or a cursor behind such a transaction would be missed.

    Raises:
        RetriableError: the brokers did not answer in time.
    """
    consumer = Consumer(
        consumer_options(settings, "vitals-cursor-load")
        | {"enable.partition.eof": True, "partition.assignment.strategy": "range"}
    )
    partition = TopicPartition(CURSORS, partition_of(stream), 0)
    prefix = entry_key(stream, "")
    entries: dict[str, Json] = {}
    try:
        low, end = consumer.get_watermark_offsets(partition, timeout=LOAD_TIMEOUT_SECONDS)
        if low == end:
            return entries
        consumer.assign([TopicPartition(CURSORS, partition.partition, low)])
        while True:
            message = consumer.poll(LOAD_TIMEOUT_SECONDS)
            if message is None:
                raise RetriableError(f"{CURSORS} is not stable after {LOAD_TIMEOUT_SECONDS:.0f} s.")
            problem = message.error()
            if problem is not None:
                if problem.code() == KafkaError._PARTITION_EOF:
                    if (message.offset() or 0) >= end:
                        return entries
                    continue
                raise KafkaException(problem)
            key = message.key() or b""
            if key.startswith(prefix):
                apply_entry(entries, key[len(prefix) :].decode(), serde, message.value())
    except KafkaException as error:
        raise RetriableError(f"The state of {stream} cannot be read: {error}") from error
    finally:
        consumer.close()


def apply_entry(entries: dict[str, Json], entry: str, serde: AvroSerde, message: bytes | None) -> None:
    """Applies one record of the topic; a tombstone removes the entry."""
    if message is None:
        entries.pop(entry, None)
        return
    _, record = serde.decode(message)
    entries[entry] = orjson.loads(record["value"])


def merge_updates(entries: dict[str, Json], updates: Mapping[str, Json]) -> None:
    """Applies updates in memory; None removes an entry."""
    for entry, value in updates.items():
        if value is None:
            entries.pop(entry, None)
        else:
            entries[entry] = value
