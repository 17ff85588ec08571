"""The rollup worker: owns partition n of every events topic, folds micro-batches, publishes bundles, keeps snapshots.

The log is the truth: a snapshot is state plus the offsets that it covers, and a restart reads on from there. What is
published again after a crash has the same values under the same revisions, which the sinks drop.
"""

import threading
import time
from collections import defaultdict
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from prometheus_client import Counter, Gauge, Histogram

from schemas.topics import EVENTS_TOPICS
from streams.rollup.batch import read_batch
from streams.rollup.bundles import bundles, misfit_record
from streams.rollup.snapshots import SnapshotFolder
from streams.rollup.state import Flush, PartitionState
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.errors import FatalError, RetriableError
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings
from vitals.telemetry import Health

log = structlog.get_logger()

EVENTS = Counter("vitals_rollup_events_total", "Events by fate since this process started.", ["topic", "fate"])
BUNDLES = Counter("vitals_rollup_bundles_total", "Bundles published.", ["topic"])
FOLD_SECONDS = Histogram("vitals_rollup_fold_seconds", "Time to decode and fold one batch.", ["topic"])
SNAPSHOT_SECONDS = Histogram("vitals_rollup_snapshot_seconds", "Time to write one partition's snapshot.")
LAG = Gauge(
    "vitals_rollup_lag", "Records after the position: end offset minus processed offset.", ["topic", "partition"]
)

BATCH_MESSAGES = 10_000
WATERMARK_INTERVAL_SECONDS = 1.0
"""A bundle that only moves the watermark goes out at most this often; one that seals a day or has values at once."""
LAG_INTERVAL_SECONDS = 2.0
METRIC_VALUES = "metrics.values"
MISFIT_TOPICS = {"LateEvent": "late_events", "DeadLetter": "dead_letters"}


