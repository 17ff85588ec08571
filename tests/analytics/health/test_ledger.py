"""The change ledger: its causes sum to the movement, and each names what it says."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.health.circumstances import Circumstances
from analytics.health.day_values import DayValues
from analytics.health.ledger import CAUSES, End, Ledger, ledger, standing, until
from analytics.health.overrides import Override
from models.loader import model_of
from tests.analytics.health.test_scores import DAYS, MODEL, ORIGIN
from tests.analytics.health.worlds import day_values, random_windows

OTHER = model_of(
    dict(MODEL.definition)
    | {
        "version": "other",
        "signals": [
            {**entry, "weight": 1 + (7 * number) % 30}
            for number, entry in enumerate(MODEL.definition["signals"])
            if entry["name"] != "active_users"
        ],
    },
    "other",
)
ACCOUNTS = 6
seeds = st.integers(0, 2**32)


def world(seed: int) -> DayValues:
    windows = [random_windows(MODEL, seed + number, DAYS, ORIGIN) for number in range(ACCOUNTS)]
    return day_values(MODEL, windows, ORIGIN, DAYS)


def circumstances(chance: random.Random) -> Circumstances:
    metrics = sorted(MODEL.summed | MODEL.levels)
    complete = {metric: ORIGIN + chance.randrange(DAYS) for metric in metrics if chance.random() < 0.2}
    overrides = {
        row: [Override("cap", chance.randrange(100) * 1_000_000, ORIGIN + 50, ORIGIN + chance.randrange(60, DAYS))]
        for row in range(ACCOUNTS)
        if chance.random() < 0.3
    }
    return Circumstances(complete, overrides=overrides)


def assert_sums(found: Ledger) -> None:
    movement = found.after.score - found.before.score
    assert (sum(found.causes[cause] for cause in CAUSES) == movement).all()
    for cause in CAUSES:
        parts = sum(causes[cause] for causes in found.by_signal.values())
        assert (parts == found.causes[cause]).all(), cause
    for name, causes in found.by_signal.items():
        ends = [
            end.adjustment if name == "" else end.contributions.get(name, np.zeros(ACCOUNTS, dtype=np.int64))
            for end in (found.before, found.after)
        ]
        assert (sum(causes.values()) == ends[1] - ends[0]).all(), name


@settings(max_examples=100)
@given(seed=seeds)
def test_causes_sum_exactly_to_the_movement_of_the_score_and_of_every_signal(seed: int) -> None:
    """A hundred random instants: other models at either end, outages, overrides, and rows as they were told then."""
    chance = random.Random(seed)
    days = world(seed % 97)
    first, second = sorted(ORIGIN + chance.randrange(1, DAYS) for _ in range(2))
    ends = []
    for tick in (first, second):
        model = chance.choice((MODEL, OTHER))
        told = None
        if chance.random() < 0.5:
            # Known then was less: some days had not arrived.
            told = standing(model, until(days, tick - chance.randrange(1, 9)), tick, Circumstances())
        ends.append(End(tick, model, told=told))
    assert_sums(ledger(days, *ends, circumstances(chance)))


@settings(max_examples=25)
@given(seed=seeds)
def test_each_cause_is_nothing_where_it_did_not_happen(seed: int) -> None:
    chance = random.Random(seed)
    days = world(seed % 97)
    first = ORIGIN + chance.randrange(1, DAYS - 10)
    second = first + chance.randrange(0, 60)
    found = ledger(days, End(first, MODEL), End(second, MODEL))
    assert not found.causes["data_arrival"].any()
    assert not found.causes["model"].any()
    still = ledger(until(days, first), End(first, MODEL), End(second, MODEL))
    assert not still.causes["behaviour"].any()
    assert (still.causes["time"] == found.causes["time"]).all(), "what time does is the same whatever happens"
    at_once = ledger(days, End(first, MODEL), End(first, OTHER))
    assert (at_once.causes["model"] == at_once.after.score - at_once.before.score).all()
    assert not at_once.causes["time"].any()


def test_an_account_that_falls_silent_moves_by_time_and_one_that_comes_back_by_behaviour() -> None:
    busy = {ORIGIN + day: 5_000_000 for day in range(300)}
    back = busy | {ORIGIN + day: 5_000_000 for day in range(330, 360)}
    windows = [{"product.events": busy}, {"product.events": back}]
    days = day_values(MODEL, windows, ORIGIN, 400)
    found = ledger(days, End(ORIGIN + 300, MODEL), End(ORIGIN + 360, MODEL))
    silent, returned = 0, 1
    assert found.causes["time"][silent] == found.after.score[silent] - found.before.score[silent] < -20_000_000
    assert found.causes["time"][returned] == found.causes["time"][silent]
    assert found.causes["behaviour"][silent] == 0
    assert found.causes["behaviour"][returned] > 20_000_000


def test_what_arrived_late_and_what_an_override_does_have_their_own_causes() -> None:
    busy = {ORIGIN + day: 5_000_000 for day in range(300)}
    days = day_values(MODEL, [{"product.events": busy}], ORIGIN, 400)
    tick = ORIGIN + 300
    known_then = standing(MODEL, until(days, tick - 20), tick, Circumstances())
    capped = Circumstances(overrides={0: [Override("cap", 30_000_000, tick + 5, tick + 10)]})
    found = ledger(days, End(tick, MODEL, told=known_then), End(tick + 6, MODEL), capped)
    assert found.causes["data_arrival"][0] > 0
    assert found.causes["model"][0] == found.by_signal[""]["model"][0] < 0
    assert found.after.score[0] == 30_000_000
    assert_sums_of_one(found)


def assert_sums_of_one(found: Ledger) -> None:
    assert sum(int(found.causes[cause][0]) for cause in CAUSES) == found.after.score[0] - found.before.score[0]


def test_a_change_of_segment_is_the_models_cause() -> None:
    segmented = model_of(
        dict(MODEL.definition)
        | {
            "version": "segmented",
            "segments": [
                {"name": "big", "label": "Big", "when": {"plan": ["Scale"]}, "weights": {"usage_recency": 100}}
            ],
        },
        "segmented",
    )
    busy = {ORIGIN + day: 5_000_000 for day in range(400)}
    days = day_values(MODEL, [{"product.events": busy, "product.active_users": busy}], ORIGIN, 400)
    tick = ORIGIN + 300
    changes = {0: [(ORIGIN, 0), (tick + 5, 1)]}
    found = ledger(days, End(tick, segmented, changes), End(tick + 10, segmented, changes))
    assert found.causes["model"][0] != 0
    assert_sums_of_one(found)
    assert not ledger(days, End(tick, segmented, changes), End(tick + 4, segmented, changes)).causes["model"].any()
