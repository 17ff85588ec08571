"""Sends scored rows to `health.scores`, and waits until Kafka has them."""

import threading
import time
from collections.abc import Iterable
from typing import Any

import structlog
from confluent_kafka import KafkaError
from prometheus_client import Counter

from streams.scoring.bundles import account_groups, bundle_record
from streams.scoring.rebuild import HEALTH_SCORES
from streams.scoring.scorer import PartitionScorer, ScoredChunk
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.errors import RetriableError
from vitals.kafka import producer
from vitals.settings import Settings

log = structlog.get_logger()

SCORES = Counter("vitals_scoring_scores_published_total", "Rows published, by history or live.", ["kind"])

DEAD_LETTERS = "dead_letters"
FLUSH_SECONDS = 30.0


class StoppingError(Exception):
    """The process is ending: what is not acknowledged is read again by the next one."""


class Publisher:
    """One producer for all partitions. Not safe for use by two threads at once."""

    def __init__(self, settings: Settings, serde: AvroSerde, clock: WallClock, stopping: threading.Event) -> None:
        self._serde, self._clock, self._stopping = serde, clock, stopping
        self._producer = producer(settings)
        self._lost: KafkaError | None = None

    def publish(self, scorer: PartitionScorer, partition: int, chunks: Iterable[ScoredChunk | None]) -> None:
        """Hands what a step yields to the producer, in order; `flush` says whether Kafka took it.

        Raises:
            StoppingError: the process is to end.
        """
        for chunk in chunks:
            if chunk is None:
                self._send(scorer, partition, True, [])
                continue
            for accounts in account_groups(chunk, scorer):
                self._send(scorer, partition, chunk.live, accounts)
                SCORES.labels("live" if chunk.live else "history").inc(sum(len(each["scores"]) for each in accounts))

    def set_aside(self, message: bytes, origin: str, partition: int, error: Exception) -> None:
        """Hands a message that cannot be scored to the producer, as a dead letter."""
        record = {
            "source": "scoring",
            "stage": "scoring",
            "error_class": type(error).__name__,
            "message": str(error),
            "origin": origin,
            "attempt": 1,
            "original": message,
            "set_aside_at": self._clock.now(),
        }
        self._produce(DEAD_LETTERS, partition, self._serde.encode(DEAD_LETTERS, "DeadLetter", record))

    def flush(self) -> None:
        """Waits until Kafka has acknowledged everything since the last time.

        Raises:
            RetriableError: Kafka did not take all of it.
            StoppingError: the process is to end.
        """
        give_up = time.monotonic() + FLUSH_SECONDS
        while self._producer.flush(0.5) > 0:
            if self._stopping.is_set():
                raise StoppingError
            if time.monotonic() > give_up:
                raise RetriableError(f"Kafka did not take the scores within {FLUSH_SECONDS:g} s.")
        lost, self._lost = self._lost, None
        if lost is not None:
            raise RetriableError(f"Kafka did not take a bundle of scores: {lost}")

    def _send(self, scorer: PartitionScorer, partition: int, live: bool, accounts: list[dict[str, Any]]) -> None:
        record = bundle_record(scorer, partition, live, accounts, self._clock.now())
        self._produce(HEALTH_SCORES, partition, self._serde.encode(HEALTH_SCORES, "HealthScoresBundle", record))

    def _produce(self, topic: str, partition: int, encoded: bytes) -> None:
        while True:
            if self._stopping.is_set():
                raise StoppingError
            try:
                self._producer.produce(topic, encoded, partition=partition, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
                continue
            self._producer.poll(0)
            return

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        del message
        if error is not None:
            self._lost = error
