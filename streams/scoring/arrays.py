"""Day values of one partition as growing arrays. Order of arrival does not matter; revision decides."""

from datetime import date
from typing import Any, Final

import numpy as np

from analytics.health.day_values import ABSENT, DAY_VALUE_LIMIT, MICRO, NEVER, DayValues, Ints
from analytics.health.model import HealthModel
from vitals.errors import BadRecordError

EARLIEST_DAY: Final = (date(2000, 1, 1) - date(1970, 1, 1)).days
LATEST_DAY: Final = (date(2100, 1, 1) - date(1970, 1, 1)).days
"""A window outside these years is a broken clock: one of them would make every array decades wide."""

_UNIT_LIMIT: Final = DAY_VALUE_LIMIT // MICRO


def micro_units(value: Any, metric: str) -> int:
    """A decimal of at most six places as an integer of 10^-6 units.

    Raises:
        BadRecordError: it is so large that sums over windows could overflow 64 bits.
    """
    if abs(value) > _UNIT_LIMIT:
        raise BadRecordError(f"{metric} is {value}, beyond {_UNIT_LIMIT:,} a day: that cannot be added up safely.")
    return int(value * MICRO)


class AccountArrays:
    """Windows of every account of a partition, for the metrics that a model reads.

    Of other metrics only the first day counts, because an account's ticks start with its first window of any metric.
    """

    def __init__(self, model: HealthModel) -> None:
        self.account_ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._origin = 0
        self._days = 0
        self._first_day: Ints = np.empty(0, dtype=np.int64)
        self._first_seen: dict[str, Ints] = {metric: np.empty(0, dtype=np.int64) for metric in model.first_seen}
        self._absent = dict.fromkeys(model.summed, 0) | dict.fromkeys(model.levels, ABSENT)
        self._summed_metrics, self._level_metrics = sorted(model.summed), sorted(model.levels)
        self._values: dict[str, Ints] = {metric: np.empty((0, 0), dtype=np.int64) for metric in self._absent}

    @property
    def accounts(self) -> int:
        """Accounts with any window."""
        return len(self.account_ids)

    @property
    def first_day(self) -> Ints:
        """[accounts], day of each account's first window."""
        return self._first_day[: self.accounts]

    def view(self) -> DayValues:
        """Everything, without a copy: valid until the next `put`."""
        used = slice(0, self.accounts)
        return DayValues(
            self._origin,
            self._first_day[used],
            {metric: self._values[metric][used] for metric in self._summed_metrics},
            {metric: self._values[metric][used] for metric in self._level_metrics},
            {metric: days[used] for metric, days in self._first_seen.items()},
        )

    def row(self, account_id: str) -> int:
        """The account's row, a new one where it is new."""
        found = self._rows.get(account_id)
        if found is None:
            found = self._rows[account_id] = len(self.account_ids)
            self.account_ids.append(account_id)
            if found >= len(self._first_day):
                self._grow_accounts(max(64, 2 * found))
        return found

    def put(self, account_id: str, metric: str, days: Ints, values: Ints) -> int:
        """Sets day windows of one metric (10^-6 units) and returns the account's row. `days` is not empty."""
        row = self.row(account_id)
        first, last = int(days.min()), int(days.max())
        self._first_day[row] = min(int(self._first_day[row]), first)
        if metric in self._first_seen:
            self._first_seen[metric][row] = min(int(self._first_seen[metric][row]), first)
        if metric in self._values:
            self._cover(first, last)
            self._values[metric][row, days - self._origin] = values
        return row

    def _grow_accounts(self, capacity: int) -> None:
        more = capacity - len(self._first_day)
        self._first_day = np.concatenate([self._first_day, np.full(more, NEVER, dtype=np.int64)])
        for metric, seen in self._first_seen.items():
            self._first_seen[metric] = np.concatenate([seen, np.full(more, NEVER, dtype=np.int64)])
        for metric, values in self._values.items():
            added = np.full((more, self._days), self._absent[metric], dtype=np.int64)
            self._values[metric] = np.concatenate([values, added])

    def _cover(self, first: int, last: int) -> None:
        """Makes the columns reach from `first` to `last`, with a quarter to spare on the side that grows."""
        if self._days == 0:
            self._origin = first
        left = max(self._origin - first, 0)
        right = max(last + 1 - self._origin - self._days, 0)
        if left == 0 and right == 0:
            return
        spare = max(32, self._days // 4)
        left = left + spare if left else 0
        right = right + spare if right else 0
        for metric, values in self._values.items():
            absent = self._absent[metric]
            wider = np.full((values.shape[0], left + self._days + right), absent, dtype=np.int64)
            wider[:, left : left + self._days] = values
            self._values[metric] = wider
        self._origin -= left
        self._days += left + right
