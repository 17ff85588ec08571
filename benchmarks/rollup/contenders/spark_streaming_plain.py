"""Spark without dropping duplicates, which is less work than ours."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import spark_streaming
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "Spark without deduplication", 31, False


def run(field: Field) -> list[Measured]:
    """A cold and a warm run over the whole log."""
    return spark_streaming.run(field, deduplicated=False, name=NAME)
