"""The change ledger: why a score moved between two instants, in four causes that sum exactly to the movement. Pure.

The movement is walked in steps, each of which changes one thing; a cause is the sum of its steps. All in integers of
10^-6 points, for the score and for every signal's contribution:

    as told then at the first tick                           -> data arrival: late events, repairs, outages that ended
    the same tick, with what is known now                    -> model: its version, the account's segment, overrides
    the same, weighed as at the second tick                  -> time: windows slide, recency grows, what is held sinks
    the second tick, had nothing happened since the first    -> behaviour
    the second tick, with what is known now                  -> data arrival
    as told then at the second tick

Overrides are no behaviour: all that their adjustment moves is the model's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from analytics.health.circumstances import KNOWN_THROUGHOUT, Circumstances, Steps
from analytics.health.day_values import NEVER, DayValues, Ints, Mask
from analytics.health.model import HealthModel
from analytics.health.scores import score_ticks

CAUSES: Final = ("data_arrival", "model", "time", "behaviour")


@dataclass(frozen=True)
class Standing:
    """Scores of `n` accounts at one tick.

    Attributes:
        scored: [n], whether there is a score.
        score: [n], 10^-6 points, 0 where there is none.
        contributions: by signal, [n]; with the adjustment they sum to the score.
        adjustment: [n], what overrides add.
    """

    scored: Mask
    score: Ints
    contributions: Mapping[str, Ints]
    adjustment: Ints


@dataclass(frozen=True)
class End:
    """One end of a movement.

    Attributes:
        segments: by row, codes of the model's segments by tick, as in `Circumstances`.
        told: as it was published then; None: the same as is known now.
    """

    tick: int
    model: HealthModel
    segments: Mapping[int, Steps] = field(default_factory=dict)
    told: Standing | None = None


@dataclass(frozen=True)
class Ledger:
    """Movements of `n` accounts.

    Attributes:
        before, after: the ends, as told.
        moved: [n], whether both ends have a score; elsewhere there is no movement, though the parts still sum.
        causes: by cause, [n]; they sum to `after.score - before.score`.
        by_signal: by signal and cause, [n]. `""` is the adjustment by overrides.
    """

    before: Standing
    after: Standing
    moved: Mask
    causes: Mapping[str, Ints]
    by_signal: Mapping[str, Mapping[str, Ints]]


def standing(model: HealthModel, days: DayValues, tick: int, circumstances: Circumstances) -> Standing:
    """Scores of one tick."""
    scores = score_ticks(model, days, tick, tick, circumstances)
    return Standing(
        scores.scored[:, 0],
        scores.score[:, 0],
        {signal.name: scores.contributions[index, :, 0] for index, signal in enumerate(model.signals)},
        scores.adjustment[:, 0],
    )


def ledger(days: DayValues, first: End, second: End, known: Circumstances = KNOWN_THROUGHOUT) -> Ledger:
    """Why the score of every account moved from the first end to the second, which is not before it.

    days: as known now, with every metric that either model reads. known: how far inputs are complete now, gates,
    overrides; its `live` is the second tick's.
    """
    of_first = replace(known, segments=first.segments, live=False)
    of_second = replace(known, segments=second.segments)
    weighed = replace(of_second, segments=_as_of(second.segments, second.tick), live=False)
    known_first = standing(first.model, days, first.tick, of_first)
    weighed_first = standing(second.model, days, first.tick, weighed)
    had_nothing_happened = standing(second.model, until(days, first.tick), second.tick, of_second)
    known_second = standing(second.model, days, second.tick, of_second)
    told_first, told_second = first.told or known_first, second.told or known_second
    walk = (
        ("data_arrival", told_first, known_first),
        ("model", known_first, weighed_first),
        ("time", weighed_first, had_nothing_happened),
        ("behaviour", had_nothing_happened, known_second),
        ("data_arrival", known_second, told_second),
    )
    none = np.zeros(days.accounts, dtype=np.int64)
    names = dict.fromkeys(name for _, one, other in walk for each in (one, other) for name in each.contributions)
    by_signal = {name: {cause: none.copy() for cause in CAUSES} for name in ("", *names)}
    for cause, before, after in walk:
        for name in names:
            by_signal[name][cause] += after.contributions.get(name, none) - before.contributions.get(name, none)
    by_signal[""]["model"] += told_second.adjustment - told_first.adjustment
    causes = {cause: sum((parts[cause] for parts in by_signal.values()), none) for cause in CAUSES}
    return Ledger(told_first, told_second, told_first.scored & told_second.scored, causes, by_signal)


def _as_of(segments: Mapping[int, Steps], tick: int) -> dict[int, Steps]:
    """Every account in the segment that it has at a tick, throughout."""
    return {
        row: [(tick, next((code for start, code in reversed(steps) if start <= tick), steps[0][1]))]
        for row, steps in segments.items()
    }


def until(days: DayValues, day: int) -> DayValues:
    """The day values without any window of that day or a later one."""
    kept = max(day - days.origin, 0)
    return DayValues(
        days.origin,
        np.where(days.first_day < day, days.first_day, NEVER),
        {metric: values[:, :kept] for metric, values in days.summed.items()},
        {metric: values[:, :kept] for metric, values in days.levels.items()},
        {metric: np.where(seen < day, seen, NEVER) for metric, seen in days.first_seen.items()},
    )
