"""The models that forecast: those of statsforecast behind one small interface, and which of them fit a series."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Effort = Literal["fast", "normal", "thorough"]

ONE_SIGMA = 68.26894921370859
"""The level of an interval that is one standard deviation wide on each side."""

MULTIPLE_SEASONS_CYCLES = 2
SPARSE = 0.3
"""Share of zeros from which a series is thin."""

LONGEST_HISTORY = 3_000
"""Newest values that models look at: what is older says little about the next ones, and costs time."""


@dataclass(frozen=True)
class Candidate:
    """A model. `forecast(values, horizon)` gives means and standard deviations of the next values, [horizon] each."""

    name: str
    forecast: Callable[[Floats, int], tuple[Floats, Floats]]


def candidates(values: Floats, seasons: Sequence[int], effort: Effort) -> list[Candidate]:
    """The models to try on a series; `seasons` are those that it has, shortest first."""
    from statsforecast.models import (
        MSTL,
        AutoARIMA,
        AutoCES,
        AutoETS,
        CrostonSBA,
        DynamicOptimizedTheta,
        HistoricAverage,
    )

    count = len(values)
    known = [season for season in seasons if season > 1 and MULTIPLE_SEASONS_CYCLES * season <= count]
    main = known[0] if known else 1
    naive = Candidate("seasonal_naive", _seasonal_naive(main))
    if count < 5 or np.ptp(values) == 0:
        return [naive]
    made = [naive, Candidate("theta", _fitted(lambda: DynamicOptimizedTheta(season_length=main)))]
    if (values == 0).mean() > SPARSE:
        # Where most steps have nothing, nothing is the likeliest: the mean absolute error is least at the median.
        made.append(Candidate("median", _median))
        made.append(Candidate("average", _fitted(HistoricAverage)))
        made.append(Candidate("croston", _mean_only(CrostonSBA)))
    if len(known) > 1:
        # Long seasons: exponential smoothing of what is left when they are taken out.
        made = [naive]
        made.append(Candidate("mstl_ets", _fitted(lambda: MSTL(known, trend_forecaster=AutoETS(model="ZZN")))))
        made.append(Candidate("mstl_theta", _fitted(lambda: MSTL(known, trend_forecaster=DynamicOptimizedTheta()))))
        made.append(Candidate("seasonal_naive_long", _seasonal_naive(known[-1])))
        made.append(Candidate("theta", _fitted(lambda: DynamicOptimizedTheta(season_length=main))))
        return made
    if effort != "fast" or count <= 40:
        made.append(Candidate("ets", _fitted(lambda: AutoETS(season_length=main if main <= 24 else 1))))
        if count >= 3 * main:
            made.append(Candidate("ces", _fitted(lambda: AutoCES(season_length=main if main <= 60 else 1))))
    if main > 24 and effort != "fast":
        made.append(Candidate("mstl_ets", _fitted(lambda: MSTL([main], trend_forecaster=AutoETS(model="ZZN")))))
    if effort == "thorough":
        made.append(Candidate("arima", _fitted(lambda: AutoARIMA(season_length=main if main <= 24 else 1))))
    return made


def peers(values: Floats, seasons: Sequence[int]) -> list[Candidate]:
    """Seasonal naive, ETS and Theta by themselves: what every forecast is compared with."""
    from statsforecast.models import AutoETS, DynamicOptimizedTheta

    known = [season for season in seasons if season > 1 and 2 * season <= len(values)]
    main = known[0] if known else 1
    return [
        Candidate("seasonal_naive", _seasonal_naive(main)),
        Candidate("ets", _fitted(lambda: AutoETS(season_length=main if main <= 24 else 1))),
        Candidate("theta", _fitted(lambda: DynamicOptimizedTheta(season_length=main))),
    ]


def _fitted(make: Callable[[], Any]) -> Callable[[Floats, int], tuple[Floats, Floats]]:
    def forecast(values: Floats, horizon: int) -> tuple[Floats, Floats]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            told = make().forecast(y=values[-LONGEST_HISTORY:], h=horizon, level=[ONE_SIGMA])
        mean = np.asarray(told["mean"], dtype=np.float64)
        high = next(told[name] for name in told if name.startswith("hi-"))
        return mean, np.maximum(np.asarray(high, dtype=np.float64) - mean, 0.0)

    return forecast


def _mean_only(make: Callable[[], Any]) -> Callable[[Floats, int], tuple[Floats, Floats]]:
    """Models without intervals of their own: as wide as the series."""

    def forecast(values: Floats, horizon: int) -> tuple[Floats, Floats]:
        mean = np.asarray(make().forecast(y=values, h=horizon)["mean"], dtype=np.float64)
        return mean, np.full(horizon, float(np.std(values)))

    return forecast


def _median(values: Floats, horizon: int) -> tuple[Floats, Floats]:
    """The median of the newest values, for long enough to hold a few that are not 0."""
    newest = values[-max(24, 2 * horizon) :]
    return np.full(horizon, float(np.median(newest))), np.full(horizon, float(np.std(newest)))


def _seasonal_naive(season: int) -> Callable[[Floats, int], tuple[Floats, Floats]]:
    """The last season again; the spread is that of the steps from season to season and grows with them."""

    def forecast(values: Floats, horizon: int) -> tuple[Floats, Floats]:
        lag = season if len(values) > season else 1
        last = values[-lag:]
        steps = values[lag:] - values[:-lag] if len(values) > lag else np.zeros(1)
        spread = float(np.sqrt(np.mean(steps**2)))
        ahead = np.arange(horizon)
        return last[ahead % lag], spread * np.sqrt(ahead // lag + 1.0)

    return forecast
