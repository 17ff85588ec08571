"""The catalogue as SQL of one engine: the final value of every window of a metric and grain, over a whole event table.

For engines that see a bounded log at once (DuckDB for previews, Flink, Spark). The stream's worker compiles the same
metrics to partial aggregates instead (`streams/rollup/compiled.py`). Events are unique here: duplicates are the
caller's business, because which of two comes first is a matter of the log and not of the event. Sessions run in UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import ibis
from ibis.expr.types import Value

from metrics.contract import EVENTS, TRUNCATION, Grain, Metric

Dialect = Literal["duckdb", "flink", "pyspark"]

# `value` is a word of Flink's own SQL.
QUOTED_VALUE: Mapping[Dialect, str] = MappingProxyType({"duckdb": '"value"', "flink": "`value`", "pyspark": "`value`"})

# Ibis refuses an ordered `last` for Flink and Spark, so this kind is written once by hand, for every engine alike.
NEWEST = """
SELECT account_id, window_start, measure AS {value} FROM (
    SELECT account_id, window_start, measure, row_number() OVER (
        PARTITION BY account_id, window_start ORDER BY order_time DESC, order_id DESC) AS newness
    FROM ({rows}) AS picked
) AS ordered WHERE newness = 1
"""


SUMMABLE = 10**15
"""A measure beyond this is not summed: one broken number must not overflow everybody's sum of 38 digits."""


def measured(metric: Metric, events: ibis.Table) -> Value:
    """A metric's measure of each event (1 for a count); null where the event is not one of the metric's."""
    where = metric.where(events)
    if metric.measure is None:
        return where.ifelse(1, ibis.null("int8"))
    measure = metric.measure(events)
    if metric.merge == "distinct":
        return where.ifelse(measure.cast("string"), ibis.null("string"))
    number = measure.cast("decimal(38,6)")
    if metric.merge == "sum":
        where &= number.between(-SUMMABLE, SUMMABLE)
    return where.ifelse(number, ibis.null("decimal(38,6)"))


def picked(metric: Metric, grain: Grain, table: ibis.Table = EVENTS) -> ibis.Table:
    """The events with a measure: account_id, window_start, measure, and their order (time, id).

    `table` is the events' where they have another name.
    """
    events = table.select(
        "account_id",
        window_start=table.event_time.truncate(TRUNCATION[grain]),
        measure=measured(metric, table),
        order_time=table.event_time,
        order_id=table.event_id,
    )
    return events.filter(events.measure.notnull())


def window_values(metric: Metric, grain: Grain, dialect: Dialect) -> str:
    """SQL of a metric's final values over a table `events`: account_id, window_start, value (DECIMAL(38,6)).

    A window without a measure has no row.
    """
    events = picked(metric, grain)
    if metric.merge == "last":
        return NEWEST.format(value=QUOTED_VALUE[dialect], rows=ibis.to_sql(events, dialect=dialect))
    name = {"distinct": "nunique"}.get(metric.merge, metric.merge)
    value = getattr(events.measure, name)().cast("decimal(38,6)")
    return str(ibis.to_sql(events.group_by(["account_id", "window_start"]).aggregate(value=value), dialect=dialect))
