"""The catalogue as SQL of one engine: the final value of every window of a metric and grain, over a whole event table.

For engines that see a bounded log at once (DuckDB for previews, Flink, Spark). The stream's worker compiles the same
metrics to partial aggregates instead (`streams/rollup/compiled.py`). Events are unique here: duplicates are the
caller's business, because which of two comes first is a matter of the log and not of the event. Sessions run in UTC.
"""

from typing import Literal

import ibis

from metrics.contract import EVENTS, TRUNCATION, Grain, Metric

Dialect = Literal["duckdb", "flink", "pyspark"]

# Ibis refuses an ordered `last` for Flink and Spark, so this kind is written once by hand, for every engine alike.
NEWEST = """
SELECT account_id, window_start, measure, order_time, order_id FROM (
    SELECT account_id, window_start, measure, order_time, order_id, row_number() OVER (
        PARTITION BY account_id, window_start ORDER BY order_time DESC, order_id DESC) AS newness
    FROM ({rows}) AS picked
) AS ordered WHERE newness = 1
"""


def picked(metric: Metric, grain: Grain) -> ibis.Table:
    """The metric's events, each with its window's start."""
    events = EVENTS.filter(metric.where(EVENTS))
    return events.mutate(window_start=events.event_time.truncate(TRUNCATION[grain]))


def newest_rows(metric: Metric, grain: Grain, dialect: Dialect) -> str:
    """SQL of a `last` metric: account, window start, measure, order time and order id of each window's newest event."""
    assert metric.measure is not None
    events = picked(metric, grain)
    rows = events.select(
        "account_id",
        "window_start",
        measure=metric.measure(events).cast("decimal(38,6)"),
        order_time=events.event_time,
        order_id=events.event_id,
    )
    return NEWEST.format(rows=ibis.to_sql(rows, dialect=dialect))


def window_values(metric: Metric, grain: Grain, dialect: Dialect) -> str:
    """SQL of a metric's final values over a table `events`: account_id, window_start, value (DECIMAL(38,6))."""
    if metric.merge == "last":
        newest = newest_rows(metric, grain, dialect)
        return f"SELECT account_id, window_start, measure AS value FROM ({newest}) AS newest"  # noqa: S608
    events = picked(metric, grain)
    grouped = events.group_by(["account_id", "window_start"])
    if metric.measure is None:
        value = events.count()
    else:
        measure = metric.measure(events)
        value = measure.nunique() if metric.merge == "distinct" else getattr(measure, metric.merge)()
    return str(ibis.to_sql(grouped.aggregate(value=value.cast("decimal(38,6)")), dialect=dialect))
