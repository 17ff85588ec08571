"""Where event ids lie that are more than memory may hold: in files that no longer have a name, one a merged run."""

import tempfile
import weakref
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streams.rollup.ids import Ids

Kind = TypeVar("Kind", bound=np.generic)


class IdMemory:
    """Allocates runs of ids in memory while they fit into a budget, then on disk."""

    def __init__(self, budget_bytes: int, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._budget, self._folder = budget_bytes, folder
        self.in_memory = 0
        """Bytes of the allocated runs that are in memory."""

    def allocate(self, length: int) -> Ids:
        """Arrays of a run, to be filled."""
        size = length * Ids.BYTES_EACH
        if self.in_memory + size > self._budget:
            halves = self._on_disk(2 * length, np.dtype(np.uint64))
            return Ids(halves[:length], halves[length:], self._on_disk(length, np.dtype(np.int32)))
        run = Ids.empty(length)
        self.in_memory += size
        weakref.finalize(run.upper, self._released, size)
        return run

    def _released(self, size: int) -> None:
        self.in_memory -= size

    def _on_disk(self, length: int, kind: np.dtype[Kind]) -> NDArray[Kind]:
        # Without a name, the file is gone with the array, however the process ends.
        with tempfile.TemporaryFile(dir=self._folder) as file:
            return np.memmap(file, dtype=kind, mode="w+", shape=(length,))
