"""Forecasts of one series: rolling-origin backtest, weights, combination, intervals as wide as errors were. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from analytics.forecasting.candidates import Candidate, Effort, Floats, candidates, peers
from analytics.forecasting.seasons import confirmed_seasons

LEAST_TRAINING = 6
"""Values below which nothing is held back for a backtest."""

ORIGINS: Mapping[Effort, int] = {"fast": 2, "normal": 3, "thorough": 5}

SHRINK = 12.0
"""Backtest errors that a normal distribution's width is worth."""


@dataclass(frozen=True)
class Backtest:
    """How the combination, and each model alone, did from earlier origins.

    Attributes:
        origins: how many; 0 where the series is too short.
        mase: by model (and `combined`), mean absolute error over that of the seasonal naive forecast inside the
            training values (Hyndman and Koehler, 2006).
        scaled_errors: of the combination, (actual - mean) / standard deviation, over all origins and steps.
    """

    origins: int
    mase: Mapping[str, float]
    scaled_errors: Floats


@dataclass(frozen=True)
class Forecast:
    """The next values. `sigma` is the combination's own standard deviation, before it is widened.

    Attributes:
        mean, sigma: [horizon].
        weights: by model, those above 0.
        seasons: season lengths that were found or given.
        floor: least value that a forecast may have: 0 for series that never were negative, else minus infinity.
    """

    mean: Floats
    sigma: Floats
    weights: Mapping[str, float]
    seasons: tuple[int, ...]
    floor: float
    backtest: Backtest
    history: int = field(default=0)


def forecast_series(
    values: Floats,
    horizon: int,
    seasons: Sequence[int] = (),
    *,
    tested: bool = True,
    effort: Effort = "normal",
) -> Forecast:
    """Forecasts the next `horizon` values of a regular series.

    values: [n], at least 1; NaN where one is missing. seasons: lengths that may exist, or with `tested=False` that do.

    >>> forecast_series(np.array([3.0, 3.0, 3.0, 3.0, 3.0, 3.0]), 2).mean.tolist()
    [3.0, 3.0]
    """
    told = filled(values, max(seasons, default=1))
    found = confirmed_seasons(told, seasons) if tested else sorted({season for season in seasons if season > 1})
    tried = candidates(told, found, effort)
    backtest, weights = _backtest(told, horizon, found, tried, effort)
    parts = [(weights[one.name], *_safe(one, told, horizon)) for one in tried if weights[one.name] > 0]
    mean = _combined([part[0] for part in parts], [part[1] for part in parts])
    sigma = _combined([part[0] for part in parts], [part[2] for part in parts])
    floor = 0.0 if told.min() >= 0 else -np.inf
    return Forecast(
        np.maximum(mean, floor),
        sigma,
        {name: weight for name, weight in weights.items() if weight > 0},
        tuple(found),
        floor,
        backtest,
        len(values),
    )


def interval(forecast: Forecast, level: float, pooled: Floats | None = None) -> tuple[Floats, Floats]:
    """Lower and upper bounds in which a value falls with `level` percent, [horizon] each.

    The standard deviations are widened by the quantile that scaled errors had in the backtest, shrunk towards that of
    the errors of other series (`pooled`), and that towards a normal distribution's.
    """
    usual = NormalDist().inv_cdf(0.5 + level / 200)
    if pooled is not None and len(pooled):
        share = len(pooled) / (len(pooled) + SHRINK)
        usual = share * float(np.quantile(np.abs(pooled), level / 100)) + (1 - share) * usual
    own = np.abs(forecast.backtest.scaled_errors)
    if len(own):
        # Errors of one origin hang together: they count as fewer than they are.
        weight = forecast.backtest.origins * np.sqrt(len(own) / forecast.backtest.origins)
        share = weight / (weight + SHRINK)
        usual = share * float(np.quantile(own, level / 100)) + (1 - share) * usual
    reach = usual * forecast.sigma
    return np.maximum(forecast.mean - reach, forecast.floor), np.maximum(forecast.mean + reach, forecast.floor)


def filled(values: Floats, season: int) -> Floats:
    """Missing values as they were a season before or after, or else on the line between their neighbours."""
    told = np.asarray(values, dtype=np.float64).copy()
    if np.isnan(told).all():
        return np.zeros_like(told)
    for lag in (season, -season):
        missing = np.flatnonzero(np.isnan(told))
        source = missing - lag
        inside = (source >= 0) & (source < len(told))
        if season > 1:
            told[missing[inside]] = told[source[inside]]
    missing = np.isnan(told)
    if missing.any():
        places = np.arange(len(told))
        told[missing] = np.interp(places[missing], places[~missing], told[~missing])
    return told


