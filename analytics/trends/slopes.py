"""The slope of a window and its noise band: the arrow moves outside it only. Pure; integers inside, so that a running
slope equals one that is computed anew.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Arrow = Literal["up", "flat", "down"]


@dataclass(frozen=True)
class Slope:
    """Of the newest values, in 10^-6 units a step.

    Attributes:
        band: half the width in which 95 percent of slopes of pure noise lie, the residuals' autocorrelation included.
    """

    value: float
    band: float

    @property
    def arrow(self) -> Arrow:
        """`up` or `down` outside the band."""
        return "up" if self.value > self.band else "down" if self.value < -self.band else "flat"


@dataclass
class RunningSlope:
    """Least squares over the last `window` values; a step costs the same however long the series is.

    Values are integers of 10^-6 units, and so are the sums: after any steps they are exactly those of the window.
    """

    window: int
    values: deque[int] = field(default_factory=deque)
    total: int = 0
    moment: int = 0  # sum of place * value, places from 0 within the window

    def step(self, value: int) -> None:
        """Takes the value of a sealed window."""
        if len(self.values) == self.window:
            leaving = self.values.popleft()
            self.total -= leaving
            self.moment -= self.total  # every place moves down by one
        self.moment += len(self.values) * value
        self.total += value
        self.values.append(value)

    def slope(self) -> Slope | None:
        """The slope now, None below three values."""
        count = len(self.values)
        if count < 3:
            return None
        places = count * (count - 1) // 2
        squares = (count - 1) * count * (2 * count - 1) // 6
        width = count * squares - places * places
        steep = (count * self.moment - places * self.total) / width
        start = self.total / count - steep * (count - 1) / 2
        rest = [value - start - steep * place for place, value in enumerate(self.values)]
        energy = sum(each * each for each in rest)
        memory = sum(a * b for a, b in pairwise(rest)) / energy if energy > 0 else 0.0
        memory = min(max(memory + 4 / count, 0.0), 0.9)  # residuals of a line lean to the other side
        deviation = (energy / (count - 2) * (1 + memory) / (1 - memory) / (width / count)) ** 0.5
        return Slope(steep, 1.96 * deviation)
