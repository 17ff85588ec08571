"""Scores batches of records of `metrics.values`: rebuilds where needed, computes, publishes. Blocking code."""

import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge, Histogram

from analytics.health.model import HealthModel
from streams.scoring.publisher import Publisher, StoppingError
from streams.scoring.rebuild import METRIC_VALUES, rebuild
from streams.scoring.scorer import PartitionScorer
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError, FatalError, RetriableError
from vitals.settings import Settings

log = structlog.get_logger()

COMPUTE_SECONDS = Histogram(
    "vitals_scoring_compute_seconds",
    "Time to decode a bundle of metric values, score what it changes and hand the scores to the producer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LAG = Gauge("vitals_scoring_lag", "Records of metrics.values after the position.", ["partition"])

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
ATTEMPTS = 2
"""Times a record may fail for a reason that nobody foresaw before it is set aside."""


@dataclass(frozen=True)
class Delivery:
    """One record of `metrics.values`."""

    partition: int
    offset: int
    message: bytes


class ScoringWorker:
    """The partitions of this process. One thread at a time."""

    def __init__(
        self,
        settings: Settings,
        model: HealthModel,
        serde: AvroSerde,
        publisher: Publisher,
        stopping: threading.Event,
    ) -> None:
        self._settings, self._model, self._serde = settings, model, serde
        self._publisher, self._stopping = publisher, stopping
        self._scorers: dict[int, PartitionScorer] = {}

    @property
    def rebuilt(self) -> frozenset[int]:
        """Partitions whose state is in memory."""
        return frozenset(self._scorers)

    def keep(self, partitions: AbstractSet[int]) -> None:
        """Forgets partitions that another worker has now."""
        for partition in self.rebuilt - partitions:
            self._scorers.pop(partition, None)
            LAG.remove(str(partition))

    def position(self, partition: int) -> int | None:
        """First offset that is not in the partition's state, None where there is none in memory."""
        scorer = self._scorers.get(partition)
        return None if scorer is None else scorer.position

    def handle(self, batch: Sequence[Delivery]) -> None:
        """Scores what records change; returns once all scores are acknowledged, or their records set aside.

        One wait for Kafka covers the batch. A fault that passes (PostgreSQL or Kafka is away) is waited for; the states
        are rebuilt then and the batch done again, because a step that ended halfway must not be gone on with.

        Raises:
            FatalError: waiting will not help.
            StoppingError: the process is to end; the batch is not done.
        """
        pause, failures = FIRST_PAUSE_SECONDS, dict.fromkeys(batch, 0)
        current = batch[0]
        while True:
            try:
                for current in batch:
                    if failures[current] < ATTEMPTS:
                        self._handle(current)
                self._publisher.flush()
            except (StoppingError, FatalError):
                raise
            except RetriableError as error:
                log.warning("waiting", reason=str(error), seconds=pause)
                self._forget(batch)
                if self._stopping.wait(pause):
                    raise StoppingError from error
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except Exception as error:  # whatever it is, the other records must not wait for it
                failures[current] += 1
                log.exception("failed", partition=current.partition, offset=current.offset)
                self._forget(batch)
                if failures[current] == ATTEMPTS:
                    self._set_aside(current, error)
            else:
                return

    def _forget(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            self._scorers.pop(delivery.partition, None)

    def _handle(self, delivery: Delivery) -> None:
        scorer = self._scorers.get(delivery.partition)
        if scorer is None or scorer.position < delivery.offset:  # records went to another worker meanwhile
            scorer = rebuild(self._settings, self._model, delivery.partition, delivery.offset, self._serde)
            self._scorers[delivery.partition] = scorer
        with COMPUTE_SECONDS.time():
            try:
                name, bundle = self._serde.decode(delivery.message)
                if name != "MetricValuesBundle":
                    raise BadRecordError(f"{METRIC_VALUES} carries a {name}.")
                chunks = scorer.step(bundle, delivery.offset, time.monotonic())
                self._publisher.publish(scorer, delivery.partition, chunks)
            except BadRecordError as error:
                self._set_aside(delivery, error)

    def _set_aside(self, delivery: Delivery, error: Exception) -> None:
        origin = f"{METRIC_VALUES}/{delivery.partition}/{delivery.offset}"
        log.error("dead_letter", origin=origin, error=str(error))
        self._publisher.set_aside(delivery.message, origin, delivery.partition, error)
