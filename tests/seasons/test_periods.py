"""Periods: planted ones are found, none is found on noise, and harmonics are no periods of their own."""

import numpy as np
import pytest

from analytics.seasons.decomposition import decompose
from analytics.seasons.periods import find_periods
from tests.seasons.noise import autocorrelated

ROWS = 24 * 7 * 8
NOISES = {
    "white": lambda rng, rows: rng.normal(size=rows),
    "memory 0.5": lambda rng, rows: autocorrelated(rng, rows, 0.5),
    "memory 0.9": lambda rng, rows: autocorrelated(rng, rows, 0.9),
    "walk": lambda rng, rows: np.cumsum(rng.normal(size=rows)),
    "counts": lambda rng, rows: rng.poisson(3, rows).astype(float),
}


@pytest.mark.parametrize("noise", NOISES)
def test_at_most_one_series_of_noise_in_a_hundred_has_a_period(noise: str) -> None:
    rng = np.random.default_rng(11)
    found = 0
    for rows, candidates in ((ROWS, (24, 168)), (730, (7, 30, 365)), (240, (12,))):
        found += sum(bool(find_periods(NOISES[noise](rng, rows), candidates)) for _ in range(400))
    assert found <= 12


def test_planted_periods_are_found_and_no_others() -> None:
    hits = planted = wrong = reported = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        hours = np.arange(ROWS)
        has = {24: rng.random() < 0.6, 168: rng.random() < 0.5}
        values = autocorrelated(rng, ROWS, 0.5) + 0.002 * hours
        values += has[24] * rng.uniform(0.8, 3) * np.cos((hours - rng.integers(24)) * 2 * np.pi / 24)
        values += has[168] * rng.uniform(1.5, 3) * np.where(hours // 24 % 7 >= 5, -1.0, 0.4)
        found = {one.length for one in find_periods(values, (24, 168))}
        expected = {period for period, exists in has.items() if exists}
        planted, hits = planted + len(expected), hits + len(expected & found)
        reported, wrong = reported + len(found), wrong + len(found - expected)
    assert hits >= 0.95 * planted
    assert wrong <= 0.05 * reported


def test_harmonics_are_no_periods_of_their_own_and_a_week_is_not_found_in_days() -> None:
    rng = np.random.default_rng(3)
    hours = np.arange(ROWS)
    daily = np.where(hours % 24 < 8, 3.0, -1.5) + rng.normal(size=ROWS)
    assert [one.length for one in find_periods(daily, (24, 168))] == [24]
    weekly = np.where(hours // 24 % 7 >= 5, -2.0, 0.8) + rng.normal(size=ROWS)
    assert 168 in [one.length for one in find_periods(weekly, (24, 168))]


def test_strengths_are_those_that_were_planted() -> None:
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        days = np.arange(7 * 60)
        season = np.array([1.0, 0.8, 0.9, 1.1, 0.7, -2.0, -2.5])[days % 7]
        scatter = rng.uniform(0.3, 2.5)
        noise = rng.normal(size=len(days)) * scatter
        true = 1 - noise.var() / (season + noise).var()
        errors.append(abs(decompose(season + noise + 0.01 * days, [7]).strengths[7] - true))
    assert max(errors) < 0.12


def test_components_sum_to_the_values_with_one_season_many_or_none() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=24 * 7 * 4) + 10
    for periods in ([], [24], [24, 168], [1000]):
        parts = decompose(values, periods)
        whole = parts.trend + sum(parts.seasons.values(), np.zeros(len(values))) + parts.remainder
        assert np.allclose(whole, values)
        assert parts.seasons.keys() == {period for period in periods if period < 500}
    assert len(decompose(np.array([1.0, 2.0]), []).trend) == 2
