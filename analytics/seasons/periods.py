"""Which periods exist: tested against noise that may be autocorrelated, so that drifting series show none. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FALSE_RATE: Final = 0.01
"""Share of series without any period in which one is found, over all candidates together."""

LEAST_CYCLES: Final = 4
HARMONICS: Final = 3
NEIGHBOURS: Final = 12
"""Frequencies on each side of a harmonic that say how strong noise is there."""


@dataclass(frozen=True)
class Period:
    """A period that exists. `length` in steps; `p_value` of the test, before it is shared among the candidates."""

    length: int
    p_value: float


def find_periods(values: Floats, candidates: Sequence[int], false_rate: float = FALSE_RATE) -> list[Period]:
    """Those of the candidate lengths with which a regular series repeats itself, shortest first.

    A candidate is tested on the newest whole number of its cycles, at least `LEAST_CYCLES`. Its first harmonics are
    compared with the frequencies next to each: under any smooth spectrum, white or red, their ratio to the local mean
    has an F distribution. Harmonics that belong to a shorter period that was found do not count for a longer one, so
    that a week is not found in days alone; and a period whose own harmonics are all another's is not one.
    """
    tested = [length for length in sorted(set(candidates)) if length >= 2 and len(values) >= LEAST_CYCLES * length]
    found: list[Period] = []
    for length in tested:
        p_value = _p_value(values, length, [one.length for one in found])
        if p_value is not None and p_value < false_rate / len(tested):
            found.append(Period(length, p_value))
    return found


def _p_value(values: Floats, length: int, shorter: Sequence[int]) -> float | None:
    cycles = len(values) // length
    newest = values[-cycles * length :]
    power = _periodogram(newest)
    taken = {cycles * length * number // one for one in shorter for number in range(1, length // 2 + 1)}
    taken |= {place + side for place in taken for side in (-1, 1)}
    own = [cycles * number for number in range(1, length // 2 + 1)]
    tested = [place for place in own[:HARMONICS] if place not in taken and place < len(power)]
    if not tested:
        return None
    blocked = taken | {place + side for place in own for side in (-1, 0, 1)}
    chances: list[float] = []
    for place in tested:
        noise = _noise_at(power, place, blocked)
        if noise is not None and noise[0] > 0:
            ratio, freedom = float(power[place]) / noise[0], noise[1]
            chances.append((1.0 + ratio / freedom) ** -freedom)
    # The strongest of them decides: a season may be a pure wave. Each has its share of the chance.
    return min(1.0, len(chances) * min(chances)) if chances else None


def _periodogram(values: Floats) -> Floats:
    """Power by frequency, of the series without its straight line and with tapered ends, which keeps drift out."""
    places = np.arange(len(values), dtype=np.float64)
    slope, start = np.polyfit(places, values, 1)
    rest = values - slope * places - start
    taper = np.hanning(len(rest))
    spectrum = np.fft.rfft(rest * taper)
    power: Floats = np.abs(spectrum) ** 2
    return power


def _noise_at(power: Floats, place: int, blocked: set[int]) -> tuple[float, float] | None:
    """The mean power of noise at a frequency, on a straight line in logarithms through those around it; and how many
    independent powers that mean is worth: logarithms use 0.61 of what they know, and tapered neighbours are half alike.
    """
    sides: list[tuple[float, float]] = []
    for step in (-1, 1):
        near = place + step
        count = 0
        while 1 <= near < len(power) and count < NEIGHBOURS:
            if near not in blocked and power[near] > 0:
                sides.append((math.log(near), math.log(float(power[near]))))
                count += 1
            near += step
    if len(sides) < 6:
        return None
    x, y = np.array(sides).T
    # The logarithm of an exponential variable lies 0.577 below that of its mean, with a scatter of pi / sqrt(6).
    slope, start = np.polyfit(x, y, 1) if len(sides) >= 10 else (0.0, float(y.mean()))
    return math.exp(slope * math.log(place) + start + 0.5772), 0.35 * len(sides)
