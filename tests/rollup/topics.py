"""The two ends of a rollup worker: events topics to write, `metrics.values` and what is set aside to read."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from metrics.catalogue import metrics_of
from metrics.windows import window_values
from schemas.topics import EVENTS_TOPICS
from streams.rollup.decoding import DECODED_COLUMNS
from streams.rollup.incoming import event_table
from tests.parity.logs import START, Shape, Written, first_of_each, generated, schema_of
from vitals.avro import AvroSerde, subject
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

Key = tuple[str, str, str, datetime]
"""Account, metric, grain, window."""


def expected_values(topic: str, events: Iterable[dict[str, Any]]) -> dict[Key, Decimal]:
    """The final values of a log's events that count, by the catalogue's other form: one query over all of them."""
    rows = [
        {"row": 0, **each, "properties": [{"key": key, "value": value} for key, value in each["properties"].items()]}
        for each in events
    ]
    database = duckdb.connect(config={"threads": 1})
    database.execute("SET TimeZone = 'UTC'")
    database.register("events", event_table(pl.DataFrame(rows, schema=DECODED_COLUMNS)))
    values: dict[Key, Decimal] = {}
    for metric in metrics_of(topic):
        for grain in metric.grains:
            windows = database.execute(window_values(metric, grain, "duckdb")).fetchall()
            for account, start, value in windows:
                values[(account, metric.name, grain, start.replace(tzinfo=UTC))] = value
    return values


class RollupTopics:
    """Writes generated logs to partitions and reads what workers make of them."""

    def __init__(self, settings: Settings, serde: AvroSerde) -> None:
        self._settings, self._serde = settings, serde
        self._producer = producer(settings)
        self._registry = SchemaRegistryClient({"url": settings.registry_url})
        self._consumer = Consumer(consumer_options(settings, "tests-rollup"))
        self._prefixes: dict[tuple[str, str], bytes] = {}
        self._revisions: dict[Key, int] = {}
        self.values: dict[Key, Decimal] = {}
        self.counts: dict[tuple[str, int], Counter[tuple[str, str]]] = {}
        self.reached: dict[tuple[str, int], int] = {}
        self._consumer.assign([TopicPartition("metrics.values", partition, 0) for partition in range(8)])

    def send(self, topic: str, partition: int, log: Sequence[Written]) -> None:
        """Appends events, each under its writer's schema."""
        for written in log:
            self.send_bytes(topic, partition, self._prefix(topic, written.version) + written.body())

    def send_bytes(self, topic: str, partition: int, body: bytes) -> None:
        """Appends any message."""
        self._producer.produce(topic, body, key=b"key", partition=partition)
        self._producer.poll(0)

    def progress(self, topic: str, partition: int, through: datetime | None) -> None:
        """Appends a progress record of the one stream that the logs have."""
        record = {
            "source": "one",
            "stream": "one.all",
            "complete_through": through,
            "mode": "backfill" if through is None else "live",
            "written_at": START,
        }
        self.send_bytes(topic, partition, self._serde.encode(topic, "Progress", record))

    def flush(self) -> None:
        """Waits until the broker has everything."""
        assert self._producer.flush(30) == 0

    def end(self, topic: str, partition: int) -> int:
        """Offset after the last record."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1])

    def read(self) -> None:
        """Takes in new bundles: the greatest revision wins, and equal revisions have equal values."""
        for message in self._consumer.consume(1000, 0.2):
            assert message.error() is None
            assert len(message.value() or b"") <= 512 * 1024
            _, bundle = self._serde.decode(message.value())
            where, revision = (bundle["input_topic"], bundle["input_partition"]), bundle["next_offset"]
            for account in bundle["accounts"]:
                for value in account["values"]:
                    key = (account["account_id"], value["metric"], value["grain"], value["window_start"])
                    known = self._revisions.get(key, -1)
                    if revision > known:
                        self._revisions[key], self.values[key] = revision, value["value"]
                    elif revision == known:
                        assert self.values[key] == value["value"], "equal revision, unequal value"
            if bundle["last_part"] and revision >= self.reached.get(where, 0):
                self.reached[where] = revision
                self.counts[where] = Counter({(each["kind"], each["fate"]): each["count"] for each in bundle["counts"]})

    def through(self, *where: tuple[str, int]) -> bool:
        """Whether everything that was sent to the given partitions is in what was read."""
        self.read()
        return all(self.reached.get(each, 0) >= self.end(*each) for each in where)

    def set_aside(self, topic: str) -> list[dict[str, Any]]:
        """Every record of `late_events` or `dead_letters`."""
        ends = {partition: self.end(topic, partition) for partition in range(8)}
        reader = Consumer(consumer_options(self._settings, "tests-rollup-set-aside"))
        reader.assign([TopicPartition(topic, partition, 0) for partition, end in ends.items() if end])
        found: list[dict[str, Any]] = []
        while len(found) < sum(ends.values()):
            found += [self._serde.decode(message.value())[1] for message in reader.consume(1000, 0.2)]
        reader.close()
        return found

    def _prefix(self, topic: str, version: str) -> bytes:
        if (topic, version) not in self._prefixes:
            schema = Schema(json.dumps(schema_of(version)), "AVRO")
            identifier = self._registry.register_schema(subject(topic, "Event"), schema)
            self._prefixes[(topic, version)] = b"\0" + identifier.to_bytes(4, "big")
        return self._prefixes[(topic, version)]


def logs_of(partitions: Iterable[int], events: int) -> dict[tuple[str, int], list[Written]]:
    """A log for every events topic of each partition."""
    return {
        (topic, partition): generated(topic, Shape(events, seed=partition))
        for topic in EVENTS_TOPICS
        for partition in partitions
    }


def expected_of(logs: dict[tuple[str, int], list[Written]]) -> dict[Key, Decimal]:
    """The final values of all of them."""
    values: dict[Key, Decimal] = {}
    for (topic, _), log in logs.items():
        values |= expected_values(topic, first_of_each(log))
    return values
