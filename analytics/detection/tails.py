"""How rare a statistic is by its own past: a fading histogram with a fitted tail. Compiled."""

import math

import numpy as np

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import FLAG_SURPRISE, FORGIVEN, HEAVIEST_TAIL, LIGHTEST_TAIL, USUAL_TAIL


@compiled
def bucket_of(u):  # type: ignore[no-untyped-def]
    """Four buckets an octave, from 2^-6 to 2^10."""
    if u <= 0.015625:
        return 0
    return min(at.BUCKETS - 1, int((math.log2(u) + 6.0) * 4.0))


@compiled
def surprise_of(state, single, tail, u):  # type: ignore[no-untyped-def]
    """Decades of the share of the past in which a statistic was at least as great.

    The greatest tenth is smoothed and continued by a generalised Pareto distribution.
    """
    if u <= 1.25 * state[at.TOLERATED_AT + tail]:
        return min(FORGIVEN, u)  # somebody said that this is none
    total = state[at.TAIL_TOTAL_AT + tail]
    weight = state[at.TAIL_WEIGHT]
    count = total / weight
    if count < 20.0:
        return 0.0
    start = at.TAIL_AT + tail * at.BUCKETS
    wanted = max(0.1 * total, 12.0 * weight)
    above = 0.0
    knee = at.BUCKETS
    for bucket in range(at.BUCKETS - 1, -1, -1):
        above += single[start + bucket]
        if above >= wanted:
            knee = bucket
            break
    own = bucket_of(u)
    if own <= knee:
        beyond = 0.0
        for bucket in range(own + 1, at.BUCKETS):
            beyond += single[start + bucket]
        beyond += 0.5 * single[start + own]
        return max(0.0, -math.log10((beyond + 0.5 * weight) / (total + weight)))
    # A generalised Pareto tail over the knee's lower bound, by two quantiles of what lies beyond (Pickands, 1975): the
    # half and the quarter of it, which a few wild values do not move. Few values: as a slightly heavy tail.
    bound = 2.0 ** (knee / 4.0 - 6.0)
    half = value_beyond(single, start, knee, 0.5 * above) - bound
    quarter = value_beyond(single, start, knee, 0.25 * above) - bound
    trust = above / weight / (above / weight + 80.0)
    bend = trust * math.log2(max(quarter / max(half, 1e-9) - 1.0, 0.5)) + (1.0 - trust) * USUAL_TAIL
    bend = min(max(bend, LIGHTEST_TAIL), HEAVIEST_TAIL)
    excess = max(u - bound, 0.0)
    if abs(bend) < 1e-3:
        decades = excess / half * math.log10(2.0)
    else:
        size = half * bend / (2.0**bend - 1.0)
        decades = math.log10(max(1.0 + bend * excess / size, 1e-12 if bend < 0.0 else 1.0)) / bend
    return min(decades - math.log10(above / total), 12.0)


@compiled
def value_beyond(single, start, knee, wanted):  # type: ignore[no-untyped-def]
    """The value above which a tail has the wanted weight."""
    above = 0.0
    for bucket in range(at.BUCKETS - 1, knee - 1, -1):
        mass = single[start + bucket]
        if mass > 0.0 and above + mass >= wanted:
            return 2.0 ** ((bucket + 1.0 - (wanted - above) / mass) / 4.0 - 6.0)
        above += mass
    return 2.0 ** (knee / 4.0 - 6.0)


@compiled
def flag_limit(state, single, tail):  # type: ignore[no-untyped-def]
    """The value of a statistic at which a step is flagged."""
    low, high = 1.0, 4096.0
    if state[at.TAIL_TOTAL_AT + tail] / max(state[at.TAIL_WEIGHT], 1.0) < 20.0:
        return 6.0
    for _ in range(10):
        middle = math.sqrt(low * high)
        if surprise_of(state, single, tail, middle) - 0.5 >= FLAG_SURPRISE:
            high = middle
        else:
            low = middle
    return high


@compiled
def remember(state, single, tail, u, share):  # type: ignore[no-untyped-def]
    weight = share * state[at.TAIL_WEIGHT]
    single[at.TAIL_AT + tail * at.BUCKETS + bucket_of(u)] += weight
    state[at.TAIL_TOTAL_AT + tail] += weight


@compiled
def rescale(state, single):  # type: ignore[no-untyped-def]
    for place in range(at.TAIL_AT, at.PROFILE_AT):
        single[place] *= np.float32(1e-6)
    for tail in range(at.TAILS):
        state[at.TAIL_TOTAL_AT + tail] *= 1e-6
    state[at.TAIL_WEIGHT] *= 1e-6
