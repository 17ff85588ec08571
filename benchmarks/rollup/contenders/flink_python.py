"""Flink SQL with one scalar function in Python."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders.flink_sql import flink_runs
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "PyFlink with a Python function", 22, False
EVENTS = 200_000


def run(field: Field) -> list[Measured]:
    """A cold and a warm run over a prefix."""
    return flink_runs(field.prefix(EVENTS), [f"{NAME}, cold", f"{NAME}, warm"], True, python_function=True)
