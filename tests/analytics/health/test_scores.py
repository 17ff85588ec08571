"""Laws of the health score, and exact agreement with the plain-Python formula."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.health.day_values import ABSENT, NEVER, DayValues
from analytics.health.model import HealthModel
from analytics.health.scores import STATUSES, TRENDS, TickScores, score_ticks
from models.loader import read_model
from tests.analytics.health.worlds import day_values, random_windows

MODEL = read_model()
ORIGIN = 16_000
DAYS = 900


def plain_formula() -> ModuleType:
    """The independent implementation, loaded from its file because it belongs to no package."""
    path = Path(__file__).parents[2] / "independent" / "health_formula.py"
    spec = importlib.util.spec_from_file_location("health_formula", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FORMULA = plain_formula()


def row_of(scores: TickScores, row: int, tick: int, model: HealthModel = MODEL) -> dict[str, Any] | None:
    """One published row, as plain numbers."""
    at = tick - scores.first_tick
    if not scores.exists[row, at]:
        return None
    applies = scores.applies[:, row, at].tolist()
    return {
        "tick": tick,
        "score": int(scores.score[row, at]) if scores.scored[row, at] else None,
        "band": scores.band_names[scores.band[row, at]],
        "trend": TRENDS[scores.trend[row, at]],
        "coverage": int(scores.coverage[row, at]),
        "contributions": [
            part if applicable else None
            for part, applicable in zip(scores.contributions[:, row, at].tolist(), applies, strict=True)
        ],
        "signal_values": [
            value if applicable else None
            for value, applicable in zip(scores.values[:, row, at].tolist(), applies, strict=True)
        ],
        "statuses": [STATUSES[code] for code in scores.status[:, row, at].tolist()],
        "adjustment": int(scores.adjustment[row, at]),
        "segment": model.segment_names[scores.segment[row, at]],
    }


seeds = st.integers(0, 2**32)


@settings(max_examples=40)
@given(seed=seeds, ticks=st.lists(st.integers(ORIGIN - 3, ORIGIN + DAYS + 500), min_size=1, max_size=4))
def test_every_row_equals_the_plain_formula_bit_for_bit(seed: int, ticks: list[int]) -> None:
    accounts = [random_windows(MODEL, seed + number, DAYS, ORIGIN) for number in range(2)]
    days = day_values(MODEL, accounts, ORIGIN, DAYS)
    for tick in ticks:
        scores = score_ticks(MODEL, days, tick, tick)
        for row, windows in enumerate(accounts):
            assert row_of(scores, row, tick) == FORMULA.score_at(MODEL.definition, windows, tick)


@settings(max_examples=25)
@given(seed=seeds)
def test_contributions_sum_exactly_to_the_score(seed: int) -> None:
    days = day_values(MODEL, [random_windows(MODEL, seed + number, DAYS, ORIGIN) for number in range(5)], ORIGIN, DAYS)
    scores = score_ticks(MODEL, days, ORIGIN + 1, ORIGIN + DAYS)
    assert (scores.contributions.sum(axis=0) == scores.score).all()
    assert (scores.contributions[~scores.applies] == 0).all()
    assert scores.score.min() >= 0
    assert scores.score.max() <= 100_000_000
    assert (scores.scored == scores.applies.any(axis=0)).all()
    assert ((scores.coverage > 0) == scores.scored).all()


@settings(max_examples=25)
@given(seed=seeds, cut=st.integers(2, DAYS - 1))
def test_any_cut_of_the_ticks_gives_the_same_rows(seed: int, cut: int) -> None:
    days = day_values(MODEL, [random_windows(MODEL, seed, DAYS, ORIGIN)], ORIGIN, DAYS)
    whole = score_ticks(MODEL, days, ORIGIN + 1, ORIGIN + DAYS)
    left = score_ticks(MODEL, days, ORIGIN + 1, ORIGIN + cut - 1)
    right = score_ticks(MODEL, days, ORIGIN + cut, ORIGIN + DAYS)
    for name in ("score", "coverage", "band", "trend", "contributions", "values", "applies", "exists"):
        joined = np.concatenate([getattr(left, name), getattr(right, name)], axis=-1)
        assert (joined == getattr(whole, name)).all(), name


@settings(max_examples=25)
@given(seed=seeds, tick=st.integers(ORIGIN + 1, ORIGIN + DAYS))
def test_a_tick_depends_only_on_windows_that_end_at_or_before_it(seed: int, tick: int) -> None:
    windows = random_windows(MODEL, seed, DAYS, ORIGIN)
    known_then = {
        metric: {day: value for day, value in values.items() if day < tick} for metric, values in windows.items()
    }
    now = score_ticks(MODEL, day_values(MODEL, [windows], ORIGIN, DAYS), tick, tick)
    then = score_ticks(MODEL, day_values(MODEL, [known_then], ORIGIN, DAYS), tick, tick)
    assert row_of(now, 0, tick) == row_of(then, 0, tick)


@settings(max_examples=25)
@given(seed=seeds)
def test_accounts_do_not_influence_each_other(seed: int) -> None:
    accounts = [random_windows(MODEL, seed + number, DAYS, ORIGIN) for number in range(4)]
    days = day_values(MODEL, accounts, ORIGIN, DAYS)
    last = ORIGIN + DAYS
    together = score_ticks(MODEL, days, last, last)
    for row in range(4):
        alone = score_ticks(MODEL, days.select(np.array([row]), ORIGIN, last), last, last)
        assert row_of(alone, 0, last) == row_of(together, row, last)


@settings(max_examples=25)
@given(seed=seeds, tick=st.integers(ORIGIN - 50, ORIGIN + DAYS + 50))
def test_nothing_older_than_the_look_back_matters(seed: int, tick: int) -> None:
    days = day_values(MODEL, [random_windows(MODEL, seed, DAYS, ORIGIN)], ORIGIN, DAYS)
    recent = days.select(slice(None), tick - MODEL.lookback_days, tick)
    assert row_of(score_ticks(MODEL, recent, tick, tick), 0, tick) == row_of(
        score_ticks(MODEL, days, tick, tick), 0, tick
    )


def test_a_silent_account_still_ticks_and_has_no_score_without_an_applicable_signal() -> None:
    days = day_values(MODEL, [{"crm.accounts_created": {ORIGIN: 1_000_000}}], ORIGIN, DAYS)
    scores = score_ticks(MODEL, days, ORIGIN - 1, ORIGIN + DAYS)
    assert scores.exists[0].tolist() == [False, False, *[True] * DAYS]
    assert row_of(scores, 0, ORIGIN + 1) == {
        "tick": ORIGIN + 1,
        "score": None,
        "band": "unknown",
        "trend": "flat",
        "coverage": 0,
        "contributions": [None] * len(MODEL.signals),
        "signal_values": [None] * len(MODEL.signals),
        "statuses": ["missing"] * len(MODEL.signals),
        "adjustment": 0,
        "segment": "everyone",
    }


def test_a_signal_that_does_not_apply_is_renormalised_away() -> None:
    """Recency alone applies in the first weeks, so it alone is the score and coverage says how little that is."""
    days = day_values(MODEL, [{"product.events": {ORIGIN: 5_000_000}}], ORIGIN, DAYS)
    row = row_of(score_ticks(MODEL, days, ORIGIN + 1, ORIGIN + 1), 0, ORIGIN + 1)
    assert row is not None
    assert row["score"] == 100_000_000
    assert row["band"] == "healthy"
    recency = next(signal for signal in MODEL.signals if signal.name == "usage_recency")
    assert row["coverage"] == recency.weight * 1_000_000 // MODEL.total_weight


def test_usage_that_stops_pulls_the_score_down_day_by_day_and_turns_the_trend() -> None:
    steady = {ORIGIN + day: 10_000_000 for day in range(300)}
    windows = {"product.events": steady, "product.active_users": steady, "product.features_used": steady}
    scores = score_ticks(MODEL, day_values(MODEL, [windows], ORIGIN, 400), ORIGIN + 300, ORIGIN + 330)
    assert (np.diff(scores.score[0, :28]) < 0).all()
    assert TRENDS[scores.trend[0, 0]] == "flat"
    assert TRENDS[scores.trend[0, 15]] == "down"


def test_seats_hold_between_invoices_and_a_level_of_zero_is_not_an_absent_one() -> None:
    seats = {ORIGIN: 10_000_000, ORIGIN + 100: 5_000_000, ORIGIN + 250: 0}
    days = day_values(MODEL, [{"billing.seats": seats}], ORIGIN, DAYS)
    index = next(at for at, signal in enumerate(MODEL.signals) if signal.name == "seat_change")

    def value(tick: int) -> float | None:
        row = row_of(score_ticks(MODEL, days, tick, tick), 0, tick)
        assert row is not None
        found: float | None = row["signal_values"][index]
        return found

    assert value(ORIGIN + 92) is None
    assert value(ORIGIN + 93) == 1.0
    assert value(ORIGIN + 101) == 0.5
    assert value(ORIGIN + 250) == 1.0
    assert value(ORIGIN + 251) == 0.0
    assert value(ORIGIN + 342) == 0.0
    assert value(ORIGIN + 343) is None


def test_a_band_includes_its_lower_bound() -> None:
    bands = {band.name: band.lower for band in MODEL.bands}
    for score, expected in (
        (bands["healthy"], "healthy"),
        (bands["healthy"] - 1, "watch"),
        (bands["watch"], "watch"),
        (bands["watch"] - 1, "at_risk"),
        (0, "at_risk"),
    ):
        assert FORMULA.band_of(MODEL.definition, [score]) == expected


def test_no_accounts_and_no_metrics_are_not_errors() -> None:
    empty = DayValues(0, np.empty(0, dtype=np.int64), {}, {}, {})
    assert score_ticks(MODEL, empty, 5, 9).score.shape == (0, 5)
    bare = DayValues(ORIGIN, np.array([NEVER, ORIGIN]), {}, {}, {})
    assert score_ticks(MODEL, bare, ORIGIN + 1, ORIGIN + 1).exists.tolist() == [[False], [True]]


@pytest.mark.parametrize("tick", [ORIGIN + 30, ORIGIN + DAYS - 1])
def test_absent_levels_never_leak_into_values(tick: int) -> None:
    levels = np.full((1, DAYS), ABSENT, dtype=np.int64)
    days = DayValues(ORIGIN, np.array([ORIGIN]), {}, {"billing.seats": levels}, {"billing.seats": np.array([ORIGIN])})
    scores = score_ticks(MODEL, days, tick, tick)
    index = next(at for at, signal in enumerate(MODEL.signals) if signal.name == "seat_change")
    assert not scores.applies[index].any()
    assert scores.values[index].tolist() == [[0.0]]
