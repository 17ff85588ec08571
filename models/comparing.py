"""Two models over the same accounts: who changes band, who moves most, and whether the order stays. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analytics.health.day_values import DayValues, Ints
from analytics.health.ledger import End, Ledger, ledger
from analytics.health.model import HealthModel
from analytics.health.scores import score_ticks


@dataclass(frozen=True)
class Comparison:
    """Both models at one tick.

    Attributes:
        bands: how many accounts each pair of bands (of the first, of the second model) has.
        ledger: the movement from the first to the second; all of it is the model's.
        rank_correlation: Spearman's, of accounts that both score; NaN below two.
    """

    bands: Mapping[tuple[str, str], int]
    ledger: Ledger
    rank_correlation: float


def compare(days: DayValues, first: HealthModel, second: HealthModel, tick: int) -> Comparison:
    """Scores every account with both models at one tick."""
    named = []
    for model in (first, second):
        scores = score_ticks(model, days, tick, tick)
        codes = scores.band[:, 0][scores.exists[:, 0]]
        named.append([scores.band_names[code] for code in codes.tolist()])
    moved = ledger(days, End(tick, first), End(tick, second))
    both = moved.moved
    return Comparison(
        Counter(zip(*named, strict=True)),
        moved,
        _spearman(moved.before.score[both], moved.after.score[both]),
    )


def _spearman(first: Ints, second: Ints) -> float:
    if len(first) < 2:
        return float("nan")
    ranks = [_ranks(first), _ranks(second)]
    if any(float(np.ptp(each)) == 0 for each in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ranks from 0, those of equal values the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[places]
