"""The one set of defaults, for all data. None of them was chosen by looking at labelled series.

Surprise is in decades: 3 is what one step in a thousand shows.
"""

FLAG_SURPRISE = 3.5
"""A step is flagged from this surprise on; its score is then 0.5."""

WARM_UP = 48
"""Values before anything is flagged."""

QUIET_STEPS = 3
"""Steps below half of the surprise that end an episode."""

FORGIVEN, FORGIVEN_SPREADS = 1.5, 3.0
"""A value within so many spreads of what was usual before an episode is its end, and surprises no more than this."""

SHIFT_MEMORY = 12.0
"""Steps for which the smoothed distance from the season remembers an episode."""

LONGEST_FILLED = 400
"""Missing rows that are filled with what was expected."""

USUAL_RATE = 0.008
"""Episodes a step up to which a series is as calm as its tails say."""

HALF_LIFE = 700.0
"""Steps after which an entry of a tail counts half."""

LIGHTEST_TAIL, USUAL_TAIL, HEAVIEST_TAIL = -0.1, 0.0, 0.33
"""The shape of a tail: about exponential at least, and at most one that barely has a variance."""

MICROS_AN_HOUR = 3_600_000_000.0

HOURS_TO_MONDAY = 72.0
"""From Monday 1969-12-29 to 1970-01-01."""

VOLUME_FLOOR = 5.0
"""Counts below it, seen and expected, are too small to speak."""

LARGEST = 1e15
"""Values beyond it count as it."""
