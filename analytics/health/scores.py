"""Scores of many accounts at many ticks, with contributions that sum exactly to each score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.health.day_values import MICRO, DayValues, Ints, Mask
from analytics.health.gates import Gates
from analytics.health.model import UNKNOWN_BAND, HealthModel, TrendRule

TRENDS = ("down", "flat", "up")
"""Names of the trend codes 0, 1 and 2."""


@dataclass(frozen=True)
class TickScores:
    """Scores of `n` accounts at the ticks `first_tick` to `first_tick + t - 1` (days since 1970-01-01 UTC, midnight).

    Attributes:
        exists: [n, t], whether the account has a tick then.
        scored: [n, t], whether any signal applies; elsewhere the score is null.
        score: [n, t], 10^-6 points, 0 where null.
        coverage: [n, t], 10^-6: applicable weight over total weight.
        band: [n, t], index into `band_names`.
        trend: [n, t], index into `TRENDS`.
        applies: [signals, n, t].
        contributions: [signals, n, t], 10^-6 points, 0 where the signal does not apply.
        values: [signals, n, t], the signal's value before its curve, 0 where it does not apply.
    """

    first_tick: int
    band_names: tuple[str, ...]
    exists: Mask
    scored: Mask
    score: Ints
    coverage: Ints
    band: NDArray[np.int8]
    trend: NDArray[np.int8]
    applies: Mask
    contributions: Ints
    values: NDArray[np.float64]


def score_ticks(
    model: HealthModel, days: DayValues, first_tick: int, last_tick: int, gates: Gates | None = None
) -> TickScores:
    """Scores every account at every tick from `first_tick` to `last_tick`.

    Where a gate of any of a signal's metrics is closed, the signal does not apply.

    Tick `T` is the UTC midnight that ends day `T - 1` and depends on no later day. An account's first tick ends its
    first day with a window of any metric; from then on it has one every day, active or not.

    With `w_i` the integer weight and `c_i` the curve's float64 points of each applicable signal, and `W` the sum of the
    applicable weights, in exactly these float64 operations:

        contribution_i = floor(((float(w_i) * c_i) * 1e6) / float(W))      (a 64-bit integer of 10^-6 points)
        score          = sum of contribution_i                             (integers)
        coverage       = W * 10^6 // total weight                          (integers)

    Flooring takes less than 10^-6 point a signal. No signal applies: no score, band unknown, coverage 0.
    """
    warm_up = model.trend.ticks - 1
    start = first_tick - warm_up
    shape = (days.accounts, last_tick - start + 1)
    ticks = np.arange(start, last_tick + 1, dtype=np.int64)
    exists = ticks > days.first_day[:, None]

    weight = np.zeros(shape, dtype=np.int64)
    applies = np.empty((len(model.signals), *shape), dtype=np.bool_)
    values = np.empty((len(model.signals), *shape), dtype=np.float64)
    for index, signal in enumerate(model.signals):
        values[index], applicable = signal.measure.evaluate(days, start, last_tick)
        applicable &= exists
        if signal.applies_after_first is not None:
            first_seen = days.first_seen.get(signal.applies_after_first)
            applicable &= False if first_seen is None else ticks > first_seen[:, None]
        if gates:
            applicable &= ~gates.closed(signal.metrics, start, last_tick)
        applies[index] = applicable
        values[index][~applicable] = 0.0
        weight += signal.weight * applicable

    contributions = np.empty(values.shape, dtype=np.int64)
    divisor = np.maximum(weight, 1).astype(np.float64)
    for index, signal in enumerate(model.signals):
        points = float(signal.weight) * signal.curve.at(values[index]) * 1e6 / divisor
        contributions[index] = np.where(applies[index], np.floor(points), 0.0)
    score: Ints = contributions.sum(axis=0)
    scored = weight > 0
    kept = slice(warm_up, None)
    return TickScores(
        first_tick=first_tick,
        band_names=(*(band.name for band in model.bands), UNKNOWN_BAND),
        exists=exists[:, kept],
        scored=scored[:, kept],
        score=score[:, kept],
        coverage=(weight * MICRO // model.total_weight)[:, kept],
        band=_bands(model, score, scored)[:, kept],
        trend=trend_codes(model.trend, score, scored),
        applies=applies[:, :, kept],
        contributions=contributions[:, :, kept],
        values=values[:, :, kept],
    )


def trend_codes(rule: TrendRule, score: Ints, scored: Mask) -> NDArray[np.int8]:
    """Trend at every tick that has `rule.ticks - 1` ticks before it: [n, t - rule.ticks + 1], indices into `TRENDS`.

    With integers floored (towards minus infinity): `sum of the last recent_ticks scores // recent_ticks - sum of the
    earlier_ticks scores before them // earlier_ticks`; above `noise` is up, below `-noise` down, else flat. Flat where
    any of those ticks has no score.
    """
    running = np.zeros((score.shape[0], score.shape[1] + 1), dtype=np.int64)
    np.cumsum(score, axis=1, out=running[:, 1:])
    known = np.zeros_like(running)
    np.cumsum(scored, axis=1, out=known[:, 1:])
    split = running[:, rule.earlier_ticks : running.shape[1] - rule.recent_ticks]
    recent = (running[:, rule.ticks :] - split) // rule.recent_ticks
    earlier = (split - running[:, : -rule.ticks]) // rule.earlier_ticks
    complete = known[:, rule.ticks :] - known[:, : -rule.ticks] == rule.ticks
    change = recent - earlier
    codes = 1 + (change > rule.noise).astype(np.int8) - (change < -rule.noise).astype(np.int8)
    return np.where(complete, codes, 1).astype(np.int8)


def _bands(model: HealthModel, score: Ints, scored: Mask) -> NDArray[np.int8]:
    """Index of the first band (highest first) whose inclusive lower bound the score reaches."""
    index = np.zeros(score.shape, dtype=np.int8)
    for band in model.bands[:-1]:
        index += score < band.lower
    return np.where(scored, index, len(model.bands)).astype(np.int8)
