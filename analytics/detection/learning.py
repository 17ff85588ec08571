"""What a series' state takes over from a value. Compiled."""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import HOURS_TO_MONDAY, MICROS_AN_HOUR, WARM_UP
from analytics.detection.expecting import quarter_of, week_level
from analytics.detection.shapes import find_period


@compiled
def learn(state, single, time, x, value, expected, residual, share, predictions):  # type: ignore[no-untyped-def]
    seen = state[at.SEEN]
    gentle = max(1.0 / (seen + 1.0), 0.02)
    # Bounded influence: one value moves what is usual by a few spreads at most.
    bound = 5.0 * max(state[at.SPREAD], 1e-3 * state[at.MOVEMENT]) if seen >= 20 else np.inf
    for expert in range(at.EXPERTS):
        error = min(abs(x - predictions[expert]), bound)
        state[at.ERROR_AT + expert] += share * gentle * (error - state[at.ERROR_AT + expert])
    size = min(abs(residual), bound)
    disagreement = min(state[at.DISAGREEMENT], bound) ** 2
    state[at.USUAL_DISAGREEMENT] += (
        share * max(1.0 / (seen + 1.0), 0.005) * (disagreement - state[at.USUAL_DISAGREEMENT])
    )
    quarter = quarter_of(state, expected)
    state[at.SPREAD] += share * max(1.0 / (seen + 1.0), 0.005) * (size - state[at.SPREAD])
    of_quarter = state[at.SPREAD_SEEN_AT + quarter] = state[at.SPREAD_SEEN_AT + quarter] + share
    state[at.SPREAD_AT + quarter] += (
        share * max(1.0 / max(of_quarter, 1.0), 0.01) * (size - state[at.SPREAD_AT + quarter])
    )
    pace = max(1.0 / (seen + 1.0), 0.01) * max(state[at.MOVEMENT], 1e-9) * 2.0
    for bound_number in range(3):
        share = 0.25 * (bound_number + 1)
        state[at.QUARTILE_AT + bound_number] += pace * (share - (expected <= state[at.QUARTILE_AT + bound_number]))
    state[at.FAST_LEVEL] += max(1.0 / (seen + 1.0), 0.3) * (x - state[at.FAST_LEVEL])
    distance = x - state[at.SLOW_LEVEL]
    usual = 6.0 * state[at.MOVEMENT] if seen >= 20 else np.inf
    state[at.SLOW_LEVEL] += max(1.0 / (seen + 1.0), 0.02) * min(max(distance, -usual), usual)
    state[at.MOVEMENT] += max(1.0 / (seen + 1.0), 0.005) * (
        min(abs(distance), usual if usual > 0 else np.inf) - state[at.MOVEMENT]
    )
    learn_time(state, single, time, x, bound)
    if seen > 0.0:
        same = single[at.VALUES - 1] == single[at.VALUES - 2]
        state[at.SAME] += max(1.0 / (seen + 1.0), 0.001) * ((1.0 if same else 0.0) - state[at.SAME])
        if same:
            state[at.RUN] += 1.0
        else:
            state[at.LONGEST_RUN] = max(state[at.LONGEST_RUN], state[at.RUN])
            state[at.RUN] = 0.0
    state[at.LOWEST] = min(state[at.LOWEST], value)
    if value < 0.0 or value != math.floor(value):
        state[at.COUNTS] = 0.0
    if state[at.SINCE_EPISODE] > 0.0:
        state[at.SINCE_EPISODE] += 1.0
        if state[at.EPISODE] == 0.0 and state[at.ADOPTED] == 0.0:
            state[at.SINCE_EPISODE] = 0.0
    state[at.SEEN] = seen + 1.0
    state[at.SINCE_PERIOD] += 1.0
    if state[at.SINCE_PERIOD] >= 64.0 and seen >= 32.0:
        state[at.SINCE_PERIOD] = 0.0
        find_period(state, single)


@compiled
def learn_time(state, single, time, x, bound):  # type: ignore[no-untyped-def]
    seen = state[at.SEEN]
    step_length = time - state[at.LAST_TIME]
    if seen > 0.0 and step_length > 0.0:
        if state[at.INTERVAL] == 0.0:
            state[at.INTERVAL] = step_length
        else:
            gap = step_length / state[at.INTERVAL]
            whole = abs(gap - round(gap)) < 0.1 and gap > 0.5
            state[at.REGULAR] += 0.02 * ((1.0 if whole else 0.0) - state[at.REGULAR])
            if seen >= WARM_UP and gap > 3.5:
                state[at.LONGEST_GAP] = max(state[at.LONGEST_GAP], gap)
            # The median of the distances, by small steps to either side.
            factor = 1.0 + max(0.3 / (seen + 1.0), 0.002)
            if step_length > state[at.INTERVAL] * factor:
                state[at.INTERVAL] *= factor
            elif step_length < state[at.INTERVAL] / factor:
                state[at.INTERVAL] /= factor
            else:
                state[at.INTERVAL] = step_length
    state[at.LAST_TIME] = max(time, state[at.LAST_TIME])
    if 0.0 < state[at.INTERVAL] <= 1.5 * MICROS_AN_HOUR:
        known = week_level(state, single, time)
        if not math.isnan(known):
            state[at.WEEK_OFFSET] += 0.05 * (min(max(x - known - state[at.WEEK_OFFSET], -bound), bound))
        hour = int(math.floor(time / MICROS_AN_HOUR + HOURS_TO_MONDAY) % at.HOURS)
        steps_an_hour = max(MICROS_AN_HOUR / state[at.INTERVAL], 1.0)
        count = single[at.PROFILE_COUNT_AT + hour] = single[at.PROFILE_COUNT_AT + hour] + np.float32(1.0)
        rate = max(1.0 / count, 0.25 / steps_an_hour)
        change = x - single[at.PROFILE_AT + hour]
        if count > 3.0 * steps_an_hour:
            change = min(max(change, -bound), bound)
        single[at.PROFILE_AT + hour] += np.float32(rate * change)
