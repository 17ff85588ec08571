"""The open windows of every partition that a worker owns, and the members of their distinct counts, in one DuckDB.

One database for all partitions, because a batch of many messages costs little more than a batch of one, and a batch
comes from all of them. It holds exact decimals, and writes to disk what exceeds its memory limit.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from metrics.contract import Grain
from schemas.topics import EVENTS_TOPICS
from streams.rollup.compiled import compiled
from streams.rollup.incoming import incoming

ChangedWindows = Mapping[Grain, pa.Table]
"""By grain: partition, account_id, window_start (microseconds since the epoch) and a column a metric, ordered by the
first three; null where the metric did not change."""


class WindowStore:
    """Folds events into windows. `memory_mb` bounds what it keeps in memory; the rest goes to `spill_dir`."""

    def __init__(self, memory_mb: int, spill_dir: Path) -> None:
        spill_dir.mkdir(parents=True, exist_ok=True)
        self._database = duckdb.connect(
            ":memory:",
            config={
                "threads": 1,  # the other core is Kafka's; folding with two gains nothing on batches of this size
                "memory_limit": f"{memory_mb}MB",
                "temp_directory": str(spill_dir),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": "false",
            },
        )
        self._fold = 0
        self._tables: dict[str, str] = {}
        """Every table with its topic."""
        for topic in EVENTS_TOPICS:
            for each in compiled(topic).grains:
                for table, columns in ((each.windows, each.windows_columns), (each.members, each.members_columns)):
                    if table:
                        self._tables[table] = topic
                        self._database.execute(f"CREATE TABLE {table} ({columns})")

    @property
    def fold_number(self) -> int:
        """How many folds there were: a row's `changed_in` is the fold that wrote it."""
        return self._fold

    def fold(self, topic: str, events: pl.DataFrame) -> ChangedWindows:
        """Adds the events whose column `counted` is true and returns the absolute values of what they changed.

        events: those of `decoding.EVENT_COLUMNS`, with `partition` and `counted`.
        """
        self._fold += 1
        statements = compiled(topic)
        database = self._database
        database.register("incoming", incoming(events, statements.properties))
        try:
            database.execute(statements.inputs)
        finally:
            database.unregister("incoming")
        changed: dict[Grain, pa.Table] = {}
        for each in statements.grains:
            if each.members:
                database.execute(each.fresh_members)
                database.execute(each.keep_members, [self._fold])
            database.execute(each.partial)
            database.execute(each.changed)
            database.execute(each.merge, {"fold": self._fold})
            changed[each.grain] = database.sql(each.published).to_arrow_table()
        return changed

    def forget(self, topic: str, sealed: Mapping[int, datetime]) -> None:
        """Drops the windows of each partition that start before its seal. What is left is copied, so that the memory of
        what is dropped is free.
        """
        bounds = " OR ".join(
            f"(partition = {partition} AND window_start < TIMESTAMP '{bound:%Y-%m-%d %H:%M:%S}')"
            for partition, bound in sealed.items()
        )
        for table, its_topic in self._tables.items():
            if its_topic == topic:
                self._delete(table, bounds)

    def drop(self, partition: int) -> None:
        """Drops everything of a partition."""
        for table in self._tables:
            self._delete(table, f"partition = {partition}")

    def _delete(self, table: str, condition: str) -> None:
        gone = self._database.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchall()
        if gone != [(0,)]:
            self._database.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table} WHERE NOT ({condition})")

    def rows(self, partition: int, since: int = 0) -> Iterator[tuple[str, pa.Table]]:
        """Each table's rows of a partition that were written after a fold; nothing of a table without any."""
        for table in self._tables:
            rows = self._database.sql(
                f"SELECT * REPLACE (account_id::VARCHAR AS account_id) FROM {table} "
                f"WHERE partition = {partition} AND changed_in > {since}"
            ).to_arrow_table()
            if rows.num_rows:
                yield table, rows

    def restore(self, table: str, rows: pa.Table, sealed: Mapping[str, datetime | None]) -> None:
        """Adds rows that `rows` gave, later ones over earlier ones of the same window. What sealed, by topic, is left
        out.
        """
        database = self._database
        through = sealed[self._tables[table]]
        bound = "" if through is None else f"WHERE window_start >= TIMESTAMP '{through:%Y-%m-%d %H:%M:%S}'"
        database.register("restored", rows)
        database.execute(
            "CREATE OR REPLACE TEMP TABLE restored_rows AS "
            f"SELECT * REPLACE (account_id::UUID AS account_id) FROM restored {bound}"
        )
        database.unregister("restored")
        if table.startswith("windows_"):
            database.execute(
                f"DELETE FROM {table} AS known USING restored_rows AS newer WHERE known.partition = newer.partition "
                "AND known.account_id = newer.account_id AND known.window_start = newer.window_start"
            )
        database.execute(f"INSERT INTO {table} BY NAME SELECT * REPLACE (0::BIGINT AS changed_in) FROM restored_rows")

    def memory_bytes(self) -> int:
        """Bytes that the database holds in memory."""
        [[size]] = self._database.execute("SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").fetchall()
        return int(size)

    def close(self) -> None:
        """Releases the memory."""
        self._database.close()
