"""Laws of forecasts: shapes, order of bounds, what they may look at, units; and series that break models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.forecasting.candidates import Floats
from analytics.forecasting.seasons import confirmed_seasons
from analytics.forecasting.series import filled, forecast_series, interval


def monthly(seed: int, count: int = 96, strength: float = 20) -> Floats:
    rng = np.random.default_rng(seed)
    places = np.arange(count)
    return 100 + 0.4 * places + strength * np.sin(places * 2 * np.pi / 12) + rng.normal(size=count) * 4


@settings(max_examples=12)
@given(st.lists(st.one_of(st.integers(-5, 5), st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=1, max_size=40))
def test_whatever_the_series_bounds_are_in_order_and_finite(values: list[float]) -> None:
    made = forecast_series(np.array(values, dtype=np.float64), 3, [4], effort="fast")
    assert made.mean.shape == made.sigma.shape == (3,)
    narrow, wide = interval(made, 80), interval(made, 95)
    bounds = np.array([wide[0], narrow[0], made.mean, narrow[1], wide[1]])
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds, axis=0) >= 0).all()


def test_a_series_that_never_was_negative_is_not_forecast_to_be_and_others_are() -> None:
    falling = np.maximum(np.arange(40, 0, -1.0) ** 1.5, 0)
    made = forecast_series(falling, 30, effort="fast")
    assert min(made.mean.min(), interval(made, 95)[0].min()) >= 0
    assert forecast_series(falling - 100, 30, effort="fast").mean.min() < 0


def test_the_same_series_gives_the_same_forecast_and_its_unit_does_not_matter() -> None:
    values = monthly(1)
    made, again, scaled = (forecast_series(each, 12, [12]) for each in (values, values, values * 1024))
    assert (made.mean == again.mean).all()
    assert made.weights == again.weights
    assert np.allclose(scaled.mean, made.mean * 1024, rtol=0.01)
    assert np.allclose(interval(scaled, 80)[0], interval(made, 80)[0] * 1024, rtol=0.05)


def test_a_season_is_forecast_and_better_than_by_the_naive_rule() -> None:
    values = monthly(2)
    made = forecast_series(values[:84], 12, [12])
    assert made.seasons == (12,)
    naive = np.abs(values[72:84] - values[84:]).mean()
    assert np.abs(made.mean - values[84:]).mean() < naive
    assert made.backtest.mase["combined"] < made.backtest.mase["seasonal_naive"]
    assert sum(made.weights.values()) == pytest.approx(1)


def test_no_season_is_found_where_there_is_none_and_given_ones_are_taken() -> None:
    rng = np.random.default_rng(3)
    found = sum(bool(confirmed_seasons(rng.normal(size=120), [12])) for _ in range(200))
    assert found <= 200 * 0.13  # a test at ten percent, one-sided
    assert confirmed_seasons(monthly(4), [12]) == [12]
    assert confirmed_seasons(monthly(4), [7]) == []
    assert forecast_series(rng.normal(size=60), 3, [12], tested=False, effort="fast").seasons == (12,)


def test_missing_values_are_taken_from_the_season_or_the_neighbours() -> None:
    values = np.tile([1.0, 5.0, 9.0], 6)
    values[[4, 5]] = np.nan
    assert (filled(values, 3) == np.tile([1.0, 5.0, 9.0], 6)).all()
    assert filled(np.array([1.0, np.nan, 3.0]), 1).tolist() == [1.0, 2.0, 3.0]
    assert filled(np.array([np.nan, np.nan]), 1).tolist() == [0.0, 0.0]


def test_intervals_hold_about_what_they_say_on_noise_of_many_kinds() -> None:
    """Thirty series of each kind, one forecast each: the share that falls inside."""
    kinds = {
        "normal": lambda rng: rng.normal(size=80) + 50,
        "walk": lambda rng: np.cumsum(rng.normal(size=80)) + 50,
        "season": lambda rng: monthly(int(rng.integers(10**6)), 80),
        "counts": lambda rng: rng.poisson(6, size=80).astype(float),
    }
    inside = dict.fromkeys((80, 95), 0.0)
    total = 0
    for number, make in enumerate(kinds.values()):
        rng = np.random.default_rng(number)
        for _ in range(30):
            values = make(rng)
            made = forecast_series(values[:-8], 8, [12], effort="fast")
            for level in inside:
                lower, upper = interval(made, level)
                inside[level] += ((values[-8:] >= lower) & (values[-8:] <= upper)).sum()
            total += 8
    assert 0.74 <= inside[80] / total <= 0.86
    assert 0.91 <= inside[95] / total <= 0.985
