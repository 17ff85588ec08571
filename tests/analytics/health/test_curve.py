"""Curves: continuous, clamped, exact at their points."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.health.curve import Curve
from analytics.health.model import Signal
from models.loader import read_model

SIGNALS = read_model().signals

curves = st.lists(
    st.tuples(st.integers(-1000, 1000).map(lambda x: x / 8), st.integers(0, 100).map(float)),
    min_size=2,
    max_size=6,
    unique_by=lambda point: point[0],
).map(lambda points: Curve(tuple(sorted(points))))


@given(curves)
def test_a_curve_passes_through_its_points_and_is_level_outside(curve: Curve) -> None:
    xs = np.array([x for x, _ in curve.points])
    assert curve.at(xs).tolist() == [y for _, y in curve.points]
    outside = curve.at(np.array([xs[0] - 1.0, -1e12, xs[-1] + 1.0, 1e12]))
    assert outside.tolist() == [curve.points[0][1], curve.points[0][1], curve.points[-1][1], curve.points[-1][1]]


@given(curves, st.integers(-9000, 9000))
def test_a_curve_has_no_cliffs(curve: Curve, eighth: int) -> None:
    """Over a step of h it moves by at most its steepest slope times h."""
    step = 1e-6
    x = eighth / 64
    low, high = curve.at(np.array([x, x + step]))
    steepest = max(abs(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(curve.points))
    assert abs(high - low) <= steepest * step * 1.001 + 1e-9


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_the_models_curves_are_monotonic(signal: Signal) -> None:
    """More of a signal is always better or always worse: a curve that turns would be a surprise to its readers."""
    ys = np.diff([y for _, y in signal.curve.points])
    assert (ys >= 0).all() or (ys <= 0).all()
