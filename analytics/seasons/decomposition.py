"""A series as trend, seasons and remainder, and how strong each season is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.seasons.periods import Floats

SEASONAL_CYCLES = 25
"""Cycles over which a season may change: fewer would take noise for season."""


@dataclass(frozen=True)
class Decomposition:
    """Components of [n] each that sum to the values.

    Attributes:
        seasons: by period length.
        strengths: by period length, 0 to 1: the share of what is left of the variance that the season explains
            (Wang, Smith-Miles and Hyndman, 2006).
    """

    trend: Floats
    seasons: Mapping[int, Floats]
    remainder: Floats
    strengths: Mapping[int, float]


def decompose(values: Floats, periods: Sequence[int]) -> Decomposition:
    """Robust STL (one period) or MSTL (several) of a regular series without missing values, by statsmodels.

    A period needs two cycles. Without any the trend is a robust local line.
    """
    from statsmodels.tsa.seasonal import MSTL, STL

    known = [period for period in sorted(set(periods)) if period >= 2 and 2 * period <= len(values)]
    if not known:
        trend = _smooth(values)
        return Decomposition(trend, {}, values - trend, {})
    if len(known) == 1:
        result = STL(values, period=known[0], seasonal=SEASONAL_CYCLES, robust=True).fit()
        seasonal = np.asarray(result.seasonal)[:, None]
    else:
        result = MSTL(values, periods=known, stl_kwargs={"robust": True}).fit()
        seasonal = np.asarray(result.seasonal)
    trend, remainder = np.asarray(result.trend), np.asarray(result.resid)
    seasons = {period: seasonal[:, column] for column, period in enumerate(known)}
    strengths = {period: _strength(season, remainder) for period, season in seasons.items()}
    return Decomposition(trend, seasons, remainder, strengths)


def _strength(season: Floats, remainder: Floats) -> float:
    both = float(np.var(season + remainder))
    return max(0.0, 1.0 - float(np.var(remainder)) / both) if both > 0 else 0.0


def _smooth(values: Floats) -> Floats:
    """A local line through a fifth of the values, by robust LOWESS."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    if len(values) < 5:
        return np.full(len(values), float(np.median(values)))
    share = min(1.0, max(0.2, 7 / len(values)))
    smoothed: Floats = lowess(values, np.arange(len(values)), frac=share, it=2, return_sorted=False)
    return smoothed
