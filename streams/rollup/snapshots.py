"""Durable snapshots of partitions, in a folder that any worker can read.

A snapshot is one file: what changed since the snapshot before it, and the names of those that it builds on, so that it
costs what is new and not what is known. When the additions outweigh the whole, the whole is written again. It is
complete or absent: written under another name, synced, then renamed. The one furthest in the log wins, so a zombie that
writes an older one changes nothing; one whose base a zombie has cleaned away is passed over for the one before.
"""

import os
import struct
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import structlog

from metrics.catalogue import fingerprint
from schemas.topics import EVENTS_TOPICS
from streams.rollup.ids import Ids
from streams.rollup.partition import PartitionState
from streams.rollup.watermark import instant_of

log = structlog.get_logger()

KEPT = 2
LONGEST_CHAIN = 64
SHORTEST_CHAIN = 8
"""Chains of fewer additions are not worth writing the whole again."""

ABANDONED_AFTER_SECONDS = 3600.0

_PREFIX, _DRAFT = "at-", "draft-"
_IDS = "ids:"
_FOOTER_LENGTH = struct.Struct(">Q")
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass
class _Chain:
    """The files that a partition's next snapshot builds on, with their sizes, and what they cover."""

    files: list[tuple[str, int]] = field(default_factory=list)
    position: int = -1
    fold: int = -1

    @property
    def outgrown(self) -> bool:
        """Whether the whole is to be written again."""
        added = sum(size for _, size in self.files[1:])
        return len(self.files) >= LONGEST_CHAIN or (len(self.files) > SHORTEST_CHAIN and added > self.files[0][1])


class WindowRows(Protocol):
    """The windows of partitions as tables. `fold_number` counts what was folded in, so that a snapshot tells what is
    new since the one before.
    """

    @property
    def fold_number(self) -> int:
        """How many folds there were."""
        ...

    def rows(self, partition: int, since: int = 0) -> Iterator[tuple[str, pa.Table]]:
        """Each table's rows of a partition that were written after a fold."""
        ...

    def restore(self, table: str, rows: pa.Table, sealed: Mapping[str, datetime | None]) -> None:
        """Takes rows of a snapshot, after those of the snapshots before it. `sealed`: by topic."""
        ...


class SnapshotState(Protocol):
    """What snapshots are taken of: partitions, each with its small state and its windows."""

    @property
    def partitions(self) -> Mapping[int, PartitionState]:
        """By number."""
        ...

    @property
    def windows(self) -> WindowRows:
        """Of all partitions."""
        ...

    def add(self, partition: int) -> PartitionState:
        """A partition as it is before the first message of the log."""
        ...


class SnapshotFolder:
    """The snapshots of every partition below one folder, as one worker writes and restores them.

    worker: names the kind of state. definitions: tells states apart that are of no use to each other.
    """

    def __init__(self, folder: Path, worker: str = "rollup", definitions: Callable[[], str] = fingerprint) -> None:
        self._folder, self._definitions = folder / worker, definitions
        self._writer = uuid.uuid4().hex[:8]
        self._chains: dict[int, _Chain] = {}

    def write(self, state: SnapshotState, partition: int) -> None:
        """Writes a partition's snapshot durably, unless nothing came since the last one, and removes old ones."""
        position = state.partitions[partition].position
        chain = self._chains.setdefault(partition, _Chain())
        if position == chain.position:
            return
        if chain.outgrown:
            chain = self._chains[partition] = _Chain()
        home = self._folder / str(partition)
        home.mkdir(parents=True, exist_ok=True)
        name = f"{_PREFIX}{position:020d}-{self._writer}"
        draft = home / f"{_DRAFT}{uuid.uuid4().hex}"
        _write(draft, state, partition, chain, self._definitions())
        draft.rename(home / name)
        _sync(home)
        chain.files.append((name, (home / name).stat().st_size))
        chain.position, chain.fold = position, state.windows.fold_number
        self._clean(home)

    def restore(self, state: SnapshotState, partition: int) -> bool:
        """Adds a partition to the state as its newest whole snapshot has it. False where there is none.

        A snapshot of other metric definitions is none: its partition is built again from the log.
        """
        home = self._folder / str(partition)
        _remove_abandoned_drafts(home)
        for path in reversed(_complete(home)):
            chain = _footer(path)["base"] + [path.name]
            if not all((home / name).exists() for name in chain):
                log.warning("snapshot_without_its_base", partition=partition, snapshot=path.name)
                continue
            if _footer(path)["catalogue"] != self._definitions():
                log.warning("snapshot_of_other_definitions", partition=partition, snapshot=path.name)
                break
            _restore(state, partition, [home / name for name in chain])
            self._chains[partition] = _Chain(
                [(name, (home / name).stat().st_size) for name in chain],
                state.partitions[partition].position,
                state.windows.fold_number,
            )
            return True
        self._chains.pop(partition, None)
        state.add(partition)
        return False

    def forget(self, partition: int) -> None:
        """Another worker owns the partition: its chain goes on without this one."""
        self._chains.pop(partition, None)

    @staticmethod
    def _clean(home: Path) -> None:
        """Removes what neither of the newest two snapshots needs."""
        complete = _complete(home)
        if len(complete) <= KEPT:
            return
        needed = {name for path in complete[-KEPT:] for name in (*_footer(path)["base"], path.name)}
        for path in complete:
            if path.name not in needed:
                path.unlink(missing_ok=True)


