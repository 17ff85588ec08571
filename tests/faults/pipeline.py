"""The whole pipeline on real parts, for tests that kill its processes: start, wait until all is in, dump the tables."""

import csv
import gzip
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from embedded.endpoints import Endpoints
from embedded.services import UpOptions, services
from embedded.stack import Stack
from schemas.topics import EVENTS_TOPICS, PARTITIONS

PIPELINE = (
    "bootstrap", "simulators", "connect", "collect", "rollup", "scoring", "sink-timescale", "sink-redis", "api",
)  # fmt: skip

FINAL_TABLES = {
    "account_profiles": "SELECT * FROM account_profiles ORDER BY account_id, valid_from",
    "metric_values": """
        SELECT account_id, metric, grain, window_start, value, partition, definition_version, rank
        FROM metric_values ORDER BY account_id, metric, grain, window_start""",
    "health_scores": """
        SELECT account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition,
               adjustment, segment, statuses
        FROM health_scores ORDER BY account_id, model, tick""",
    "health_live": """
        SELECT account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition,
               adjustment, segment, statuses
        FROM health_live ORDER BY account_id, model""",
    "counts": """
        SELECT stage, name, partition, kind, fate, count FROM pipeline_counts WHERE count > 0 ORDER BY 1, 2, 3, 4, 5""",
    "sealed": """
        SELECT input_topic, partition, sealed_through FROM watermarks
        WHERE input_topic <> 'health.scores' ORDER BY 1, 2""",
}
"""'As known now' rows, without wall-clock times, offsets, revisions and receipts."""

COMPLETE = """
SELECT (SELECT count(*) FROM watermarks WHERE watermark IS NOT NULL AND input_topic <> 'health.scores'),
       (SELECT count(*) FROM watermarks AS scored WHERE input_topic = 'health.scores' AND watermark =
           (SELECT max(watermark) FROM watermarks AS read
            WHERE read.partition = scored.partition AND read.input_topic <> 'health.scores'))
"""

PROGRESS = """
SELECT (SELECT coalesce(sum(next_offset), 0) FROM sink_offsets),
       (SELECT count(*) FROM metric_values), (SELECT count(*) FROM health_scores)
"""


def year_of_git_usage(source: Path, target: Path, year: str) -> Path:
    """One year of the real data as a data folder of its own."""
    with gzip.open(source / "git_usage" / "events.csv.gz", "rt", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        rows = [row for row in reader if row[0].startswith(year)]
    folder = target / "git_usage"
    folder.mkdir(parents=True)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    (folder / "events.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))
    return target


class Pipeline:
    """A running pipeline whose source time stands still, so that it comes to rest."""

    def __init__(self, stack: Stack, endpoints: Endpoints) -> None:
        self.stack, self.endpoints = stack, endpoints

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the store."""
        with psycopg.connect(self.endpoints.postgres_dsn) as connection:
            return connection.execute(statement.encode()).fetchall()

    def kill(self, *names: str) -> None:
        """SIGKILL to all at once, then a fresh start of each, as the supervisor of `vitals up` does it."""
        for name in names:
            self.stack.kill(name)
        for name in names:
            self.stack.start_part(name)

    def wait_underway(self, table: str, rows: int = 1, timeout_seconds: float = 120.0) -> None:
        """Blocks until a table has some rows: mid-load."""
        self._wait(lambda: self.query(f"SELECT count(*) FROM {table}")[0][0] >= rows, timeout_seconds, table)

    def wait_complete(self, timeout_seconds: float = 240.0) -> None:
        """Blocks until every stream has spoken, everything is scored, and the tables have come to rest."""
        everything = (len(EVENTS_TOPICS) * PARTITIONS, PARTITIONS)
        self._wait(lambda: self.query(COMPLETE)[0] == everything, timeout_seconds, "every partition scored")
        before: object = None
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            now = self.tables()
            if now == before:
                return
            before = now
            time.sleep(3)
        raise AssertionError("The tables did not come to rest.")

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The final tables."""
        return {name: self.query(statement) for name, statement in FINAL_TABLES.items()}

    def _wait(self, done: Any, timeout_seconds: float, what: str) -> None:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            try:
                if done():
                    return
            except psycopg.Error:
                pass  # not up yet, or restarting
            time.sleep(0.2)
        raise AssertionError(
            f"Not within {timeout_seconds:.0f} s: {what}. {self.query(PROGRESS)} {self.query(COMPLETE)}"
        )


@contextmanager
def pipeline(
    state_dir: Path, data: Path | None, start: str | None, names: Sequence[str] = PIPELINE, speed: float = 0.0
) -> Iterator[Pipeline]:
    """A pipeline over a data folder, on free ports, with the named services."""
    state_dir.mkdir(parents=True, exist_ok=True)
    chosen = [service for service in services(UpOptions(data, speed, start)) if service.name in names]
    stack = Stack(state_dir, chosen)
    # The same pseudonyms in every run: distinct users are compared between runs.
    stack.state.create()
    key = stack.state.secrets / "pseudonym-key"
    key.write_text("tests")
    with stack.running() as endpoints:
        yield Pipeline(stack, endpoints)
