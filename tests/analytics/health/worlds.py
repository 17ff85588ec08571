"""Random day windows, as the arrays that the model takes and as the dictionaries that the plain formula takes."""

import random

import numpy as np

from analytics.health.day_values import ABSENT, NEVER, DayValues
from analytics.health.model import HealthModel

Windows = dict[str, dict[int, int]]


def random_windows(model: HealthModel, seed: int, days: int, origin: int) -> Windows:
    """Windows of one account: bursts, silences, zeros, missing metrics and whole or fractional values."""
    chance = random.Random(seed)
    born = origin + chance.randrange(days)
    windows: Windows = {"crm.accounts_created": {born: 1_000_000}} if chance.random() < 0.8 else {}
    for metric in sorted(model.summed | model.levels | {"product.value"}):
        if chance.random() < 0.15:
            continue
        density = chance.choice((0.01, 0.1, 0.5, 1.0))
        scale = chance.choice((1, 3, 50, 10_000))
        windows[metric] = {}
        for day in range(chance.randrange(origin, origin + days), origin + days):
            if (day // chance.choice((17, 40))) % 3 and chance.random() < density:
                whole = chance.randrange(scale + 1) * 1_000_000
                windows[metric][day] = whole + (chance.randrange(1_000_000) if chance.random() < 0.1 else 0)
    return windows


def day_values(model: HealthModel, accounts: list[Windows], origin: int, days: int) -> DayValues:
    """The same windows as arrays."""
    shape = (len(accounts), days)
    summed = {metric: np.zeros(shape, dtype=np.int64) for metric in model.summed}
    levels = {metric: np.full(shape, ABSENT, dtype=np.int64) for metric in model.levels}
    first_day = np.full(len(accounts), NEVER, dtype=np.int64)
    first_seen = {metric: np.full(len(accounts), NEVER, dtype=np.int64) for metric in model.first_seen}
    for row, windows in enumerate(accounts):
        for metric, values in windows.items():
            for day, value in values.items():
                first_day[row] = min(first_day[row], day)
                if metric in first_seen:
                    first_seen[metric][row] = min(first_seen[metric][row], day)
                target = summed.get(metric, levels.get(metric))
                if target is not None:
                    target[row, day - origin] = value
    return DayValues(origin, first_day, summed, levels, first_seen)
