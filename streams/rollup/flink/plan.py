"""The catalogue as a plan: SQL statements and Flink settings as plain text, which the job executes as they stand.

All metrics of one kind (counts, sums, …) share one aggregation over the union of their events, grouped by account,
metric, grain and window. So Flink reads each topic once, keeps event ids once, and the key of its updates is the
result's, which makes each change one record. An aggregation a metric would also write the removal of the old value, and
need a transactional producer each.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

import ibis

from metrics.catalogue import DEFINITION_VERSION, catalogue
from metrics.contract import EVENTS, Grain, MergeKind, Metric
from metrics.windows import picked
from streams.rollup.flink.tables import KEY_COLUMNS, events_name, events_view, literal, sink_table, source_table
from vitals.settings import Settings

PLAN_FORMAT = 1
"""Raised when the job can no longer read older plans."""

AGGREGATES: Mapping[MergeKind, str] = {
    "count": "CAST(COUNT(*) AS DECIMAL(38, 6))",
    "sum": "SUM(measure)",
    "min": "MIN(measure)",
    "max": "MAX(measure)",
    "distinct": "CAST(COUNT(DISTINCT measure) AS DECIMAL(38, 6))",
}
"""Value of a window by kind; `last` has no aggregate that Flink orders."""

CONFIGURATION = {
    "table.local-time-zone": "UTC",
    "execution.runtime-mode": "STREAMING",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    # A restored checkpoint belongs to the job that goes on from it, which deletes it once it has newer ones.
    "execution.state-recovery.claim-mode": "CLAIM",
    # A record that nobody can read fails the job again each time: after some attempts it must end and say so.
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "1 s",
    "restart-strategy.exponential-delay.max-backoff": "10 s",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "6",
    # Without this every event writes a record for every window that it changes.
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "5000",
    # Each topic is read, and its ids kept, once for all kinds of aggregates.
    "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
    "pipeline.object-reuse": "true",
    "pipeline.max-parallelism": "128",
    "pipeline.name": "vitals-rollup",
}


@dataclass(frozen=True)
class PlanOptions:
    """What the user may choose about the job.

    until_end: read to the log's present end, and finish. state_ttl_hours: forget ids and windows that were not touched
    for so long; None keeps them. more: further Flink settings, which go before the plan's own.
    """

    until_end: bool = False
    exactly_once: bool = True
    parallelism: int = 1
    checkpoint_seconds: float = 5.0
    state_ttl_hours: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    def configuration(self) -> dict[str, str]:
        """Settings of the job."""
        chosen = {
            "parallelism.default": str(self.parallelism),
            "execution.checkpointing.interval": f"{round(self.checkpoint_seconds * 1000)} ms",
        }
        if self.state_ttl_hours is not None:
            chosen["table.exec.state.ttl"] = f"{self.state_ttl_hours} h"
        return CONFIGURATION | chosen | dict(self.more)


@dataclass(frozen=True)
class Plan:
    """One job. `digest` names what it computes: a checkpoint fits the plans of the same digest only.

    substitutions: text for the `{{NAME}}`s in the statements. The password is not among them: the job takes it from its
    environment.
    """

    format: int
    digest: str
    substitutions: Mapping[str, str]
    configuration: Mapping[str, str]
    tables: tuple[str, ...]
    inserts: tuple[str, ...]

    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


def flink_plan(settings: Settings, options: PlanOptions, metrics: Iterable[Metric] | None = None) -> Plan:
    """The plan for every metric of the catalogue, or for the given ones."""
    chosen = catalogue() if metrics is None else tuple(metrics)
    tables = []
    for topic in sorted({metric.topic for metric in chosen}):
        tables += [source_table(topic, settings, until_end=options.until_end), events_view(topic)]
    inserts = []
    for kind in (*AGGREGATES, "last"):
        rows = [measured(metric, grain) for metric in chosen if metric.merge == kind for grain in metric.grains]
        if rows:
            sink = f"final_{kind}"
            tables.append(sink_table(sink, settings, exactly_once=options.exactly_once))
            inserts.append(f"INSERT INTO {sink}\n{final_values(kind, rows)}")
    computed = json.dumps([PLAN_FORMAT, DEFINITION_VERSION, tables, inserts])
    return Plan(
        PLAN_FORMAT,
        hashlib.sha256(computed.encode()).hexdigest()[:16],
        {
            "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "KAFKA_USERNAME": settings.kafka_username,
            "REGISTRY_URL": settings.registry_url,
        },
        options.configuration(),
        tuple(tables),
        tuple(inserts),
    )


def measured(metric: Metric, grain: Grain) -> str:
    """Query of a metric's events, each with the window that it falls in and what is aggregated of it."""
    table = ibis.table(EVENTS.schema(), name=events_name(metric.topic))
    rows = ibis.to_sql(picked(metric, grain, table), dialect="flink")
    names = f"{_name(metric.name)} AS metric, {_name(grain)} AS grain"
    # The result's type: a cast of a key after the grouping would hide from Flink that it is one.
    window = "CAST(window_start AS TIMESTAMP(3)) AS window_start"
    return f"SELECT account_id, {names}, {window}, measure, order_time, order_id FROM (\n{rows}\n)"  # noqa: S608


def _name(text: str) -> str:
    """A constant that does not look like one: Flink takes constants out of a key, which then is not the result's."""
    return f"CASE WHEN account_id IS NOT NULL THEN CAST({literal(text)} AS STRING) END"


def final_values(kind: str, rows: Iterable[str]) -> str:
    """Query of the values of all windows of the metrics of one kind, from the queries of their events."""
    united = "\nUNION ALL\n".join(rows)
    if kind == "last":
        columns, source = (
            "measure",
            (
                f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {KEY_COLUMNS} "  # noqa: S608
                f"ORDER BY order_time DESC, order_id DESC) AS newness FROM (\n{united}\n)"
            ),
        )
        condition = "WHERE newness = 1"
    else:
        columns, source, condition = AGGREGATES[kind], united, f"GROUP BY {KEY_COLUMNS}"  # type: ignore[index]
    return f"SELECT {KEY_COLUMNS}, {columns} AS `value` FROM (\n{source}\n)\n{condition}"  # noqa: S608
