"""Where the worker's time goes: CPU µs an event of each step, on the benchmark's log, in this process.

    python -m benchmarks.rollup.profile [events]

Without Kafka: messages lie in memory, and snapshots go to a temporary folder. A step's figure includes those indented
below it. The SQL statements are timed one by one.
"""

import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import polars as pl

from benchmarks.rollup.log import Shape, generated
from streams.rollup import batch, native, state, windows
from streams.rollup.bundles import bundles
from streams.rollup.ids import SeenIds
from streams.rollup.native import NativeDecoder
from streams.rollup.snapshots import SnapshotFolder
from streams.rollup.state import RollupState
from streams.rollup.windows import WindowStore
from vitals.avro import parsed_schema

TOPIC, SCHEMA_ID, BATCH_MESSAGES, BATCHES_A_SNAPSHOT = "events.product", 1, 50_000, 10

STEPS: tuple[tuple[Any, str, str], ...] = (
    (state, "read_batch", "read"),
    (NativeDecoder, "decode", "  decode, framed and checked"),
    (pl, "read_avro", "    Polars' reader"),
    (native, "foreign_branches", "    branches of unions"),
    (batch, "parsed", "  ids: parse"),
    (SeenIds, "add", "  ids: new or not"),
    (WindowStore, "fold", "fold"),
    (windows, "incoming", "  properties as columns"),
    (state, "encoded_accounts", "encode"),
    (SnapshotFolder, "write", "snapshot"),
)


class Times:
    """CPU seconds by step, of all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, label: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, its time noted."""

        def run(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                self.seconds[label] += time.process_time() - began

        return run


class TimedDatabase:
    """A DuckDB connection that notes what each kind of statement takes."""

    def __init__(self, database: Any, times: Times) -> None:
        self._database, self._times = database, times

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Runs a statement."""
        found = re.search(r"TABLE (inputs|found|partial|changed)\b|(INSERT|MERGE) INTO", statement)
        label = next((part for part in found.groups() if part), "") if found else "other"
        return self._times.timed(f"  sql: {label.lower()}", self._database.execute)(statement, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class KnownSchema:
    """A registry that knows the event's newest schema."""

    def writer_schema(self, identifier: int) -> tuple[str, Any]:
        """Name and schema."""
        assert identifier == SCHEMA_ID
        return "Event", fastavro.parse_schema(parsed_schema("Event"))


class StoredMessage:
    """A message in memory."""

    __slots__ = ("_body", "_offset")

    def __init__(self, offset: int, body: bytes) -> None:
        self._offset, self._body = offset, body

    def offset(self) -> int:
        """Offset."""
        return self._offset

    def key(self) -> bytes:
        """No matter."""
        return b""

    def value(self) -> bytes:
        """Body."""
        return self._body


def main() -> None:
    """Prints the table."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    log = list(generated(Shape(events=events)).messages(SCHEMA_ID))
    messages = [(partition, StoredMessage(offset, body)) for offset, (partition, _, body) in enumerate(log)]
    times = Times()
    for home, name, label in STEPS:
        setattr(home, name, times.timed(label, getattr(home, name)))
    with tempfile.TemporaryDirectory() as folder:
        rollup = RollupState(2048, Path(folder) / "spill")
        rollup.windows._database = TimedDatabase(rollup.windows._database, times)  # type: ignore[assignment]
        for partition in {partition for partition, _ in messages}:
            rollup.add(partition)
        snapshots, decoder = SnapshotFolder(Path(folder)), NativeDecoder(KnownSchema())  # type: ignore[arg-type]
        began = time.process_time()
        for number, start in enumerate(range(0, events, BATCH_MESSAGES), 1):
            runs: dict[int, list[Any]] = defaultdict(list)
            for partition, message in messages[start : start + BATCH_MESSAGES]:
                runs[partition].append(message)
            for flush in rollup.fold(rollup.take(TOPIC, runs, decoder)):
                times.timed("bundles", lambda flush=flush: list(bundles(flush, datetime.now(UTC))))()
            if number % BATCHES_A_SNAPSHOT == 0:
                for partition in rollup.partitions:
                    snapshots.write(rollup, partition)
        total = time.process_time() - began
    print(f"{events:,} events in batches of {BATCH_MESSAGES:,}: {total / events * 1e6:.2f} CPU µs an event")
    labels = [label for _, _, label in STEPS]
    labels[labels.index("encode") : labels.index("encode")] = sorted(each for each in times.seconds if "sql:" in each)
    for label in [*labels, "bundles"]:
        print(f"{label:32} {times.seconds[label] / events * 1e6:6.2f}")


if __name__ == "__main__":
    main()
