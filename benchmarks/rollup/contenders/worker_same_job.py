"""Ours with the peers' job: six measures by account and minute instead of the catalogue, everything else the same."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import worker
from benchmarks.rollup.measured import Measured
from benchmarks.rollup.truth import MEASURES

NAME, ORDER, REPEATED = "worker, the peers' job", 4, True


def run(field: Field) -> list[Measured]:
    """One run over the whole log."""
    return [worker.run_synthetic(field, NAME, "--job", [(measure, "minute") for measure in MEASURES])]
