"""Laws of the detector: what a score may depend on, its state, and what it must keep quiet about."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.detection import layout
from analytics.detection.detector import STATE_BYTES, Detector, Detectors, InvalidStateError, named
from tests.detection.planted import SHAPES, START, Floats, noise_series, series
from tests.detection.running import answers_of

HOUR = timedelta(hours=1)
values = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.floats(allow_nan=True, allow_infinity=False), st.integers(0, 5)),
    min_size=1,
    max_size=300,
)


def wild(seed: int, rows: int = 900) -> Floats:
    """A series of several characters one after the other."""
    rng = np.random.default_rng(seed)
    pieces = [piece[: rows // 3] for _, piece in noise_series(seed)]
    chosen = rng.permutation(len(pieces))[:3]
    return np.concatenate([pieces[each] * 10.0 ** rng.integers(-3, 4) for each in chosen])


@settings(max_examples=50)
@given(values)
def test_whatever_comes_every_value_is_answered_with_a_score_and_a_band(told: list[float]) -> None:
    answers = answers_of(np.array(told))
    assert np.isfinite(answers).all()
    scores = answers[:, layout.SCORE]
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (scores[np.isnan(told)] == 0).all()
    assert (answers[:, layout.LOWER] <= answers[:, layout.UPPER]).all()
    flagged = answers[:, layout.KIND] > 0
    assert (scores[flagged] >= 0.5).all()
    assert (answers[flagged, layout.DURATION] >= 1).all()


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 899))
def test_a_score_uses_what_came_before_only_and_a_restored_detector_goes_on_the_same(seed: int, cut: int) -> None:
    told = wild(seed)
    times = (START + np.arange(len(told)) * 300.0) * 1e6
    whole = Detector().follow(times, told)
    first = Detector()
    assert (first.follow(times[:cut], told[:cut]) == whole[:cut]).all()
    saved = first.save()
    assert len(saved) == STATE_BYTES <= 8192
    again = Detector.restore(saved)
    assert again.save() == saved
    assert (again.follow(times[cut:], told[cut:]) == whole[cut:]).all()


def test_many_series_step_together_as_each_would_alone() -> None:
    told = np.array([wild(seed, 300) for seed in range(7)])
    times = (START + np.arange(told.shape[1]) * 3600.0) * 1e6
    together = Detectors(7)
    everybody = np.arange(7)
    stepped = np.array(
        [together.step(everybody, np.full(7, time), told[:, column]) for column, time in enumerate(times)]
    )
    for row in range(7):
        assert (Detector().follow(times, told[row]) == stepped[:, row]).all()
    # A series that is not stepped is not touched.
    before = together.states[3].copy()
    together.step(np.array([0, 5]), times[:2], np.array([1.0, 2.0]))
    assert (together.states[3] == before).all()


def test_one_value_at_a_time_is_the_same_and_has_names() -> None:
    told, start = wild(3, 150), datetime.fromtimestamp(START, UTC)
    one = Detector()
    scores = [one.update(start + HOUR * row, value) for row, value in enumerate(told)]
    assert scores == named(answers_of(told))
    assert {score.kind for score in scores} <= set(layout.KINDS)


@pytest.mark.parametrize("factor", [2.0**-20, 4.0, 2.0**30])
def test_the_unit_of_a_series_does_not_matter(factor: float) -> None:
    told = series(SHAPES[0], 5).values + 0.25  # no counts: they scatter as counts do
    plain, scaled = answers_of(told), answers_of(told * factor)
    assert (plain[:, layout.KIND] == scaled[:, layout.KIND]).all()
    assert np.allclose(plain[:, layout.SCORE], scaled[:, layout.SCORE], atol=1e-3)
    assert np.allclose(plain[:, layout.EXPECTED] * factor, scaled[:, layout.EXPECTED], rtol=1e-3)


def test_noise_without_anomalies_is_quiet() -> None:
    flags = rows = 0
    for name, told in noise_series(7):
        flagged = int((answers_of(told)[:, layout.KIND] > 0).sum())
        assert flagged <= 0.015 * len(told), name
        if name != "steps":  # its steps are level shifts
            flags, rows = flags + flagged, rows + len(told)
    assert flags <= rows / 1000


def test_a_constant_series_never_flags_and_its_first_change_does() -> None:
    told = np.full(500, 7.0)
    told[400] = 9.0
    kinds = answers_of(told)[:, layout.KIND]
    assert not kinds[:400].any()
    assert kinds[400] == layout.SPIKE


def test_nothing_is_flagged_before_enough_was_seen() -> None:
    rng = np.random.default_rng(2)
    told = rng.normal(size=60) + 100
    told[20] = 1e6
    assert not answers_of(told)[:48, layout.KIND].any()


def test_missing_rows_and_missing_values_keep_the_season_in_place() -> None:
    whole = series(SHAPES[0], 1)
    kept = np.random.default_rng(4).random(len(whole.values)) > 0.1
    times, told = whole.times[kept], whole.values[kept]
    answers = Detector().follow(times * 1e6, told)
    late = answers[600:]
    usual = np.abs(late[:, layout.EXPECTED] - told[600:])
    assert np.median(usual / np.maximum(told[600:], 1)) < 0.15
    holes = whole.values.copy()
    holes[~kept] = math.nan
    assert np.isfinite(Detector().follow(whole.times * 1e6, holes)).all()


def test_a_gap_is_silence() -> None:
    rng = np.random.default_rng(5)
    told = rng.normal(size=1000) * 3 + 50
    times = START + np.arange(1000) * 60.0
    times[800:] += 86_400
    kinds = Detector().follow(times * 1e6, told)[:, layout.KIND]
    assert kinds[800] == layout.SILENCE
    assert not kinds[700:800].any()


def test_values_that_stand_still_are_a_flat_line_where_they_never_did() -> None:
    rng = np.random.default_rng(6)
    told = rng.normal(size=800) * 2 + 50
    told[600:640] = told[600]
    kinds = answers_of(told)[600:640, layout.KIND]
    assert (kinds == layout.FLAT_LINE).any()


def test_an_episode_tells_how_long_it_lasts_and_ends() -> None:
    rng = np.random.default_rng(8)
    told = rng.normal(size=800) + 100
    told[500:510] += 30
    answers = answers_of(told)
    assert answers[500, layout.DURATION] == 1
    assert answers[509, layout.DURATION] == 10
    assert not answers[530:, layout.DURATION].any()
    assert not answers[530:, layout.KIND].any()


def test_what_was_no_anomaly_is_not_flagged_again() -> None:
    rng = np.random.default_rng(9)
    told = rng.normal(size=900) + 100
    told[500], told[700] = 109.0, 109.0
    times = (START + np.arange(900) * 3600.0) * 1e6

    def kinds(forgiven: bool) -> Floats:
        detector = Detector()
        first = detector.follow(times[:502], told[:502])
        if forgiven:
            detector.not_an_anomaly()
        rest: Floats = detector.follow(times[502:], told[502:])
        return np.concatenate([first, rest])[:, layout.KIND]

    assert kinds(False)[500] == layout.SPIKE
    assert kinds(False)[700] == layout.SPIKE
    assert kinds(True)[700] == layout.NONE


def test_few_counts_are_too_few_to_speak() -> None:
    rng = np.random.default_rng(10)
    told = rng.poisson(0.05, size=2000).astype(float)
    told[1500] = 4
    assert not answers_of(told)[:, layout.KIND].any()


@pytest.mark.parametrize("saved", [b"", b"x" * STATE_BYTES, Detector().save()[:-1]])
def test_other_bytes_are_no_state(saved: bytes) -> None:
    with pytest.raises(InvalidStateError, match="version 1"):
        Detector.restore(saved)
