"""Bands: plain at their bounds, slow to get better, and the same however the ticks are cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.health.bands import Band, Hysteresis, band_codes
from analytics.health.day_values import MICRO
from analytics.health.overrides import Override, overridden

BANDS = (Band("healthy", 70 * MICRO), Band("watch", 45 * MICRO), Band("at_risk", 0))
scores = st.lists(st.one_of(st.none(), st.integers(38, 76)), min_size=40, max_size=60)


def codes(history: list[int | None], rule: Hysteresis) -> list[int]:
    score = np.array([[0 if one is None else one * MICRO for one in history]])
    scored = np.array([[one is not None for one in history]])
    found: list[int] = band_codes(BANDS, rule, score, scored)[0].tolist()
    return found


def walked(history: list[int | None], rule: Hysteresis) -> list[int]:
    """One step after the other, for every tick from the start of its memory."""
    result = []
    for end in range(rule.ticks, len(history) + 1):
        band = 0
        for score in history[end - rule.ticks : end]:
            if score is None:
                continue
            if score < 45 or (band == 2 and score < 45 + rule.margin // MICRO):
                band = 2
            elif score < 70 or (band >= 1 and score < 70 + rule.margin // MICRO):
                band = 1
            else:
                band = 0
        result.append(3 if history[end - 1] is None else band)
    return result


@given(scores, st.integers(0, 5), st.integers(1, 40))
def test_bands_are_those_of_a_walk_through_the_memory(history: list[int | None], margin: int, ticks: int) -> None:
    rule = Hysteresis(margin * MICRO, ticks)
    assert codes(history, rule) == walked(history, rule)


def test_a_score_that_wavers_around_a_bound_changes_its_band_once() -> None:
    wavering: list[int | None] = [50, *[44, 46] * 10]
    assert codes([50] * 27 + wavering, Hysteresis(3 * MICRO, 28)) == [1] + [2] * 20
    plain = codes(wavering, Hysteresis())
    assert plain == [1] + [2, 1] * 10
    recovered: list[int | None] = [44, 46, 47, 48, 46]
    assert codes([50] * 27 + recovered, Hysteresis(3 * MICRO, 28)) == [2, 2, 2, 1, 1]


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.sampled_from(("cap", "floor", "set")), st.integers(0, 100), st.integers(0, 12), st.integers(0, 12)
        ),
        max_size=4,
    ),
)
def test_overrides_hold_from_their_tick_until_they_expire(
    history: list[int], told: list[tuple[str, int, int, int]]
) -> None:
    score = np.array([history, history])
    own = [Override(kind, points, since, since + length) for kind, points, since, length in told]  # type: ignore[arg-type]
    result = overridden(score, np.ones(score.shape, dtype=bool), {0: own}, 0)
    assert (result[1] == score[1]).all()
    for tick, computed in enumerate(history):
        holding = [one for one in own if one.since <= tick < one.until]
        sets = [one for one in holding if one.kind == "set"]
        newest = max((one.since for one in sets), default=None)
        bases = {one.points for one in sets if one.since == newest} or {computed}
        floor = max([0, *(one.points for one in holding if one.kind == "floor")])
        cap = min([100, *(one.points for one in holding if one.kind == "cap")])
        assert result[0, tick] in {min(max(base, floor), cap) for base in bases}
    unscored = overridden(score, np.zeros(score.shape, dtype=bool), {0: own}, 0)
    assert (unscored == score).all()
