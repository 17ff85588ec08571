"""Faust as its manual has it: a tumbling table by event time, with its changelog."""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import faust_empty
from benchmarks.rollup.measured import Measured
from benchmarks.rollup.rows import judged_rows, rows_of_file

NAME, ORDER, REPEATED = "Faust, tumbling table", 11, False
EVENTS = 20_000


def run(field: Field) -> list[Measured]:
    """One run over a prefix; duplicates count, as a table knows of none."""
    rows = field.own_folder("faust-rows") / "rows"
    (measured,) = faust_empty.run(field, NAME, EVENTS, table=True, rows=str(rows))
    prefix = field.prefix(EVENTS)
    return [judged_rows(measured, prefix.log, rows_of_file(prefix.log, rows), deduplicated=False)]
