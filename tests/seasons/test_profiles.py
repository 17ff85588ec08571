"""Profiles: shrunk to those of others as far as history is short; holidays."""

from datetime import date, timedelta

import numpy as np
import pytest

from analytics.seasons.holidays import holiday_effects
from analytics.seasons.profiles import own_shares, pooled_profiles

WEEK = np.array([1.2, 1.3, 1.25, 1.2, 1.05, 0.5, 0.5])


def test_a_short_history_takes_the_others_profile_and_a_long_one_keeps_its_own() -> None:
    rng = np.random.default_rng(1)

    def account(weeks: int, shape: np.ndarray) -> np.ndarray:
        return rng.poisson(np.tile(shape, weeks) * 20).astype(float)

    odd = np.array([0.2, 0.2, 0.2, 0.2, 0.2, 3.0, 3.0])
    series = [account(30, WEEK * rng.uniform(0.9, 1.1, 7)) for _ in range(20)]
    series += [account(2, WEEK), account(40, odd), np.zeros(14)]
    profiles = pooled_profiles(series, 7, [0] * len(series))
    assert all(profile.shares.mean() == pytest.approx(1) for profile in profiles)
    young, strange, silent = profiles[-3:]
    assert young.weight < profiles[0].weight < strange.weight
    assert np.abs(young.shares - WEEK / WEEK.mean()).max() < 0.2
    assert np.corrcoef(strange.shares, odd)[0, 1] > 0.95
    assert silent.weight == 0
    alone, _ = own_shares(series[-3], 7)
    truth = WEEK / WEEK.mean()
    assert np.abs(young.shares - truth).mean() < np.abs(alone - truth).mean()


def test_phases_begin_where_they_are_said_to() -> None:
    values = np.tile(WEEK, 4)[3:]
    shares, cycles = own_shares(values, 7, first_phase=3)
    assert np.allclose(shares, WEEK / WEEK.mean(), rtol=0.05)
    assert cycles == pytest.approx(25 / 7)


def test_holidays_are_known_by_their_effect_with_bounds() -> None:
    rng = np.random.default_rng(2)
    days = [date(2022, 1, 1) + timedelta(days=number) for number in range(3 * 365)]
    expected = np.full(len(days), 100.0)
    values = expected * rng.normal(1, 0.05, len(days))
    effects = {one.name: one for one in holiday_effects(days, values, expected, "US")}
    assert abs(effects[""].effect) < 0.03
    christmas = [number for number, day in enumerate(days) if (day.month, day.day) == (12, 25)]
    values[christmas] *= 0.2
    changed = {one.name: one for one in holiday_effects(days, values, expected, "US")}
    assert changed["Christmas Day"].upper < -0.6
    assert next(iter(changed)) == "Christmas Day"
    with pytest.raises(NotImplementedError):
        holiday_effects(days, values, expected, "XX")
