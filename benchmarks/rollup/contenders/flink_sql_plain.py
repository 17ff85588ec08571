"""Flink SQL without dropping duplicates, which is less work than ours."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import flink_sql
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "Flink SQL without deduplication", 21, False


def run(field: Field) -> list[Measured]:
    """A cold and a warm run over the whole log."""
    return flink_sql.run(field, deduplicated=False, name=NAME)
