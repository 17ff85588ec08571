"""Shapes: the most similar ones before, and the period with which a series repeats itself. Compiled."""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import MICROS_AN_HOUR
from analytics.detection.expecting import mean_of


@compiled
def nearest_shape(state, single, work):  # type: ignore[no-untyped-def]
    """Distance of the newest shape from the most similar one before; notes what followed the similar ones.

    Shapes are compared without their mean levels. Returns 0 where there are too few.
    """
    window = int(state[at.WINDOW])
    known = min(int(state[at.SEEN]) + 1, at.VALUES)
    shapes = known - 2 * window
    if shapes < window:
        return 0.0
    end = at.VALUES
    start, newest = end - known, end - window
    products, squares = work[0], work[1]
    products[:shapes] = 0.0
    own = np.float32(mean_of(single, newest, end))
    for place in range(window):
        mine = single[newest + place] - own
        for shape in range(shapes):
            products[shape] += mine * single[start + place + shape]
    energy = 0.0
    for place in range(newest, end):
        energy += (single[place] - own) ** 2
    total = total_squares = 0.0
    for place in range(start, start + window):
        total += single[place]
        total_squares += single[place] * single[place]
    for shape in range(shapes):
        squares[shape] = total_squares - total * total / window
        leaving, coming = single[start + shape], single[start + shape + window]
        total += coming - leaving
        total_squares += coming * coming - leaving * leaving
    best = np.full(4, np.inf)
    where = np.full(4, -1)
    for shape in range(shapes):
        distance = energy + squares[shape] - 2.0 * products[shape]
        if distance < best[3]:
            # Neighbours of a neighbour are the same shape: they take its place if they are nearer.
            slot = 3
            for other in range(4):
                if where[other] >= 0 and shape - where[other] < window // 2:
                    slot = other
                    break
            if distance < best[slot]:
                best[slot], where[slot] = distance, shape
                while slot > 0 and best[slot] < best[slot - 1]:
                    best[slot], best[slot - 1] = best[slot - 1], best[slot]
                    where[slot], where[slot - 1] = where[slot - 1], where[slot]
                    slot -= 1
    says = weights = 0.0
    for slot in range(4):
        if where[slot] >= 0:
            first = start + where[slot]
            weight = 1.0 / (max(best[slot], 0.0) + 1e-6 * (energy + 1e-12))
            says += weight * (single[first + window] - mean_of(single, first, first + window))
            weights += weight
    if weights > 0.0:
        state[at.NEIGHBOURS_SAY] = own + says / weights
    return math.sqrt(max(best[0], 0.0) / window) / max(state[at.SPREAD], 1e-9)


@compiled
def find_period(state, single):  # type: ignore[no-untyped-def]
    """The lag at which the kept values resemble themselves most, 0 where none stands out of noise."""
    known = min(int(state[at.SEEN]), at.VALUES)
    start = at.VALUES - known
    # First differences against the slow drift of levels, which resembles itself at every short lag.
    mean = mean_of(single, start, at.VALUES)
    longest = known * 2 // 5
    energy = 0.0
    for place in range(start, at.VALUES):
        energy += (single[place] - mean) ** 2
    if energy <= 0.0 or longest < 4:
        state[at.PERIOD] = 0.0
        return
    alike = np.zeros(longest + 1, dtype=np.float32)
    centre = np.float32(mean)
    for place in range(start + longest, at.VALUES):
        mine = single[place] - centre
        for lag in range(1, longest + 1):
            alike[lag] += mine * (single[place - lag] - centre)
    norm = energy * (known - longest) / known
    # A season's resemblance falls and rises again: the peak must come after a valley.
    lag = 1
    while lag < longest and alike[lag + 1] < alike[lag]:
        lag += 1
    valley = alike[lag]
    best, period = 0.0, 0
    for candidate in range(lag + 1, longest):
        peak = alike[candidate]
        if peak > alike[candidate - 1] and peak >= alike[candidate + 1] and peak > best * 1.05:
            best, period = peak, candidate
    threshold = max(0.15, 3.0 / math.sqrt(known))
    day = 24.0 * MICROS_AN_HOUR / max(state[at.INTERVAL], 1.0)
    for calendar in (day, 7.0 * day):
        # A peak is broad: next to a day or a week, it is that.
        if (
            0.0 < calendar < longest
            and abs(calendar - round(calendar)) < 0.01
            and abs(period - calendar) <= 0.06 * calendar
        ):
            period = round(calendar)
            best = max(alike[period], 0.0)
    held = int(state[at.PERIOD])
    if 0 < held < longest and alike[held] > max(0.8 * best, threshold * norm):
        new = float(held)
    elif period > 0 and best / norm > threshold and (best - valley) / norm > threshold:
        new = float(period)
    else:
        new = 0.0
    if new != state[at.PERIOD]:
        state[at.PERIOD] = new
        window = 16.0
        if new >= 8.0:
            window = min(new, 64.0)
        elif new > 0.0:
            window = new * math.ceil(12.0 / new)
        if abs(window - state[at.WINDOW]) > 0.25 * state[at.WINDOW]:
            # Distances of other lengths are other distances.
            for place in range(at.TAIL_AT + at.SHAPE * at.BUCKETS, at.TAIL_AT + (at.SHAPE + 1) * at.BUCKETS):
                single[place] = 0.0
            state[at.TAIL_TOTAL_AT + at.SHAPE] = 0.0
        state[at.WINDOW] = window
