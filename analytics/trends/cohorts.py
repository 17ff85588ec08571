"""An account's trend against that of its cohort. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.seasons.periods import Floats

LEAST_COHORT = 5


@dataclass(frozen=True)
class CohortTrend:
    """An account among those of its cohort.

    Attributes:
        growth: log ratio of its newest window to the one before.
        difference: that minus the cohort's median; NaN where the cohort is too small.
        percentile: 0 to 100, the share of the cohort that grows less (ties count half).
    """

    growth: float
    difference: float
    percentile: float


def cohort_trends(series: Mapping[str, Floats], cohorts: Mapping[str, str], window: int) -> dict[str, CohortTrend]:
    """Every account that has two windows of values, against the accounts of its own cohort that have."""
    growth = {
        name: float(np.log((values[-window:].sum() + 1) / (values[-2 * window : -window].sum() + 1)))
        for name, values in series.items()
        if len(values) >= 2 * window
    }
    members: dict[str, list[float]] = {}
    for name, value in growth.items():
        members.setdefault(cohorts[name], []).append(value)
    return {name: _among(value, members[cohorts[name]]) for name, value in growth.items()}


def _among(value: float, cohort: Sequence[float]) -> CohortTrend:
    if len(cohort) < LEAST_COHORT:
        return CohortTrend(value, float("nan"), float("nan"))
    below = sum(other < value for other in cohort) + 0.5 * sum(other == value for other in cohort)
    return CohortTrend(value, value - float(np.median(cohort)), 100 * below / len(cohort))
