"""Figures of the pipeline: what became of every event, and how far each worker is. For the API and `vitals status`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from api.database import CONNECTION_OPTIONS, Row, sql
from api.kafka_offsets import Offsets
from vitals.clock import Clock, WallClock

CONNECTOR, ROLLUP = "connector", "rollup"

COLUMNS: Mapping[tuple[str, str], str] = {
    (CONNECTOR, "published"): "published",
    (CONNECTOR, "quarantined"): "quarantined",
    (CONNECTOR, "dead_lettered"): "dead_lettered",
    (ROLLUP, "counted"): "counted",
    (ROLLUP, "duplicate"): "duplicate",
    (ROLLUP, "late"): "late",
    (ROLLUP, "dead_lettered"): "dead_lettered",
}
"""(stage, fate) to the figure that it adds to."""

KIND_FIGURES = ("published", "counted", "duplicate", "late", "quarantined", "dead_lettered")


@dataclass(frozen=True)
class PipelineReading:
    """What the database says: rows of the `pipeline_*.sql` queries."""

    counts: list[Row]
    positions: list[Row]
    metric_values: int
    scores: int
    newest_ingested_at: datetime | None

    @property
    def partitions(self) -> list[tuple[str, int]]:
        """The partitions whose end offsets `figures` asks for."""
        return sorted({(row["topic"], row["partition"]) for row in self.positions})


def figures(reading: PipelineReading, ends: Offsets, now: datetime) -> dict[str, Any]:
    """The figures of a reading, as `GET /v1/pipeline` answers them. Pure.

    Events come in once: published by a connector, quarantined, or dead letters of it. What is published ends as
    counted, duplicate, late, or a dead letter of the rollup; until then it is lag.
    """
    age = None if reading.newest_ingested_at is None else (now - reading.newest_ingested_at).total_seconds()
    by_kind = _by_kind(reading.counts)
    total = {name: sum(kind[name] for kind in by_kind) for name in KIND_FIGURES}
    rejected = sum(
        row["count"] for row in reading.counts if (row["stage"], row["fate"]) == (CONNECTOR, "dead_lettered")
    )
    return {
        "events_in": total["published"] + total["quarantined"] + rejected,
        "counted": total["counted"],
        "duplicates": total["duplicate"],
        "late": total["late"],
        "quarantined": total["quarantined"],
        "dead_lettered": total["dead_lettered"],
        "metric_values": reading.metric_values,
        "scores": reading.scores,
        "lag": lag(reading.positions, ends),
        "freshness_seconds": None if age is None else max(0.0, age),
        "by_kind": by_kind,
    }


def lag(positions: Iterable[Row], ends: Offsets) -> dict[str, int | None]:
    """Offsets that each worker has still to read, over all its partitions; None where Kafka does not say.

    >>> lag([{"worker": "rollup", "topic": "events.crm", "partition": 0, "next_offset": 7}], {("events.crm", 0): 9})
    {'rollup': 2}
    """
    behind: dict[str, int | None] = {}
    for row in positions:
        end, known = ends.get((row["topic"], row["partition"])), behind.get(row["worker"], 0)
        behind[row["worker"]] = None if end is None or known is None else known + max(0, end - row["next_offset"])
    return behind


def _by_kind(counts: Iterable[Row]) -> list[dict[str, Any]]:
    kinds: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(KIND_FIGURES, 0))
    for row in counts:
        column = COLUMNS.get((row["stage"], row["fate"]))
        if column is not None:
            kinds[row["kind"]][column] += row["count"]
    return [{"kind": kind, **kinds[kind]} for kind in sorted(kinds)]


def pipeline_figures(dsn: str, ends: Offsets | None = None, clock: Clock | None = None) -> dict[str, Any]:
    """The figures now, over a connection of its own. Without end offsets of Kafka every lag is None.

    `read_pipeline(dsn).partitions` says which end offsets; `api.kafka_offsets.end_offsets` asks for them.

    Raises:
        psycopg.Error: PostgreSQL does not answer, or the tables are missing.
    """
    return figures(read_pipeline(dsn), ends or {}, (clock or WallClock()).now())


def read_pipeline(dsn: str) -> PipelineReading:
    """Reads what `figures` needs.

    Raises:
        psycopg.Error: PostgreSQL does not answer, or the tables are missing.
    """
    with psycopg.connect(dsn, row_factory=dict_row, connect_timeout=5, options=CONNECTION_OPTIONS) as connection:
        rows = connection.execute(sql("pipeline_rows")).fetchone()
        newest = connection.execute(sql("pipeline_newest")).fetchone()
        assert rows is not None
        assert newest is not None
        return PipelineReading(
            counts=connection.execute(sql("pipeline_counts")).fetchall(),
            positions=connection.execute(sql("pipeline_positions")).fetchall(),
            metric_values=rows["metric_values"],
            scores=rows["scores"],
            newest_ingested_at=newest["newest_ingested_at"],
        )
