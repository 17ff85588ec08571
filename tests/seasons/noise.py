"""Noise without any season."""

import numpy as np

from analytics.seasons.periods import Floats


def autocorrelated(rng: np.random.Generator, rows: int, memory: float) -> Floats:
    """AR(1) of variance 1."""
    noise = rng.normal(size=rows)
    for row in range(1, rows):
        noise[row] = memory * noise[row - 1] + (1 - memory**2) ** 0.5 * noise[row]
    return noise
