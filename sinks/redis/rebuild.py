"""What PostgreSQL knows of a partition now, and up to which offsets: Redis is filled from it and goes on from there.

Cheaper than reading the retained log, and complete where the log no longer is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from analytics.health.scores import STATUSES
from sinks.delivery import HEALTH_SCORES, METRICS_VALUES, Source
from sinks.redis.entries import FRESHNESS_FIELDS, USAGE_FIELDS, LiveScore, LiveScores, Usage
from sinks.timescale.statements import statements
from sinks.timescale.store import NAME as TIMESCALE
from sinks.timescale.store import psycopg_faults

QUERIES = statements(Path(__file__).with_name("rebuild.sql"))


@dataclass(slots=True)
class Snapshot:
    """The current state of some sources and their next offsets; one that PostgreSQL never consumed has none."""

    offsets: dict[Source, int] = field(default_factory=dict)
    scores: dict[int, LiveScores] = field(default_factory=dict)
    usage: dict[int, Usage] = field(default_factory=dict)


def read_snapshot(dsn: str, sources: Collection[Source]) -> Snapshot:
    """Reads state and offsets as of one instant.

    Raises:
        RetriableError: PostgreSQL cannot be reached.
    """
    snapshot = Snapshot()
    scored = sorted(source.partition for source in sources if source.topic == HEALTH_SCORES)
    measured = sorted(source.partition for source in sources if source.topic == METRICS_VALUES)
    with psycopg_faults(), psycopg.connect(dsn, row_factory=dict_row, connect_timeout=5) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for row in connection.execute(QUERIES["offsets"], {"sink": TIMESCALE}):
            source = Source(row["topic"], row["partition"])
            if source in sources:
                snapshot.offsets[source] = row["next_offset"]
        sealed_through = {}
        for row in connection.execute(QUERIES["freshness"], {"partitions": scored}):
            sealed_through[row["partition"]] = row["sealed_through"]
            snapshot.scores.setdefault(row["partition"], LiveScores()).add_freshness(row)
        for row in connection.execute(QUERIES["live"], {"partitions": scored}):
            freshness = _freshness(row, sealed_through)
            score = {**row, "statuses": [STATUSES[code] for code in row["statuses"]]}
            live = LiveScore(row["account_id"], row["model"], score, freshness)
            snapshot.scores.setdefault(row["partition"], LiveScores()).add(live)
        for row in connection.execute(QUERIES["usage"], {"partitions": measured, "metrics": list(USAGE_FIELDS)}):
            revision = (row["definition_version"], row["rank"], row["position"])
            snapshot.usage.setdefault(row["partition"], Usage()).add(
                row["account_id"], row["metric"], row["window_start"], row["value"], revision
            )
    return snapshot


def _freshness(row: Mapping[str, object], sealed_through: Mapping[int, object]) -> dict[str, object]:
    held = {name: row.get(name) for name in (*FRESHNESS_FIELDS, "position")}
    return held | {"sealed_through": sealed_through.get(row["partition"])}  # type: ignore[call-overload]
