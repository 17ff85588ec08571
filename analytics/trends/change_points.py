"""Change points of the level of a series: where it became another, beyond what noise and drift do. Pure."""

from dataclasses import dataclass

import numpy as np

from analytics.seasons.periods import Floats

LEAST_SEGMENT = 7
PENALTY = 4.0
"""Decades of improvement, so to speak: `PENALTY * log(n)` noise variances that a change must save."""


@dataclass(frozen=True)
class ChangePoint:
    """The level is another from `place` on.

    Attributes:
        before, after: mean levels of the segments on either side.
        size: the change in standard deviations of the noise.
    """

    place: int
    before: float
    after: float
    size: float


def change_points(values: Floats) -> list[ChangePoint]:
    """Where the level of a series without season changes, by PELT (Killick and others, 2012; the library ruptures).

    The noise is that of first differences, robustly, and what is saved is judged by as much as neighbours resemble each
    other: in a series that drifts a step is nothing new. Outliers are bounded at four deviations from the local median.
    """
    import ruptures

    if len(values) < 2 * LEAST_SEGMENT:
        return []
    bounded, noise, memory = _prepared(values)
    if noise <= 0:
        return []
    inflation = (1 + memory) / (1 - memory)
    penalty = PENALTY * np.log(len(values)) * noise**2 * inflation
    algorithm = ruptures.KernelCPD(kernel="linear", min_size=LEAST_SEGMENT).fit(bounded.reshape(-1, 1))
    ends = algorithm.predict(pen=float(penalty))
    places = [0, *ends]
    found = []
    for start, middle, end in zip(places, places[1:], places[2:], strict=False):
        before, after = float(values[start:middle].mean()), float(values[middle:end].mean())
        found.append(ChangePoint(middle, before, after, (after - before) / noise))
    return found


def _prepared(values: Floats) -> tuple[Floats, float, float]:
    """Values with bounded outliers, the standard deviation of their noise, and its autocorrelation at one step.

    The autocorrelation is that of the values about a running median, so that the steps sought do not count as memory.
    """
    half = LEAST_SEGMENT
    padded = np.pad(values, half, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    rest = values - local
    spread = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    if spread <= 0:
        spread = float(np.std(np.diff(values))) / 2**0.5
    bounded = np.clip(values, local - 4 * spread, local + 4 * spread) if spread > 0 else values
    rest = bounded - local
    energy = float(rest @ rest)
    memory = float(rest[1:] @ rest[:-1]) / energy if energy > 0 else 0.0
    # A running median takes part of the memory away: of AR(0.5) about a third is left at this length.
    memory = min(max(memory * 1.5, 0.0), 0.9)
    return bounded, spread, memory
