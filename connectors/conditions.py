"""What each stream is doing, told by the process that runs it on the compacted topic `connectors.conditions`.

A condition is written when it changes, while a first load goes on, and as a sign of life; it is for people. What a
stream has done stands in its state (`connectors.cursors`), which alone decides how it goes on.
"""

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import structlog

from connectors.contract import LoadProgress
from connectors.topic_reading import read_to_end
from vitals.avro import AvroSerde, Record
from vitals.clock import Clock
from vitals.errors import VitalsError
from vitals.kafka import producer
from vitals.settings import Settings

log = structlog.get_logger()

CONDITIONS = "connectors.conditions"

STARTING, FIRST_LOAD, CATCHING_UP, FOLLOWING = "starting", "first_load", "catching_up", "following"
BACKING_OFF, PARKED, PAUSED, STOPPED = "backing_off", "parked", "paused", "stopped"

SIGN_OF_LIFE = timedelta(seconds=15)
GONE_AFTER = timedelta(seconds=60)
"""A process that gave no sign for so long does not run any more."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a stream does `since`; `until` is when it goes on after a back-off or tries again after parking.

    `remaining_seconds` is the estimate of a first load's rest, by its pace so far.
    """

    source: str
    stream: str
    condition: str
    since: datetime
    reason: str | None = None
    until: datetime | None = None
    done: float | None = None
    total: float | None = None
    unit: str | None = None
    remaining_seconds: float | None = None
    written_at: datetime | None = None

    def record(self, written_at: datetime) -> Record:
        """The condition as an Avro record (`StreamCondition`)."""
        return asdict(replace(self, written_at=written_at))

    def alive(self, now: datetime) -> bool:
        """Whether the process that told this still runs."""
        return self.condition != STOPPED and self.written_at is not None and now - self.written_at < GONE_AFTER


class Estimate:
    """Estimates the rest of a first load by its pace since this process began. Pure.

    >>> from datetime import UTC
    >>> estimate, start = Estimate(), datetime(2026, 1, 1, tzinfo=UTC)
    >>> estimate.remaining(LoadProgress(10, 100, "days"), start)
    >>> estimate.remaining(LoadProgress(40, 100, "days"), start + timedelta(seconds=60))
    120.0
    """

    def __init__(self) -> None:
        self._first: tuple[float, datetime] | None = None

    def remaining(self, progress: LoadProgress, now: datetime) -> float | None:
        """Seconds until the end; None before there is a pace, or where the vendor tells no total."""
        if self._first is None or progress.done < self._first[0]:
            self._first = (progress.done, now)
        done, elapsed = progress.done - self._first[0], (now - self._first[1]).total_seconds()
        if progress.total is None or done <= 0 or elapsed <= 0:
            return None
        return max(0.0, progress.total - progress.done) * elapsed / done


class ConditionBoard:
    """The conditions of this process's streams. Safe to share; a Kafka out of reach costs the news, nothing else."""

    def __init__(self, settings: Settings, serde: AvroSerde, clock: Clock) -> None:
        self._producer = producer(settings)
        self._serde, self._clock = serde, clock
        self._told: dict[str, Condition] = {}
        self._lock = threading.Lock()

    def tell(self, condition: Condition) -> None:
        """Writes a condition where it differs from the last, or where that was written a while ago."""
        now = self._clock.now()
        with self._lock:
            before = self._told.get(condition.stream)
            if before is not None and (before.condition, before.reason) == (condition.condition, condition.reason):
                condition = replace(condition, since=before.since)
                fresh = before.written_at is not None and now - before.written_at < SIGN_OF_LIFE
                changed = condition.until != before.until
                if fresh and not changed:
                    return
            self._write(replace(condition, written_at=now))

    def give_sign(self) -> None:
        """Writes again what was written a while ago: this process is alive, be a fetch ever so long."""
        now = self._clock.now()
        with self._lock:
            for condition in list(self._told.values()):
                if condition.written_at is not None and now - condition.written_at >= SIGN_OF_LIFE:
                    self._write(replace(condition, written_at=now))
        self._producer.poll(0)

    def close(self) -> None:
        """Says of every stream that it is stopped."""
        now = self._clock.now()
        with self._lock:
            for condition in list(self._told.values()):
                self._write(Condition(condition.source, condition.stream, STOPPED, now, written_at=now))
        self._producer.flush(5)

    def _write(self, condition: Condition) -> None:
        assert condition.written_at is not None, "the caller sets it"
        self._told[condition.stream] = condition
        try:
            encoded = self._serde.encode(CONDITIONS, "StreamCondition", condition.record(condition.written_at))
            self._producer.produce(CONDITIONS, encoded, condition.stream.encode())
            self._producer.poll(0)
        except (VitalsError, BufferError) as error:
            log.warning("condition_untold", stream=condition.stream, error=str(error))


def read_conditions(settings: Settings, serde: AvroSerde) -> dict[str, Condition]:
    """The last condition of every stream. Raises as `read_to_end`."""
    return newest(serde.decode(message.value())[1] for message in read_to_end(settings, CONDITIONS))


def newest(records: Iterable[Record]) -> dict[str, Condition]:
    """The last of each stream's records, which come in the log's order."""
    return {record["stream"]: Condition(**record) for record in records}
