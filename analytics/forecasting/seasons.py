"""Which of the seasons that a frequency suggests a series has. Pure."""

from collections.abc import Sequence

import numpy as np

from analytics.forecasting.candidates import Floats


def confirmed_seasons(values: Floats, suggested: Sequence[int]) -> list[int]:
    """Those of the suggested lengths at which the series resembles itself significantly (90%), shortest first.

    The test of the Theta method (Assimakopoulos and Nikolopoulos, 2000): autocorrelation beyond Bartlett's limit, here
    of the series without its trend. A season needs two cycles and a half to be tested.
    """
    found: list[int] = []
    rest = _without_trend(values)
    for season in sorted(set(suggested)):
        if season < 2 or len(values) < 2.5 * season:
            continue
        correlations = _autocorrelations(rest, season)
        limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlations[: season - 1] ** 2)) / len(values))
        if correlations[season - 1] > limit:
            found.append(season)
            # What the shorter season explains is no sign of a longer one.
            rest = rest - _profile(rest, season)
    return found


def _without_trend(values: Floats) -> Floats:
    places = np.arange(len(values), dtype=np.float64)
    slope, start = np.polyfit(places, values, 1) if len(values) > 2 else (0.0, float(values.mean()))
    rest: Floats = values - slope * places - start
    return rest


def _autocorrelations(values: Floats, longest: int) -> Floats:
    centred = values - values.mean()
    energy = float(centred @ centred)
    if energy <= 0:
        return np.zeros(longest)
    return np.array([float(centred[lag:] @ centred[:-lag]) / energy for lag in range(1, longest + 1)])


def _profile(values: Floats, season: int) -> Floats:
    means = np.array([values[place::season].mean() for place in range(season)])
    return means[np.arange(len(values)) % season]
