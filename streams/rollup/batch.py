"""What a micro-batch of one topic holds, over all partitions: which events count, and what is set aside.

An event is late or not by its place in the log, and a duplicate of an earlier one or not, however the log was cut into
batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.rollup.decoding import EVENT_COLUMNS, Decoded, EventDecoder
from streams.rollup.ids import Ids, parsed
from streams.rollup.partition import PartitionState
from streams.rollup.watermark import DAY_MICROS, micros
from vitals.avro import Record
from vitals.errors import BadRecordError

CANONICAL_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


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
    partition: int
    message: Message
    error_class: str
    reason: str
    event: dict[str, Any] | None = None


@dataclass
class Batch:
    """A batch of one topic: its events, of which those with `counted` are to be folded, and what is set aside.

    events: the columns of `EVENT_COLUMNS`, `partition` and `counted`, in log order by partition. valid: whether each
    has canonical ids. watermark: the partition's at each one's place (microseconds since the epoch; the least number
    where there is none). progress: records with their partition.
    """

    events: pl.DataFrame
    misfits: list[Misfit] = field(default_factory=list)
    newest_ingested_at: dict[int, datetime] = field(default_factory=dict)
    valid: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    watermark: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    progress: list[tuple[int, Record]] = field(default_factory=list)


def read_batch(
    topic: str, runs: Mapping[int, Sequence[Message]], decoder: EventDecoder, partitions: Mapping[int, PartitionState]
) -> Batch:
    """Decodes runs of messages, by partition in log order, and moves the partitions' states past them: watermarks,
    event ids, counts, offsets.

    Raises:
        RetriableError: the schema registry cannot be reached. No state has moved then.
    """
    ordered = {partition: run for partition, run in sorted(runs.items()) if run}
    bounds = np.cumsum([0, *map(len, ordered.values())])
    bodies = [message.value() for run in ordered.values() for message in run]
    decoded = decoder.decode(bodies)
    rows = decoded.events["row"].to_numpy()
    cuts = np.searchsorted(rows, bounds)
    upper, lower, valid_id = parsed(decoded.events["event_id"])
    valid = valid_id & _valid_accounts(decoded.events["account_id"])
    event_time = decoded.events["event_time"].to_physical().to_numpy()
    ids = Ids(upper, lower, (event_time // DAY_MICROS).astype(np.int32))
    late = np.zeros(len(rows), dtype=np.bool_)
    counted = np.zeros(len(rows), dtype=np.bool_)
    watermark = np.empty(len(rows), dtype=np.int64)
    for number, partition in enumerate(ordered):
        state, part = partitions[partition], slice(cuts[number], cuts[number + 1])
        sealed, watermark[part] = _bounds(topic, state, decoded, (bounds[number], bounds[number + 1]), rows[part])
        late[part] = event_time[part] < sealed
        candidates = np.flatnonzero(valid[part] & ~late[part]) + part.start
        if candidates.size:
            counted[candidates] = state.seen[topic].add(ids.taken(candidates))
    partition_of_row = np.repeat(np.array(list(ordered), dtype=np.int16), np.diff(cuts))
    events = decoded.events.select(
        *EVENT_COLUMNS,
        pl.Series("partition", partition_of_row, dtype=pl.Int16),
        pl.Series("counted", counted, dtype=pl.Boolean),
    )
    batch = Batch(events, valid=valid, watermark=watermark)
    _count(topic, batch, valid, late, partitions)
    _set_aside(topic, batch, decoded, valid, late, ordered, partitions)
    _freshen(batch, decoded, bounds, list(ordered))
    for partition, run in ordered.items():
        partitions[partition].next_offsets[topic] = (run[-1].offset() or 0) + 1
    return batch


def _valid_accounts(accounts: pl.Series) -> NDArray[np.bool_]:
    unlike = accounts.unique()
    wrong = unlike.filter(~unlike.str.contains(CANONICAL_UUID))
    if wrong.is_empty():
        return np.ones(len(accounts), dtype=np.bool_)
    return (~accounts.is_in(wrong.implode())).to_numpy()


def _bounds(
    topic: str, state: PartitionState, decoded: Decoded, bounds: tuple[int, int], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Advances the partition's watermark through its progress records; returns seal and watermark at each event's
    place.
    """
    watermark = state.watermarks[topic]
    sealed = np.full(len(rows), _bound(watermark.sealed_through))
    reached = np.full(len(rows), _bound(watermark.value))
    for row, record in decoded.progress:
        if bounds[0] <= row < bounds[1]:
            through = record["complete_through"]
            watermark.advance(record["stream"], record["mode"], None if through is None else micros(through))
            place = np.searchsorted(rows, row)
            sealed[place:] = _bound(watermark.sealed_through)
            reached[place:] = _bound(watermark.value)
    return sealed, reached


def _bound(instant: int | None) -> int:
    return np.iinfo(np.int64).min if instant is None else instant


def _count(
    topic: str,
    batch: Batch,
    valid: NDArray[np.bool_],
    late: NDArray[np.bool_],
    partitions: Mapping[int, PartitionState],
) -> None:
    fates = (
        batch.events.select("partition", "kind", "counted")
        .with_columns(late=pl.Series(late), valid=pl.Series(valid))
        .group_by("partition", "kind", "counted", "late", "valid")
        .len()
    )
    for partition, kind, counted, is_late, is_valid, number in fates.iter_rows():
        fate = "counted" if counted else "late" if is_late else "duplicate" if is_valid else "dead_lettered"
        partitions[partition].counts[topic][(kind, fate)] += number


def _set_aside(
    topic: str,
    batch: Batch,
    decoded: Decoded,
    valid: NDArray[np.bool_],
    late: NDArray[np.bool_],
    ordered: Mapping[int, Sequence[Message]],
    partitions: Mapping[int, PartitionState],
) -> None:
    """What is late, no valid event or unreadable, with its message."""
    for row, error in decoded.unreadable:
        partition, message = _place(ordered, row)
        batch.misfits.append(Misfit("DeadLetter", partition, message, type(error).__name__, str(error)))
        partitions[partition].counts[topic][("unreadable", "dead_lettered")] += 1
    if valid.all() and not late.any():
        return
    for index in np.flatnonzero(late | ~valid).tolist():
        event = decoded.events.row(index, named=True)
        partition, message = _place(ordered, event["row"])
        if late[index]:
            sealed = partitions[partition].watermarks[topic].sealed_through
            reason = f"Its day was sealed when it came; now sealed through {sealed} (microseconds)."
            batch.misfits.append(Misfit("LateEvent", partition, message, "LateEventError", reason, event))
        else:
            reason = "event_id and account_id must be UUIDs in canonical form (36 characters, lower case)."
            batch.misfits.append(Misfit("DeadLetter", partition, message, BadRecordError.__name__, reason, event))


def _place(ordered: Mapping[int, Sequence[Message]], row: int) -> tuple[int, Message]:
    """Partition and message of a row of the batch."""
    for partition, run in ordered.items():
        if row < len(run):
            return partition, run[row]
        row -= len(run)
    raise IndexError(row)


def _freshen(batch: Batch, decoded: Decoded, bounds: NDArray[np.int64], order: list[int]) -> None:
    newest = batch.events.group_by("partition").agg(pl.col("ingested_at").max())
    batch.newest_ingested_at = dict(newest.iter_rows())
    for row, record in decoded.progress:
        partition = order[int(np.searchsorted(bounds, row, side="right")) - 1]
        known = batch.newest_ingested_at.get(partition)
        batch.newest_ingested_at[partition] = max(filter(None, (known, record["written_at"])))
        batch.progress.append((partition, record))
