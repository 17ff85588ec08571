"""The generated log on a real Kafka and registry, with what a real topic also holds, and what of it counts.

Several partitions keyed by account, three versions of the event's schema, progress records in between, events at the
limits of what can be read, records that cannot be read, and an aborted transaction.
"""

import io
import json
import random
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import fastavro
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from metrics.authoring.evaluation import EVENT_COLUMNS
from metrics.catalogue import metrics_of
from metrics.windows import window_values
from schemas.topics import PARTITIONS
from tests.parity.logs import START, VERSIONS, Shape, Written, generated, schema_of
from vitals.avro import AvroSerde, Registry, parsed_schema, subject
from vitals.errors import BadRecordError
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

Row = tuple[str, str, str, datetime, Decimal | None]
"""Account, metric, grain, window start (UTC), value."""


@dataclass(frozen=True)
class Message:
    """A committed message of a topic."""

    partition: int
    offset: int
    value: bytes | None


def publish(settings: Settings, topic: str, shape: Shape) -> None:
    """Writes a topic's generated log and everything else to it, in transactions of which one is aborted."""
    ids = register(settings, topic)
    rng = random.Random(f"messages/{topic}")
    log = generated(topic, shape)
    messages: list[tuple[str, bytes | None]] = [(each.record["account_id"], wire(ids, each)) for each in log]
    for value in (*at_the_limits(log[0], ids), *unreadable(log[0], ids)):
        messages.insert(rng.randrange(len(messages)), (f"key-{rng.random()}", value))
    never: list[tuple[str, bytes | None]] = [(each.record["account_id"], wire(ids, again(each))) for each in log[:50]]
    half = len(messages) // 2
    writer = producer(settings, f"parity-{topic}")
    writer.init_transactions(30)
    for part, kept in ((messages[:half], True), (never, False), (messages[half:], True)):
        writer.begin_transaction()
        for number, (key, body) in enumerate(part):
            writer.produce(topic, key=key, value=body)
            if number % 20 == 0:
                writer.produce(topic, value=progress(ids), partition=number // 20 % PARTITIONS)
        writer.flush(60)
        if kept:
            writer.commit_transaction(60)
        else:
            writer.abort_transaction(60)


def register(settings: Settings, topic: str) -> dict[str, int]:
    """Registers every version of the event's schema on a topic, and other records: ids by version and by record."""
    client = SchemaRegistryClient({"url": settings.registry_url})
    name = subject(topic, "Event")
    ids = {each: client.register_schema(name, Schema(json.dumps(schema_of(each)), "AVRO")) for each in VERSIONS}
    registry = Registry(settings.registry_url)
    return ids | {record: registry.register(topic, record) for record in ("Progress", "Identity")}


def framed(identifier: int, body: bytes) -> bytes:
    """The wire format."""
    return struct.pack(">bI", 0, identifier) + body


def wire(ids: Mapping[str, int], written: Written) -> bytes:
    """An event as it lies in Kafka."""
    return framed(ids[written.version], written.body())


def encoded(record_name: str, record: dict[str, Any]) -> bytes:
    """A record's Avro body."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed_schema(record_name), record)
    return buffer.getvalue()


def progress(ids: Mapping[str, int]) -> bytes:
    """A progress record."""
    record = {"source": "one", "stream": "one.all", "complete_through": START, "mode": "live", "written_at": START}
    return framed(ids["Progress"], encoded("Progress", record))


def again(written: Written, **changes: Any) -> Written:
    """The same event under another id, with some fields changed."""
    identifier = str(UUID(int=random.Random(repr((written, sorted(changes.items())))).getrandbits(128), version=4))
    return Written("current", written.read() | {"event_id": identifier} | changes)


def at_the_limits(example: Written, ids: Mapping[str, int]) -> Iterator[bytes]:
    """Messages of events that are unusual, and readable."""
    for account in ("", "limits é 漢 😀 \x00"):
        for at in (datetime(1500, 1, 1, 12, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), START - timedelta(1)):
            for value in (Decimal("9999999999999999999999999.999999"), Decimal("-0.000001"), Decimal(0), None):
                for properties in ({}, {"": "", "feature": "", "seats": "-7.25"}, {"feature": "ﬁ", "seats": "1e2"}):
                    fields = {"account_id": account, "event_time": at, "value": value, "properties": properties}
                    yield wire(ids, again(example, **fields))


def unreadable(example: Written, ids: Mapping[str, int]) -> Iterator[bytes | None]:
    """Messages that no reader can read."""
    fresh = again(example, user_id="0" * 32, properties={"feature": "x" * 40})
    body = fresh.body()
    late = encoded("Event", fresh.record | {"event_time": 253402300800_000000})  # year 10000
    text = body.replace(b"x" * 40, b"\xff" * 40)
    key = body.replace(b"feature", b"featur\xc3")
    long = body[:-2] + b"\xfe\xff\xff\xff\x0f" + b"tail"  # a map of two thousand million entries
    yield from (None, b"", b"\x00", b"\x00\x00\x00\x00", framed(ids["current"], b""))
    yield from (b"\x01" + framed(ids["current"], body)[1:], framed(2**31 - 1, body), framed(ids["Progress"], body))
    yield framed(ids["Identity"], encoded("Identity", {"identity": "i", "account_id": "a", "linked_at": START,
                                                       "source": "s"}))  # fmt: skip
    for broken in (body[:-1], body[: len(body) // 2], body + b"\x00", body + body, body * 9, late, text, key, long):
        yield framed(ids["current"], broken)
    yield from (framed(ids["before"], body), framed(ids["after"], body), framed(ids["current"], b"\x02" * 99))
    yield from (progress(ids)[:-1], progress(ids) + b"\x00")
    yield framed(ids["current"], b"\xfe\xff\xff\xff\x0f" + body)  # a text of two thousand million bytes


def committed(settings: Settings, topic: str) -> list[Message]:
    """Every committed message of a topic, by partition and offset."""
    consumer = Consumer(consumer_options(settings, f"parity-{topic}") | {"enable.partition.eof": True})
    places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
    consumer.assign(places)
    found, ended = [], 0
    while ended < len(places):
        for message in consumer.consume(1000, 1.0):
            if message.error() is not None:
                ended += 1
            else:
                found.append(Message(message.partition(), message.offset(), message.value()))
    consumer.close()
    return sorted(found, key=lambda each: (each.partition, each.offset))


def expected(settings: Settings, topic: str, messages: Iterable[Message]) -> tuple[set[Row], Counter[str]]:
    """Every metric's rows of some messages, by the reference decoder and DuckDB, and the messages by fate."""
    serde = AvroSerde(Registry(settings.registry_url))
    fates: Counter[str] = Counter()
    events: dict[str, dict[str, Any]] = {}
    for message in messages:
        try:
            name, record = serde.decode(message.value)
        except BadRecordError:
            name = ""
        if name not in ("Event", "Progress"):
            fates["unreadable"] += 1
        elif name == "Progress":
            fates["progress"] += 1
        elif record["event_id"] in events:
            fates["duplicate"] += 1
        else:
            fates["counted"] += 1
            events[record["event_id"]] = record
    return rows(topic, events.values()), fates


def rows(topic: str, events: Iterable[Mapping[str, Any]]) -> set[Row]:
    """Every metric's final values over events, by DuckDB."""
    columns: dict[str, list[Any]] = {name: [] for name in EVENT_COLUMNS.names}
    for event in events:
        for name, column in columns.items():
            column.append(event[name])
    columns["properties"] = [list(each.items()) for each in columns["properties"]]
    columns["event_time"] = [each.replace(tzinfo=None) for each in columns["event_time"]]
    table = pa.table([pa.array(columns[each.name], type=each.type) for each in EVENT_COLUMNS], schema=EVENT_COLUMNS)
    found: set[Row] = set()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("events", table)
        for metric in metrics_of(topic):
            for grain in metric.grains:
                for account, start, value in connection.execute(
                    f"SELECT account_id, window_start, value FROM ({window_values(metric, grain, 'duckdb')})"
                ).fetchall():
                    found.add((account, metric.name, grain, start, value))
    return found
