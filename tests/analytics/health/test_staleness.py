"""An input that is withheld or judged bad: its signals hold, coverage falls, and no score rises for it."""

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.health.circumstances import Circumstances
from analytics.health.day_values import DayValues
from analytics.health.gates import Gates, GateStep
from analytics.health.scores import FRESH, STALE, STATUSES, TickScores, score_ticks
from models.loader import model_of, read_model
from tests.analytics.health.test_scores import DAYS, FORMULA, ORIGIN, row_of
from tests.analytics.health.worlds import day_values, random_windows

PLAIN = read_model()
MODEL = model_of(
    dict(PLAIN.definition)
    | {
        "version": "test",
        "hysteresis": {"points": 3, "ticks": 21},
        "staleness": {"limit_days": 2, "hold_days": 5, "decay_days": 30, "prior": 40},
        "segments": [
            {"name": "large", "label": "Large", "when": {"plan": ["Scale"]}, "weights": {"seat_change": 40}},
            {
                "name": "silent",
                "label": "Without tickets",
                "when": {"region": ["EU"]},
                "weights": {"ticket_backlog": 0},
            },
        ],
    },
    "test",
)
METRICS = sorted(MODEL.summed | MODEL.levels)
seeds = st.integers(0, 2**32)
offsets = st.integers(1, DAYS)


def accounts_of(seed: int, accounts: int = 3) -> DayValues:
    return day_values(
        MODEL, [random_windows(MODEL, seed + number, DAYS, ORIGIN) for number in range(accounts)], ORIGIN, DAYS
    )


def withheld(metric: str, through: int) -> Circumstances:
    return Circumstances({metric: through})


@settings(max_examples=30)
@given(seed=seeds, since=offsets, length=st.integers(0, 120), live=st.booleans())
def test_rows_under_any_circumstances_equal_the_plain_formula(seed: int, since: int, length: int, live: bool) -> None:
    chance = random.Random(seed)
    windows = random_windows(MODEL, seed, DAYS, ORIGIN)
    complete = {metric: ORIGIN + chance.randrange(DAYS) for metric in METRICS if chance.random() < 0.3}
    gates = Gates()
    for number in range(chance.randrange(6)):
        gated = frozenset(chance.sample(METRICS, 2))
        gates.apply(GateStep("c", str(number % 2), 1, ORIGIN + chance.randrange(DAYS), chance.random() < 0.6, gated))
    steps = [(ORIGIN + day, chance.randrange(3)) for day in sorted(chance.sample(range(DAYS), 3))]
    last = ORIGIN + since + length
    circumstances = Circumstances(complete, live, gates, {0: steps})
    scores = score_ticks(MODEL, day_values(MODEL, [windows], ORIGIN, DAYS), last - 1, last, circumstances)

    def informed(signal: dict[str, Any], tick: int) -> int:
        metrics = {term["metric"] for term in (*signal["inputs"], *signal.get("denominator", ()))}
        limits = [complete[metric] for metric in metrics if metric in complete]
        newest = min([tick, *(limit + (live and tick == last) for limit in limits)])
        while gates.closed(metrics, newest, newest)[0]:
            newest -= 1
        return newest

    def weight(signal: dict[str, Any], tick: int) -> int:
        code = next((code for start, code in reversed(steps) if start <= tick), steps[0][1])
        if code == 0:
            return int(signal["weight"])
        return int(MODEL.definition["segments"][code - 1]["weights"].get(signal["name"], signal["weight"]))

    for tick in (last - 1, last):
        expected = FORMULA.score_at(MODEL.definition, windows, tick, informed, weight)
        if expected is not None:
            code = next((code for start, code in reversed(steps) if start <= tick), steps[0][1])
            expected["segment"] = MODEL.segment_names[code]
        assert row_of(scores, 0, tick, MODEL) == expected


