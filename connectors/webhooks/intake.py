"""A stream's reader of its source's deliveries: gives them in batches and moves on once a batch is committed."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, TopicPartition

from connectors.contract import Delivery, Json, State
from connectors.fates import SetAside
from connectors.stream_state import partition_of
from connectors.webhooks.delivered import DeliveredIds
from connectors.webhooks.deliveries import RECORD, WEBHOOKS, delivery_of
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError
from vitals.kafka import consumer_options
from vitals.settings import Settings

log = structlog.get_logger()

OFFSET = "webhooks"
"""The entry of a stream's state that holds the next offset to read."""
BATCH_MAX = 200
BATCH_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries that were not taken before. `updates` are the state behind them, for the transaction of their page."""

    deliveries: tuple[Delivery, ...]
    unreadable: tuple[SetAside, ...]
    updates: Mapping[str, Json]


class DeliveryIntake:
    """Reads one partition from where the stream's state stands; from the beginning where it never read.

    A failed commit leaves it unusable, like the writer: drop it and open another.
    """

    def __init__(self, settings: Settings, serde: AvroSerde, source: str, stream: str, state: State) -> None:
        self._serde, self._source, self._stream = serde, source, stream
        self._delivered = DeliveredIds(state)
        self._next = int(state.get(OFFSET, 0))
        self._batch: Batch | None = None
        self._complained = False
        self._consumer = Consumer(
            consumer_options(settings, f"vitals-webhooks-{stream}") | {"partition.assignment.strategy": "range"}
        )
        self._consumer.assign([TopicPartition(WEBHOOKS, partition_of(source, WEBHOOKS), self._next)])

    def batch(self, timeout_seconds: float) -> Batch | None:
        """What waits, oldest first, after at most `timeout_seconds`; the same again until `taken` is called.

        Raises:
            RetriableError: the schema registry is out of reach.
        """
        if self._batch is None:
            self._batch = self._read(timeout_seconds)
        return self._batch

    def taken(self) -> None:
        """The batch is committed."""
        self._batch = None

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _read(self, timeout_seconds: float) -> Batch | None:
        deliveries: list[Delivery] = []
        unreadable: list[SetAside] = []
        ids: dict[str, None] = {}
        remembered = []
        size = 0
        while len(ids) < BATCH_MAX and size < BATCH_BYTES_MAX:
            message = self._consumer.poll(timeout_seconds)
            timeout_seconds = 0.0
            if message is None:
                break
            if message.error() is not None:
                self._complain(str(message.error()))
                break
            content, self._next = message.value() or b"", (message.offset() or 0) + 1
            if message.key() != self._source.encode():
                continue
            try:
                name, record = self._serde.decode(content)
                if name != RECORD:
                    raise BadRecordError(f"A {name} is no delivery.")
            except BadRecordError as error:
                unreadable.append(self._dead_letter(content, f"{message.partition()}/{message.offset()}", str(error)))
                continue
            size += len(content)
            delivery_id = record["delivery_id"]
            if delivery_id in self._delivered or delivery_id in ids:
                continue
            ids[delivery_id] = None
            deliveries.append(delivery_of(record))
            remembered.append((record["received_at"].date(), delivery_id))
        if not deliveries and not unreadable:
            return None
        updates = self._delivered.remember(remembered) | {OFFSET: self._next}
        return Batch(tuple(deliveries), tuple(unreadable), updates)

    def dead_letter(self, delivery: Delivery, reason: str) -> SetAside:
        """A delivery whose body means nothing to the stream."""
        return self._dead_letter(delivery.body, delivery.received_at.isoformat(), reason)

    def _dead_letter(self, content: bytes, place: str, reason: str) -> SetAside:
        return SetAside(
            "DeadLetter", self._source, None, None, None, None, BadRecordError.__name__, reason,
            f"{self._stream}/webhook/{place}", content,
        )  # fmt: skip

    def _complain(self, error: str) -> None:
        """Says once that deliveries cannot be read; polling goes on and brings what they would have brought."""
        if not self._complained:
            log.warning("webhooks_unreadable", stream=self._stream, error=error)
        self._complained = True
