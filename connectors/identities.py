"""Which account an external identity belongs to, and up to which source time that is known."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.fates import PageOutcome
from connectors.identity.claims import Alias, Claim
from connectors.identity.resolution import Decision, Identities
from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError
from vitals.events import account_id
from vitals.kafka import consumer_options
from vitals.settings import Settings

log = structlog.get_logger()

IDENTITIES = "identities"
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
WATERMARK_TIMEOUT_SECONDS = 10.0


class IdentityIndex:
    """Everything on the topic `identities`, kept current by `apply` (one thread) and read by any.

    How an identity is decided is told by `connectors.identity.resolution`.
    """

    def __init__(self, *, has_identity_source: bool, followed: bool = True) -> None:
        """`followed`: whether `follow_identities` reads the topic, so that its end is worth waiting for."""
        self._has_source = has_identity_source
        self.identities = Identities(has_identity_source=has_identity_source)
        self._complete: dict[int, datetime] = {}
        self._changed = threading.Condition()
        self._read_to_end = not followed
        self.version = 0
        """Grows with everything that changes a decision; what only makes one stand does not count."""

    def resolve(self, identity: str | None, event_time: datetime | None = None) -> str | None:
        """The account id, or None where the identity is unknown so far."""
        return self.identities.resolve(identity, event_time)

    def decide(self, identity: str | None, event_time: datetime | None = None) -> Decision:
        """See `Identities.decide`."""
        return self.identities.decide(identity, event_time)

    def with_page(self, outcome: PageOutcome) -> Identities:
        """Decides as the index will once the page is committed."""
        if not (outcome.profiles or outcome.claims or outcome.aliases):
            return self.identities
        page = Identities(has_identity_source=self._has_source, base=self.identities)
        _add(page, outcome)
        return page

    def learn(self, outcome: PageOutcome) -> None:
        """Takes what a page brought, once it is committed: the stream's next page need not wait for the topic."""
        if outcome.profiles or outcome.claims or outcome.aliases:
            with self._changed:
                _add(self.identities, outcome)
                self.version += 1
                self._changed.notify_all()

    def apply(self, partition: int, record_name: str, record: dict[str, Any]) -> None:
        """Takes one record of the topic."""
        with self._changed:
            if record_name == "Identity":
                self.identities.define(record["identity"], record["account_id"])
            elif record_name == "IdentityClaim":
                self.identities.claim(Claim.of(record))
            elif record_name == "AccountAlias":
                self.identities.alias(Alias.of(record))
            elif record["complete_through"] is not None:
                self._complete[partition] = max(record["complete_through"], self._complete.get(partition, BEGINNING))
            if record_name != "Progress":
                self.version += 1
            self._changed.notify_all()

    def read_to_end(self) -> None:
        """Everything is read that was on the topic when reading began."""
        with self._changed:
            self._read_to_end = True
            self._changed.notify_all()

    @property
    def complete_through(self) -> datetime:
        """Source time up to which every identity is known (on all partitions)."""
        if len(self._complete) < TOPICS[IDENTITIES].partitions:
            return BEGINNING
        return min(self._complete.values())

    def wait_read(self, timeout_seconds: float, stopping: Callable[[], bool]) -> bool:
        """Blocks until what the topic held at the start is read. False after the time-out or when stopping."""
        return self._wait(lambda: self._read_to_end, timeout_seconds, stopping)

    def wait_complete(self, through: datetime, timeout_seconds: float, stopping: Callable[[], bool]) -> bool:
        """Blocks until identities are known up to `through`. False after the time-out or when stopping."""
        if not self._has_source:
            return True
        return self._wait(lambda: self.complete_through >= through, timeout_seconds, stopping)

    def verdict_time(self, decision: Decision, event_time: datetime) -> datetime:
        """Source time up to which an identity source must have spoken before a decision stands: no verdict by race.

        Nobody is called unknown before it has spoken for the event's time. What claims decide stands once it has spoken
        for theirs, because it may bring a stronger one, or another account with the same domain.
        """
        if decision.account is None:
            return event_time
        return BEGINNING if decision.as_of is None else min(decision.as_of, event_time)

    def _wait(self, reached: Callable[[], bool], timeout_seconds: float, stopping: Callable[[], bool]) -> bool:
        waited = 0.0
        with self._changed:
            while not reached():
                if waited >= timeout_seconds or stopping():
                    return False
                self._changed.wait(0.1)
                waited += 0.1
        return True


def _add(identities: Identities, outcome: PageOutcome) -> None:
    for profile in outcome.profiles:
        identities.define(profile.identity, account_id(profile.identity))
    for claim in outcome.claims:
        identities.claim(claim)
    for alias in outcome.aliases:
        identities.alias(alias)


def follow_identities(settings: Settings, serde: AvroSerde, index: IdentityIndex, stopping: threading.Event) -> None:
    """Reads `identities` from its beginning for as long as the process lives (run it in a thread of its own)."""
    consumer = Consumer(
        consumer_options(settings, "vitals-identity-index")
        | {"enable.partition.eof": True, "partition.assignment.strategy": "range"}
    )
    partitions = [TopicPartition(IDENTITIES, n, 0) for n in range(TOPICS[IDENTITIES].partitions)]
    consumer.assign(partitions)
    unread: dict[int, int] | None = None
    try:
        while not stopping.is_set():
            if unread is None:
                unread = _ends(consumer, partitions)
            for message in consumer.consume(500, timeout=0.1):
                problem = message.error()
                if problem is not None:
                    if problem.code() != KafkaError._PARTITION_EOF:
                        log.warning("identity_read", error=str(problem))
                    # Only the stable end counts: a claim may stand behind another stream's open transaction.
                    elif unread and (message.offset() or 0) >= unread.get(message.partition() or 0, 0):
                        unread.pop(message.partition() or 0, None)
                        if not unread:
                            index.read_to_end()
                    continue
                try:
                    name, record = serde.decode(message.value())
                except BadRecordError as error:
                    log.error("identity_unreadable", offset=message.offset(), error=str(error))
                    continue
                index.apply(message.partition() or 0, name, record)
    finally:
        consumer.close()


def _ends(consumer: Consumer, partitions: list[TopicPartition]) -> dict[int, int] | None:
    """The end of each partition now; None where the brokers do not say."""
    try:
        return {
            one.partition: consumer.get_watermark_offsets(one, timeout=WATERMARK_TIMEOUT_SECONDS)[1]
            for one in partitions
        }
    except Exception as error:  # noqa: BLE001 - librdkafka raises one class for everything; it is asked again
        log.warning("identity_read", error=str(error))
        return None
