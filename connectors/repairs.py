"""Dead letters that are driven again: from the topic `connectors.repairs` into the stream that set them aside.

Whoever mends a letter writes its original, corrected or as it was, with the letter's position. The stream's runner
reads its part between two fetches, maps it, and commits events, counts and the mark `repaired/<position>` in one
transaction: a letter is repaired once, however often it is sent. What counted as `dead_lettered` moves to its new fate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import structlog

from connectors.contract import Json, Page, RawObject, State
from connectors.fates import PageOutcome, origin_of
from connectors.stream_state import partition_of
from connectors.topic_reading import read_between
from vitals.avro import AvroSerde, Record
from vitals.errors import BadRecordError, RetriableError, UserError
from vitals.kafka import producer
from vitals.settings import Settings

log = structlog.get_logger()

REPAIRS = "connectors.repairs"
NEXT = "repairs"
"""State entry: the offset behind the last repair that the stream has taken."""
REPAIRED = "repaired/"
PROMISES = ("since", "walked")
"""Entries by which a mapping passes over what an earlier page has told. A dead letter told nothing."""
PAGE_REPAIRS = 200
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Repair:
    """One letter's original. `letter` is its position on `dead_letters`, `attempt` 2 the first time."""

    stream: str
    letter: str
    object_type: str
    source_id: str
    body: str
    attempt: int

    def raw(self) -> RawObject:
        """The raw object; a body that is no JSON stays text, as it was fetched."""
        try:
            body: Json = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            body = self.body
        return RawObject(self.object_type, self.source_id, body)

    def record(self, ordered_at: datetime) -> Record:
        """As an Avro record (`Repair`)."""
        return {
            "stream": self.stream,
            "letter": self.letter,
            "object": self.object_type,
            "source_id": self.source_id,
            "body": self.body,
            "attempt": self.attempt,
            "ordered_at": ordered_at,
        }


@dataclass(frozen=True, slots=True)
class Repairs:
    """What a stream takes at once: repairs that it has not taken yet, and the offset behind those that were read."""

    taken: Sequence[Repair]
    next_offset: int

    def page(self) -> Page:
        """As a page: it moves neither cursor nor promise."""
        marks: dict[str, Json] = {f"{REPAIRED}{repair.letter}": repair.attempt for repair in self.taken}
        return Page([repair.raw() for repair in self.taken], {**marks, NEXT: self.next_offset}, None, more=True)

    def settle_letters(
        self, stream: str, outcome: PageOutcome, counts: Mapping[str, Mapping[str, int]]
    ) -> dict[str, dict[str, int]]:
        """The counts without the letters that were repaired. What failed again knows how often it was tried."""
        attempts = {origin_of(stream, repair.raw()): repair.attempt for repair in self.taken}
        outcome.set_aside[:] = [record.tried(attempts.get(record.origin, 1)) for record in outcome.set_aside]
        left = {kind: dict(fates) for kind, fates in counts.items()}
        unreadable = left.setdefault("unreadable", {})
        unreadable["dead_lettered"] = max(0, unreadable.get("dead_lettered", 0) - len(self.taken))
        return left


def untold(state: State) -> State:
    """The state under which a repaired object is mapped: as in a first load everything that it tells is new, and the
    ids of events keep what is known from counting twice."""
    return {entry: value for entry, value in state.items() if entry not in PROMISES}


def select(repairs: Iterable[tuple[int, Repair]], stream: str, state: State) -> Repairs:
    """Those of the (offset, repair) pairs that concern a stream and are not taken yet, each letter once. Pure."""
    taken: dict[str, Repair] = {}
    next_offset = int(state.get(NEXT, 0))
    for offset, repair in repairs:
        next_offset = max(next_offset, offset + 1)
        if repair.stream == stream and f"{REPAIRED}{repair.letter}" not in state:
            taken.setdefault(repair.letter, repair)
    return Repairs(tuple(taken.values()), next_offset)


def read_repairs(settings: Settings, serde: AvroSerde, stream: str, state: State, end: int) -> Repairs | None:
    """The stream's next repairs below offset `end`; None where it has read them all.

    Raises:
        RetriableError: the brokers do not answer.
    """
    start = int(state.get(NEXT, 0))
    if start >= end:
        return None
    found: list[tuple[int, Repair]] = []
    try:
        for message in read_between(settings, REPAIRS, partition_of(stream), start, end):
            try:
                _, record = serde.decode(message.value())
            except BadRecordError as error:
                log.error("repair_unreadable", offset=message.offset(), error=str(error))
                continue
            found.append((message.offset() or 0, _repair(record)))
            if len(found) == PAGE_REPAIRS:
                break
    except UserError as error:
        raise RetriableError(str(error)) from error
    repairs = select(found, stream, state)
    # Where the rest is unreadable, or was deleted by age, the stream is past it all the same.
    return repairs if len(found) == PAGE_REPAIRS else Repairs(repairs.taken, max(repairs.next_offset, end))


def _repair(record: Record) -> Repair:
    return Repair(
        record["stream"], record["letter"], record["object"], record["source_id"], record["body"], record["attempt"]
    )


def send_repairs(settings: Settings, serde: AvroSerde, repairs: Iterable[Repair], now: datetime) -> int:
    """Hands repairs to their streams; how many.

    Raises:
        RetriableError: the brokers did not take them all.
    """
    client, sent = producer(settings), 0
    for repair in repairs:
        encoded = serde.encode(REPAIRS, "Repair", repair.record(now))
        while True:
            try:
                client.produce(REPAIRS, encoded, repair.stream.encode(), partition_of(repair.stream))
            except BufferError:
                client.poll(0.1)
                continue
            break
        sent += 1
    if client.flush(FLUSH_SECONDS) > 0:
        raise RetriableError(f"Kafka did not take the repairs within {FLUSH_SECONDS:.0f} s; send them again.")
    return sent
