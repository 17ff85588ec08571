"""The quality worker: reads every partition of the events topics and the quarantine, publishes results and gates.

One process. The log is the truth: snapshots cover offsets, and a restart reads on from there. What is published again
after a crash is the same result under the same revision, which the sink drops.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition
from prometheus_client import Counter, Gauge, Histogram

from analytics.quality.declarations import Check
from schemas.checks.catalogue import fingerprint
from schemas.topics import EVENTS_TOPICS, PARTITIONS
from streams.acknowledged import AcknowledgedProducer
from streams.quality.records import gates_record, result_record
from streams.quality.state import QUARANTINE, QualityState
from streams.quality.verdicts import Ends, GateStep, Result, Verdicts
from streams.rollup.decoding import EventDecoder
from streams.rollup.snapshots import SnapshotFolder
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.errors import BadRecordError, FatalError, RetriableError
from vitals.kafka import consumer_options
from vitals.settings import Settings
from vitals.telemetry import Health

log = structlog.get_logger()

EVENTS = Counter("vitals_quality_events_total", "Events examined since this process started.", ["topic"])
RESULTS = Counter("vitals_quality_results_total", "Final results by verdict.", ["check", "verdict"])
READ_SECONDS = Histogram("vitals_quality_read_seconds", "Time to decode and examine one batch.")
LAG = Gauge("vitals_quality_lag", "Records after the position.", ["topic", "partition"])

GROUP = "vitals-quality"
RESULTS_TOPIC = "quality.results"
METRIC_VALUES = "metrics.values"

BATCH_MESSAGES = 50_000
PROVISIONAL_SECONDS = 3.0
"""Results of open windows go out at most this often."""
LAG_INTERVAL_SECONDS = 2.0
OFFSETS_SECONDS = 10.0


class QualityWorker:
    """Owns every partition. `declared`: the checks."""

    def __init__(
        self,
        settings: Settings,
        declared: Sequence[Check],
        serde: AvroSerde,
        decoder: EventDecoder,
        clock: WallClock,
        stopping: threading.Event,
    ) -> None:
        self._settings, self._serde, self._decoder = settings, serde, decoder
        self._clock, self._stopping = clock, stopping
        self._state = QualityState(declared, settings.rollup_memory_mb // 2, settings.state_dir / "spill" / "quality")
        self._verdicts = Verdicts(self._state, self)
        self._snapshots = SnapshotFolder(settings.snapshots, "quality", lambda: fingerprint(declared))
        self._producer = AcknowledgedProducer(settings, "result")
        self._consumer = Consumer(
            consumer_options(settings, GROUP) | {"enable.partition.eof": True, "fetch.queue.backoff.ms": 50}
        )
        self._ends: dict[tuple[str, int], int] = {}
        self._ends_now: Ends | None = None

    def run(self, health: Health) -> None:
        """Works until stopping; then writes snapshots.

        Raises:
            FatalError: retention has deleted what a rebuild needs.
            RetriableError: Kafka or the schema registry did not answer; a restart goes on from the last snapshot.
        """
        try:
            self._assign()
            health.ready()
            provisional_due = snapshot_due = lag_due = 0.0
            while not self._stopping.is_set():
                self._take(self._consumer.consume(BATCH_MESSAGES, self._settings.flush_interval_seconds))
                self._publish_closed()
                now = time.monotonic()
                if now >= provisional_due:
                    provisional_due = now + PROVISIONAL_SECONDS
                    self._publish_open()
                if now >= snapshot_due:
                    self._snapshot()
                    snapshot_due = now + self._settings.snapshot_interval_seconds
                if now >= lag_due:
                    lag_due = now + LAG_INTERVAL_SECONDS
                    self._measure_lag()
            self._snapshot()
        finally:
            self._consumer.close()

    def _assign(self) -> None:
        starts = []
        for partition in range(PARTITIONS):
            restored = self._snapshots.restore(self._state, partition)
            reached = self._state.partitions[partition].next_offsets
            log.info("partition_restored", partition=partition, restored=restored, offsets=reached)
            for topic in (*EVENTS_TOPICS, QUARANTINE):
                start = reached.get(topic, 0)
                low, _ = self._offsets(topic, partition)
                if start < low:
                    raise FatalError(
                        f"{topic}/{partition} starts at {low}, the quality checks need {start}: retention deleted what "
                        "a rebuild needs. Restore a newer snapshot."
                    )
                starts.append(TopicPartition(topic, partition, start))
        self._consumer.assign(starts)

    def _take(self, messages: list[Any]) -> None:
        self._ends_now = None
        runs: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for message in messages:
            problem = message.error()
            if problem is None:
                runs[message.topic()][message.partition()].append(message)
            elif problem.code() == KafkaError._PARTITION_EOF:
                self._ends[(message.topic(), message.partition())] = message.offset()
            else:
                log.warning("consume", error=str(problem))
        # The quarantine first: what it holds of a window was written before the progress that closes the window.
        for partition, run in runs.pop(QUARANTINE, {}).items():
            records = [record for record in map(self._quarantined, run) if record is not None]
            self._state.take_quarantined(partition, records, run[-1].offset() + 1)
        for topic, by_partition in runs.items():
            with READ_SECONDS.time():
                EVENTS.labels(topic).inc(self._state.take(topic, by_partition, self._decoder))

    def _quarantined(self, message: Any) -> dict[str, Any] | None:
        try:
            return self._serde.decode(message.value())[1]
        except BadRecordError as error:
            log.warning("unreadable", topic=QUARANTINE, offset=message.offset(), error=str(error))
            return None

    def _publish_closed(self) -> None:
        steps = []
        for told in self._verdicts.closed():
            if isinstance(told, GateStep):
                steps.append(told)
                log.info("gate", check=told.check.name, source=told.source, closed=told.closed, since=told.since)
            else:
                self._send(told)
                RESULTS.labels(told.check.name, told.judgement.verdict).inc()
        if steps:
            for partition in range(PARTITIONS):
                record = gates_record(steps, partition, self._clock.now())
                encoded = self._serde.encode(METRIC_VALUES, "MetricValuesBundle", record)
                self._producer.produce(METRIC_VALUES, encoded, partition=partition)

    def _publish_open(self) -> None:
        for result in self._verdicts.open():
            self._send(result)

    def _send(self, result: Result) -> None:
        position = sum(state.position for state in self._state.partitions.values())
        record = result_record(result, position, self._clock.now())
        key = f"{result.check.name}|{result.source}".encode()
        self._producer.produce(RESULTS_TOPIC, self._serde.encode(RESULTS_TOPIC, "QualityResult", record), key)

    def _snapshot(self) -> None:
        """Everything published is acknowledged first; then the state is durable."""
        self._producer.settle()
        for partition in self._state.partitions:
            self._snapshots.write(self._state, partition)

    def now(self) -> Ends:
        """Where the logs end. Asked for once between two reads."""
        if self._ends_now is None:
            self._ends_now = {
                (topic, partition): self._offsets(topic, partition)[1]
                for topic in (*EVENTS_TOPICS, QUARANTINE)
                for partition in range(PARTITIONS)
            }
        return self._ends_now

    def reached(self, ends: Ends) -> bool:
        """Whether everything before these ends is in the state."""
        return all(self._reached(*where) >= end for where, end in ends.items())

    def _reached(self, topic: str, partition: int) -> int:
        """Position, beyond the markers of transactions at the end of a partition, which no consumer sees."""
        position = self._state.partitions[partition].next_offsets.get(topic, 0)
        return max(position, self._ends.get((topic, partition), 0))

    def _offsets(self, topic: str, partition: int) -> tuple[int, int]:
        where = TopicPartition(topic, partition)
        try:
            low, high = self._consumer.get_watermark_offsets(where, timeout=OFFSETS_SECONDS)
        except Exception as error:
            raise RetriableError(f"Kafka does not tell the offsets of {topic}/{partition}: {error}") from error
        return low, high

    def _measure_lag(self) -> None:
        for topic in (*EVENTS_TOPICS, QUARANTINE):
            for partition in range(PARTITIONS):
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                LAG.labels(topic, partition).set(max(0, end - self._reached(topic, partition)))
