"""The compiled step of the detector. docs/design/0004-anomaly-detector.md says why it is as it is.

Several statistics are each compared with the tail of their own past; the most surprising one counts.
"""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import (
    FLAG_SURPRISE,
    FORGIVEN,
    FORGIVEN_SPREADS,
    HALF_LIFE,
    LARGEST,
    SHIFT_MEMORY,
    USUAL_RATE,
    VOLUME_FLOOR,
    WARM_UP,
)
from analytics.detection.episodes import flat_surprise, follow_episode, gap_surprise_of
from analytics.detection.expecting import (
    as_before,
    explained_by_season,
    fill_gap,
    is_new_hour,
    predict,
    spread_of,
    steadiest_expert,
)
from analytics.detection.learning import learn
from analytics.detection.shapes import nearest_shape
from analytics.detection.tails import flag_limit, remember, rescale, surprise_of
from analytics.detection.values import begin, push, replace_newest


@compiled
def step(state, single, work, time, value, answer):  # type: ignore[no-untyped-def]  # compiled
    """Takes one value. `state` float64 [DOUBLES], `single` float32 [SINGLES], `work` float32 [2, VALUES], `time` in
    microseconds since 1970 UTC, `value` NaN where there is none; writes `answer` float64 [ANSWERS].
    """
    seen = state[at.SEEN]
    answer[:] = 0.0
    if not math.isnan(value):
        value = min(max(value, -LARGEST), LARGEST)
    if seen == 0.0 and not math.isnan(value):
        begin(state, time, value)
    offset, unit = state[at.OFFSET], state[at.UNIT]
    predictions = np.zeros(at.EXPERTS)
    if not math.isnan(value):
        fill_gap(state, single, time, predictions)
    expected = predict(state, single, time, predictions)
    # More than usual the experts disagree where a season changes, or after something new.
    doubt = max(0.0, state[at.DISAGREEMENT] ** 2 - 2.0 * state[at.USUAL_DISAGREEMENT])
    spread = math.sqrt(spread_of(state, expected) ** 2 + doubt)
    limit = flag_limit(state, single, at.POINT)
    reach = spread * limit
    answer[at.EXPECTED] = offset + unit * expected
    answer[at.LOWER] = offset + unit * (expected - reach)
    answer[at.UPPER] = offset + unit * (expected + reach)
    if state[at.COUNTS] == 1.0 or state[at.LOWEST] >= 0.0:
        answer[at.LOWER] = max(answer[at.LOWER], 0.0)
    if math.isnan(value):
        return
    x = (value - offset) / unit
    if seen > 0.0 and state[at.MOVEMENT] == 0.0 and x != 0.0:
        # The first change of a constant series gives the unit.
        unit = state[at.UNIT] = abs(value - offset)
        x = (value - offset) / unit
    gap_surprise = gap_surprise_of(state, time)
    residual = x - expected
    u = explained_by_season(state, predictions, x, abs(residual) / spread)

    # --- How surprising it is, by what was seen before.
    surprise, kind = surprise_of(state, single, at.POINT, u), at.SPIKE if residual > 0 else at.DROP
    window = int(state[at.WINDOW])
    rate = 0.25
    energy = state[at.ENERGY] + rate * (min(u, 6.0) ** 2 - state[at.ENERGY])
    recent = surprise_of(state, single, at.RECENT, math.sqrt(energy))
    push(single, x)
    apart = x - predictions[steadiest_expert(state)]
    usual = max(state[at.SEASON_SPREAD], 0.5 * state[at.SPREAD], 1e-9)
    shift = state[at.SHIFT] + 0.2 * (min(max(apart / usual, -5.0), 5.0) - state[at.SHIFT])
    moved = abs(shift)
    level = surprise_of(state, single, at.LEVEL, moved)
    distance = nearest_shape(state, single, work)
    shape = surprise_of(state, single, at.SHAPE, distance) if distance > 0.0 else 0.0
    shifting = apart * shift > 0.0 and abs(apart) > 2.0 * usual and u > 2.0
    if level > surprise and shifting and (state[at.EPISODE] > 0.0 or state[at.CALM] > SHIFT_MEMORY):
        surprise, kind = level, at.LEVEL_SHIFT
    if state[at.CALM] > max(float(window), state[at.PERIOD]):
        # During an episode and right after it these look back at it.
        if recent > surprise:
            surprise = recent
        if shape > surprise:
            surprise, kind = shape, at.PATTERN
    new_hour = is_new_hour(state, single, time)
    if new_hour:
        # The first weekend is like no day before it.
        surprise *= 0.5
    flat = flat_surprise(state, single)
    if flat > surprise:
        surprise, kind = flat, at.FLAT_LINE
    if kind == at.DROP and value == 0.0 and state[at.LOWEST] >= 0.0:
        kind = at.SILENCE
    if state[at.COUNTS] == 1.0 and max(value, answer[at.EXPECTED]) < VOLUME_FLOOR:
        surprise = min(surprise, FORGIVEN)
    if gap_surprise > surprise:
        surprise, kind = gap_surprise, at.SILENCE
    forgiven = False
    if state[at.EPISODE] > 0.0 or state[at.ADOPTED] > 0.0:
        # What is as before the last episode is no surprise, whatever was learnt from the episode.
        reach = FORGIVEN_SPREADS * max(spread, 0.7 * state[at.SEASON_SPREAD])
        if as_before(state, single, x, min(reach, 0.4 * abs(residual))):
            forgiven = surprise > FORGIVEN
            surprise = min(surprise, FORGIVEN)
    # Six looks at one value: what the most surprising says is less surprising than if it were the only one. And where
    # episodes are frequent one more is less of a surprise.
    often = max(0.0, math.log10(max(state[at.EPISODE_RATE], 1e-9) / USUAL_RATE))
    surprise = max(0.0, surprise - 0.5 - 3.0 * often)
    if seen < 2 * WARM_UP:
        surprise *= max(0.0, (seen - WARM_UP / 2) / (1.5 * WARM_UP))
    flagged = surprise >= FLAG_SURPRISE and seen >= WARM_UP
    follow_episode(state, time, surprise, flagged, u, math.sqrt(energy), distance, moved, kind, answer)

    # --- Learn.
    # The normal goes on beneath an episode, and nothing is learnt from it, until it has lasted so long that it is the
    # new normal. A series that wanders has no other normal than its last value.
    share = 0.25 if new_hour else 1.0
    patience = max(float(WARM_UP), min(3.0 * state[at.PERIOD], 336.0))
    state[at.ADOPTED] = max(0.0, state[at.ADOPTED] - 1.0)
    if state[at.EPISODE] > patience:
        share, state[at.ADOPTED] = 0.25, 2.0 * patience
    elif state[at.EPISODE] > 0.0:
        share = 0.0
        replace_newest(single, expected + state[at.WANDERING] * residual)
    if forgiven:
        share = 0.0
    # Where the experts disagree, a great residual says little about the usual ones.
    teaches = share * (spread * spread - doubt) / (spread * spread)
    if seen >= WARM_UP / 2:  # before, the spread is hardly known
        remember(state, single, at.POINT, min(u, limit), teaches)
        remember(state, single, at.RECENT, math.sqrt(energy), teaches)
        if moved > 0.0:
            remember(state, single, at.LEVEL, moved, teaches)
        if distance > 0.0:
            remember(state, single, at.SHAPE, distance, teaches)
    # While much is still being learnt, what surprised then is soon forgotten.
    state[at.TAIL_WEIGHT] *= 2.0 ** (1.0 / min(max(seen / 3.0, 30.0), HALF_LIFE))
    if state[at.TAIL_WEIGHT] > 1e6:
        rescale(state, single)
    state[at.ENERGY], state[at.SHIFT] = energy, shift
    if share > 0.0:
        size = min(abs(apart), 5.0 * usual) if seen >= WARM_UP else abs(apart)
        state[at.SEASON_SPREAD] += share * max(1.0 / (seen + 1.0), 0.005) * (size - state[at.SEASON_SPREAD])
    learn(state, single, time, x, value, expected, residual, share, predictions)
    answer[at.SURPRISE] = surprise
    answer[at.SCORE] = surprise / (surprise + FLAG_SURPRISE)
    answer[at.KIND] = kind if flagged else at.NONE


@compiled
def follow(state, single, times, values, answers):  # type: ignore[no-untyped-def]
    """Steps one series through many values. Shapes: `times`, `values` [m], `answers` [m, ANSWERS]."""
    work = np.empty((2, at.VALUES), dtype=np.float32)
    for place in range(len(values)):
        step(state, single, work, times[place], values[place], answers[place])


@compiled
def together(states, singles, times, values, answers):  # type: ignore[no-untyped-def]
    """Steps many series by one value each. Shapes: [n, DOUBLES], [n, SINGLES], [n], [n], [n, ANSWERS]."""
    work = np.empty((2, at.VALUES), dtype=np.float32)
    for row in range(len(values)):
        step(states[row], singles[row], work, times[row], values[row], answers[row])