@settings(max_examples=40)
@given(seed=seeds, since=offsets, metric=st.sampled_from(METRICS), gate=st.booleans())
def test_withholding_an_input_or_gating_it_never_raises_a_score_and_lowers_coverage(
    seed: int, since: int, metric: str, gate: bool
) -> None:
    """At the moment at which an input goes away nothing is gained by it, however long it stays away.

    What is compared with is the same account whose signals of that input stay as they were: what they really do
    meanwhile nobody knows.
    """
    days, start = accounts_of(seed), ORIGIN + since
    gates = Gates()
    if gate:
        gates.apply(GateStep("c", "s", 1, start + 1, True, frozenset({metric})))
    circumstances = Circumstances(gates=gates) if gate else withheld(metric, start)
    frozen = [index for index, signal in enumerate(MODEL.signals) if metric in signal.metrics]
    assert frozen
    full = score_ticks(MODEL, days, start, start)
    away = score_ticks(MODEL, days, start, start + 90, circumstances)
    assert (away.score[:, 0] == full.score[:, 0]).all()
    for index in frozen:
        applies = full.status[index, :, 0] == FRESH
        # The value stays that of the last complete tick, and so does whether it applies.
        assert (away.applies[index] == applies[:, None]).all()
        assert (away.values[index] == full.values[index]).all()
        points = away.contributions[index]
        weights = sum(
            np.where(away.applies[other], MODEL.signals[other].weight, 0) for other in range(len(MODEL.signals))
        )
        same_weights = (weights == weights[:, :1]).all(axis=1)
        assert (np.diff(points[same_weights & away.exists[:, 0]], axis=1) <= 0).all()
    known = score_ticks(MODEL, days, start, start + 90)
    limit = MODEL.signals[frozen[0]].staleness.limit_days
    counted = np.zeros(away.coverage.shape, dtype=bool)
    for index in frozen:
        counted |= (away.status[index] == STALE) & (known.status[index] == FRESH)
    assert not counted[:, : limit + 1].any()
    unlike = (away.status != known.status).any(axis=0) & counted
    assert (away.coverage[unlike] < known.coverage[unlike]).all() or not unlike.any()


@settings(max_examples=40)
@given(seed=seeds, since=offsets, lost=st.sampled_from(METRICS))
def test_the_signals_state_alone_decides_so_losing_any_one_input_at_a_tick_never_raises_its_score(
    seed: int, since: int, lost: str
) -> None:
    """Law on one tick: the same values, one input older. Score at most the same, coverage less once it is too old."""
    tick = ORIGIN + since
    steady = {metric: dict.fromkeys(range(ORIGIN - 500, ORIGIN + DAYS + 200), 3000000) for metric in METRICS}
    steady |= {lost: dict(random_windows(MODEL, seed, DAYS, ORIGIN).get(lost, {ORIGIN: 1_000_000}))}
    steady[lost] = {day: value for day, value in steady[lost].items() if day < tick - 120}
    days = day_values(MODEL, [steady], ORIGIN - 500, DAYS + 800)
    ages = (0, 1, 3, 8, 20, 60)
    rows = [score_ticks(MODEL, days, tick, tick, withheld(lost, tick - age)) for age in ages]
    frozen = [index for index, signal in enumerate(MODEL.signals) if lost in signal.metrics]
    values = [[float(row.values[index, 0, 0]) for index in frozen] for row in rows]
    for age, row, held in zip(ages, rows, values, strict=True):
        if held == values[0] and (row.applies == rows[0].applies).all():
            assert row.score[0, 0] <= rows[0].score[0, 0]
            stale = age > 2 and bool(row.applies[frozen].any())
            assert (row.coverage[0, 0] < rows[0].coverage[0, 0]) == stale


def test_a_connector_outage_of_three_days_changes_no_band_and_real_silence_does() -> None:
    busy = {ORIGIN + day: 10_000_000 for day in range(300)}
    windows = dict.fromkeys(("product.events", "product.active_users", "product.features_used"), busy)
    days = day_values(PLAIN, [windows], ORIGIN, 400)
    product = [metric for metric in METRICS if metric.startswith("product.")]
    out = Circumstances(dict.fromkeys(product, ORIGIN + 300))
    outage = score_ticks(PLAIN, days, ORIGIN + 300, ORIGIN + 303, out)
    assert set(outage.band[0].tolist()) == {0}
    assert np.diff(outage.score[0]).tolist() == [0, 0, 0]
    assert outage.coverage[0, 3] < outage.coverage[0, 0]
    silence = score_ticks(PLAIN, days, ORIGIN + 300, ORIGIN + 345)
    at_risk = list(outage.band_names).index("at_risk")
    assert silence.band[0, -1] == at_risk
    assert (silence.coverage[0] == silence.coverage[0, 0]).all()


def statuses(scores: TickScores, metric: str) -> set[str]:
    own = [index for index, signal in enumerate(MODEL.signals) if metric in signal.metrics]
    return {STATUSES[code] for code in np.unique(scores.status[own]).tolist()}


def test_an_input_older_than_the_arrays_ticks_is_still_held() -> None:
    days = accounts_of(11)
    scores = score_ticks(MODEL, days, ORIGIN + DAYS, ORIGIN + DAYS, withheld("product.events", ORIGIN + 200))
    held = score_ticks(MODEL, days, ORIGIN + 200, ORIGIN + 200)
    index = next(at for at, signal in enumerate(MODEL.signals) if signal.name == "usage_recency")
    assert (scores.values[index] == held.values[index]).all()
    assert "fresh" not in statuses(scores, "product.events")
