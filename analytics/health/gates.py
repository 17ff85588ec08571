"""Gates of data quality: at which ticks a failing check keeps a metric's signals from applying. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from analytics.health.day_values import Mask


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
        closed = np.zeros(len(ticks), dtype=np.bool_)
        for steps in self._steps.values():
            if not any(not step.metrics.isdisjoint(metrics) for step in steps.values()):
                continue
            starts = sorted(steps)
            told = [steps[start].closed and not steps[start].metrics.isdisjoint(metrics) for start in starts]
            # Before the first step no gate is closed.
            states = np.array([False, *told], dtype=np.bool_)
            closed |= states[np.searchsorted(np.array(starts, dtype=np.int64), ticks, side="right")]
        return closed

    def __bool__(self) -> bool:
        return bool(self._steps)
