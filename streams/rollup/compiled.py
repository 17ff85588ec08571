"""The catalogue compiled to DuckDB SQL: one partial aggregate a metric and grain over the batch's fresh events."""

from dataclasses import dataclass
from functools import cache

import ibis

from metrics.catalogue import metrics_of
from metrics.contract import EVENTS, Grain, Metric

MERGE = {
    "count": "window_values.value + excluded.value",
    "sum": "window_values.value + excluded.value",
    "distinct": "window_values.value + excluded.value",
    "min": "least(window_values.value, excluded.value)",
    "max": "greatest(window_values.value, excluded.value)",
}

UPSERT = """
INSERT INTO window_values (account_id, metric, grain, window_start, value, order_time, order_id)
SELECT account_id, '{metric}', '{grain}', window_start, measure, order_time, order_id FROM ({partial})
ON CONFLICT (account_id, metric, grain, window_start) DO UPDATE
SET value = {merged}, order_time = {order_time}, order_id = {order_id}
RETURNING account_id, metric, grain, window_start, value
"""

NEW_MEMBERS = """
CREATE OR REPLACE TEMP TABLE fresh_members AS
SELECT DISTINCT partial.account_id, '{metric}' AS metric, '{grain}' AS grain, partial.window_start,
    partial.measure AS member
FROM ({partial}) AS partial ANTI JOIN members AS known
ON known.account_id = partial.account_id AND known.metric = '{metric}' AND known.grain = '{grain}'
AND known.window_start = partial.window_start AND known.member = partial.measure
"""

KEEP_MEMBERS = "INSERT INTO members SELECT * FROM fresh_members"

FRESH_MEMBERS_COUNTED = """
SELECT account_id, window_start, count(*)::DECIMAL(38,6) AS measure, NULL::TIMESTAMP AS order_time,
    NULL::VARCHAR AS order_id
FROM fresh_members GROUP BY ALL
"""

NEWEST = """
SELECT * FROM ({rows})
QUALIFY row_number() OVER (PARTITION BY account_id, window_start ORDER BY order_time DESC, order_id DESC) = 1
"""


@dataclass(frozen=True)
class Statement:
    """What folds a batch into one metric's windows of one grain and returns the windows that changed.

    A distinct metric has `new_members`, which runs first: it fills the table `fresh_members`, which `KEEP_MEMBERS`
    keeps and `upsert` counts.
    """

    metric: str
    upsert: str
    new_members: str | None = None


@cache
def compiled(topic: str) -> tuple[Statement, ...]:
    """The statements of every metric of a topic, over a table `events` of fresh events."""
    return tuple(_statement(metric, grain) for metric in metrics_of(topic) for grain in metric.grains)


def _statement(metric: Metric, grain: Grain) -> Statement:
    names = {"metric": metric.name, "grain": grain}
    newest_only = {"order_time": "NULL", "order_id": "NULL"}
    if metric.merge == "distinct":
        return Statement(
            metric.name,
            UPSERT.format(**names, partial=FRESH_MEMBERS_COUNTED, merged=MERGE["distinct"], **newest_only),
            NEW_MEMBERS.format(**names, partial=_members(metric, grain)),
        )
    if metric.merge == "last":
        newer = "(excluded.order_time, excluded.order_id) > (window_values.order_time, window_values.order_id)"
        kept = {
            column: f"CASE WHEN {newer} THEN excluded.{column} ELSE window_values.{column} END"
            for column in ("value", "order_time", "order_id")
        }
        return Statement(
            metric.name,
            UPSERT.format(
                **names,
                partial=_newest(metric, grain),
                merged=kept["value"],
                order_time=kept["order_time"],
                order_id=kept["order_id"],
            ),
        )
    return Statement(
        metric.name,
        UPSERT.format(**names, partial=_aggregated(metric, grain), merged=MERGE[metric.merge], **newest_only),
    )


def _picked(metric: Metric, grain: Grain) -> ibis.Table:
    picked = EVENTS.filter(metric.where(EVENTS))
    return picked.mutate(window_start=picked.event_time.truncate({"day": "D"}[grain]))


def _aggregated(metric: Metric, grain: Grain) -> str:
    picked = _picked(metric, grain)
    by = picked.group_by(["account_id", "window_start"])
    if metric.measure is None:
        measure = picked.count()
    else:
        column = metric.measure(picked)
        measure = getattr(column, metric.merge)()
    grouped = by.aggregate(measure=measure.cast("decimal(38,6)"))
    return _sql(grouped.mutate(order_time=ibis.null("timestamp"), order_id=ibis.null("string")))


def _members(metric: Metric, grain: Grain) -> str:
    picked = _picked(metric, grain)
    assert metric.measure is not None
    return _sql(picked.select("account_id", "window_start", measure=metric.measure(picked)))


def _newest(metric: Metric, grain: Grain) -> str:
    # Ibis refuses an ordered `last` for Flink and Spark, so this kind is written once by hand, for every engine alike.
    picked = _picked(metric, grain)
    assert metric.measure is not None
    rows = picked.select(
        "account_id",
        "window_start",
        measure=metric.measure(picked).cast("decimal(38,6)"),
        order_time=picked.event_time,
        order_id=picked.event_id,
    )
    return NEWEST.format(rows=_sql(rows))


def _sql(expression: ibis.Table) -> str:
    return str(ibis.to_sql(expression, dialect="duckdb"))
