"""Runs, gaps, and the episodes that anomalies make. Compiled."""

import math

from analytics.detection import layout as at
from analytics.detection.compiled import compiled
from analytics.detection.defaults import FLAG_SURPRISE, QUIET_STEPS, WARM_UP


@compiled
def flat_surprise(state, single):  # type: ignore[no-untyped-def]
    """Surprise of a run of equal values: longer than any before, and unlikely by how often values stay the same."""
    if state[at.SEEN] == 0.0 or single[at.VALUES - 1] != single[at.VALUES - 2]:
        return 0.0
    run = state[at.RUN] + 1.0
    if run < 4.0 or run < 2.0 * state[at.LONGEST_RUN]:
        return 0.0
    return min(run * -math.log10(min(max(state[at.SAME], 1.0 / (state[at.SEEN] + 2.0)) * 1.2, 1.0)), 12.0)


@compiled
def gap_surprise_of(state, time):  # type: ignore[no-untyped-def]
    """Surprise of rows that are missing before this one."""
    interval = state[at.INTERVAL]
    if interval <= 0.0 or state[at.SEEN] < WARM_UP:
        return 0.0
    gap = (time - state[at.LAST_TIME]) / interval
    if gap < 3.5 or gap < 2.0 * state[at.LONGEST_GAP]:
        return 0.0
    return min(math.log10(state[at.SEEN]) + math.log10(gap / 3.5), 12.0)


@compiled
def follow_episode(state, time, surprise, flagged, u, recent, distance, moved, kind, answer):  # type: ignore[no-untyped-def]
    """Steps of one episode: from a flag until it has been quiet for some steps."""
    begins = state[at.EPISODE] == 0.0 and flagged
    state[at.EPISODE_RATE] += 0.001 * ((1.0 if begins else 0.0) - state[at.EPISODE_RATE])
    if state[at.EPISODE] == 0.0:
        if flagged:
            state[at.EPISODE], state[at.EPISODE_START], state[at.EPISODE_QUIET] = 1.0, time, 0.0
            state[at.WORST_AT : at.WORST_AT + at.TAILS] = 0.0
            state[at.EPISODE_KIND] = kind
            if state[at.SINCE_EPISODE] == 0.0:
                state[at.SINCE_EPISODE], state[at.LEVEL_BEFORE] = 1.0, state[at.SLOW_LEVEL]
                if state[at.WANDERING] > 0.3:
                    # It goes along with a shift at once, and is not to be surprised when it comes back.
                    state[at.ADOPTED] = max(4.0 * WARM_UP, min(1.5 * state[at.PERIOD], 432.0))
    else:
        state[at.EPISODE] += 1.0
        state[at.EPISODE_QUIET] = 0.0 if surprise >= FLAG_SURPRISE / 2 else state[at.EPISODE_QUIET] + 1.0
        lasted = state[at.EPISODE] - state[at.EPISODE_QUIET]
        if state[at.EPISODE_QUIET] >= QUIET_STEPS + min(0.5 * lasted, 24.0):
            state[at.EPISODE] = 0.0
    state[at.CALM] = 0.0 if state[at.EPISODE] > 0.0 else state[at.CALM] + 1.0
    if state[at.EPISODE] > 0.0:
        answer[at.DURATION] = state[at.EPISODE]
        worst = (u, recent, distance, moved)
        for tail in range(at.TAILS):
            state[at.WORST_AT + tail] = max(state[at.WORST_AT + tail], worst[tail])


@compiled
def forgive(state):  # type: ignore[no-untyped-def]
    """What the last episode showed is no anomaly, now and when it comes again."""
    for tail in range(at.TAILS):
        state[at.TOLERATED_AT + tail] = max(state[at.TOLERATED_AT + tail], state[at.WORST_AT + tail])
    state[at.EPISODE] = 0.0
