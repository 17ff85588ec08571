"""Day values of accounts from a table of windows, for whoever has all of history at once. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analytics.health.day_values import ABSENT, NEVER, DayValues, Ints
from analytics.health.model import HealthModel


def day_values(
    models: Sequence[HealthModel],
    accounts: int,
    rows: Ints,
    metrics: Sequence[str],
    codes: NDArray[np.integer],
    days: Ints,
    values: Ints,
) -> DayValues:
    """Day windows as the arrays that the model takes.

    accounts: how many there are. Of each of `w` windows, in any order and each window once: `rows` its account's row,
    `codes` the place of its metric in `metrics`, `days` its day, `values` its value in 10^-6 units.
    Of metrics that no model reads only the day counts, because an account's ticks start with its first window.
    """
    origin = int(days.min()) if len(days) else 0
    columns = int(days.max()) + 1 - origin if len(days) else 0
    first_day = np.full(accounts, NEVER, dtype=np.int64)
    np.minimum.at(first_day, rows, days)
    summed = sorted(frozenset().union(*(model.summed for model in models)))
    levels = sorted(frozenset().union(*(model.levels for model in models)))
    absent = dict.fromkeys(summed, 0) | dict.fromkeys(levels, ABSENT)
    arrays = {metric: np.full((accounts, columns), fill, dtype=np.int64) for metric, fill in absent.items()}
    gates = frozenset().union(*(model.first_seen for model in models))
    first_seen = {metric: np.full(accounts, NEVER, dtype=np.int64) for metric in gates}
    for code, metric in enumerate(metrics):
        own = codes == code
        if metric in arrays:
            arrays[metric][rows[own], days[own] - origin] = values[own]
        if metric in first_seen:
            np.minimum.at(first_seen[metric], rows[own], days[own])
    return DayValues(
        origin,
        first_day,
        {metric: arrays[metric] for metric in summed},
        {metric: arrays[metric] for metric in levels},
        first_seen,
    )
