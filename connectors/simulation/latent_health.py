"""Latent health by account and day: mean-reverting walks, some of which decline, and some of those churn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.simulation.world import Ints

_DECLINING, _CHURNING, _NEW = 0.22, 0.65, 0.3
_CHURN_BELOW = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """`health` and `alive` by [account, day]; days of what never happens are -1.

    Health is between 0 and 1. An account is alive from its first day until it churns.
    """

    health: npt.NDArray[np.float64]
    alive: npt.NDArray[np.bool_]
    first_day: Ints
    decline_day: Ints
    churn_day: Ints


def trajectories(rng: np.random.Generator, accounts: int, days: int) -> Trajectories:
    """Walks of `accounts` accounts over `days` days: three in ten start late, one in five declines."""
    usual = rng.normal(1.2, 0.6, accounts)
    is_new = rng.random(accounts) < _NEW
    first_day = np.where(is_new, rng.integers(3, days - 90, accounts), rng.integers(0, 3, accounts)).astype(np.int64)
    declines = rng.random(accounts) < _DECLINING
    decline_day = np.where(declines, first_day + rng.integers(45, max(days - 90, 46), accounts), -1)
    decline_day = np.where(decline_day >= days, -1, decline_day).astype(np.int64)
    slope = rng.uniform(0.03, 0.1, accounts)
    recovers_after = np.where(rng.random(accounts) < _CHURNING, days, rng.integers(20, 50, accounts))
    noise = rng.normal(0.0, 0.12, (accounts, days))
    walk = np.empty((accounts, days))
    level = usual.copy()
    for day in range(days):
        since = day - decline_day
        falling = (decline_day >= 0) & (since >= 0) & (since < recovers_after)
        level = level + np.where(falling, -slope, 0.05 * (usual - level)) + noise[:, day]
        walk[:, day] = level
    health = 1 / (1 + np.exp(-walk))
    churn_day = _churn_days(health, decline_day)
    day_number = np.arange(days)
    alive = (day_number >= first_day[:, None]) & ((churn_day < 0)[:, None] | (day_number < churn_day[:, None]))
    return Trajectories(health, alive, first_day, decline_day, churn_day)


def _churn_days(health: npt.NDArray[np.float64], decline_day: Ints) -> Ints:
    """The first day after the start of a decline on which health is too low, a fortnight on: contracts run out."""
    days = health.shape[1]
    after = np.arange(days) >= np.where(decline_day < 0, days, decline_day)[:, None]
    low = after & (health < _CHURN_BELOW)
    day = np.argmax(low, axis=1) + 14
    return np.where(low.any(axis=1) & (day < days), day, -1).astype(np.int64)
