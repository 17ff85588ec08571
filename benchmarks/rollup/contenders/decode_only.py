"""Consume and decode as the worker does, and nothing else."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import consume_only
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "decode only", 2, True


def run(field: Field) -> list[Measured]:
    """One run over the whole log."""
    return consume_only.run(field, decode=True, name=NAME)
