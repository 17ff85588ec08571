"""Quix Streams with a tumbling window."""

from benchmarks.rollup.contender import Field, run_process
from benchmarks.rollup.environments import JOBS, python_of
from benchmarks.rollup.measured import Measured
from benchmarks.rollup.rows import judged_rows, rows_of_file

NAME, ORDER, REPEATED = "Quix Streams", 12, False
EVENTS = 100_000


def run(field: Field) -> list[Measured]:
    """One run over a prefix; duplicates count, as a window knows of none."""
    prefix = field.prefix(EVENTS)
    rows = field.own_folder("quix-rows") / "rows"
    arguments = prefix.arguments() | {"rows": str(rows)}
    (measured,) = run_process(field, NAME, [python_of("Quix"), JOBS / "quix_streams.py"], arguments)
    return [judged_rows(measured, prefix.log, rows_of_file(prefix.log, rows), deduplicated=False)]
