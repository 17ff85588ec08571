"""Piecewise-linear curves: a signal's value to points, without cliffs."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytics.health.day_values import Floats


@dataclass(frozen=True)
class Curve:
    """Straight lines between points `(x, y)` with rising x; level outside the first and the last point."""

    points: tuple[tuple[float, float], ...]

    def at(self, values: Floats) -> Floats:
        """Points (0 to 100) of each value, same shape.

        With `(x0, y0)` the last point whose x is at or below the value and `(x1, y1)` the next one, the float64
        operations are, in this order, `y0 + (x - x0) * (y1 - y0) / (x1 - x0)`: difference, product, quotient, sum.

        >>> Curve(((0.0, 0.0), (1.0, 80.0), (1.5, 100.0))).at(np.array([-1.0, 0.5, 1.0, 9.0])).tolist()
        [0.0, 40.0, 80.0, 100.0]
        """
        result = np.full(values.shape, self.points[0][1])
        for (x0, y0), (x1, y1) in pairwise(self.points):
            line = y0 + (values - x0) * (y1 - y0) / (x1 - x0)
            np.copyto(result, line, where=values >= x0)
        last_x, last_y = self.points[-1]
        np.copyto(result, last_y, where=values >= last_x)
        return result
