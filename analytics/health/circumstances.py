"""What a score depends on besides the day values: how far inputs are complete, gates, segments, overrides. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analytics.health.day_values import Ints
from analytics.health.gates import Gates
from analytics.health.overrides import Override

Steps = Sequence[tuple[int, int]]
"""`(tick, code)` with rising ticks: each code holds from its tick on, the first one also before it."""


@dataclass(frozen=True)
class Circumstances:
    """Those of the accounts of one `DayValues`, by their rows there.

    Attributes:
        complete: by metric, the newest tick for which its source has told everything; no entry: no limit.
        live: whether the last tick is the end of the open day. Each source is then taken up to the end of its own open
            day, `complete + 1` at most.
        segments: by row, the codes of `segment_code` as of each tick; no entry: everyone.
        overrides: by row.
    """

    complete: Mapping[str, int] = field(default_factory=dict)
    live: bool = False
    gates: Gates = field(default_factory=Gates)
    segments: Mapping[int, Steps] = field(default_factory=dict)
    overrides: Mapping[int, Sequence[Override]] = field(default_factory=dict)

    def informed(self, metrics: Collection[str], first_tick: int, last_tick: int) -> Ints:
        """[ticks], for each tick the newest one, at or before it, for which all of the metrics are complete and no gate
        of theirs is closed.
        """
        ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
        limits = [self.complete[metric] for metric in metrics if metric in self.complete]
        if limits:
            limit = min(limits)
            np.minimum(ticks, limit, out=ticks)
            if self.live:
                ticks[-1] = min(last_tick, limit + 1)
        return self.gates.newest_open(metrics, ticks) if self.gates else ticks

    def segment_codes(self, accounts: int, first_tick: int, last_tick: int) -> Ints | None:
        """[accounts, ticks], None where every account is of segment 0 throughout."""
        if not self.segments:
            return None
        ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
        codes = np.zeros((accounts, len(ticks)), dtype=np.int64)
        for row, steps in self.segments.items():
            starts = np.array([start for start, _ in steps], dtype=np.int64)
            own = np.array([code for _, code in steps], dtype=np.int64)
            codes[row] = own[np.maximum(np.searchsorted(starts, ticks, side="right") - 1, 0)]
        return codes


KNOWN_THROUGHOUT = Circumstances()
"""Everything complete, no gates, no segments, no overrides."""
