"""The partial statistics of every partition: windows that are open or still a reference, and what is carried. Pure.

Nothing here depends on how the log was cut. A window is dropped, or merged into what is carried, only once its result
is published; the partition's floors say up to where, so that a snapshot's older rows are told from what holds.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np
import orjson
import pyarrow as pa

from analytics.quality.declarations import Check
from analytics.quality.partials import Partial, merge_all
from streams.quality.observing import Place

CARRIED = int(np.iinfo(np.int64).min)
"""In the place of a window: all windows before the floor, of a cumulative check."""

_TABLE = "partials"
_SCHEMA = pa.schema(
    [
        ("partition", pa.int16()),
        ("check", pa.string()),
        ("source", pa.string()),
        ("window", pa.int64()),
        ("partial", pa.binary()),
    ]
)

Windows = dict[int, Partial]


class PartialStore:
    """Partials by partition, check, source and window. `floors` is by partition and check, in microseconds."""

    def __init__(self) -> None:
        self.floors: dict[int, dict[str, int]] = defaultdict(dict)
        self._partials: dict[str, dict[str, dict[int, Windows]]] = defaultdict(lambda: defaultdict(dict))
        self._changed: dict[Place, int] = {}
        self._fold = 0

    @property
    def fold_number(self) -> int:
        """How many batches were folded in."""
        return self._fold

    def fold(self, observed: Iterator[tuple[Place, Partial]]) -> set[tuple[str, int]]:
        """Merges a batch's partials in; returns the checks and windows that it changed."""
        self._fold += 1
        changed = set()
        for place, partial in observed:
            windows = self._partials[place.check][place.source].setdefault(place.partition, {})
            windows[place.window] = windows.get(place.window, Partial()).merged(partial)
            self._changed[place] = self._fold
            changed.add((place.check, place.window))
        return changed

    def sources(self, check: str) -> list[str]:
        """Sources with any partial of a check."""
        return sorted(self._partials[check]) if check in self._partials else []

    def windows(self, check: str) -> list[int]:
        """Starts of the windows with any partial of a check, in order."""
        found: set[int] = set()
        for by_partition in self._partials.get(check, {}).values():
            for windows in by_partition.values():
                found |= windows.keys()
        return sorted(found - {CARRIED})

    def merged(self, check: str, source: str, window: int) -> Partial | None:
        """A window over all partitions; None where none has any of it."""
        by_partition = self._partials.get(check, {}).get(source, {})
        found = [windows[window] for windows in by_partition.values() if window in windows]
        return merge_all(found) if found else None

    def forget(self, check: Check, before: int) -> None:
        """Drops a check's windows that start before an instant; those of a cumulative one are carried on."""
        for source, by_partition in self._partials.get(check.name, {}).items():
            for partition, windows in by_partition.items():
                gone = [window for window in windows if CARRIED < window < before]
                if gone and check.cumulative:
                    windows[CARRIED] = merge_all([windows.get(CARRIED, Partial()), *(windows[each] for each in gone)])
                    self._changed[Place(partition, check.name, source, CARRIED)] = self._fold
                for window in gone:
                    del windows[window]
                    self._changed.pop(Place(partition, check.name, source, window), None)

    def rows(self, partition: int, since: int = 0) -> Iterator[tuple[str, pa.Table]]:
        """For the snapshot: what changed after a fold."""
        told = [
            (*place, orjson.dumps(self._partials[place.check][place.source][partition][place.window].saved()))
            for place, fold in self._changed.items()
            if place.partition == partition and fold > since
        ]
        if told:
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*told, strict=True), _SCHEMA, strict=True)
            ]
            yield _TABLE, pa.Table.from_arrays(columns, schema=_SCHEMA)

    def restore(self, table: str, rows: pa.Table, sealed: Mapping[str, datetime | None]) -> None:
        """Takes rows of a snapshot, later ones over earlier ones; not those of windows below the partition's floor."""
        del sealed
        assert table == _TABLE, table
        for row in rows.to_pylist():
            place = Place(row["partition"], row["check"], row["source"], row["window"])
            if place.window != CARRIED and place.window < self.floors[place.partition].get(place.check, CARRIED):
                continue
            windows = self._partials[place.check][place.source].setdefault(place.partition, {})
            windows[place.window] = Partial.restored(orjson.loads(row["partial"]))
            self._changed[place] = 0
