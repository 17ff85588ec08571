"""Scores of many accounts at many ticks, with contributions that sum exactly to each score."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.health.bands import Codes, band_codes
from analytics.health.circumstances import KNOWN_THROUGHOUT, Circumstances
from analytics.health.day_values import MICRO, DayValues, Floats, Ints, Mask
from analytics.health.model import UNKNOWN_BAND, HealthModel, Signal, TrendRule
from analytics.health.overrides import overridden

TRENDS = ("down", "flat", "up")
"""Names of the trend codes 0, 1 and 2."""

NOT_APPLICABLE, MISSING, STALE, FRESH = range(4)

STATUSES: Final = ("not_applicable", "missing", "stale", "fresh")
"""Names of the status codes: how a signal stands. The last two apply, the first one is not expected to."""


@dataclass(frozen=True)
class TickScores:
    """Scores of `n` accounts at the ticks `first_tick` to `first_tick + t - 1` (days since 1970-01-01 UTC, midnight).

    Attributes:
        exists: [n, t], whether the account has a tick then.
        scored: [n, t], whether any signal applies; elsewhere the score is null.
        score: [n, t], 10^-6 points, 0 where null; the sum of the contributions and the adjustment.
        adjustment: [n, t], 10^-6 points that overrides add to what the signals say.
        coverage: [n, t], 10^-6: fresh weight over expected weight.
        band: [n, t], index into `band_names`.
        trend: [n, t], index into `TRENDS`.
        segment: [n, t], index into the model's `segment_names`.
        status: [signals, n, t], index into `STATUSES`.
        contributions: [signals, n, t], 10^-6 points, 0 where the signal does not apply.
        values: [signals, n, t], the signal's value before its curve, 0 where it does not apply.
        ages: [signals, t], days since the input was complete last.
    """

    first_tick: int
    band_names: tuple[str, ...]
    exists: Mask
    scored: Mask
    score: Ints
    adjustment: Ints
    coverage: Ints
    band: Codes
    trend: Codes
    segment: Codes
    status: Codes
    contributions: Ints
    values: Floats
    ages: Ints

    @property
    def applies(self) -> Mask:
        """[signals, n, t], whether the signal counts, fresh or stale."""
        result: Mask = self.status >= STALE
        return result


def score_ticks(
    model: HealthModel,
    days: DayValues,
    first_tick: int,
    last_tick: int,
    circumstances: Circumstances = KNOWN_THROUGHOUT,
) -> TickScores:
    """Scores every account at every tick from `first_tick` to `last_tick`.

    Tick `T` is the UTC midnight that ends day `T - 1` and depends on no later day. An account's first tick ends its
    first day with a window of any metric; from then on it has one every day, active or not.

    A signal is taken at the newest tick for which its input is complete (`Circumstances.informed`). Where that is older
    than its staleness limit it is stale: it keeps its weight, its points are held (`Staleness.held`), coverage falls.

    With `w_i` the integer weight (that of the account's segment) and `c_i` the float64 points of each signal that
    applies, and `W` the sum of those weights, in exactly these float64 operations:

        contribution_i = floor(((float(w_i) * c_i) * 1e6) / float(W))      (a 64-bit integer of 10^-6 points)
        score          = sum of contribution_i + adjustment                (integers)
        coverage       = fresh weight * 10^6 // (W + missing weight)       (integers)

    Flooring takes less than 10^-6 point a signal. No signal applies: no score, band unknown, coverage 0. The adjustment
    is what overrides make of the sum; the trend goes by the sums.
    """
    warm_up = model.warm_up_ticks
    start = first_tick - warm_up
    shape = (days.accounts, last_tick - start + 1)
    ticks = np.arange(start, last_tick + 1, dtype=np.int64)
    exists = ticks > days.first_day[:, None]
    segments = circumstances.segment_codes(days.accounts, start, last_tick)

    signals = len(model.signals)
    weights = [_weights(model, signal, segments) for signal in model.signals]
    status = np.zeros((signals, *shape), dtype=np.int8)
    values, points = np.empty((signals, *shape)), np.empty((signals, *shape))
    ages = np.empty((signals, len(ticks)), dtype=np.int64)
    total, fresh, missing = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for index, signal in enumerate(model.signals):
        informed = circumstances.informed(signal.metrics, start, last_tick)
        values[index], applies = _measured(signal, days, start, informed)
        applies &= exists
        weight = weights[index]
        if segments is not None:
            applies &= weight > 0
        values[index][~applies] = 0.0
        age = ages[index] = ticks - informed
        points[index] = signal.staleness.held(signal.curve.at(values[index]), age)
        current = age <= signal.staleness.limit_days
        np.copyto(status[index], np.where(current, np.int8(FRESH), np.int8(STALE)), where=applies)
        total += weight * applies
        fresh += weight * (applies & current)
        if signal.expected:
            absent = exists & ~applies & (weight > 0)
            status[index][absent] = MISSING
            missing += weight * absent

    contributions = np.empty(values.shape, dtype=np.int64)
    divisor = np.maximum(total, 1).astype(np.float64)
    for index, weight in enumerate(weights):
        share = weight.astype(np.float64) * points[index] * 1e6 / divisor
        contributions[index] = np.where(status[index] >= STALE, np.floor(share), 0.0)
    computed: Ints = contributions.sum(axis=0)
    scored = total > 0
    score = overridden(computed, scored, circumstances.overrides, start)
    kept = slice(warm_up, None)
    for_band, for_trend = warm_up - model.hysteresis.ticks + 1, warm_up - model.trend.ticks + 1
    return TickScores(
        first_tick=first_tick,
        band_names=(*(band.name for band in model.bands), UNKNOWN_BAND),
        exists=exists[:, kept],
        scored=scored[:, kept],
        score=score[:, kept],
        adjustment=(score - computed)[:, kept],
        coverage=(fresh * MICRO // np.maximum(total + missing, 1))[:, kept],
        band=band_codes(model.bands, model.hysteresis, score[:, for_band:], scored[:, for_band:]),
        trend=trend_codes(model.trend, computed[:, for_trend:], scored[:, for_trend:]),
        segment=np.zeros(exists[:, kept].shape, np.int8) if segments is None else segments[:, kept].astype(np.int8),
        status=status[:, :, kept],
        contributions=contributions[:, :, kept],
        values=values[:, :, kept],
        ages=ages[:, kept],
    )


def earliest_day(model: HealthModel, circumstances: Circumstances, first_tick: int, last_tick: int) -> int:
    """The first day that rows from `first_tick` on depend on, the accounts' first days apart."""
    start = first_tick - model.warm_up_ticks
    return min(
        int(circumstances.informed(signal.metrics, start, last_tick)[0]) - signal.measure.lookback_days
        for signal in model.signals
    )


def _measured(signal: Signal, days: DayValues, start: int, informed: Ints) -> tuple[Floats, Mask]:
    """Values and applicability of a signal: [n, t] each, where column `k`, that of tick `start + k`, is measured at the
    tick `informed[k]`, which may lie before `start`.
    """
    last_tick = start + len(informed) - 1
    if informed[0] == start and (np.diff(informed) == 1).all():
        return _at_ticks(signal, days, start, last_tick)
    values, applies = np.empty((days.accounts, len(informed))), np.empty((days.accounts, len(informed)), np.bool_)
    own = informed >= start
    if own.any():
        first, last = int(informed[own].min()), int(informed[own].max())
        measured, known = _at_ticks(signal, days, first, last)
        columns = informed[own] - first
        values[:, own], applies[:, own] = measured[:, columns], known[:, columns]
    for tick in np.unique(informed[~own]).tolist():
        measured, known = _at_ticks(signal, days, tick, tick)
        at = informed == tick
        values[:, at], applies[:, at] = measured, known
    return values, applies


def _at_ticks(signal: Signal, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
    values, applies = signal.measure.evaluate(days, first_tick, last_tick)
    ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
    applies &= ticks > days.first_day[:, None]
    if signal.applies_after_first is not None:
        first_seen = days.first_seen.get(signal.applies_after_first)
        applies &= False if first_seen is None else ticks > first_seen[:, None]
    return values, applies


def _weights(model: HealthModel, signal: Signal, segments: Ints | None) -> Ints:
    """The signal's weight, of shape [] for everyone alike, [n, t] by segment."""
    own = [signal.weight, *(segment.weights.get(signal.name, signal.weight) for segment in model.segments)]
    return np.array(own[0], dtype=np.int64) if segments is None else np.array(own, dtype=np.int64)[segments]


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
