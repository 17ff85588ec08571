"""The rollup worker: owns partition n of every events topic, folds micro-batches, publishes bundles, keeps snapshots.

The log is the truth: a snapshot is state plus the offsets that it covers, and a restart reads on from there. What is
published again after a crash has the same values under the same revisions, which the sinks drop.
"""

import threading
import time
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from prometheus_client import Counter, Gauge, Histogram

from schemas.topics import EVENTS_TOPICS
from streams.acknowledged import AcknowledgedProducer
from streams.rollup.bundles import Flush, bundles, misfit_record
from streams.rollup.decoding import EventDecoder
from streams.rollup.snapshots import SnapshotFolder
from streams.rollup.state import RollupState, Taken
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.errors import FatalError
from vitals.kafka import consumer_options
from vitals.settings import Settings
from vitals.telemetry import Health

log = structlog.get_logger()

EVENTS = Counter("vitals_rollup_events_total", "Events by fate since this process started.", ["topic", "fate"])
BUNDLES = Counter("vitals_rollup_bundles_total", "Bundles published.", ["topic"])
READ_SECONDS = Histogram("vitals_rollup_read_seconds", "Time to decode one batch and find what counts.", ["topic"])
FOLD_SECONDS = Histogram("vitals_rollup_fold_seconds", "Time to fold and encode one batch.", ["topic"])
SNAPSHOT_SECONDS = Histogram("vitals_rollup_snapshot_seconds", "Time to write one partition's snapshot.")
LAG = Gauge(
    "vitals_rollup_lag", "Records after the position: end offset minus processed offset.", ["topic", "partition"]
)

STATE_BYTES = Gauge("vitals_rollup_state_bytes", "State of the open windows in memory.", ["part"])

READING = {"fetch.queue.backoff.ms": 50}
"""By default librdkafka fetches nothing for a second once it holds 100,000 messages of a partition."""

BATCH_MESSAGES = 50_000
WATERMARK_INTERVAL_SECONDS = 1.0
"""A bundle that only moves the watermark goes out at most this often; one that seals a day or has values at once."""
LAG_INTERVAL_SECONDS = 2.0
METRIC_VALUES = "metrics.values"
MISFIT_TOPICS = {"LateEvent": "late_events", "DeadLetter": "dead_letters"}


