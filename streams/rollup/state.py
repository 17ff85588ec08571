"""All that a worker knows of its partitions: their windows, and the small state of each.

A value here is a pure function of the log up to the positions in `next_offsets`, whoever computed it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from streams.rollup.batch import Message, Misfit, read_batch
from streams.rollup.bundles import VALUES_A_PART, Flush
from streams.rollup.decoding import EventDecoder
from streams.rollup.encoding import encoded_accounts
from streams.rollup.ids import Ids
from streams.rollup.partition import PartitionState
from streams.rollup.spill import IdMemory
from streams.rollup.watermark import instant_of
from streams.rollup.windows import WindowStore


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

    def fold(
        self, topic: str, runs: Mapping[int, Sequence[Message]], decoder: EventDecoder
    ) -> tuple[list[Flush], list[Misfit]]:
        """Folds messages of one topic in, by partition in log order, and returns what changed in each partition."""
        batch = read_batch(topic, runs, decoder, self.partitions)
        accounts = {}
        if batch.events["counted"].any():
            accounts = encoded_accounts(self.windows.fold(topic, batch.events), VALUES_A_PART)
        sealed_more = self._forget_sealed(topic, runs)
        flushes = [
            Flush(
                topic,
                partition,
                state.next_offsets[topic],
                accounts.get(partition, []),
                instant_of(state.watermarks[topic].value),
                instant_of(state.watermarks[topic].sealed_through),
                batch.newest_ingested_at.get(partition),
                state.counts[topic].copy(),
                partition in sealed_more,
            )
            for partition, state in sorted(self.partitions.items())
            if runs.get(partition)
        ]
        return flushes, batch.misfits

    def _forget_sealed(self, topic: str, partitions: Mapping[int, object]) -> Mapping[int, datetime]:
        """Drops what sealed: no event of those days is counted any more. Returns the partitions of which more has."""
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
        if sealed:
            self.windows.forget(topic, sealed)
        return sealed

    def bytes_by_part(self) -> dict[str, int]:
        """Bytes of state in memory: event ids, and the database of windows and members."""
        ids = sum(len(seen) for state in self.partitions.values() for seen in state.seen.values())
        return {"ids": ids * Ids.BYTES_EACH, "windows": self.windows.memory_bytes()}

    def close(self) -> None:
        """Releases the memory."""
        self.windows.close()
