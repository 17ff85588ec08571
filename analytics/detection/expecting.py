"""What is expected of the next value, how far off is usual, and what explains a value after all. Compiled."""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import HOURS_TO_MONDAY, LONGEST_FILLED, MICROS_AN_HOUR
from analytics.detection.values import push


@compiled
def predict(state, single, time, predictions):  # type: ignore[no-untyped-def]
    """Fills what each expert says of the next value, and returns what they say together."""
    end, seen, period = at.VALUES, int(state[at.SEEN]), int(state[at.PERIOD])
    last = single[end - 1]
    predictions[:] = last
    predictions[at.FAST], predictions[at.SLOW] = state[at.FAST_LEVEL], state[at.SLOW_LEVEL]
    if seen >= 2:
        predictions[at.TREND] = last + 0.9 * (last - single[end - 2])
    if period > 0 and seen > period:
        near = min(period, 32)
        total = corrected = weights = 0.0
        own = mean_of(single, end - near, end)
        for cycle in range(1, 5):
            place = end - cycle * period
            if place - near < end - min(seen, at.VALUES):
                break
            weight = 1.0 / cycle
            total += weight * single[place]
            corrected += weight * (single[place] + own - mean_of(single, place - near, place))
            weights += weight
        if weights > 0.0:
            predictions[at.SEASON], predictions[at.SEASON_LEVEL] = total / weights, corrected / weights
    if seen > 3 * state[at.WINDOW]:
        predictions[at.NEIGHBOURS] = state[at.NEIGHBOURS_SAY]
    week = week_level(state, single, time)
    if not math.isnan(week):
        predictions[at.WEEK] = week + state[at.WEEK_OFFSET]
    best = np.inf
    for expert in range(at.EXPERTS):
        best = min(best, state[at.ERROR_AT + expert])
    floor = 0.05 * state[at.SPREAD] + 1e-9
    result = squares = weights = wandering = 0.0
    for expert in range(at.EXPERTS):
        weight = ((best + floor) / (state[at.ERROR_AT + expert] + floor)) ** 12
        result += weight * predictions[expert]
        squares += weight * (predictions[expert] - last) ** 2
        weights += weight
        if expert == at.LAST or expert == at.TREND or expert == at.FAST:
            wandering += weight
    result /= weights
    state[at.WANDERING] = wandering / weights
    state[at.DISAGREEMENT] = math.sqrt(max(squares / weights - (result - last) ** 2, 0.0))
    return result


@compiled
def fill_gap(state, single, time, predictions):  # type: ignore[no-untyped-def]
    """Puts what was expected where rows are missing, so that a season keeps its place among the rows."""
    interval = state[at.INTERVAL]
    if interval <= 0.0 or state[at.REGULAR] < 0.8:
        return
    missing = round((time - state[at.LAST_TIME]) / interval) - 1
    if 0 < missing <= LONGEST_FILLED:
        for number in range(1, missing + 1):
            push(single, predict(state, single, state[at.LAST_TIME] + number * interval, predictions))
            state[at.SEEN] += 1.0


@compiled
def mean_of(single, start, end):  # type: ignore[no-untyped-def]
    total = 0.0
    for place in range(start, end):
        total += single[place]
    return total / (end - start)


@compiled
def week_level(state, single, time):  # type: ignore[no-untyped-def]
    """What the hour of the week usually has, between the middles of the hours; NaN where it is not known."""
    if not 0.0 < state[at.INTERVAL] <= 1.5 * MICROS_AN_HOUR:
        return math.nan
    hours = time / MICROS_AN_HOUR + HOURS_TO_MONDAY - 0.5
    before = math.floor(hours)
    share = hours - before
    first, second = int(before % at.HOURS), int((before + 1) % at.HOURS)
    if single[at.PROFILE_COUNT_AT + first] == 0.0 or single[at.PROFILE_COUNT_AT + second] == 0.0:
        return math.nan
    return (1.0 - share) * single[at.PROFILE_AT + first] + share * single[at.PROFILE_AT + second]


@compiled
def is_new_hour(state, single, time):  # type: ignore[no-untyped-def]
    """Whether this hour of the week has not been seen before, in a series with rows every hour or oftener."""
    if not 0.0 < state[at.INTERVAL] <= 1.5 * MICROS_AN_HOUR:
        return False
    hour = int(math.floor(time / MICROS_AN_HOUR + HOURS_TO_MONDAY) % at.HOURS)
    return single[at.PROFILE_COUNT_AT + hour] < max(MICROS_AN_HOUR / state[at.INTERVAL], 1.0)


@compiled
def quarter_of(state, expected):  # type: ignore[no-untyped-def]
    quarter = 0
    for bound in range(3):
        if expected > state[at.QUARTILE_AT + bound]:
            quarter = bound + 1
    return quarter


@compiled
def spread_of(state, expected):  # type: ignore[no-untyped-def]
    """The usual size of a residual where so much is expected, never 0."""
    quarter = quarter_of(state, expected)
    seen = state[at.SPREAD_SEEN_AT + quarter]
    share = seen / (seen + 30.0)
    spread = share * state[at.SPREAD_AT + quarter] + (1.0 - share) * state[at.SPREAD]
    if state[at.COUNTS] == 1.0:
        # Counts scatter at least as Poisson's do: a mean absolute deviation of 0.8 of the root.
        usual = max(state[at.OFFSET] + state[at.UNIT] * expected, 0.0)
        spread = max(spread, 0.8 * math.sqrt(usual + 0.25) / state[at.UNIT])
    return max(spread, 1e-3 * state[at.MOVEMENT], 1e-9)


@compiled
def explained_by_season(state, predictions, x, u):  # type: ignore[no-untyped-def]
    """The residual in spreads, or by a season that has been nearly as good: Saturdays are no surprise to the week."""
    best = np.inf
    for expert in range(at.EXPERTS):
        best = min(best, state[at.ERROR_AT + expert])
    for expert in (at.SEASON, at.WEEK):
        error = state[at.ERROR_AT + expert]
        if error < 1.4 * best + 1e-12:
            u = min(u, abs(x - predictions[expert]) / max(error, 1e-9))
    return u


@compiled
def steadiest_expert(state):  # type: ignore[no-untyped-def]
    """The best of the experts that do not follow the last values."""
    best = at.SLOW
    if state[at.PERIOD] > 0.0 and state[at.ERROR_AT + at.SEASON] < state[at.ERROR_AT + best]:
        best = at.SEASON
    if state[at.ERROR_AT + at.WEEK] < state[at.ERROR_AT + best]:
        best = at.WEEK
    return best


@compiled
def as_before(state, single, x, reach):  # type: ignore[no-untyped-def]
    """Whether a value is like one of the same phase from before the last episode began."""
    ago, period = int(state[at.SINCE_EPISODE]), int(state[at.PERIOD])
    known = min(int(state[at.SEEN]) + 1, at.VALUES)
    if period == 0:
        return abs(x - state[at.LEVEL_BEFORE]) < max(reach, 1.5 * state[at.MOVEMENT])
    for number in range(7):
        back = ((ago + period - 1) // period + number) * period
        if back >= known:
            break
        if abs(x - single[at.VALUES - 1 - back]) < reach:
            return True
    return False