class RollupWorker:
    """One worker of the consumer group; any number may run, and each partition has one owner at a time."""

    def __init__(
        self,
        settings: Settings,
        serde: AvroSerde,
        decoder: EventDecoder,
        clock: WallClock,
        stopping: threading.Event,
    ) -> None:
        self._settings, self._serde, self._clock, self._stopping = settings, serde, clock, stopping
        self._decoder = decoder
        self._state = RollupState(settings.rollup_memory_mb, settings.state_dir / "spill" / "rollup")
        self._bundle_prefix = serde.prefix(METRIC_VALUES, "MetricValuesBundle")
        self._snapshots = SnapshotFolder(settings.snapshots)
        self._producer = AcknowledgedProducer(settings, "bundle")
        self._consumer = Consumer(
            consumer_options(settings, "vitals-rollup")
            | {
                # Range assigns partition n of every co-partitioned topic to the same worker.
                "partition.assignment.strategy": "range",
                "enable.partition.eof": True,
                # A worker that was killed holds its partitions for the session: as short as brokers allow.
                "session.timeout.ms": 6_000,
            }
            | READING
        )
        self._flushed_at: dict[tuple[str, int], float] = {}
        self._held_back: dict[tuple[str, int], Flush] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._snapshot_due = time.monotonic() + settings.snapshot_interval_seconds
        self._lag_due = 0.0
        self._folding = ThreadPoolExecutor(1, thread_name_prefix="fold")
        self._folded: Future[list[Flush]] | None = None
        self._sound = True
        self._starts: list[TopicPartition] = []
        self._moved = False

    def run(self, health: Health) -> None:
        """Works until stopping; then writes snapshots and leaves the group.

        Raises:
            FatalError: retention has deleted what a rebuild needs.
            RetriableError: Kafka or the schema registry did not answer; a restart goes on from the last snapshot.
        """
        self._consumer.subscribe(list(EVENTS_TOPICS), on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self._stopping.is_set():
                messages = self._consumer.consume(BATCH_MESSAGES, self._settings.flush_interval_seconds)
                if self._moved:
                    # What came before partitions moved and what came after lie in one list: read it again from where
                    # the state is, or messages are taken twice, or passed over.
                    self._moved = False
                    if self._starts:
                        self._consumer.assign(self._starts)
                    continue
                self._take(messages)
                self._release_held_back()
                if time.monotonic() >= self._snapshot_due:
                    self._snapshot()
                self._measure_lag()
                if self._state.partitions:
                    health.ready()
            self._snapshot()
        except BaseException:
            # Memory may hold half of a batch: what is true is the last snapshot and the log.
            self._sound = False
            raise
        finally:
            self._consumer.close()
            self._folding.shutdown()
            self._state.close()

    def _take(self, messages: list[Any]) -> None:
        """Reads messages and has them folded in the thread for it, while the next ones are read here."""
        runs: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for message in messages:
            problem = message.error()
            if problem is None:
                runs[message.topic()][message.partition()].append(message)
            elif problem.code() == KafkaError._PARTITION_EOF:
                self._ends[(message.topic(), message.partition())] = message.offset()
            else:
                log.warning("consume", error=str(problem))
        for topic, by_partition in runs.items():
            unread = {partition: self._unread(topic, partition, run) for partition, run in by_partition.items()}
            with READ_SECONDS.labels(topic).time():
                taken = self._state.take(topic, unread, self._decoder)
            for misfit in taken.misfits:
                record = misfit_record(misfit, topic, self._clock.now())
                encoded = self._serde.encode(MISFIT_TOPICS[misfit.record_name], misfit.record_name, record)
                self._producer.produce(MISFIT_TOPICS[misfit.record_name], encoded, misfit.message.key())
            EVENTS.labels(topic, "read").inc(sum(map(len, unread.values())))
            EVENTS.labels(topic, "set_aside").inc(len(taken.misfits))
            self._publish_folded()
            self._folded = self._folding.submit(self._fold, taken)
        if len(messages) < BATCH_MESSAGES:
            self._publish_folded()  # nothing waits to be read, so nothing is gained by keeping it

    def _fold(self, taken: Taken) -> list[Flush]:
        with FOLD_SECONDS.labels(taken.topic).time():
            return self._state.fold(taken)

    def _publish_folded(self) -> None:
        """Waits for what is being folded and publishes it. Nothing else may touch the windows before."""
        folded, self._folded = self._folded, None
        if folded is not None:
            for flush in folded.result():
                self._publish(flush)

    def _unread(self, topic: str, partition: int, run: list[Any]) -> list[Any]:
        """Messages after the partition's position; none of a partition that was revoked meanwhile."""
        state = self._state.partitions.get(partition)
        if state is None:
            return []
        done = state.next_offsets.get(topic, 0)
        return run if run[0].offset() >= done else [message for message in run if message.offset() >= done]

    def _publish(self, flush: Flush) -> None:
        where = (flush.topic, flush.partition)
        recent = time.monotonic() - self._flushed_at.get(where, 0.0) < WATERMARK_INTERVAL_SECONDS
        if recent and not flush.accounts and not flush.sealed_more:
            self._held_back[where] = flush
            return
        self._held_back.pop(where, None)
        self._flushed_at[where] = time.monotonic()
        for body in bundles(flush, self._clock.now()):
            self._producer.produce(METRIC_VALUES, self._bundle_prefix + body, partition=flush.partition)
            BUNDLES.labels(flush.topic).inc()

    def _release_held_back(self) -> None:
        now = time.monotonic()
        for where, flush in list(self._held_back.items()):
            if now - self._flushed_at.get(where, 0.0) >= WATERMARK_INTERVAL_SECONDS:
                self._publish(flush)

    def _snapshot(self, partitions: list[int] | None = None) -> None:
        """Everything published is acknowledged first; then the state is durable; then the offsets are committed."""
        self._publish_folded()
        chosen = list(self._state.partitions) if partitions is None else partitions
        self._producer.settle()
        offsets = []
        for partition in chosen:
            with SNAPSHOT_SECONDS.time():
                self._snapshots.write(self._state, partition)
            reached = self._state.partitions[partition].next_offsets
            offsets += [TopicPartition(topic, partition, offset) for topic, offset in reached.items()]
        if offsets:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                # The snapshot is the truth; the committed offset only shows others how far this group is.
                log.warning("commit", error=str(error))
        for part, size in self._state.bytes_by_part().items():
            STATE_BYTES.labels(part).set(size)
        self._snapshot_due = time.monotonic() + self._settings.snapshot_interval_seconds

    def _assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self._publish_folded()
        partitions = self._state.partitions
        for partition in sorted({each.partition for each in assigned} - set(partitions)):
            restored = self._snapshots.restore(self._state, partition)
            offsets = partitions[partition].next_offsets
            log.info("partition_assigned", partition=partition, restored=restored, offsets=offsets)
        starts = []
        for each in assigned:
            start = partitions[each.partition].next_offsets.get(each.topic, 0)
            low, _ = consumer.get_watermark_offsets(TopicPartition(each.topic, each.partition), timeout=30.0)
            if start < low:
                raise FatalError(
                    f"{each.topic}/{each.partition} starts at {low}, the snapshot needs {start}: retention deleted "
                    "what a rebuild needs. Restore a newer snapshot, or replay from the lake."
                )
            starts.append(TopicPartition(each.topic, each.partition, start))
        self._starts, self._moved = starts, True
        consumer.assign(starts)

    def _revoked(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        del consumer
        self._starts, self._moved = [], True
        partitions = sorted({each.partition for each in revoked} & set(self._state.partitions))
        if not self._sound:
            return
        self._snapshot(partitions)
        for partition in partitions:
            self._state.drop(partition)
            self._snapshots.forget(partition)
        for where in [where for where in self._held_back if where[1] in partitions]:
            del self._held_back[where]

    def _measure_lag(self) -> None:
        if time.monotonic() < self._lag_due:
            return
        self._lag_due = time.monotonic() + LAG_INTERVAL_SECONDS
        for partition, state in self._state.partitions.items():
            for topic in EVENTS_TOPICS:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                # A transaction's end marker is a record that no consumer sees: at the end of the partition lag is 0.
                reached = self._ends.get((topic, partition), 0) >= end
                LAG.labels(topic, partition).set(0 if reached else max(0, end - state.next_offsets.get(topic, 0)))