class RollupWorker:
    """One worker of the consumer group; any number may run, and each partition has one owner at a time."""

    def __init__(self, settings: Settings, serde: AvroSerde, clock: WallClock, stopping: threading.Event) -> None:
        self._settings, self._serde, self._clock, self._stopping = settings, serde, clock, stopping
        self._snapshots = SnapshotFolder(settings.snapshots)
        self._producer = producer(settings)
        self._consumer = Consumer(
            consumer_options(settings, "vitals-rollup")
            # Range assigns partition n of every co-partitioned topic to the same worker.
            | {"partition.assignment.strategy": "range", "enable.partition.eof": True}
        )
        self._states: dict[int, PartitionState] = {}
        self._flushed_at: dict[tuple[str, int], float] = {}
        self._held_back: dict[tuple[str, int], Flush] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._snapshot_due = time.monotonic() + settings.snapshot_interval_seconds
        self._lag_due = 0.0
        self._delivery_error: KafkaError | None = None

    def run(self, health: Health) -> None:
        """Works until stopping; then writes snapshots and leaves the group.

        Raises:
            FatalError: retention has deleted what a rebuild needs, or a snapshot is of other definitions.
        """
        self._consumer.subscribe(list(EVENTS_TOPICS), on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self._stopping.is_set():
                messages = self._consumer.consume(BATCH_MESSAGES, self._settings.flush_interval_seconds)
                self._fold(messages)
                self._release_held_back()
                if time.monotonic() >= self._snapshot_due:
                    self._snapshot()
                self._measure_lag()
                if self._states:
                    health.ready()
            self._snapshot()
        finally:
            self._consumer.close()

    def _fold(self, messages: list[Any]) -> None:
        by_partition: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for message in messages:
            problem = message.error()
            where = (message.topic(), message.partition())
            if problem is None:
                by_partition[where].append(message)
            elif problem.code() == KafkaError._PARTITION_EOF:
                self._ends[where] = message.offset()
            else:
                log.warning("consume", error=str(problem))
        for (topic, partition), run in by_partition.items():
            state = self._states.get(partition)
            if state is None:
                continue  # revoked meanwhile: its new owner reads them
            with FOLD_SECONDS.labels(topic).time():
                done = state.next_offsets.get(topic, 0)
                unread = [message for message in run if message.offset() >= done]
                batch = read_batch(topic, unread, self._serde, state.watermarks[topic], done)
                flush = state.apply(batch)
            for misfit in batch.misfits:
                self._produce(
                    MISFIT_TOPICS[misfit.record_name],
                    misfit.message.key(),
                    misfit.record_name,
                    misfit_record(misfit, topic, partition, self._clock.now()),
                )
            EVENTS.labels(topic, "folded").inc(batch.events.num_rows)
            EVENTS.labels(topic, "set_aside").inc(len(batch.misfits))
            self._publish(flush, partition)

    def _publish(self, flush: Flush, partition: int) -> None:
        where = (flush.topic, partition)
        recent = time.monotonic() - self._flushed_at.get(where, 0.0) < WATERMARK_INTERVAL_SECONDS
        if recent and not flush.values and not flush.sealed_more:
            self._held_back[where] = flush
            return
        self._held_back.pop(where, None)
        self._flushed_at[where] = time.monotonic()
        for record in bundles(flush, partition, self._clock.now()):
            self._produce(METRIC_VALUES, None, "MetricValuesBundle", record, partition)
            BUNDLES.labels(flush.topic).inc()

    def _release_held_back(self) -> None:
        now = time.monotonic()
        for where, flush in list(self._held_back.items()):
            if now - self._flushed_at.get(where, 0.0) >= WATERMARK_INTERVAL_SECONDS:
                self._publish(flush, where[1])

    def _produce(
        self, topic: str, key: bytes | None, record_name: str, record: dict[str, Any], partition: int | None = None
    ) -> None:
        encoded = self._serde.encode(topic, record_name, record)
        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, encoded, key, on_delivery=self._delivered, **options)
            except BufferError:
                self._producer.poll(0.1)
                continue
            break
        self._producer.poll(0)
        self._raise_lost()

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        del message
        if error is not None:
            self._delivery_error = error

    def _raise_lost(self) -> None:
        if self._delivery_error is not None:
            raise RetriableError(f"A bundle was not delivered ({self._delivery_error}): restarting from the snapshot.")

    def _snapshot(self, partitions: list[int] | None = None) -> None:
        """Everything published is acknowledged first; then the state is durable; then the offsets are committed."""
        chosen = [self._states[n] for n in (self._states if partitions is None else partitions) if n in self._states]
        if self._producer.flush(30.0) > 0:
            raise RetriableError("Kafka did not take the bundles within 30 s: restarting from the last snapshot.")
        self._raise_lost()
        offsets = []
        for state in chosen:
            with SNAPSHOT_SECONDS.time():
                self._snapshots.write(state)
            offsets += [TopicPartition(topic, state.partition, at) for topic, at in state.next_offsets.items()]
        if offsets:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                # The snapshot is the truth; the committed offset only shows others how far this group is.
                log.warning("commit", error=str(error))
        self._snapshot_due = time.monotonic() + self._settings.snapshot_interval_seconds

    def _assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        for partition in sorted({each.partition for each in assigned}):
            if partition not in self._states:
                state = PartitionState(partition)
                restored = self._snapshots.restore(state)
                self._states[partition] = state
                log.info("partition_assigned", partition=partition, restored=restored, offsets=state.next_offsets)
        starts = []
        for each in assigned:
            start = self._states[each.partition].next_offsets.get(each.topic, 0)
            low, _ = consumer.get_watermark_offsets(TopicPartition(each.topic, each.partition), timeout=30.0)
            if start < low:
                raise FatalError(
                    f"{each.topic}/{each.partition} starts at {low}, the snapshot needs {start}: retention deleted "
                    "what a rebuild needs. Restore a newer snapshot, or replay from the lake."
                )
            starts.append(TopicPartition(each.topic, each.partition, start))
        consumer.assign(starts)

    def _revoked(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        del consumer
        partitions = sorted({each.partition for each in revoked})
        self._snapshot(partitions)
        for partition in partitions:
            state = self._states.pop(partition, None)
            if state is not None:
                state.close()
        for where in [where for where in self._held_back if where[1] in partitions]:
            del self._held_back[where]

    def _measure_lag(self) -> None:
        if time.monotonic() < self._lag_due:
            return
        self._lag_due = time.monotonic() + LAG_INTERVAL_SECONDS
        for partition, state in self._states.items():
            for topic in EVENTS_TOPICS:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                # A transaction's end marker is a record that no consumer sees: at the end of the partition lag is 0.
                reached = self._ends.get((topic, partition), 0) >= end
                LAG.labels(topic, partition).set(0 if reached else max(0, end - state.next_offsets.get(topic, 0)))
