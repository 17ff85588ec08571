"""Day metrics of many accounts as dense arrays, and exact windows over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MICRO: Final = 1_000_000
"""Values are integers of 10^-6 of the metric's unit, so that sums are exact in any order."""

ABSENT: Final = int(np.iinfo(np.int64).min)
"""No window: told apart from 0 for metrics that hold a level (seats), 0 for metrics that are summed."""

NEVER: Final = 1 << 40
"""A day that never comes: `first_day` of an account without any window."""

DAY_VALUE_LIMIT: Final = 10**10 * MICRO
"""Largest absolute value of one day, in 10^-6 units: inside it no window of any valid model overflows int64."""


@dataclass(frozen=True)
class DayValues:
    """Day windows of `n` accounts. A day is a number of days since 1970-01-01 UTC; day `d` is `[d, d + 1)`.

    Attributes:
        origin: day of column 0.
        first_day: [n], day of the account's first window of any metric, `NEVER` where it has none.
        summed: by metric, [n, days], 10^-6 units, 0 where there is no window.
        levels: by metric, [n, days], 10^-6 units, `ABSENT` where there is no window.
        first_seen: by metric, [n], day of the metric's first window, `NEVER` where it has none.

    A metric may be missing (it then has no windows), and days outside the columns have no windows.
    """

    origin: int
    first_day: Ints
    summed: Mapping[str, Ints]
    levels: Mapping[str, Ints]
    first_seen: Mapping[str, Ints]

    @property
    def accounts(self) -> int:
        """Number of accounts."""
        return len(self.first_day)

    def select(self, rows: Ints | slice, start: int, end: int) -> "DayValues":
        """The same for some accounts and the days [start, end), which are cut to the columns that there are."""
        columns = max(start - self.origin, 0)
        span = slice(columns, max(end - self.origin, columns))
        return DayValues(
            self.origin + columns,
            self.first_day[rows],
            {metric: values[:, span][rows] for metric, values in self.summed.items()},
            {metric: values[:, span][rows] for metric, values in self.levels.items()},
            {metric: days[rows] for metric, days in self.first_seen.items()},
        )

    def totals(self, metric: str, window_days: int, first_tick: int, last_tick: int) -> Ints:
        """Exact sum over the `window_days` days that end at each tick: [n, ticks], 10^-6 units."""
        columns = self._columns(self.summed, metric, first_tick - window_days, last_tick, 0)
        running = np.zeros((self.accounts, columns.shape[1] + 1), dtype=np.int64)
        np.cumsum(columns, axis=1, out=running[:, 1:])
        return running[:, window_days:] - running[:, :-window_days]

    def last_level(self, metric: str, carry_days: int, first_tick: int, last_tick: int) -> tuple[Ints, Mask]:
        """The newest value in the `carry_days` days that end at each tick, and where there is one: [n, ticks] each."""
        start = first_tick - carry_days
        columns = self._columns(self.levels, metric, start, last_tick, ABSENT)
        newest = _newest_column(columns != ABSENT)[:, carry_days - 1 :]
        known = newest >= np.arange(newest.shape[1])
        return np.take_along_axis(columns, np.maximum(newest, 0), axis=1), known

    def days_since(self, metric: str, window_days: int, first_tick: int, last_tick: int) -> Ints:
        """Whole days between each tick and the newest day with a value other than 0 (0: the day that ends at the tick).

        At most `window_days`, which also stands where those days have none: [n, ticks].
        """
        columns = self._columns(self.summed, metric, first_tick - window_days, last_tick, 0)
        newest = _newest_column(columns != 0)[:, window_days - 1 :]
        ending = np.arange(window_days - 1, window_days - 1 + newest.shape[1])
        return np.minimum(ending - newest, window_days)

    def _columns(self, values: Mapping[str, Ints], metric: str, start: int, end: int, absent: int) -> Ints:
        """Days [start, end) of a metric, `absent` where the arrays do not reach."""
        known = values.get(metric)
        available = 0 if known is None else known.shape[1]
        low, high = max(start - self.origin, 0), min(end - self.origin, available)
        if known is not None and low == start - self.origin and high == end - self.origin:
            return known[:, low:high]
        columns = np.full((self.accounts, end - start), absent, dtype=np.int64)
        if known is not None and low < high:
            offset = self.origin + low - start
            columns[:, offset : offset + high - low] = known[:, low:high]
        return columns


def _newest_column(present: Mask) -> Ints:
    """For every column the newest column up to it that is present, -1 where none is."""
    indices = np.where(present, np.arange(present.shape[1], dtype=np.int64), np.int64(-1))
    return np.maximum.accumulate(indices, axis=1)
