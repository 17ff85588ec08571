"""Durable snapshots of partition states, in a folder that any worker can read.

A snapshot is complete or absent: it is written under another name, synced, then renamed. The one furthest in the log
wins, so a zombie that writes an older one changes nothing.
"""

import os
import shutil
import uuid
from pathlib import Path

from streams.rollup.state import PartitionState

KEPT = 2
PREFIX = "at-"


class SnapshotFolder:
    """The snapshots of every partition below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "rollup"

    def write(self, state: PartitionState) -> Path:
        """Writes a snapshot durably and removes all but the newest two."""
        home = self._folder / str(state.partition)
        home.mkdir(parents=True, exist_ok=True)
        target = home / f"{PREFIX}{sum(state.next_offsets.values()):020d}"
        if target.exists():
            return target  # same position, same state
        draft = home / f"draft-{uuid.uuid4().hex}"
        draft.mkdir()
        state.save(draft)
        for path in [*draft.iterdir(), draft]:
            _sync(path)
        try:
            draft.rename(target)
        except OSError:
            # Another owner of the partition was first with the same position, hence with the same state.
            shutil.rmtree(draft, ignore_errors=True)
        _sync(home)
        for old in self._complete(home)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def restore(self, state: PartitionState) -> bool:
        """Restores the newest snapshot of the state's partition. False where there is none.

        Raises:
            FatalError: the snapshot was made by other metric definitions.
        """
        complete = self._complete(self._folder / str(state.partition))
        if not complete:
            return False
        state.restore(complete[-1])
        return True

    @staticmethod
    def _complete(home: Path) -> list[Path]:
        return sorted(home.glob(f"{PREFIX}*")) if home.is_dir() else []


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
