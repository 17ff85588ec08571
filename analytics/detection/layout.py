"""Where the numbers of a series' state lie. Changing anything here needs a new `STATE_VERSION`."""

from typing import Final

STATE_VERSION: Final = 1

# --- Lengths of the float32 part: the last values, tails of what was seen, and a week's profile.
VALUES: Final = 800
"""How many of the newest values are kept."""

BUCKETS: Final = 64
TAILS: Final = 4
HOURS: Final = 168

SINGLES: Final = VALUES + TAILS * BUCKETS + 2 * HOURS
TAIL_AT: Final = VALUES
PROFILE_AT: Final = TAIL_AT + TAILS * BUCKETS
PROFILE_COUNT_AT: Final = PROFILE_AT + HOURS

# --- Tails: surprise of a point, of its recent residuals together, of the shape, of the level.
POINT: Final = 0
RECENT: Final = 1
SHAPE: Final = 2
LEVEL: Final = 3

# --- Experts that predict the next value.
EXPERTS: Final = 8
LAST, FAST, SLOW, TREND, SEASON, SEASON_LEVEL, NEIGHBOURS, WEEK = range(EXPERTS)

# --- The float64 part.
SEEN: Final = 0  # values so far
OFFSET: Final = 1  # values are kept as (value - OFFSET) / UNIT
UNIT: Final = 2
LAST_TIME: Final = 3
INTERVAL: Final = 4  # usual distance of rows, microseconds
FAST_LEVEL: Final = 5
SLOW_LEVEL: Final = 6
ERROR_AT: Final = 7  # EXPERTS of them
NEIGHBOURS_SAY: Final = 15
PERIOD: Final = 16
SINCE_PERIOD: Final = 17
SPREAD_AT: Final = 18  # mean absolute residual by quarter of what was expected
SPREAD_SEEN_AT: Final = 22
QUARTILE_AT: Final = 26  # quartiles of what was expected
TAIL_WEIGHT: Final = 29  # weight of the next entry of a tail: it grows, so that old ones fade
TAIL_TOTAL_AT: Final = 30
ENERGY: Final = 34
RUN: Final = 35  # equal values in a row
LONGEST_RUN: Final = 36
SAME: Final = 37  # share of steps without change
WEEK_OFFSET: Final = 38
COUNTS: Final = 39  # 1 while all values are whole and not negative
LONGEST_GAP: Final = 40
EPISODE: Final = 41  # windows since it began, 0 outside one
EPISODE_START: Final = 42
EPISODE_QUIET: Final = 43
WORST_AT: Final = 44  # by tail, the worst of the episode: what feedback is about
SPREAD: Final = 48  # mean absolute residual of all
MOVEMENT: Final = 49  # mean absolute distance from the slow level
WINDOW: Final = 50  # length of the shapes compared
SHAPE_DISTANCE: Final = 51
EPISODE_KIND: Final = 52
LOWEST: Final = 53
DISAGREEMENT: Final = 54  # of the experts about the value to come
SINCE_EPISODE: Final = 55  # steps since the last episode began
LEVEL_BEFORE: Final = 56  # the slow level when it began
EPISODE_RATE: Final = 57  # share of steps that began an episode of late
WANDERING: Final = 58  # share of the experts who say: as it is now
CALM: Final = 59  # steps since the last episode ended
USUAL_DISAGREEMENT: Final = 60  # its mean square
SHIFT: Final = 61  # smoothed distance from the season, in its usual sizes
SEASON_SPREAD: Final = 62  # that usual size
ADOPTED: Final = 63  # steps in which the normal before a long episode is still remembered
REGULAR: Final = 64  # share of rows that come a whole number of intervals after the one before
TOLERATED_AT: Final = 65  # by tail, up to where people said that there is no anomaly
DOUBLES: Final = 72

# --- What a step answers.
SCORE, EXPECTED, LOWER, UPPER, KIND, SURPRISE, DURATION = range(7)
ANSWERS: Final = 7

NONE, SPIKE, DROP, LEVEL_SHIFT, FLAT_LINE, SILENCE, PATTERN = range(7)
KINDS: Final = ("", "spike", "drop", "level_shift", "flat_line", "silence", "pattern")
