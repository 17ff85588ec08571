"""The loop that every sink runs: read a batch, set aside what is unreadable, apply the rest with its offsets."""

import threading
import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException

from sinks.batches import Batch, BatchReader
from sinks.dead_letters import DeadLetters
from sinks.delivery import Delivery, Message, Source, Step, read
from sinks.destination import Destination, PositionTakenError
from sinks.instruments import BATCH_SECONDS, RECONNECTS, ROWS, LagGauges
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError, RetriableError
from vitals.settings import Settings

log = structlog.get_logger()

CHECK_SECONDS = 1.0
FIRST_BACK_OFF_SECONDS = 0.2
LONGEST_BACK_OFF_SECONDS = 10.0


class Consumption:
    """One sink at work.

    Any fault ends the session: consumer and connection are closed and made again after a back-off, and the positions
    are read anew, because only the store knows whether the batch in flight went in.
    """

    def __init__(
        self,
        settings: Settings,
        serde: AvroSerde,
        destination: Destination,
        dead_letters: DeadLetters,
        stopping: threading.Event,
        ready: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._serde = serde
        self._destination = destination
        self._dead_letters = dead_letters
        self._stopping = stopping
        self._ready = ready
        self._lag_gauges = LagGauges(destination.name)
        self._back_off_seconds = FIRST_BACK_OFF_SECONDS

    def run(self) -> None:
        """Consumes until `stopping` is set.

        Raises:
            FatalError: what no retry mends, such as a schema that was never registered.
        """
        while not self._stopping.is_set():
            try:
                self._session()
            except PositionTakenError as error:
                log.warning("another sink has this partition: joining again", reason=str(error))
            except (RetriableError, KafkaException) as error:
                log.warning("starting over", reason=str(error), back_off_seconds=self._back_off_seconds)
            if not self._stopping.is_set():
                RECONNECTS.labels(self._destination.name).inc()
                self._stopping.wait(self._back_off_seconds)
                self._back_off_seconds = min(2 * self._back_off_seconds, LONGEST_BACK_OFF_SECONDS)

    def _session(self) -> None:
        reader = BatchReader(self._settings, self._destination.name, self._destination.topics, self._destination.claim)
        try:
            checked_at = time.monotonic()
            while not self._stopping.is_set():
                batch = reader.next_batch()
                if steps := batch.steps:
                    self._apply(batch, steps)
                    reader.applied(steps)
                    self._back_off_seconds = FIRST_BACK_OFF_SECONDS
                if reader.joined:
                    self._ready()
                if time.monotonic() - checked_at >= CHECK_SECONDS:
                    self._destination.check()
                    self._lag_gauges.show(reader.lags())
                    checked_at = time.monotonic()
        finally:
            self._lag_gauges.show({})
            reader.close()
            self._destination.close()

    def _apply(self, batch: Batch, steps: dict[Source, Step]) -> None:
        with BATCH_SECONDS.labels(self._destination.name).time():
            deliveries = self._read(batch.messages)
            try:
                self._store(deliveries, steps)
            except BadRecordError:
                self._apply_one_by_one(deliveries, steps)

    def _read(self, messages: list[Message]) -> list[Delivery]:
        deliveries = []
        set_aside = False
        for message in messages:
            try:
                delivery = read(self._serde, message)
            except BadRecordError as error:
                self._dead_letters.set_aside(message, error)
                set_aside = True
                continue
            if delivery is not None:
                deliveries.append(delivery)
        if set_aside:
            self._dead_letters.flush()
        return deliveries

    def _store(self, deliveries: list[Delivery], steps: dict[Source, Step]) -> None:
        for table, rows in self._destination.apply(deliveries, steps).items():
            ROWS.labels(self._destination.name, table).inc(rows)

    def _apply_one_by_one(self, deliveries: list[Delivery], steps: dict[Source, Step]) -> None:
        """Finds the record that the store refuses, and sets only that one aside."""
        reached = {source: step.expected for source, step in steps.items()}
        for delivery in deliveries:
            source, next_offset = delivery.message.source, delivery.message.offset + 1
            step = {source: Step(reached[source], next_offset)}
            try:
                self._store([delivery], step)
            except BadRecordError as error:
                self._dead_letters.set_aside(delivery.message, error)
                self._dead_letters.flush()
                self._store([], step)
            reached[source] = next_offset
        rest = {
            source: Step(reached[source], step.next_offset)
            for source, step in steps.items()
            if reached[source] < step.next_offset
        }
        if rest:
            self._store([], rest)
