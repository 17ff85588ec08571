"""A stream's transactional writer: raw objects, events, state, progress and counts, all or nothing."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.contract import Json, Profile, RawObject
from connectors.fates import COMPLETE, COUNTS, SCALE, PageOutcome, SetAside, raw_bytes
from connectors.quarantine.waiting import waiting_entries
from connectors.stream_state import CURSORS, entry_key, entry_record, load_state, merge_updates, partition_of
from schemas.topics import TOPICS, events_topic, raw_topic
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import RetriableError
from vitals.events import Event, account_id
from vitals.kafka import producer
from vitals.settings import Settings

log = structlog.get_logger()

TRANSACTION_TIMEOUT_SECONDS = 10.0
POSITION = "position"
IDENTITIES = "identities"
SET_ASIDE_TOPICS = {"QuarantinedEvent": "quarantine", "DeadLetter": "dead_letters"}


def to_instant(text: str | None) -> datetime | None:
    """An instant kept in the state as ISO 8601 text."""
    return None if text is None else datetime.fromisoformat(text)


class StreamWriter:
    """The one writer of a stream: its transactional id fences any older one, its state is what Kafka committed.

    Any failure leaves it unusable: drop it and open another, which starts from the last commit.
    """

    def __init__(
        self, settings: Settings, serde: AvroSerde, clock: Clock, source: str, stream: str, topics: tuple[str, ...]
    ) -> None:
        self._settings, self._serde, self._clock = settings, serde, clock
        self.source, self.stream, self.topics = source, stream, topics
        self.state: dict[str, Json] = {}
        self._producer: Producer | None = None

    def open(self) -> None:
        """Fences older writers, then reads the state.

        Raises:
            RetriableError: the brokers are out of reach.
        """
        try:
            self._producer = producer(self._settings, f"vitals-{self.stream}")
            self._producer.init_transactions(30.0)
        except KafkaException as error:
            raise RetriableError(f"{self.stream} cannot start its transactions: {error}") from error
        self.state = load_state(self._settings, self._serde, self.stream)

    @property
    def complete_through(self) -> datetime | None:
        """The stream's last committed progress."""
        return to_instant(self.state.get(COMPLETE))

    @property
    def position(self) -> int:
        """How many transactions the stream has committed: the revision of its counts."""
        return int(self.state.get(POSITION, 0))

    def commit(
        self,
        outcome: PageOutcome,
        counts: dict[str, dict[str, int]],
        *,
        identity_source: bool = False,
        retired: bool = False,
    ) -> None:
        """Writes one page in one transaction, and then takes over its state updates.

        `retired` ends the stream: with this page it gives up its hold on the watermark.

        Raises:
            RetriableError: nothing was written; this writer is unusable.
        """
        client = self._usable()
        now = self._clock.now()
        updates = dict(outcome.updates) | {POSITION: self.position + 1}
        if counts != self.state.get(COUNTS, {}):
            updates[COUNTS] = counts
        before = self.complete_through
        through = max(filter(None, [before, outcome.complete_through]), default=None)
        if through is not None and through != before:
            updates[COMPLETE] = through.isoformat()
        try:
            client.begin_transaction()
            self._raw_objects(outcome.objects, updates, now)
            self._profiles(outcome.profiles)
            self._identities(outcome, now)
            self._events(outcome.events)
            updates |= waiting_entries(updates[POSITION], self._set_aside(outcome.set_aside, now))
            self._state(updates, now)
            self._progress(progress_record(self.source, self.stream, through, now, retired=retired), identity_source)
            if COUNTS in updates:
                self._counts(counts, updates[POSITION], now)
            self._committed(client)
        except KafkaException as error:
            raise RetriableError(f"A transaction of {self.stream} was aborted: {error}") from error
        merge_updates(self.state, updates)

    def _usable(self) -> Producer:
        if self._producer is None:
            raise RetriableError(f"{self.stream} has no open writer.")
        return self._producer

    def _committed(self, client: Producer) -> None:
        """Commits, again while the brokers say that it is worth it."""
        for _ in range(3):
            try:
                client.commit_transaction(TRANSACTION_TIMEOUT_SECONDS)
            except KafkaException as error:
                if error.args[0].retriable():
                    continue
                raise
            return
        raise RetriableError(f"A transaction of {self.stream} did not commit in time.")

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        delivered: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        client = self._usable()
        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        if delivered is not None:
            options["on_delivery"] = delivered
        while True:
            try:
                client.produce(topic, value, key, **options)
            except BufferError:
                client.poll(0.1)
                continue
            return

    def _encoded(
        self, topic: str, record_name: str, records: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], str]
    ) -> None:
        for record in records:
            self._produce(topic, key(record).encode(), self._serde.encode(topic, record_name, record))

    def _raw_objects(self, objects: Iterable[RawObject], updates: dict[str, Json], now: datetime) -> None:
        cursor = orjson.dumps({"stream": self.stream, "position": updates[POSITION]}).decode()
        self._encoded(
            raw_topic(self.source).name,
            "RawObject",
            (
                {
                    "source": self.source,
                    "object": raw.object_type,
                    "source_id": raw.source_id,
                    "fetched_at": now,
                    "cursor": cursor,
                    "body": raw_bytes(raw),
                }
                for raw in objects
            ),
            lambda record: str(record["source_id"]),
        )

    def _profiles(self, profiles: Iterable[Profile]) -> None:
        for profile in profiles:
            account = account_id(profile.identity)
            record = {
                "account_id": account, "crm_id": profile.crm_id, "name": profile.name, "segment": profile.segment,
                "owner": profile.owner, "region": profile.region, "plan": profile.plan,
                "created_at": profile.created_at, "valid_from": profile.valid_from, "deleted": profile.deleted,
                "source": self.source,
                "arr": None if profile.arr is None else profile.arr.quantize(SCALE),
                "arr_currency": profile.arr_currency, "time_zone": profile.time_zone,
                "renewal_date": None if profile.renewal_date is None else profile.renewal_date.isoformat(),
                "domain": profile.domain,
                "parent_id": None if profile.parent is None else account_id(profile.parent),
            }  # fmt: skip
            self._encoded("accounts", "AccountProfile", [record], lambda record: str(record["account_id"]))
            link = {
                "identity": profile.identity,
                "account_id": account,
                "linked_at": profile.valid_from,
                "source": self.source,
            }
            self._encoded(IDENTITIES, "Identity", [link], lambda record: str(record["identity"]))

    def _identities(self, outcome: PageOutcome, now: datetime) -> None:
        said = [(claim.key, "IdentityClaim", claim.record(now)) for claim in outcome.claims]
        said += [(alias.key, "AccountAlias", alias.record(now)) for alias in outcome.aliases]
        for key, record_name, record in said:
            self._produce(IDENTITIES, key.encode(), self._serde.encode(IDENTITIES, record_name, record))

    def _events(self, events: Iterable[Event]) -> None:
        for event in events:
            topic = events_topic(event.kind)
            self._produce(topic, event.account_id.encode(), self._serde.encode(topic, "Event", event.record()))

    def _set_aside(self, records: Iterable[SetAside], now: datetime) -> dict[str, list[tuple[int, int]]]:
        """Partition and offset of every event that waits for its account, by the name of that.

        Only the brokers know the offsets: where events wait, they are sent before the state that remembers them.
        """
        places: dict[str, list[tuple[int, int]]] = {}
        for record in records:
            topic = SET_ASIDE_TOPICS[record.record_name]
            encoded = self._serde.encode(
                topic,
                record.record_name,
                {
                    "source": self.source,
                    "stage": "connector",
                    "event_id": record.event_id,
                    "kind": record.kind,
                    "account_ref": record.account_ref,
                    "event_time": record.event_time,
                    "error_class": record.error_class,
                    "message": record.message,
                    "origin": record.origin,
                    "attempt": record.attempt,
                    "original": record.original,
                    "set_aside_at": now,
                }
                | (
                    {
                        "stream": self.stream,
                        "user_id": record.user_id,
                        "value": record.value,
                        "properties": dict(record.properties),
                    }
                    if topic == "quarantine"
                    else {}
                ),
            )
            delivered = None
            if record.record_name == "QuarantinedEvent" and record.account_ref is not None:
                delivered = _placed(places.setdefault(record.account_ref, []))
            self._produce(topic, record.key.encode(), encoded, delivered=delivered)
        if places and self._usable().flush(TRANSACTION_TIMEOUT_SECONDS) > 0:
            raise RetriableError(f"Kafka did not take the quarantined events of {self.stream} in time.")
        return {account_ref: found for account_ref, found in places.items() if found}

    def _state(self, updates: dict[str, Json], now: datetime) -> None:
        partition = partition_of(self.stream)
        for entry, value in updates.items():
            encoded = (
                None
                if value is None
                else self._serde.encode(CURSORS, "CursorEntry", entry_record(self.stream, entry, value, now))
            )
            self._produce(CURSORS, entry_key(self.stream, entry), encoded, partition)

    def _progress(self, record: dict[str, Any], identity_source: bool) -> None:
        for topic in (*self.topics, IDENTITIES) if identity_source else self.topics:
            encoded = self._serde.encode(topic, "Progress", record)
            key = f"progress|{self.stream}".encode()
            for partition in range(TOPICS[topic].partitions):
                self._produce(topic, key, encoded, partition)

    def _counts(self, counts: dict[str, dict[str, int]], position: int, now: datetime) -> None:
        record = {
            "stage": "connector",
            "name": self.stream,
            "position": position,
            "counts": [
                {"kind": kind, "fate": fate, "count": count}
                for kind, fates in sorted(counts.items())
                for fate, count in sorted(fates.items())
            ],
            "written_at": now,
        }
        self._encoded("pipeline.counts", "PipelineCounts", [record], lambda record: str(record["name"]))


def _placed(places: list[tuple[int, int]]) -> Callable[[KafkaError | None, Message], None]:
    """Takes the place of a delivered record. One that is not delivered makes the commit fail."""

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            places.append((message.partition() or 0, message.offset() or 0))

    return delivered


def progress_record(
    source: str, stream: str, through: datetime | None, now: datetime, *, retired: bool = False
) -> dict[str, Any]:
    """Avro record (`Progress`); `through` None registers the stream."""
    mode = "retired" if retired else "backfill" if through is None else "live"
    return {"source": source, "stream": stream, "complete_through": through, "mode": mode, "written_at": now}
