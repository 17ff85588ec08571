"""The newest values that a state keeps. Compiled."""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled


@compiled
def begin(state, time, value):  # type: ignore[no-untyped-def]
    state[at.OFFSET], state[at.UNIT], state[at.LAST_TIME] = value, 1.0, time
    state[at.SPREAD_AT : at.SPREAD_AT + 4] = 0.0
    state[at.TAIL_WEIGHT] = 1.0
    state[at.COUNTS], state[at.LOWEST] = 1.0 if value >= 0.0 and value == math.floor(value) else 0.0, value
    state[at.WINDOW] = 16.0
    state[at.SAME] = 0.5
    state[at.CALM] = 1e9
    state[at.REGULAR] = 1.0


@compiled
def push(single, x):  # type: ignore[no-untyped-def]
    for place in range(at.VALUES - 1):
        single[place] = single[place + 1]
    single[at.VALUES - 1] = np.float32(x)


@compiled
def replace_newest(single, x):  # type: ignore[no-untyped-def]
    single[at.VALUES - 1] = np.float32(x)
