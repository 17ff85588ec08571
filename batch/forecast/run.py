"""Forecasts many series on all cores, and writes them with a report of how well the same would have done before."""

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, TextIO

import numpy as np

from analytics.forecasting.candidates import Effort, Floats
from analytics.forecasting.series import Forecast, forecast_series, interval
from batch.forecast.calendar import written
from batch.forecast.table import RegularSeries

POOLED_ERRORS = 20_000
SERIES_FOR_PROCESSES = 8
"""From so many series on, starting processes is worth its time."""


def forecasts(
    series: Sequence[RegularSeries], horizon: int, seasons: Sequence[int], effort: Effort
) -> Iterator[Forecast]:
    """One forecast a series, in their order. Processes are used where there are many series."""
    work = partial(_forecast, horizon=horizon, seasons=tuple(seasons), effort=effort)
    told = [(one.values, one.rhythm.suggested_seasons()) for one in series]
    if len(series) < SERIES_FOR_PROCESSES:
        yield from map(work, told)
        return
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, told, chunksize=4)


def _forecast(told: tuple[Floats, tuple[int, ...]], horizon: int, seasons: tuple[int, ...], effort: Effort) -> Forecast:
    values, suggested = told
    return forecast_series(values, horizon, seasons or suggested, tested=not seasons, effort=effort)


def pooled_errors(made: Sequence[Forecast]) -> Floats:
    """Scaled backtest errors of all series, each with at most as many as leave room for the others."""
    most = max(1, POOLED_ERRORS // max(1, len(made)))
    kept = [one.backtest.scaled_errors[:most] for one in made if one.backtest.origins]
    return np.concatenate(kept) if len(kept) > 1 else np.empty(0)


def write_forecasts(
    target: TextIO,
    series: Sequence[RegularSeries],
    made: Sequence[Forecast],
    levels: Sequence[int],
    series_column: str | None,
) -> None:
    """`[series,]timestamp,mean,lower_L,upper_L,…`, a row a step."""
    pooled = pooled_errors(made)
    writer = csv.writer(target, lineterminator="\n")
    bounds = [f"{side}_{level}" for level in levels for side in ("lower", "upper")]
    writer.writerow([*([series_column] if series_column else []), "timestamp", "mean", *bounds])
    for one, forecast in zip(series, made, strict=True):
        columns = [forecast.mean]
        for level in levels:
            columns += interval(forecast, level, pooled)
        for step in range(len(forecast.mean)):
            when = written(one.instant(step + 1), one.form)
            numbers = [f"{column[step]:.10g}" for column in columns]
            writer.writerow([*([one.name] if series_column else []), when, *numbers])


def report(series: Sequence[RegularSeries], made: Sequence[Forecast], levels: Sequence[int]) -> dict[str, Any]:
    """What was chosen and how it did from earlier origins, by series and in all.

    Coverage is that of the intervals on the backtest's own errors, each origin judged by the width that the series and
    the others have: near the level where there are many errors, of little meaning where there are few.
    """
    pooled = pooled_errors(made)
    rows: list[dict[str, Any]] = []
    for one, forecast in zip(series, made, strict=True):
        errors = np.abs(forecast.backtest.scaled_errors)
        width = {level: _width(forecast, level, pooled) for level in levels}
        rows.append(
            {
                "series": one.name,
                "step": one.rhythm.name,
                "values": len(one.values),
                "missing": int(np.isnan(one.values).sum()),
                "repeated_rows": one.repeated,
                "seasons": list(forecast.seasons),
                "weights": {name: round(weight, 4) for name, weight in forecast.weights.items()},
                "origins": forecast.backtest.origins,
                "mase": {name: round(error, 4) for name, error in forecast.backtest.mase.items()},
                "coverage": {
                    str(level): round(float((errors <= width[level]).mean()), 4) if len(errors) else None
                    for level in levels
                },
            }
        )
    tested = [row for row in rows if row["origins"]]
    names = ("combined", "seasonal_naive", "ets", "theta")
    return {
        "series": len(rows),
        "backtested": len(tested),
        "mase": {name: round(float(np.mean([row["mase"][name] for row in tested])), 4) for name in names}
        if tested
        else {},
        "coverage": {
            str(level): round(float(np.mean([row["coverage"][str(level)] for row in tested])), 4) for level in levels
        }
        if tested
        else {},
        "by_series": rows,
    }


def _width(forecast: Forecast, level: int, pooled: Floats) -> float:
    """Standard deviations that an interval reaches to each side."""
    unbounded = Forecast(
        np.zeros(1), np.ones(1), forecast.weights, forecast.seasons, -np.inf, forecast.backtest, forecast.history
    )
    return float(interval(unbounded, level, pooled)[1][0])
