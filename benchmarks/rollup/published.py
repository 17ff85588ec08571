"""Reads what the worker published: final values as `truth.Windows`, and when each partition was through."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.rollup.broker import EVENTS, VALUES, end_offsets
from benchmarks.rollup.truth import GRAIN_MINUTES, Windows, window_key
from vitals.avro import schema_text

PREFIX = 5
COMPRESS_AT = 4_000_000
"""Published values between two times that only the newest of each window are kept."""
GRAINS = tuple(GRAIN_MINUTES)


def _plain_schema() -> Any:
    """The bundle's schema without logical types: instants as microseconds, values as bytes, which read faster."""

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(each) for each in node]
        if isinstance(node, dict):
            return {
                name: plain(each) for name, each in node.items() if name not in ("logicalType", "precision", "scale")
            }
        return node

    return fastavro.parse_schema(plain(json.loads(schema_text("MetricValuesBundle"))))


BUNDLE = _plain_schema()


def decoded(message: Message) -> dict[str, Any]:
    """A bundle with instants in microseconds and values as bytes."""
    record: Any = fastavro.schemaless_reader(io.BytesIO((message.value() or b"")[PREFIX:]), BUNDLE, BUNDLE)
    assert isinstance(record, dict)
    return record


@dataclass
class Published:
    """What one run left on `metrics.values`."""

    accounts: dict[str, int]
    ends: list[int]
    """Offset after the last event of each partition."""
    through_at: dict[int, float] = field(default_factory=dict)
    """When the broker took the bundle with which a partition's values are complete (`time.time()`)."""
    fates: dict[int, dict[tuple[str, str], int]] = field(default_factory=dict)
    messages: int = 0
    published: int = 0
    bytes_published: int = 0
    _names: dict[tuple[str, str], int] = field(default_factory=dict)
    _keys: list[int] = field(default_factory=list)
    _values: list[int] = field(default_factory=list)
    _kept: dict[int, Windows] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        """Takes a bundle; those of a partition come in the order of the log."""
        bundle = decoded(message)
        self.messages += 1
        self.bytes_published += len(message.value() or b"")
        if bundle["input_topic"] != EVENTS:
            return
        partition = bundle["input_partition"]
        if bundle["last_part"]:
            self.fates[partition] = {(each["kind"], each["fate"]): each["count"] for each in bundle["counts"]}
            if bundle["next_offset"] >= self.ends[partition] and partition not in self.through_at:
                self.through_at[partition] = message.timestamp()[1] / 1000
        for account in bundle["accounts"]:
            number = self.accounts[account["account_id"]]
            for value in account["values"]:
                name = self._names.setdefault((value["metric"], value["grain"]), len(self._names))
                self._keys.append(window_key(number, value["window_start"]) * 1024 + name)
                self._values.append(int.from_bytes(value["value"], "big", signed=True))
        if len(self._keys) >= COMPRESS_AT:
            self._compress()

    def windows(self, metric: str, grain: str) -> Windows:
        """The final values of a metric at a grain."""
        self._compress()
        name = self._names.get((metric, grain), -1)
        return self._kept.get(name, Windows(np.zeros(0, np.int64), np.zeros((0, 1), np.int64)))

    @property
    def names(self) -> set[tuple[str, str]]:
        """Every metric and grain that was published."""
        return set(self._names)

    def summed_fates(self) -> dict[tuple[str, str], int]:
        """Events by kind and fate, over the partitions."""
        total: dict[tuple[str, str], int] = {}
        for fates in self.fates.values():
            for what, count in fates.items():
                total[what] = total.get(what, 0) + count
        return total

    def _compress(self) -> None:
        self.published += len(self._keys)
        keys, values = np.array(self._keys, np.int64), np.array(self._values, np.int64)
        self._keys.clear()
        self._values.clear()
        for name in range(len(self._names)):
            own = keys % 1024 == name
            if not own.any():
                continue
            known = self._kept.get(name)
            every = np.concatenate([known.keys, keys[own] // 1024]) if known else keys[own] // 1024
            all_values = np.concatenate([known.values[:, 0], values[own]]) if known else values[own]
            # The newest of each window is the last one; unique() gives the first.
            windows, last = np.unique(every[::-1], return_index=True)
            self._kept[name] = Windows(windows, all_values[::-1][last].reshape(-1, 1))


def since(consumer: Consumer, starts: list[int]) -> Iterator[Message]:
    """Messages of `metrics.values` from the given offsets to the present ends."""
    ends = end_offsets(consumer, VALUES, len(starts))
    left = {number for number, (start, end) in enumerate(zip(starts, ends, strict=True)) if start < end}
    consumer.assign([TopicPartition(VALUES, number, starts[number]) for number in left])
    while left:
        for message in consumer.consume(500, 1.0):
            if message.error() is not None:
                raise RuntimeError(str(message.error()))
            yield message
            if (message.offset() or 0) + 1 >= ends[message.partition() or 0]:
                left.discard(message.partition() or 0)
    consumer.unassign()


def tails(consumer: Consumer, ends: list[int]) -> Iterator[dict[str, Any]]:
    """The last bundle of every partition of `metrics.values` that has one."""
    yield from (decoded(message) for message in since(consumer, [max(0, end - 1) for end in ends]))
