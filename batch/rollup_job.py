"""The Spark job of the rollup: what a plan (`batch/plan.py`) says, every window's value as Parquet.

Runs in Spark's own environment, where only Spark, the standard library and `batch.spark_archive` are.
"""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  # Spark's documentation calls it so
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import MapType, StringType, StructType, TimestampType

if TYPE_CHECKING:
    from batch.plan import Plan, Summary, TopicPlan

READABLE_TIMES = ("0001-01-01", "9999-12-31 23:59:59.999999")
"""The reference decoder's instants are Python's: earlier and later ones are unreadable."""


def kafka_messages(spark: SparkSession, topic: TopicPlan) -> DataFrame:
    """A topic's messages: partition, offset, value."""
    return spark.read.format("kafka").options(**topic["kafka"]).load().select("partition", "offset", "value")


def event_log(messages: DataFrame, plan: Plan) -> DataFrame:
    """Every message with its `fate` (counted, duplicate, progress, unreadable), and an event's columns where it is one.

    Of each event id the first in the log counts; an id always lies in one partition.
    """
    body = F.expr("substring(value, 6)")
    end = F.unhex(F.sha2(body, 256))
    framed = messages.select(
        "partition",
        "offset",
        F.hex(F.substring("value", 1, 5)).alias("prefix"),
        end.alias("end"),
        F.concat(body, end).alias("framed"),
    )
    frames = framed.select("*", frame("Event", plan).alias("event"), frame("Progress", plan).alias("progress"))
    found = F.when(intact(frames, "event"), "event").when(intact(frames, "progress"), "progress")
    read = frames.select("partition", "offset", found.otherwise("unreadable").alias("found"), "event.record.*")
    place = F.concat_ws("/", "partition", "offset")
    identity = F.when(F.col("found") == "event", F.col("event_id")).otherwise(place)
    copies = Window.partitionBy("found", identity).orderBy("partition", "offset")
    fate = F.when(F.col("found") != "event", F.col("found")).when(F.row_number().over(copies) == 1, "counted")
    return read.withColumn("fate", fate.otherwise("duplicate")).drop("partition", "offset", "found")


def frame(record: str, plan: Plan) -> Column:
    """A record as its newest schema has it, whichever version wrote it, and the frame's end; null for other records."""
    reader = frame_schema(plan["readers"][record])
    # PERMISSIVE: a body that cannot be read is one null, and not the end of the job.
    options = {"mode": "PERMISSIVE", "avroSchema": reader, "datetimeRebaseMode": "CORRECTED"}
    column = F.when(F.lit(False), from_avro(F.col("framed"), reader, options))
    for identifier, writer in plan["writers"].items():
        if writer["record"] == record:
            schema = frame_schema(writer["schema"])
            # The wire format's prefix: a zero byte, then the schema's id.
            column = column.when(F.col("prefix") == f"{int(identifier):010X}", from_avro("framed", schema, options))
    return column


def frame_schema(schema: str) -> str:
    """The schema of a body with its own SHA-256 behind it.

    Spark's decoder does not mind bytes that follow a record. In a frame they would be read in place of the hash.
    """
    end = {"type": "fixed", "name": "End", "size": 32}
    fields = [{"name": "record", "type": json.loads(schema)}, {"name": "end", "type": end}]
    return json.dumps({"type": "record", "name": "Frame", "fields": fields})


def intact(frames: DataFrame, name: str) -> Column:
    """Whether the column holds what the reference decoder reads: the whole body, text in UTF-8, Python's instants."""
    schema = frames.schema[name].dataType["record"].dataType
    assert isinstance(schema, StructType)
    texts, checks = [], [F.col(f"{name}.end") == F.col("end")]
    for field in schema:
        column = F.col(f"{name}.record.{field.name}")
        if isinstance(field.dataType, StringType):
            texts.append(column)
        elif isinstance(field.dataType, MapType):
            texts += [F.map_keys(column), F.map_values(column)]
        elif isinstance(field.dataType, TimestampType):
            first, last = (F.lit(text).cast("timestamp") for text in READABLE_TIMES)
            checks.append(column.isNull() | column.between(first, last))
    checks.append(F.is_valid_utf8(F.concat_ws(" ", *texts)))
    return F.coalesce(reduce(Column.__and__, checks), F.lit(False))


def window_values(spark: SparkSession, topic: TopicPlan, log: DataFrame) -> list[DataFrame]:
    """Rows of every metric and grain of a topic: account_id, metric, grain, window_start, value."""
    log.where(F.col("fate") == "counted").createOrReplaceTempView("events")
    return [
        spark.sql(statement["sql"]).select(
            "account_id",
            F.lit(statement["metric"]).alias("metric"),
            F.lit(statement["grain"]).alias("grain"),
            "window_start",
            "value",
        )
        for statement in topic["statements"]
    ]


def run(plan: Plan) -> Summary:
    """Does what the plan says."""
    builder = SparkSession.builder
    for name, value in plan["session"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    fates, rows = {}, []
    for topic in plan["topics"]:
        # Kept, because every metric and grain reads it; what does not fit into memory goes to disk.
        log = event_log(kafka_messages(spark, topic), plan).persist(StorageLevel.MEMORY_AND_DISK)
        fates[topic["topic"]] = {row["fate"]: row["count"] for row in log.groupBy("fate").count().collect()}
        rows += window_values(spark, topic, log)
    # Rebalanced: as few files as the rows need, instead of some for every metric.
    values = reduce(DataFrame.unionAll, rows).hint("rebalance")
    values.sortWithinPartitions("metric", "grain", "account_id", "window_start").write.parquet(plan["out"])
    summary: Summary = {"topics": fates, "rows": spark.read.parquet(plan["out"]).count()}
    spark.stop()
    return summary
