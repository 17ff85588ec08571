"""Spark Structured Streaming with a windowed aggregate, twice in one session: cold, then warm.

Arguments as JSON: bootstrap, registry, schema_id, topic, ends, jars, runs ([{name, sink}]), deduplicated.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import col, collect_set, count, count_if, expr, size, struct, to_json, window
from pyspark.sql.functions import sum as sum_of

SHUFFLES = 2
"""Partitions of the state, one a core: the default of 200 is for clusters."""


def events_of(session: SparkSession, given: dict[str, Any], schema: str) -> DataFrame:
    """The events, decoded; duplicates dropped where asked for."""
    read = (
        session.readStream.format("kafka")
        .option("kafka.bootstrap.servers", given["bootstrap"])
        .option("subscribe", given["topic"])
        .option("startingOffsets", "earliest")
        .load()
    )
    # Spark's decoder knows nothing of the five bytes before the Avro body.
    events = read.select(from_avro(expr("substring(value, 6)"), schema).alias("event")).select("event.*")
    return events.dropDuplicates(["event_id"]) if given["deduplicated"] else events


def rows_of(events: DataFrame) -> DataFrame:
    """The job's rows as messages. Spark counts no distinct values exactly in a stream; the size of a set is exact."""
    rows = events.groupBy(window(col("event_time"), "1 minute"), col("account_id")).agg(
        count("*").alias("events"),
        count_if(col("kind") == "product.feature_used").alias("feature"),
        count_if(col("kind") == "product.event_tracked").alias("tracked"),
        count_if(col("value").isNull()).alias("without_value"),
        sum_of("value").alias("total"),
        size(collect_set("user_id")).alias("users"),
    )
    start = expr("unix_micros(window.start)").alias("start_micros")
    measures = ("events", "feature", "tracked", "without_value", "total", "users")
    return rows.select(to_json(struct("account_id", start, *measures), {"ignoreNullFields": "false"}).alias("value"))


def main() -> None:
    """Runs the query as often as asked for."""
    given = json.loads(sys.argv[1])
    with urllib.request.urlopen(f"{given['registry']}/schemas/ids/{given['schema_id']}", timeout=30) as answer:
        schema = json.load(answer)["schema"]
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(given["jars"]))
        .config("spark.sql.shuffle.partitions", SHUFFLES)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "3g")
        .getOrCreate()
    )
    for run in given["runs"]:
        began = time.time()
        query = (
            rows_of(events_of(session, given, schema))
            .writeStream.format("kafka")
            .option("kafka.bootstrap.servers", given["bootstrap"])
            .option("topic", run["sink"])
            .option("checkpointLocation", str(Path.cwd() / run["sink"]))
            .outputMode("update")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        report = {"name": run["name"], "began": began, "ended": time.time(), "events": sum(given["ends"])}
        print("@", json.dumps(report), flush=True)
        time.sleep(0.3)
    session.stop()


if __name__ == "__main__":
    main()
