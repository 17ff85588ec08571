"""The benchmark's log: generated with NumPy from a seed, encoded as the real Avro event, produced once.

Column arrays describe the log; nothing here goes through the project's decoders or metrics, so that what is computed
from the arrays (`truth.py`) is independent of what is measured. Positions are log order over all partitions.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from benchmarks.rollup.hashing import hex_of, mixed, murmur2, uuids_of
from vitals.avro import schema_text

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENTS_A_MINUTE = 10_000
"""Of event time: with 2,000 accounts a minute of one account then has about seven events."""
USERS_AN_ACCOUNT = 20
FEATURES = 50
DISORDER_SECONDS = 300
"""An event out of order is at most this much older than its place in the log says."""
DUPLICATES_WITHIN = 2_000
"""A duplicate comes at most this many originals after the first."""
NO_USER, NO_FEATURE, NO_VALUE = -1, -1, -1

FEATURE_USED, EVENT_TRACKED = "product.feature_used", "product.event_tracked"
EVENT_FIELDS = (
    "event_id", "account_id", "user_id", "kind", "source", "event_time", "ingested_at", "value", "properties",
)  # fmt: skip
PAGE_VIEW = b"Loaded a Page"
"""Name of the tracked event with number 0."""
CHUNK = 200_000

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """What a log is like. `duplicates` and `disorder` are shares of 1."""

    events: int = 1_000_000
    accounts: int = 2_000
    partitions: int = 4
    duplicates: float = 0.05
    disorder: float = 0.03
    seed: int = 7


@dataclass(frozen=True)
class Log:
    """A log as columns, one row a message. Instants are microseconds since the epoch, values millionths."""

    shape: Shape
    source: Ints
    """Row of the event itself: the row's own number, or that of the original which a duplicate repeats."""
    account: Ints
    event_time: Ints
    feature: Ints
    """Number of the feature; `NO_FEATURE` where the event is one that was tracked."""
    user: Ints
    value: Ints

    @property
    def original(self) -> Bools:
        """Whether a row is the first of its event."""
        return np.equal(self.source, np.arange(len(self.source)))

    @property
    def tracked(self) -> Ints:
        """Number of the tracked event's name; `NO_FEATURE` where the event is a feature that was used."""
        return np.where(self.feature == NO_FEATURE, self.source % FEATURES, NO_FEATURE)

    @property
    def partition(self) -> Ints:
        """Partition of each row, where Java's clients would put its account."""
        return self.account_partition[self.account]

    @cached_property
    def account_bytes(self) -> NDArray[np.uint8]:
        """Account ids as text, one row of 36 bytes each."""
        return uuids_of(mixed(np.arange(self.shape.accounts), 2 * self.shape.seed + 1))

    @cached_property
    def account_partition(self) -> Ints:
        """Partition of each account."""
        return (murmur2(self.account_bytes) & 0x7FFFFFFF).astype(np.int64) % self.shape.partitions

    @cached_property
    def account_ids(self) -> list[str]:
        """Account ids."""
        return [row.tobytes().decode() for row in self.account_bytes]

    def prefix(self, events: int) -> "Log":
        """The first messages of each partition that are among the first `events` of the log."""
        return Log(
            self.shape, *(column[:events] for column in (self.source, self.account, self.event_time)),
            *(column[:events] for column in (self.feature, self.user, self.value)),
        )  # fmt: skip

    def ends(self) -> list[int]:
        """Number of messages in each partition."""
        return [int(count) for count in np.bincount(self.partition, minlength=self.shape.partitions)]

    def messages(self, schema_id: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and body of every message in log order."""
        header = b"\0" + schema_id.to_bytes(4, "big")
        keys = [row.tobytes() for row in self.account_bytes]
        partition = self.partition
        for start in range(0, len(self.source), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(self.source)))
            accounts = self.account[rows].tolist()
            for at, account, body in zip(partition[rows].tolist(), accounts, self._bodies(rows, header), strict=True):
                yield at, keys[account], body

    def _bodies(self, rows: Ints, header: bytes) -> list[bytes]:
        """Bodies of some rows. Rows of one form have one length, so each form is filled in as a matrix."""
        bodies: list[bytes] = [b""] * len(rows)
        feature, user, value = (
            self.feature[rows] != NO_FEATURE,
            self.user[rows] != NO_USER,
            self.value[rows] != NO_VALUE,
        )
        page = ~feature & (self.source[rows] % FEATURES == 0)
        form = page * 8 + feature * 4 + user * 2 + value
        for number in np.unique(form).tolist():
            at = np.flatnonzero(form == number)
            matrix = self._matrix(rows[at], header, *(bool(number & bit) for bit in (8, 4, 2, 1)))
            text, length = matrix.tobytes(), matrix.shape[1]
            for place, index in enumerate(at.tolist()):
                bodies[index] = text[place * length : (place + 1) * length]
        return bodies

    def _matrix(
        self, rows: Ints, header: bytes, page: bool, feature: bool, user: bool, value: bool
    ) -> NDArray[np.uint8]:
        seed = 2 * self.shape.seed
        parts: list[bytes | NDArray[np.uint8]] = [header, _length(36), uuids_of(mixed(self.source[rows], seed))]
        parts += [_length(36), self.account_bytes[self.account[rows]]]
        if user:
            person = self.account[rows] * USERS_AN_ACCOUNT + self.user[rows]
            parts += [b"\x02", _length(32), hex_of(mixed(person, seed + 5))]
        else:
            parts.append(b"\0")
        kind, source = (FEATURE_USED if feature else EVENT_TRACKED).encode(), b"mixpanel"
        parts += [_length(len(kind)), kind, _length(len(source)), source]
        # The log was ingested as fast as it happened: only the worker's freshness looks at it.
        parts += [_longs(self.event_time[rows]), _longs(_place_time(self.source[rows]))]
        if value:
            parts += [b"\x02", _length(4), self.value[rows].astype(">u4").view(np.uint8).reshape(-1, 4)]
        else:
            parts.append(b"\0")
        name = b"feature" if feature else b"event"
        parts += [_length(1), _length(len(name)), name]
        if page:
            parts += [_length(len(PAGE_VIEW)), PAGE_VIEW, b"\0"]
        else:
            number = self.feature[rows] if feature else self.source[rows] % FEATURES
            digits = np.stack([number // 10, number % 10], axis=1).astype(np.uint8) + np.uint8(ord("0"))
            parts += [_length(len(name) + 3), name + b"-", digits, b"\0"]
        return np.hstack(
            [
                np.broadcast_to(np.frombuffer(part, np.uint8), (len(rows), len(part)))
                if isinstance(part, bytes)
                else part
                for part in parts
            ]
        )


def generated(shape: Shape) -> Log:
    """The log of a shape: the same shape gives the same log."""
    rng = np.random.default_rng(shape.seed)
    rows = np.arange(shape.events)
    ranks = np.cumsum(1 / np.arange(1, shape.accounts + 1))
    account = np.searchsorted(ranks, rng.random(shape.events) * ranks[-1]).astype(np.int64)
    event_time = _place_time(rows) + rng.integers(0, 1_000_000, shape.events)
    early = rng.random(shape.events) < shape.disorder
    event_time -= early * rng.integers(0, DISORDER_SECONDS * 1_000_000, shape.events)
    feature = np.where(rng.random(shape.events) < 0.6, rng.integers(0, FEATURES, shape.events), NO_FEATURE)
    user = np.where(rng.random(shape.events) < 0.9, rng.integers(0, USERS_AN_ACCOUNT, shape.events), NO_USER)
    # As an Avro decimal each takes four bytes.
    value = np.where(rng.random(shape.events) < 0.8, rng.integers(2**23, 2**31, shape.events), NO_VALUE)
    repeated = rng.random(shape.events) < shape.duplicates
    # A partition that ends with a duplicate changes no value there, and the worker may tell of its end a second later.
    repeated[0] = False
    repeated[max(1, shape.events - 64 * shape.partitions) :] = False
    originals = np.flatnonzero(~repeated)
    before = np.cumsum(~repeated)[repeated]
    back = (rng.random(len(before)) * np.minimum(before, DUPLICATES_WITHIN)).astype(np.int64)
    source = rows.copy()
    source[repeated] = originals[before - 1 - back]
    columns = (account, event_time, feature, user, value)
    return Log(shape, source, *(column[source] for column in columns))


def produce(log: Log, bootstrap: str, topic: str, schema_id: int) -> tuple[float, float]:
    """Writes the log into a topic; returns the mean size of a message's body and the seconds it took.

    Raises:
        RuntimeError: Kafka did not take every message.
    """
    require_known_event()
    options = {"compression.type": "lz4", "linger.ms": 20, "acks": "all", "queue.buffering.max.messages": 1_000_000}
    producer = Producer({"bootstrap.servers": bootstrap, **options})
    size, began = 0, time.monotonic()
    for number, (partition, key, body) in enumerate(log.messages(schema_id)):
        size += len(body)
        while True:
            try:
                producer.produce(topic, body, key, partition)
            except BufferError:
                producer.poll(0.05)
                continue
            break
        if number % 1_000 == 0:
            producer.poll(0)
    if producer.flush(120) > 0:
        raise RuntimeError("Kafka did not take every message of the log within two minutes.")
    return size / len(log.source), time.monotonic() - began


def require_known_event() -> None:
    """Raises RuntimeError where the event's schema is no longer the one that this module encodes by hand."""
    fields = tuple(field["name"] for field in json.loads(schema_text("Event"))["fields"])
    if fields != EVENT_FIELDS:
        raise RuntimeError(f"schemas/avro/Event.avsc has the fields {fields}: benchmarks/rollup/log.py encodes others.")


def _place_time(rows: Ints) -> Ints:
    """Event time that a row's place in the log stands for."""
    return int(START.timestamp()) * 1_000_000 + rows * (60_000_000 // EVENTS_A_MINUTE)


def _length(length: int) -> bytes:
    assert length < 64
    return bytes([2 * length])


def _longs(instants: Ints) -> NDArray[np.uint8]:
    """Avro longs of today's instants in microseconds: 8 bytes each."""
    zigzag = (instants * 2).astype(np.uint64)
    assert (zigzag >> np.uint64(49)).all()
    assert not (zigzag >> np.uint64(56)).any()
    digits = [(zigzag >> np.uint64(7 * place)) & np.uint64(0x7F) for place in range(8)]
    return np.stack([digit | np.uint64(0x80 if place < 7 else 0) for place, digit in enumerate(digits)], axis=1).astype(
        np.uint8
    )
