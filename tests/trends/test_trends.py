"""Slopes, change points, drill-down and cohorts: laws, and what was planted."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.trends.change_points import change_points
from analytics.trends.cohorts import cohort_trends
from analytics.trends.drill_down import drill_down, ratio_drill_down
from analytics.trends.slopes import RunningSlope
from tests.seasons.noise import autocorrelated


@given(st.lists(st.integers(-(10**15), 10**15), max_size=80), st.integers(3, 30))
def test_a_running_slope_is_that_of_its_window_computed_anew(values: list[int], window: int) -> None:
    running = RunningSlope(window)
    for value in values:
        running.step(value)
    anew = RunningSlope(window)
    for value in values[-window:]:
        anew.step(value)
    assert (running.total, running.moment) == (anew.total, anew.moment)
    assert running.slope() == anew.slope()
    kept = values[-window:]
    assert running.total == sum(kept)
    assert running.moment == sum(place * value for place, value in enumerate(kept))


def test_the_slope_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=40) * 1e6 + np.arange(40) * 3e5).astype(int).tolist()
    running = RunningSlope(28)
    for value in values:
        running.step(value)
    slope = running.slope()
    assert slope is not None
    assert slope.value == pytest.approx(np.polyfit(np.arange(28), values[-28:], 1)[0])
    assert slope.arrow == "up"


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_arrow_stays_flat_on_noise(memory: float) -> None:
    rng = np.random.default_rng(2)
    moved = 0
    for _ in range(400):
        running = RunningSlope(28)
        for value in np.round(autocorrelated(rng, 28, memory) * 1e6).astype(int).tolist():
            running.step(value)
        slope = running.slope()
        assert slope is not None
        moved += slope.arrow != "flat"
    assert moved <= 0.12 * 400


def test_planted_changes_of_level_are_found_at_their_place_and_few_others() -> None:
    hits = planted = wrong = reported = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        values = autocorrelated(rng, 300, rng.choice([0.0, 0.3]))
        places = sorted(rng.choice(np.arange(30, 271, 40), rng.integers(0, 4), replace=False).tolist())
        for place in places:
            values[place:] += rng.choice([-1, 1]) * rng.uniform(2.5, 5)
        values[rng.integers(300)] += 15  # an outlier is no change of level
        found = [one.place for one in change_points(values)]
        met = {place for place in places if any(abs(place - each) <= 4 for each in found)}
        planted, hits = planted + len(places), hits + len(met)
        reported, wrong = reported + len(found), wrong + max(0, len(found) - len(met))
    assert hits >= 0.95 * planted
    assert wrong <= 0.05 * reported


def test_a_change_point_tells_the_levels_on_both_sides() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=100) * 0.1 + np.repeat([1.0, 3.0], 50)
    (one,) = change_points(values)
    assert one.place == 50
    assert one.before == pytest.approx(1, abs=0.1)
    assert one.after == pytest.approx(3, abs=0.1)
    assert change_points(np.full(100, 5.0)) == []
    assert change_points(np.arange(5.0)) == []


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from("12"))
totals = st.dictionaries(keys, st.integers(-(10**12), 10**12), max_size=12)


@given(totals, totals, st.integers(0, 3))
def test_parts_of_a_movement_sum_to_it_at_every_depth(before: dict, after: dict, depth: int) -> None:
    parts = drill_down(before, after, depth)
    assert sum(part.change for part in parts) == sum(after.values()) - sum(before.values())
    assert [abs(part.change) for part in parts] == sorted((abs(part.change) for part in parts), reverse=True)
    deeper = drill_down(before, after, min(depth + 1, 3))
    for part in parts:
        assert part.change == sum(one.change for one in deeper if one.key[:depth] == part.key)


ratios = st.dictionaries(keys, st.tuples(st.integers(0, 1000), st.integers(1, 1000)), min_size=1, max_size=12)


@given(ratios, ratios, st.integers(0, 3))
def test_mix_and_rate_sum_to_the_ratios_movement(before: dict, after: dict, depth: int) -> None:
    parts = ratio_drill_down(before, after, depth)
    whole = [Fraction(sum(n for n, _ in each.values()), sum(d for _, d in each.values())) for each in (before, after)]
    assert sum(part.mix + part.rate for part in parts) == whole[1] - whole[0]


def test_an_account_is_compared_with_its_own_cohort() -> None:
    rng = np.random.default_rng(5)
    series = {f"a{number}": rng.poisson(50, 60).astype(float) for number in range(20)}
    series["up"] = np.concatenate([np.full(30, 50.0), np.full(30, 150.0)])
    series["alone"], series["young"] = np.full(60, 10.0), np.full(20, 10.0)
    cohorts = dict.fromkeys(series, "2026") | {"alone": "2025"}
    found = cohort_trends(series, cohorts, 28)
    assert found["up"].percentile > 95
    assert found["up"].difference > 0.9
    assert np.isnan(found["alone"].difference)
    assert "young" not in found
