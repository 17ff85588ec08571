"""One partition's messages as a columnar batch, with what does not belong in it set aside."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from streams.rollup.watermark import Watermark
from vitals.errors import BadRecordError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)

Counts = Counter[tuple[str, str]]
"""Events by (kind, fate)."""

EVENT_COLUMNS = pa.schema(
    [
        ("position", pa.int64()),
        ("event_id", pa.string()),
        ("account_id", pa.string()),
        ("user_id", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("event_time", pa.timestamp("us")),
        ("value", pa.decimal128(38, 6)),
        ("properties", pa.map_(pa.string(), pa.string())),
    ]
)


class Decoder(Protocol):
    """Decodes one message; `vitals.avro.AvroSerde` is the reference."""

    def decode(self, message: bytes | None) -> tuple[str, dict[str, Any]]:
        """Record name and record; `BadRecordError` where it is unreadable."""
        ...


class Message(Protocol):
    """What is needed of a Kafka message."""

    def offset(self) -> int | None:
        """Offset in the partition."""
        ...

    def key(self) -> bytes | None:
        """Key."""
        ...

    def value(self) -> bytes | None:
        """Body."""
        ...


@dataclass(frozen=True)
class Misfit:
    """A message that is set aside: `LateEvent` or `DeadLetter`."""

    record_name: str
    message: Message
    error_class: str
    reason: str
    event: dict[str, Any] | None = None


@dataclass
class Batch:
    """What a run of messages of one (topic, partition) holds, in log order."""

    topic: str
    next_offset: int
    events: pa.Table
    misfits: list[Misfit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counter)
    newest_ingested_at: datetime | None = None
    progressed: bool = False


def micros(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - EPOCH) // MICRO


def read_batch(
    topic: str, messages: Iterable[Message], decoder: Decoder, watermark: Watermark, next_offset: int
) -> Batch:
    """Decodes messages in log order. The watermark advances as it reads, so an event is late or not by its place in
    the log, however the log was cut into batches.
    """
    columns: dict[str, list[Any]] = {name: [] for name in EVENT_COLUMNS.names}
    batch = Batch(topic, next_offset, EVENT_COLUMNS.empty_table())
    for message in messages:
        offset = message.offset() or 0
        batch.next_offset = offset + 1
        try:
            name, record = decoder.decode(message.value())
            if name not in ("Event", "Progress"):
                raise BadRecordError(f"A {name} does not belong on {topic}.")
        except BadRecordError as error:
            batch.misfits.append(Misfit("DeadLetter", message, type(error).__name__, str(error)))
            batch.counts[("unreadable", "dead_lettered")] += 1
            continue
        if name == "Progress":
            through = record["complete_through"]
            watermark.advance(record["stream"], record["mode"], None if through is None else micros(through))
            batch.progressed = True
            batch.newest_ingested_at = _newest(batch.newest_ingested_at, record["written_at"])
            continue
        batch.newest_ingested_at = _newest(batch.newest_ingested_at, record["ingested_at"])
        event_time = micros(record["event_time"])
        if watermark.is_late(event_time):
            reason = f"Its day was sealed through {watermark.sealed_through} (microseconds) when it came."
            batch.misfits.append(Misfit("LateEvent", message, "LateEventError", reason, record))
            batch.counts[(record["kind"], "late")] += 1
            continue
        columns["position"].append(offset)
        columns["event_time"].append(event_time)
        columns["properties"].append(list(record["properties"].items()))
        for column in ("event_id", "account_id", "user_id", "kind", "source", "value"):
            columns[column].append(record[column])
    if columns["position"]:
        batch.events = pa.table(
            [pa.array(columns[column.name], type=column.type) for column in EVENT_COLUMNS], schema=EVENT_COLUMNS
        )
    return batch


def _newest(known: datetime | None, candidate: datetime) -> datetime:
    return candidate if known is None or candidate > known else known
