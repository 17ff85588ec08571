"""All that a worker knows of its partitions: their windows, and the small state of each.

A value here is a pure function of the log up to the positions in `next_offsets`, whoever computed it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from streams.rollup.batch import Message, Misfit, read_batch
from streams.rollup.bundles import VALUES_A_PART, Flush
from streams.rollup.decoding import EventDecoder
from streams.rollup.encoding import encoded_accounts
from streams.rollup.ids import Ids
from streams.rollup.partition import PartitionState
from streams.rollup.spill import IdMemory
from streams.rollup.watermark import instant_of
from streams.rollup.windows import WindowStore


@dataclass(frozen=True)
class Taken:
    """A batch that was read and is to be folded: its flushes are complete but for the values of accounts, and the
    windows before `sealed` (by partition) are to be dropped.
    """

    topic: str
    events: pl.DataFrame
    misfits: list[Misfit]
    flushes: list[Flush]
    sealed: Mapping[int, datetime]


class RollupState:
    """State of the partitions that a worker owns. `memory_mb` bounds it in memory; the rest lies in `spill_dir`."""

    def __init__(self, memory_mb: int, spill_dir: Path) -> None:
        self.partitions: dict[int, PartitionState] = {}
        self.windows = WindowStore(memory_mb // 2, spill_dir)
        self._ids = IdMemory(memory_mb * 1_000_000 // 2, spill_dir)

    def add(self, partition: int) -> PartitionState:
        """A partition as it is before the first message of the log."""
        state = self.partitions[partition] = PartitionState(partition, self._ids.allocate)
        return state

    def drop(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        if self.partitions.pop(partition, None) is not None:
            self.windows.drop(partition)

    def take(self, topic: str, runs: Mapping[int, Sequence[Message]], decoder: EventDecoder) -> Taken:
        """Reads messages of one topic, by partition in log order, and moves positions, watermarks, ids and counts past
        them. What is taken must be folded, in the order in which it was taken, before the state is saved.
        """
        batch = read_batch(topic, runs, decoder, self.partitions)
        sealed = self._newly_sealed(topic, runs)
        flushes = [
            Flush(
                topic,
                partition,
                state.next_offsets[topic],
                [],
                instant_of(state.watermarks[topic].value),
                instant_of(state.watermarks[topic].sealed_through),
                batch.newest_ingested_at.get(partition),
                state.counts[topic].copy(),
                partition in sealed,
            )
            for partition, state in sorted(self.partitions.items())
            if runs.get(partition)
        ]
        return Taken(topic, batch.events, batch.misfits, flushes, sealed)

    def fold(self, taken: Taken) -> list[Flush]:
        """Folds what was taken into the windows and returns what changed in each partition.

        Touches the windows alone, so that the next messages can be taken meanwhile.
        """
        accounts = {}
        if taken.events["counted"].any():
            accounts = encoded_accounts(self.windows.fold(taken.topic, taken.events), VALUES_A_PART)
        if taken.sealed:
            self.windows.forget(taken.topic, taken.sealed)
        return [replace(flush, accounts=accounts.get(flush.partition, [])) for flush in taken.flushes]

    def _newly_sealed(self, topic: str, partitions: Iterable[int]) -> Mapping[int, datetime]:
        """The seal of each partition of which more sealed. Its ids of those days are dropped: none is counted again."""
        sealed: dict[int, datetime] = {}
        for partition in partitions:
            state = self.partitions[partition]
            through = state.watermarks[topic].sealed_through
            bound = instant_of(through)
            if through is None or bound is None or through == state.forgotten[topic]:
                continue
            state.forgotten[topic] = through
            state.seen[topic].forget_before(through)
            sealed[partition] = bound
        return sealed

    def bytes_by_part(self) -> dict[str, int]:
        """Bytes of state in memory: event ids, and the database of windows and members."""
        ids = sum(len(seen) for state in self.partitions.values() for seen in state.seen.values())
        return {"ids": ids * Ids.BYTES_EACH, "windows": self.windows.memory_bytes()}

    def close(self) -> None:
        """Releases the memory."""
        self.windows.close()