def _write(draft: Path, state: SnapshotState, partition: int, chain: _Chain, definitions: str) -> None:
    """One file: tables as Arrow streams, then the footer that says where each is."""
    tables = []
    with draft.open("wb") as file:
        for name, rows in _tables(state, partition, chain):
            start = file.tell()
            with pa.ipc.new_stream(file, rows.schema, options=_OPTIONS) as stream:
                stream.write_table(rows)
            tables.append((name, start, file.tell() - start))
        footer = orjson.dumps(
            {
                "catalogue": definitions,
                "state": state.partitions[partition].saved(),
                "tables": tables,
                "base": [name for name, _ in chain.files],
            }
        )
        file.write(footer)
        file.write(_FOOTER_LENGTH.pack(len(footer)))
        file.flush()
        os.fsync(file.fileno())


def _tables(state: SnapshotState, partition: int, chain: _Chain) -> Iterator[tuple[str, pa.Table]]:
    for topic, seen in state.partitions[partition].seen.items():
        ids = seen.unsaved() if chain.files else seen.all()
        if len(ids):
            yield f"{_IDS}{topic}", pa.table({"upper": ids.upper, "lower": ids.lower, "day": ids.day})
    yield from state.windows.rows(partition, since=chain.fold)


def _footer(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        file.seek(-_FOOTER_LENGTH.size, os.SEEK_END)
        (length,) = _FOOTER_LENGTH.unpack(file.read())
        file.seek(-_FOOTER_LENGTH.size - length, os.SEEK_END)
        footer: dict[str, Any] = orjson.loads(file.read(length))
    return footer


def _restore(state: SnapshotState, partition: int, chain: list[Path]) -> None:
    own = state.add(partition)
    own.restore(_footer(chain[-1])["state"])
    sealed = {topic: instant_of(own.watermarks[topic].sealed_through) for topic in EVENTS_TOPICS}
    for path in chain:
        with pa.memory_map(str(path)) as file:
            for name, start, length in _footer(path)["tables"]:
                file.seek(start)
                rows = pa.ipc.open_stream(file.read_buffer(length)).read_all()
                if not name.startswith(_IDS):
                    state.windows.restore(name, rows, sealed)
                    continue
                columns = (rows[column].to_numpy() for column in ("upper", "lower", "day"))
                own.seen[name.removeprefix(_IDS)].restore(Ids(*(np.array(column) for column in columns)))
    for topic, seen in own.seen.items():
        through = own.watermarks[topic].sealed_through
        if through is not None:
            seen.forget_before(through)
        own.forgotten[topic] = through


def _remove_abandoned_drafts(home: Path) -> None:
    """What a worker left that died while it wrote. A living one is done with a draft in seconds."""
    for draft in home.glob(f"{_DRAFT}*"):
        if time.time() - draft.stat().st_mtime > ABANDONED_AFTER_SECONDS:
            draft.unlink(missing_ok=True)


def _complete(home: Path) -> list[Path]:
    return sorted(home.glob(f"{_PREFIX}*")) if home.is_dir() else []


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
