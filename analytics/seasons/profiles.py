"""Profiles of a season: each phase's usual share, shrunk to that of similar accounts where history is short. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.seasons.periods import Floats


@dataclass(frozen=True)
class Profile:
    """How a season distributes what happens.

    Attributes:
        shares: [period], factors with mean 1.
        weight: 0 to 1, how much of it is the account's own.
    """

    shares: Floats
    weight: float


def own_shares(values: Floats, period: int, first_phase: int = 0) -> tuple[Floats, float]:
    """The mean of each phase over the mean of all, and how many cycles that is from; phases without values have 1.

    values: a regular series from phase `first_phase` on, not negative.
    """
    phases = (first_phase + np.arange(len(values))) % period
    sums, counts = np.bincount(phases, values, period), np.bincount(phases, minlength=period)
    means = np.divide(sums, counts, out=np.full(period, np.nan), where=counts > 0)
    level = float(np.nanmean(means)) if len(values) else 0.0
    shares = np.where(np.isnan(means) | (level <= 0), 1.0, means / level if level > 0 else 1.0)
    return shares, len(values) / period


def pooled_profiles(series: Sequence[Floats], period: int, first_phases: Sequence[int]) -> list[Profile]:
    """Every account's profile, shrunk towards the mean of all of them (empirical Bayes).

    Within accounts shares scatter from cycle to cycle, between accounts they differ: an account with `c` cycles keeps
    `c / (c + within / between)` of its own. Accounts without values have the mean of the others.
    """
    told = [own_shares(values, period, phase) for values, phase in zip(series, first_phases, strict=True)]
    cycles = np.array([count for _, count in told])
    rich = [shares for (shares, count), values in zip(told, series, strict=True) if count >= 2 and values.sum() > 0]
    everyone = np.mean(rich, axis=0) if rich else np.ones(period)
    within = _within(series, period, first_phases)
    spread = float(np.mean(np.var(rich, axis=0))) if len(rich) > 2 else 0.0
    usual_cycles = float(np.mean(cycles[cycles >= 2])) if (cycles >= 2).any() else 1.0
    between = max(spread - within / usual_cycles, 1e-9)
    return [
        Profile(_shrunk(shares, everyone, weight), weight)
        for (shares, count), values in zip(told, series, strict=True)
        for weight in [count / (count + within / between) if values.sum() > 0 else 0.0]
    ]


def _shrunk(own: Floats, everyone: Floats, weight: float) -> Floats:
    mixed: Floats = weight * own + (1 - weight) * everyone
    return mixed / float(mixed.mean())


def _within(series: Sequence[Floats], period: int, first_phases: Sequence[int]) -> float:
    """Variance of a phase's share from cycle to cycle, of accounts with at least three cycles."""
    found = []
    for values, phase in zip(series, first_phases, strict=True):
        start = (-phase) % period
        whole = values[start : start + (len(values) - start) // period * period]
        if len(whole) >= 3 * period and whole.sum() > 0:
            cycles = whole.reshape(-1, period)
            levels = cycles.mean(axis=1, keepdims=True)
            shares = cycles[levels[:, 0] > 0] / levels[levels[:, 0] > 0]
            if len(shares) >= 3:
                found.append(float(np.mean(np.var(shares, axis=0, ddof=1))))
    return float(np.mean(found)) if found else 1.0
