"""Which account an external identity belongs to, and up to which source time that is known."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import Consumer, TopicPartition

from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError
from vitals.events import account_id
from vitals.kafka import consumer_options
from vitals.settings import Settings

log = structlog.get_logger()

IDENTITIES = "identities"
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class IdentityIndex:
    """Identity to account id, kept current by `apply`.

    Without an identity source every `crm:account:` identity is its own account, as the design says for companies that
    have no CRM.
    """

    def __init__(self, *, has_identity_source: bool) -> None:
        self._has_source = has_identity_source
        self._accounts: dict[str, str] = {}
        self._complete: dict[int, datetime] = {}
        self._changed = threading.Condition()

    def resolve(self, identity: str | None) -> str | None:
        """The account id, or None where the identity is unknown so far."""
        if identity is None:
            return None
        if not self._has_source:
            return account_id(identity) if identity.startswith("crm:account:") else None
        return self._accounts.get(identity)

    def apply(self, partition: int, record_name: str, record: dict[str, Any]) -> None:
        """Takes one record of the topic."""
        with self._changed:
            if record_name == "Identity":
                self._accounts[record["identity"]] = record["account_id"]
            elif record["complete_through"] is not None:
                self._complete[partition] = max(record["complete_through"], self._complete.get(partition, BEGINNING))
            self._changed.notify_all()

    @property
    def complete_through(self) -> datetime:
        """Source time up to which every identity is known (on all partitions)."""
        if len(self._complete) < TOPICS[IDENTITIES].partitions:
            return BEGINNING
        return min(self._complete.values())

    def wait_complete(self, through: datetime, timeout_seconds: float, stopping: Callable[[], bool]) -> bool:
        """Blocks until identities are known up to `through`. False after the time-out or when stopping."""
        if not self._has_source:
            return True
        waited = 0.0
        with self._changed:
            while self.complete_through < through:
                if waited >= timeout_seconds or stopping():
                    return False
                self._changed.wait(0.1)
                waited += 0.1
        return True


def follow_identities(settings: Settings, serde: AvroSerde, index: IdentityIndex, stopping: threading.Event) -> None:
    """Reads `identities` from its beginning for as long as the process lives (run it in a thread of its own)."""
    consumer = Consumer(consumer_options(settings, "vitals-identity-index"))
    consumer.assign([TopicPartition(IDENTITIES, n, 0) for n in range(TOPICS[IDENTITIES].partitions)])
    try:
        while not stopping.is_set():
            for message in consumer.consume(500, timeout=0.1):
                if message.error() is not None:
                    log.warning("identity_read", error=str(message.error()))
                    continue
                try:
                    name, record = serde.decode(message.value())
                except BadRecordError as error:
                    log.error("identity_unreadable", offset=message.offset(), error=str(error))
                    continue
                index.apply(message.partition() or 0, name, record)
    finally:
        consumer.close()