def mase_scale(training: Floats, season: int) -> float:
    """Mean absolute step from season to season inside the training values, 1 where there is none."""
    lag = season if len(training) > season else 1
    steps = np.abs(training[lag:] - training[:-lag])
    scale = float(steps.mean()) if len(steps) else 0.0
    return scale if scale > 0 else 1.0


def _backtest(
    values: Floats, horizon: int, seasons: Sequence[int], tried: Sequence[Candidate], effort: Effort
) -> tuple[Backtest, dict[str, float]]:
    season = seasons[0] if seasons else 1
    least = max(LEAST_TRAINING, 2 * max(seasons, default=1) + 1)
    steps = min(horizon, max(1, (len(values) - least) // 2))
    room = (len(values) - least) // steps if len(values) > least else 0
    origins = [len(values) - steps * number for number in range(1, min(ORIGINS[effort], room) + 1)]
    alone = {one.name: one for one in (*peers(values, seasons), *tried)}
    if not origins or len(tried) == 1:
        return Backtest(0, {}, np.empty(0)), _equal(tried)
    told = {name: [_safe(one, values[:origin], steps) for origin in origins] for name, one in alone.items()}
    actual = [values[origin : origin + steps] for origin in origins]
    scales = [mase_scale(values[:origin], season) for origin in origins]
    mase = {
        name: float(
            np.mean(
                [
                    np.abs(mean - real).mean() / scale
                    for (mean, _), real, scale in zip(each, actual, scales, strict=True)
                ]
            )
        )
        for name, each in told.items()
    }
    weights = _weights([one.name for one in tried], mase)
    names = [name for name, weight in weights.items() if weight > 0]
    means = [
        _combined([weights[name] for name in names], [told[name][k][0] for name in names]) for k in range(len(origins))
    ]
    sigmas = [
        _combined([weights[name] for name in names], [told[name][k][1] for name in names]) for k in range(len(origins))
    ]
    mase["combined"] = float(
        np.mean([np.abs(mean - real).mean() / scale for mean, real, scale in zip(means, actual, scales, strict=True)])
    )
    errors = [(real - mean) / np.maximum(sigma, 1e-12) for mean, sigma, real in zip(means, sigmas, actual, strict=True)]
    return Backtest(len(origins), mase, np.concatenate(errors)), weights


def _weights(names: Sequence[str], mase: Mapping[str, float]) -> dict[str, float]:
    """By inverse squared error, a third of the way to equal ones; models a third worse than the best have none."""
    best = min(mase[name] for name in names)
    kept = [name for name in names if mase[name] <= 1.33 * best + 1e-12]
    inverse = np.array([1.0 / (mase[name] + 0.05 * best + 1e-12) ** 2 for name in kept])
    shares = 0.67 * inverse / inverse.sum() + 0.33 / len(kept)
    return dict.fromkeys(names, 0.0) | dict(zip(kept, shares.tolist(), strict=True))


def _equal(tried: Sequence[Candidate]) -> dict[str, float]:
    """Without a backtest all alike; the naive forecast only where it is the only one."""
    chosen = [one.name for one in tried if len(tried) < 3 or not one.name.startswith("seasonal_naive")]
    return {one.name: (1.0 / len(chosen) if one.name in chosen else 0.0) for one in tried}


def _combined(weights: Sequence[float], parts: Sequence[Floats]) -> Floats:
    result: Floats = np.average(np.array(parts), axis=0, weights=np.array(weights))
    return result


def _safe(one: Candidate, values: Floats, horizon: int) -> tuple[Floats, Floats]:
    """A model that fails, or runs away, forecasts the last value: it then has a bad backtest, and no weight."""
    try:
        mean, sigma = one.forecast(values, horizon)
    except Exception:  # noqa: BLE001  # libraries raise many kinds on series that they cannot fit
        mean, sigma = np.full(horizon, np.nan), np.full(horizon, np.nan)
    spread = float(np.ptp(values)) if len(values) > 1 else 0.0
    low, high = float(values.min()) - 10 * spread, float(values.max()) + 10 * spread
    wild = ~np.isfinite(mean) | (mean < low) | (mean > high)
    mean = np.where(wild, values[-1], mean)
    sigma = np.where(np.isfinite(sigma) & ~wild, np.minimum(sigma, 10 * spread), spread)
    return mean, sigma
