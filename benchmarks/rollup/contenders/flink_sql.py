"""Flink SQL at parallelism 1, cold and warm: a tumbling window over the events, of each the first."""

import time
from collections.abc import Sequence

from confluent_kafka.admin import NewTopic

from benchmarks.rollup.broker import admin_of, create
from benchmarks.rollup.contender import Field, run_process
from benchmarks.rollup.environments import JOBS, jars_of, java_of, python_of
from benchmarks.rollup.measured import Measured
from benchmarks.rollup.rows import judged_rows, rows_of_topic

NAME, ORDER, REPEATED = "Flink SQL", 20, False


def run(field: Field, deduplicated: bool = True, name: str = NAME) -> list[Measured]:
    """A cold and a warm run over the whole log."""
    return flink_runs(field, [f"{name}, cold", f"{name}, warm"], deduplicated)


def flink_runs(field: Field, names: Sequence[str], deduplicated: bool, python_function: bool = False) -> list[Measured]:
    """Runs in one JVM, one after the other, each into a topic of its own."""
    python, jars = python_of("Flink"), jars_of("Flink")
    runs = [{"name": name, "sink": f"rows-flink-{time.time_ns()}"} for name in names]
    create(admin_of(field.settings), [NewTopic(run["sink"], 1, 1) for run in runs])
    arguments = field.arguments() | {
        "jars": [str(jar) for jar in jars],
        "runs": runs,
        "deduplicated": deduplicated,
        "python_function": python_function,
    }
    measured = run_process(field, names[0], [python, JOBS / "flink_sql.py"], arguments, java_of("Flink"))
    return [
        judged_rows(each, field.log, rows_of_topic(field.log, field.settings, run["sink"], 1), deduplicated)
        for each, run in zip(measured, runs, strict=True)
    ]
