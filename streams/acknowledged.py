"""What a worker publishes between two snapshots: all of it is acknowledged before the next one is written."""

from typing import Any

from confluent_kafka import KafkaError

from vitals.errors import RetriableError
from vitals.kafka import producer
from vitals.settings import Settings

FLUSH_SECONDS = 30.0


class AcknowledgedProducer:
    """A producer that tells of every record that was lost: the worker then restarts from its last snapshot.

    `what` names the records in an error, such as `bundle`.
    """

    def __init__(self, settings: Settings, what: str) -> None:
        self._producer = producer(settings)
        self._what = what
        self._error: KafkaError | None = None

    def produce(self, topic: str, value: bytes, key: bytes | None = None, partition: int | None = None) -> None:
        """Hands a record to the queue, and waits while that is full.

        Raises:
            RetriableError: an earlier record was not delivered.
        """
        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **options)
            except BufferError:
                self._producer.poll(0.1)
                continue
            break
        self._producer.poll(0)
        self._raise_lost()

    def settle(self) -> None:
        """Waits until everything is acknowledged.

        Raises:
            RetriableError: something was not, within 30 seconds.
        """
        if self._producer.flush(FLUSH_SECONDS) > 0:
            raise RetriableError(
                f"Kafka did not take every {self._what} within {FLUSH_SECONDS:.0f} s: restarting from the snapshot."
            )
        self._raise_lost()

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        del message
        if error is not None:
            self._error = error

    def _raise_lost(self) -> None:
        if self._error is not None:
            raise RetriableError(f"A {self._what} was not delivered ({self._error}): restarting from the snapshot.")
