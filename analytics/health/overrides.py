"""Overrides: what a person knows better than the signals, for a while. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analytics.health.day_values import Ints, Mask

OverrideKind = Literal["cap", "floor", "set"]


@dataclass(frozen=True)
class Override:
    """At the ticks `[since, until)` the score is at most (`cap`), at least (`floor`) or just (`set`) `points`.

    points: 0 to 100 in 10^-6 points.
    """

    kind: OverrideKind
    points: int
    since: int
    until: int


def overridden(score: Ints, scored: Mask, overrides: Mapping[int, Sequence[Override]], first_tick: int) -> Ints:
    """Scores [n, t] with the overrides of each row; of none, the same array.

    The newest `set` that holds replaces the score, then the greatest `floor` lifts it, then the smallest `cap` bounds
    it: of two people the more careful one wins. A tick without a score keeps none.
    """
    if not overrides:
        return score
    result = score.copy()
    ticks = np.arange(first_tick, first_tick + score.shape[1], dtype=np.int64)
    for row, own in overrides.items():
        for one in sorted(own, key=_order):
            holds = (ticks >= one.since) & (ticks < one.until) & scored[row]
            if one.kind == "set":
                result[row, holds] = one.points
            elif one.kind == "floor":
                result[row, holds] = np.maximum(result[row, holds], one.points)
            else:
                result[row, holds] = np.minimum(result[row, holds], one.points)
    return result


def _order(override: Override) -> tuple[int, int, int]:
    return ("set", "floor", "cap").index(override.kind), override.since, override.points
