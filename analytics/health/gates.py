"""Gates of data quality: at which ticks a failing check makes a metric's signals stale. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analytics.health.day_values import NEVER, Ints, Mask


@dataclass(frozen=True)
class GateStep:
    """From tick `since` on, until the next step of the same check and source, the gate is as told.

    A step of a greater `version` of the check replaces all steps of an older one.
    """

    check: str
    source: str
    version: int
    since: int
    closed: bool
    metrics: frozenset[str]


class Gates:
    """Every step of a partition. The order of steps does not matter, nor does repetition; of two steps of one check,
    version, source and tick the later one holds.
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], dict[int, GateStep]] = {}

    def apply(self, step: GateStep) -> None:
        """Takes one step."""
        key = (step.check, step.source)
        known = self._steps.get(key)
        version = 0 if known is None else next(iter(known.values())).version
        if known is None or step.version > version:
            self._steps[key] = {step.since: step}
        elif step.version == version:
            known[step.since] = step

    def closed(self, metrics: Collection[str], first_tick: int, last_tick: int) -> Mask:
        """Whether any gate of any of the metrics is closed, at each tick from the first to the last."""
        ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
        closed: Mask = self.newest_open(metrics, ticks) < ticks
        return closed

    def newest_open(self, metrics: Collection[str], ticks: Ints) -> Ints:
        """The newest tick at or before each of some at which no gate of the metrics is closed; same shape.

        Before its first step a gate is open.
        """
        spans = sorted(self._closed_spans(frozenset(metrics)))
        newest = ticks.copy()
        # From the last span to the first: a tick that one throws back may lie in an earlier one.
        for start, end in reversed(spans):
            newest[(newest >= start) & (newest < end)] = start - 1
        return newest

    def _closed_spans(self, metrics: frozenset[str]) -> Iterator[tuple[int, int]]:
        """`[start, end)` of every closure of one gate, in any order; they may overlap."""
        for steps in self._steps.values():
            starts = sorted(steps)
            for start, end in pairwise([*starts, NEVER]):
                if steps[start].closed and not steps[start].metrics.isdisjoint(metrics):
                    yield start, end

    def __bool__(self) -> bool:
        return bool(self._steps)
