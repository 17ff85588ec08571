"""Spark Structured Streaming on both cores, cold and warm."""

import time

from confluent_kafka.admin import NewTopic

from benchmarks.rollup.broker import admin_of, create
from benchmarks.rollup.contender import Field, run_process
from benchmarks.rollup.environments import JOBS, jars_of, java_of, python_of
from benchmarks.rollup.measured import Measured
from benchmarks.rollup.rows import judged_rows, rows_of_topic

NAME, ORDER, REPEATED = "Spark", 30, False


def run(field: Field, deduplicated: bool = True, name: str = NAME) -> list[Measured]:
    """A cold and a warm run over the whole log, in one session, each into a topic of its own."""
    python, jars = python_of("Spark"), jars_of("Spark")
    runs = [{"name": f"{name}, {state}", "sink": f"rows-spark-{time.time_ns()}"} for state in ("cold", "warm")]
    create(admin_of(field.settings), [NewTopic(run["sink"], 1, 1) for run in runs])
    arguments = field.arguments() | {"jars": list(map(str, jars)), "runs": runs, "deduplicated": deduplicated}
    measured = run_process(field, name, [python, JOBS / "spark_streaming.py"], arguments, java_of("Spark"))
    return [
        judged_rows(each, field.log, rows_of_topic(field.log, field.settings, run["sink"], 1), deduplicated)
        for each, run in zip(measured, runs, strict=True)
    ]
