"""The Spark job of the health scores: reads window values, writes a row an account and tick, prints a summary.

Runs in Spark's own environment. Of Vitals only `analytics` is there, as the archive that the plan names: the functions
that the stream runs, on the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812  # Spark's documentation calls it so

if TYPE_CHECKING:
    import pyarrow as pa

    from batch.scores import ScoresPlan, ScoresSummary

SCHEMA = (
    "account_id string, tick timestamp, model string, score long, band string, trend string, coverage long, "
    "contributions array<long>, signal_values array<double>, statuses array<string>, segment string, adjustment long"
)

DAY_MICROS = 86_400 * 1_000_000

LARGEST_VALUE = 10**10
"""Beyond it a value cannot be added up safely: the stream refuses it too."""


def scorer(definition: Mapping[str, Any], last_tick: int) -> Callable[[pa.Table], pa.Table]:
    """A function from the day values of some accounts to their scores at every tick up to the last."""

    def score(windows: pa.Table) -> pa.Table:
        from analytics.health.model import parse_model
        from analytics.health.scored_table import scored_table

        return scored_table(parse_model(definition), windows, last_tick)

    return score


def run(plan: ScoresPlan) -> ScoresSummary:
    """Does what the plan says."""
    builder = SparkSession.builder
    for name, value in plan["session"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.addPyFile(plan["code"])
    values = spark.read.parquet(plan["values"]).where(F.col("grain") == "day")
    values = values.where(F.abs("value") <= LARGEST_VALUE)
    # A window of a day is [midnight, midnight): its day's number, and its value as the integer that the model adds up.
    days = values.select(
        "account_id",
        "metric",
        F.floor(F.unix_micros("window_start") / DAY_MICROS).cast("long").alias("day"),
        (F.col("value") * 1_000_000).cast("decimal(38,0)").cast("long").alias("value"),
    )
    last_tick = plan["last_tick"]
    if last_tick is None:
        newest = days.agg(F.max("day")).first()
        last_tick = 0 if newest is None or newest[0] is None else newest[0] + 1
    grouped = days.where(F.col("day") < last_tick).groupBy(F.pmod(F.xxhash64("account_id"), F.lit(plan["groups"])))
    scores = grouped.applyInArrow(scorer(plan["definition"], last_tick), SCHEMA)
    scores.write.parquet(plan["out"])
    written = spark.read.parquet(plan["out"])
    return {
        "rows": written.count(),
        "accounts": written.select("account_id").distinct().count(),
        "last_tick": last_tick,
    }
