"""All that the worker knows: each partition's small state and the partials of all of them. Pure.

The state is a function of the logs up to the positions of its partitions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics.quality.declarations import Check, Freshness, KnownAccounts
from analytics.quality.partials import Partial
from schemas.topics import EVENTS_TOPICS, PARTITIONS, events_topic
from streams.quality.observing import Observed, Place, observe, window_of
from streams.quality.store import PartialStore
from streams.rollup.batch import Batch, Message, read_batch
from streams.rollup.decoding import EventDecoder
from streams.rollup.ids import Ids
from streams.rollup.partition import PartitionState
from streams.rollup.spill import IdMemory
from streams.rollup.watermark import micros
from vitals.avro import Record

QUARANTINE = "quarantine"
GRACE_MICROS = 30_000_000
"""A record is in its log this long after its writer stamped it: three times the longest transaction."""


@dataclass
class Judged:
    """How far a check is judged: every window that starts before `through`; and, by source, whether it failed in the
    newest window that had enough to speak.
    """

    through: int
    failing: dict[str, bool] = field(default_factory=dict)


class QualityPartition(PartitionState):
    """State of partition n: that of the rollup, and what a restart needs of the judgements."""

    def __init__(self, partition: int, allocate: Callable[[int], Ids], floors: dict[str, int]) -> None:
        super().__init__(partition, allocate)
        self.written: dict[str, int] = {}
        """By topic, the newest instant that a writer of progress stamped."""
        self.judged: dict[str, Judged] = {}
        self._floors = floors

    def saved(self) -> dict[str, Any]:
        """For the snapshot."""
        judged = {name: [each.through, each.failing] for name, each in self.judged.items()}
        return super().saved() | {"written": self.written, "judged": judged, "floors": self._floors}

    def restore(self, saved: dict[str, Any]) -> None:
        """From the snapshot."""
        super().restore(saved)
        self.written = dict(saved["written"])
        self.judged = {name: Judged(*each) for name, each in saved["judged"].items()}
        self._floors.update(saved["floors"])


class QualityState:
    """State of all partitions. `memory_mb` bounds the event ids in memory; the rest lies in `spill_dir`."""

    def __init__(self, declared: Sequence[Check], memory_mb: int, spill_dir: Path) -> None:
        self.declared = tuple(declared)
        self.partitions: dict[int, QualityPartition] = {}
        self.windows = PartialStore()
        self.changed: set[tuple[str, int]] = set()
        """Checks and windows that changed since somebody cleared this."""
        self._ids = IdMemory(memory_mb * 1_000_000, spill_dir)

    def add(self, partition: int) -> QualityPartition:
        """A partition as it is before the first message of the log."""
        state = QualityPartition(partition, self._ids.allocate, self.windows.floors[partition])
        self.partitions[partition] = state
        return state

    def take(self, topic: str, runs: Mapping[int, Sequence[Message]], decoder: EventDecoder) -> int:
        """Reads messages of an events topic, by partition in log order. Returns how many events there were."""
        batch = read_batch(topic, runs, decoder, self.partitions)
        self._fold(observe(topic, self.declared, batch))
        self._fold(self._progress(topic, batch))
        for partition in runs:
            state = self.partitions[partition]
            through = state.watermarks[topic].sealed_through
            if through is not None and through != state.forgotten[topic]:
                state.forgotten[topic] = through
                state.seen[topic].forget_before(through)
        return batch.events.height

    def take_quarantined(self, partition: int, records: Sequence[Record], next_offset: int) -> None:
        """Reads records of the quarantine, which hold no progress: what came with the events of a window was written
        before the progress that closes it, and what comes later belongs to the first window that is open.
        """
        self.partitions[partition].next_offsets[QUARANTINE] = next_offset
        self._fold(self._quarantined(partition, records))

    def bound(self, check: Check) -> int | None:
        """Windows that end at or before this are closed, in microseconds since the epoch; None while none is."""
        if isinstance(check, Freshness):
            return self._written_bound()
        values = [
            self.partitions[partition].watermarks[topic].value if partition in self.partitions else None
            for topic in check.topics
            for partition in range(PARTITIONS)
        ]
        known = [value for value in values if value is not None]
        return min(known) if known and len(known) == len(values) else None

    def judged(self, check: Check) -> Judged | None:
        """How far a check is judged: what the furthest snapshot says, of all partitions."""
        found = [state.judged[check.name] for state in self.partitions.values() if check.name in state.judged]
        return max(found, key=lambda each: each.through, default=None)

    def set_judged(self, check: Check, judged: Judged) -> None:
        """Remembers how far a check is judged, and drops what no later window is compared with."""
        floor = judged.through - check.reference_micros
        for partition, state in self.partitions.items():
            state.judged[check.name] = judged
            self.windows.floors[partition][check.name] = floor
        self.windows.forget(check, floor)

    def _fold(self, observed: Observed) -> None:
        self.changed |= self.windows.fold(observed)

    def _written_bound(self) -> int | None:
        """By the furthest topic: where one says nothing any more, its silence is the finding."""
        bounds = []
        for topic in EVENTS_TOPICS:
            written = [state.written.get(topic) for state in self.partitions.values()]
            known = [instant for instant in written if instant is not None]
            if known and len(known) == PARTITIONS:
                bounds.append(min(known) - GRACE_MICROS)
        return max(bounds, default=None)

    def _progress(self, topic: str, batch: Batch) -> Observed:
        checks = [check for check in self.declared if isinstance(check, Freshness)]
        for partition, record in batch.progress:
            written = micros(record["written_at"])
            state = self.partitions[partition]
            before = state.written.get(topic, 0)
            state.written[topic] = max(before, written)
            reached = record["complete_through"]
            if (reached is None and record["mode"] != "retired") or partition:
                continue  # every partition is told the same: one is enough
            for check in checks:
                if check.sources and record["source"] not in check.sources:
                    continue
                window = max(window_of(written, check), window_of(before - GRACE_MICROS, check))
                told = Partial(1, 0, {}, None if reached is None else micros(reached), record["mode"] == "retired")
                yield Place(partition, check.name, record["stream"], window), told

    def _quarantined(self, partition: int, records: Sequence[Record]) -> Observed:
        checks = [check for check in self.declared if isinstance(check, KnownAccounts)]
        for record in records:
            if record["event_time"] is None or record["kind"] is None or record["attempt"] > 1:
                continue  # in no window, of no topic, or told before
            for check in checks:
                if not _reads(check, record):
                    continue
                judged = self.judged(check)
                window = window_of(micros(record["event_time"]), check)
                first_open = window if judged is None else max(window, judged.through)
                yield Place(partition, check.name, record["source"], first_open), Partial(1, 1)


def _reads(check: KnownAccounts, record: Record) -> bool:
    try:
        topic = events_topic(record["kind"])
    except KeyError:
        return False
    chosen = (not check.kinds or record["kind"] in check.kinds) and (
        not check.sources or record["source"] in check.sources
    )
    return topic == check.topic and chosen
