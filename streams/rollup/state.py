"""One partition's state of the rollup: open windows, members of distinct counts, event ids seen, watermarks, counts.

A value here is a pure function of the log up to the positions in `next_offsets`, whoever computed it.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson

from metrics.catalogue import DEFINITION_VERSION, metrics_of
from schemas.topics import EVENTS_TOPICS, TOPICS
from streams.rollup.batch import EPOCH, Batch, Counts
from streams.rollup.compiled import KEEP_MEMBERS, Statement, compiled
from streams.rollup.watermark import Watermark
from vitals.errors import FatalError

TABLES = {
    "window_values": """(account_id VARCHAR, metric VARCHAR, grain VARCHAR, window_start TIMESTAMP,
        value DECIMAL(38,6), order_time TIMESTAMP, order_id VARCHAR,
        PRIMARY KEY (account_id, metric, grain, window_start))""",
    "members": "(account_id VARCHAR, metric VARCHAR, grain VARCHAR, window_start TIMESTAMP, member VARCHAR)",
    "seen": "(topic VARCHAR, event_id VARCHAR, day TIMESTAMP)",
}

# A batch may hold an event twice; the first one in the log counts.
FRESH = """
CREATE OR REPLACE TEMP TABLE events AS
SELECT first_in_log.* FROM (
    SELECT * FROM incoming QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY position) = 1
) AS first_in_log ANTI JOIN seen USING (event_id)
"""

REMEMBER = "INSERT INTO seen SELECT ?, event_id, date_trunc('day', event_time) FROM events"

BY_KIND = """
SELECT kind, arrived.events, coalesce(fresh.events, 0)
FROM (SELECT kind, count(*) AS events FROM incoming GROUP BY kind) AS arrived
LEFT JOIN (SELECT kind, count(*) AS events FROM events GROUP BY kind) AS fresh USING (kind)
"""

ChangedValue = tuple[str, str, str, datetime, Decimal]
"""account id, metric, grain, window start (naive UTC), absolute value."""


@dataclass(frozen=True)
class Flush:
    """What one batch changed."""

    topic: str
    next_offset: int
    values: list[ChangedValue]
    watermark: datetime | None
    sealed_through: datetime | None
    newest_ingested_at: datetime | None
    counts: Counts
    sealed_more: bool


class PartitionState:
    """State of partition n over all events topics. A metric reads one topic, so topics do not touch each other."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.next_offsets: dict[str, int] = {}
        self.watermarks = {
            topic: Watermark(1_000_000 * (TOPICS[topic].allowed_lateness_seconds or 0)) for topic in EVENTS_TOPICS
        }
        self.counts: dict[str, Counts] = {topic: Counter() for topic in EVENTS_TOPICS}
        self._forgotten: dict[str, datetime] = {}
        self._statements: dict[str, tuple[Statement, ...]] = {topic: compiled(topic) for topic in EVENTS_TOPICS}
        self._database = duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": "false"})
        for table, columns in TABLES.items():
            self._database.execute(f"CREATE TABLE {table} {columns}")

    def apply(self, batch: Batch) -> Flush:
        """Folds a batch in and returns what it changed. Batches of a topic come in log order."""
        values: list[ChangedValue] = []
        self.counts[batch.topic] += batch.counts
        if batch.events.num_rows:
            values = self._fold(batch)
        self.next_offsets[batch.topic] = batch.next_offset
        sealed = self._sealed(batch.topic)
        sealed_more = sealed is not None and sealed != self._forgotten.get(batch.topic)
        if sealed is not None and sealed_more:
            self._forget(batch.topic, sealed)
        return Flush(
            batch.topic,
            batch.next_offset,
            values,
            _instant(self.watermarks[batch.topic].value),
            sealed,
            batch.newest_ingested_at,
            self.counts[batch.topic],
            sealed_more,
        )

    def _fold(self, batch: Batch) -> list[ChangedValue]:
        database = self._database
        database.register("incoming", batch.events)
        try:
            database.execute(FRESH)
            counts = self.counts[batch.topic]
            for kind, arrived, fresh in database.execute(BY_KIND).fetchall():
                counts[(kind, "counted")] += fresh
                counts[(kind, "duplicate")] += arrived - fresh
            database.execute(REMEMBER, [batch.topic])
            values: list[ChangedValue] = []
            for statement in self._statements[batch.topic]:
                if statement.new_members is not None:
                    database.execute(statement.new_members)
                    database.execute(KEEP_MEMBERS)
                values.extend(database.execute(statement.upsert).fetchall())
            return values
        finally:
            database.unregister("incoming")

    def _sealed(self, topic: str) -> datetime | None:
        return _instant(self.watermarks[topic].sealed_through)

    def _forget(self, topic: str, sealed: datetime) -> None:
        """Drops what sealed: no event of those days is counted any more."""
        self._forgotten[topic] = sealed
        bound = sealed.replace(tzinfo=None)
        self._database.execute("DELETE FROM seen WHERE topic = ? AND day < ?", [topic, bound])
        names = [metric.name for metric in metrics_of(topic)]
        for table in ("window_values", "members"):
            self._database.execute(
                f"DELETE FROM {table} WHERE window_start < ? AND list_contains(?::VARCHAR[], metric)",  # noqa: S608
                [bound, names],
            )

    def save(self, folder: Path) -> None:
        """Writes the state into a folder (Parquet tables and `state.json`)."""
        for table in TABLES:
            self._database.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet)")
        (folder / "state.json").write_bytes(orjson.dumps(self._saved()))

    def _saved(self) -> dict[str, Any]:
        return {
            "definition_version": DEFINITION_VERSION,
            "next_offsets": self.next_offsets,
            "watermarks": {topic: watermark.saved() for topic, watermark in self.watermarks.items()},
            "counts": {
                topic: [[kind, fate, count] for (kind, fate), count in counts.items()]
                for topic, counts in self.counts.items()
            },
        }

    def restore(self, folder: Path) -> None:
        """Reads what `save` wrote.

        Raises:
            FatalError: the snapshot holds values of another definition of the metrics.
        """
        saved = orjson.loads((folder / "state.json").read_bytes())
        if saved["definition_version"] != DEFINITION_VERSION:
            raise FatalError(
                f"The snapshot in {folder} was made by metric definitions {saved['definition_version']}, this is "
                f"{DEFINITION_VERSION}: remove the snapshot, and the partition is rebuilt from the log."
            )
        for table in TABLES:
            self._database.execute(f"INSERT INTO {table} SELECT * FROM '{folder / table}.parquet'")  # noqa: S608
        self.next_offsets = dict(saved["next_offsets"])
        for topic, watermark in saved["watermarks"].items():
            self.watermarks[topic].restore(watermark)
        for topic, rows in saved["counts"].items():
            self.counts[topic] = Counter({(kind, fate): count for kind, fate, count in rows})

    def close(self) -> None:
        """Releases the memory."""
        self._database.close()


def _instant(instant: int | None) -> datetime | None:
    return None if instant is None else EPOCH + timedelta(microseconds=instant)


def aware(naive: datetime) -> datetime:
    """A window start as DuckDB gives it (naive UTC), made aware."""
    return naive.replace(tzinfo=UTC)
