"""What must come out, computed from the log's columns with NumPy alone: not with the catalogue, Ibis or the worker."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.rollup.log import NO_FEATURE, NO_USER, NO_VALUE, START, Bools, Ints, Log

MILLION = 1_000_000
GRAIN_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
SYNTHETIC = "product.synthetic_"
ORIGIN = datetime(START.year, START.month, START.day, tzinfo=UTC) - timedelta(days=1)
"""Windows are numbered by the minutes from here to their start."""
WINDOWS = 2**24
"""More minutes than any log has."""

Kind = Literal["count", "sum", "max", "distinct"]


@dataclass(frozen=True)
class Windows:
    """Values by window. `keys` are account number times `WINDOWS` plus the start's minute, in order; the values have
    one column a measure, in millionths.
    """

    keys: Ints
    values: NDArray[np.int64]

    def difference(self, found: "Windows") -> str:
        """Where what was found is not this; empty where it is the same to the row."""
        if np.array_equal(self.keys, found.keys) and np.array_equal(self.values, found.values):
            return ""
        missing = len(np.setdiff1d(self.keys, found.keys, assume_unique=True))
        extra = len(np.setdiff1d(found.keys, self.keys, assume_unique=True))
        _, here, there = np.intersect1d(self.keys, found.keys, assume_unique=True, return_indices=True)
        wrong = int((self.values[here] != found.values[there]).reshape(len(here), -1).any(axis=1).sum())
        return f"of {len(self.keys):,} rows {missing:,} are missing and {wrong:,} wrong; {extra:,} are too many"


@dataclass(frozen=True)
class Definition:
    """A metric as the truth defines it: which rows of the log, and what of them."""

    kind: Kind
    where: Callable[[Log], Bools]
    measure: Callable[[Log], Ints] = lambda log: np.ones(len(log.source), np.int64)


def _any(log: Log) -> Bools:
    return np.ones(len(log.source), np.bool_)


def _feature(log: Log) -> Bools:
    return np.not_equal(log.feature, NO_FEATURE)


DEFINITIONS = {
    "product.active_users": Definition("distinct", lambda log: log.user != NO_USER, lambda log: log.user),
    "product.event_names": Definition("distinct", lambda log: ~_feature(log), lambda log: log.tracked),
    "product.events": Definition("count", _any),
    "product.features_used": Definition("distinct", _feature, lambda log: log.feature),
    # No event of the log tells how many files it changed.
    "product.files_changed": Definition("sum", lambda log: ~_any(log)),
    "product.page_views": Definition("count", lambda log: log.tracked == 0),
    "product.value": Definition("sum", lambda log: _feature(log) & (log.value != NO_VALUE), lambda log: log.value),
    # The job that every engine can do: the measures of `MEASURES`.
    "job.events": Definition("count", _any),
    "job.feature_events": Definition("count", _feature),
    "job.tracked_events": Definition("count", lambda log: ~_feature(log)),
    "job.without_value": Definition("count", lambda log: log.value == NO_VALUE),
    "job.value": Definition("sum", lambda log: log.value != NO_VALUE, lambda log: log.value),
    "job.users": Definition("distinct", lambda log: log.user != NO_USER, lambda log: log.user),
}
MEASURES = ("job.events", "job.feature_events", "job.tracked_events", "job.without_value", "job.value", "job.users")
"""Columns of a peer's rows, in this order."""


def synthetic(number: int) -> Definition:
    """The metric `product.synthetic_<number>`; `our_worker.py` defines the same for the catalogue."""
    feature = number % 50
    return (
        Definition("count", lambda log: (log.value != NO_VALUE) & (log.value >= (feature + 1) * 20 * MILLION)),
        Definition(
            "sum", lambda log: (log.feature == feature) & (log.value != NO_VALUE), lambda log: log.value
        ),
        Definition("max", lambda log: log.value != NO_VALUE, lambda log: log.value),
        Definition("distinct", lambda log: (log.feature == feature) & (log.user != NO_USER), lambda log: log.user),
    )[number % 4]  # fmt: skip


def metric_windows(log: Log, metric: str, grain: str) -> Windows:
    """The final values of a metric at a grain. Duplicates count once.

    Raises:
        KeyError: the truth does not know the metric.
    """
    if metric.startswith(SYNTHETIC):
        definition = synthetic(int(metric.removeprefix(SYNTHETIC)))
    elif metric in DEFINITIONS:
        definition = DEFINITIONS[metric]
    else:
        raise KeyError(f"benchmarks/rollup/truth.py does not know the metric {metric}: define it there.")
    picked = definition.where(log) & log.original
    keys = window_keys(log, GRAIN_MINUTES[grain])[picked]
    return _aggregated(definition.kind, keys, definition.measure(log)[picked])


def job_windows(log: Log, deduplicated: bool) -> Windows:
    """The final rows of the job that every engine does, by account and minute."""
    counted = log.original | (not deduplicated)
    keys = window_keys(log, 1)
    every = np.unique(keys[counted])
    columns = np.zeros((len(every), len(MEASURES)), np.int64)
    for column, measure in enumerate(MEASURES):
        definition = DEFINITIONS[measure]
        picked = definition.where(log) & counted
        windows = _aggregated(definition.kind, keys[picked], definition.measure(log)[picked])
        columns[np.searchsorted(every, windows.keys), column] = windows.values[:, 0]
    return Windows(every, columns)


def fates(log: Log) -> dict[tuple[str, str], int]:
    """Counted and duplicate events by kind."""
    found = {}
    for kind, of_kind in (("product.feature_used", _feature(log)), ("product.event_tracked", ~_feature(log))):
        found[(kind, "counted")] = int((of_kind & log.original).sum())
        found[(kind, "duplicate")] = int((of_kind & ~log.original).sum())
    return found


def window_keys(log: Log, minutes: int) -> Ints:
    """The key of each row's window of so many minutes."""
    minute = (log.event_time - int(ORIGIN.timestamp()) * MILLION) // (60 * MILLION)
    return log.account * WINDOWS + minute // minutes * minutes


def window_key(account: int, start_micros: int) -> int:
    """The key of one window."""
    return account * WINDOWS + (start_micros // MILLION - int(ORIGIN.timestamp())) // 60


def _aggregated(kind: Kind, keys: Ints, measure: Ints) -> Windows:
    if kind == "distinct":
        members = int(measure.max(initial=0)) + 1
        keys = np.unique(keys * members + measure) // members
    order = np.argsort(keys, kind="stable")
    windows, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    if kind in ("count", "distinct"):
        values = counts * MILLION
    elif len(windows):
        values = {"sum": np.add, "max": np.maximum}[kind].reduceat(measure[order], first)
    else:
        values = np.zeros(0, np.int64)
    return Windows(windows, values.reshape(-1, 1))
