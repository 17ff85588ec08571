"""Bands of scores, with hysteresis: a score near a bound does not make the band flap. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.health.day_values import Ints, Mask

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Band:
    """A band and its inclusive lower bound in 10^-6 points."""

    name: str
    lower: int


@dataclass(frozen=True)
class Hysteresis:
    """A band gets worse at its bound, and better only `margin` (10^-6 points) above it.

    It is remembered for `ticks` ticks: an account that stays between a bound and the margin for longer is judged by the
    bound alone. So the band is a function of the last `ticks` scores, whoever computes it, and no state is kept.
    """

    margin: int = 0
    ticks: int = 1


def band_codes(bands: Sequence[Band], rule: Hysteresis, score: Ints, scored: Mask) -> Codes:
    """Index into `bands` (highest first) at every tick that has `rule.ticks - 1` ticks before it; `len(bands)` without
    a score. Shapes: [n, t] in, [n, t - rule.ticks + 1] out.

    With `p` the first band whose bound a score reaches, and `q` the first one whose bound plus the margin it reaches,
    the band is `min(max(band of the tick before, p), q)`, from the best band before the first of the ticks. The last
    band takes what reaches none. A tick without a score changes nothing.
    """
    lowest, highest = _reached(bands, 0, score), _reached(bands, rule.margin, score)
    lowest[~scored], highest[~scored] = 0, len(bands) - 1
    index = _over_window(lowest, highest, rule.ticks)
    return np.where(scored[:, rule.ticks - 1 :], index, len(bands)).astype(np.int8)


def _reached(bands: Sequence[Band], margin: int, score: Ints) -> Codes:
    index = np.zeros(score.shape, dtype=np.int8)
    for band in bands[:-1]:
        index += score < band.lower + margin
    return index


def _over_window(lowest: Codes, highest: Codes, ticks: int) -> Codes:
    """The band after `ticks` steps of `min(max(band, lowest), highest)` that end at each tick and start in band 0.

    Two such steps are again one such step, so that steps over 1, 2, 4, ... ticks are made by doubling, and `ticks` of
    them are put together from these, the oldest first.
    """
    total = lowest.shape[1]
    kept = total - ticks + 1
    result = np.zeros((lowest.shape[0], kept), dtype=np.int8)
    done, span = 0, 1
    while True:
        if ticks & span:
            piece = slice(done, done + kept)
            result = np.minimum(np.maximum(result, lowest[:, piece]), highest[:, piece])
            done += span
        span *= 2
        if span > ticks:
            return result
        half = span // 2
        first, second = slice(0, lowest.shape[1] - half), slice(half, None)
        lowest, highest = (
            np.minimum(np.maximum(bound[:, first], lowest[:, second]), highest[:, second])
            for bound in (lowest, highest)
        )
