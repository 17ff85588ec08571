"""Appends to the events topics piece by piece, as connectors do: in transactions, progress records among the events."""

from collections.abc import Iterable, Mapping, Sequence

from schemas.topics import PARTITIONS
from tests.parity.kafka_log import progress, register, wire
from tests.parity.logs import Written
from vitals.kafka import producer
from vitals.settings import Settings

EVENTS_A_TRANSACTION = 500


class LogWriter:
    """The one writer of a deployment's events."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = producer(settings, "parity-log")
        self._producer.init_transactions(30)
        self._ids: dict[str, Mapping[str, int]] = {}

    def append(self, topic: str, log: Sequence[Written]) -> None:
        """Writes the log in its order, each account to its partition, with progress records after each transaction."""
        for start in range(0, len(log), EVENTS_A_TRANSACTION):
            self._producer.begin_transaction()
            self._produce(topic, log[start : start + EVENTS_A_TRANSACTION])
            for partition in range(PARTITIONS):
                self._producer.produce(topic, progress(self._schema_ids(topic)), partition=partition)
            self._producer.commit_transaction(60)

    def abort(self, topic: str, log: Iterable[Written]) -> None:
        """Writes events that no reader must see."""
        self._producer.begin_transaction()
        self._produce(topic, log)
        self._producer.flush(60)
        self._producer.abort_transaction(60)

    def _produce(self, topic: str, log: Iterable[Written]) -> None:
        for written in log:
            body = wire(self._schema_ids(topic), written)
            self._producer.produce(topic, body, written.record["account_id"].encode())
            self._producer.poll(0)

    def _schema_ids(self, topic: str) -> Mapping[str, int]:
        if topic not in self._ids:
            self._ids[topic] = register(self._settings, topic)
        return self._ids[topic]
