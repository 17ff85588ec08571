"""Signals whose source is out: the last value is held, then sinks towards a prior, and never lifts a score. Pure."""

from dataclasses import dataclass

import numpy as np

from analytics.health.day_values import Floats, Ints


@dataclass(frozen=True)
class Staleness:
    """What becomes of a signal that has no complete input at a tick.

    Its age is the number of days since the last tick for which its input was complete. Its value is that tick's. Up to
    `limit_days` it counts as fresh (a source that is a little behind is not out); after that it lowers coverage. Up to
    `hold_days` its points stay; over the `decay_days` after those they sink in a straight line to `prior` points.
    Points below the prior stay where they are: not knowing never improves a score.
    """

    limit_days: int = 1
    hold_days: int = 7
    decay_days: int = 21
    prior: float = 50.0

    def held(self, points: Floats, age: Ints) -> Floats:
        """Points [n, t] as they count at ages [t], in the float64 operations
        `c - (c - min(c, prior)) * (float(a) / float(decay_days))` with `a = min(age - hold_days, decay_days)` where
        `age > hold_days`.

        >>> rule = Staleness(limit_days=1, hold_days=7, decay_days=20, prior=50)
        >>> rule.held(np.array([[90.0, 90.0, 90.0, 30.0]]), np.array([7, 17, 400, 400])).tolist()
        [[90.0, 70.0, 50.0, 30.0]]
        """
        over = np.clip(age - self.hold_days, 0, self.decay_days)
        if not over.any():
            return points
        share = over.astype(np.float64) / float(self.decay_days)
        return points - (points - np.minimum(points, self.prior)) * share
