"""Gates of data quality: a failing check makes a metric's signals stale, and rows are restated when a gate moves."""

import random
from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.health.gates import Gates, GateStep
from models.loader import read_model
from tests.scoring.logs import ORIGIN, Bundle, Published, at_once, bundle, day_by_day, midnight, run, scorer_of, world

MODEL = read_model()
DAYS = 300
LAST = ORIGIN + DAYS
GATED = "billing.seats"
SEATS = [index for index, signal in enumerate(MODEL.signals) if GATED in signal.metrics]


def gate(
    since: int, closed: bool, version: int = 1, source: str = "stripe", metrics: tuple[str, ...] = (GATED,)
) -> Any:
    return {
        "check": "seats",
        "version": version,
        "source": source,
        "since": midnight(since),
        "closed": closed,
        "metrics": list(metrics),
    }


def told(*steps: Any) -> Bundle:
    return bundle("events.billing", 0, (), gates=list(steps), definition_version=0, last_part=False)


steps = st.builds(
    GateStep,
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(1, 2),
    st.integers(0, 12),
    st.booleans(),
    st.frozensets(st.sampled_from(("m", "n")), min_size=1),
)


@given(
    st.lists(steps, max_size=12, unique_by=lambda step: (step.check, step.source, step.version, step.since)),
    st.randoms(),
)
def test_gates_follow_the_newest_step_of_the_greatest_version_in_any_order(told: list[GateStep], shuffle: Any) -> None:
    gates = Gates()
    shuffle.shuffle(told)
    for step in [*told, *told[:3]]:
        gates.apply(step)
    expected = []
    for tick in range(14):
        closed = False
        for check in "ab":
            for source in "xy":
                own = [step for step in told if (step.check, step.source) == (check, source)]
                version = max((step.version for step in own), default=0)
                past = [step for step in own if step.version == version and step.since <= tick]
                newest = max(past, key=lambda step: step.since, default=None)
                closed |= newest is not None and newest.closed and "m" in newest.metrics
        expected.append(closed)
    assert gates.closed({"m"}, 0, 13).tolist() == expected


def test_a_closed_gate_holds_the_signal_and_takes_coverage_down_from_its_tick_until_it_opens() -> None:
    accounts = world(MODEL, 5, 4, DAYS)
    plain = run(scorer_of(MODEL), at_once(accounts, LAST), Published())
    scorer, published = scorer_of(MODEL), Published()
    run(scorer, [*at_once(accounts, LAST), told(gate(LAST - 20, True)), told(gate(LAST - 10, False))], published)
    weight = {index: MODEL.signals[index].weight for index in SEATS}
    limit = MODEL.signals[SEATS[0]].staleness.limit_days
    gated = 0
    for (account_id, tick), row in published.history.items():
        before = plain.history[(account_id, tick)]
        if not LAST - 20 <= tick < LAST - 10:
            # Ticks after may have another trend, which looks back over the gated ones.
            assert {**row, "trend": ""} == {**before, "trend": ""}
            continue
        known = plain.history.get((account_id, LAST - 21))
        applied = [index for index in SEATS if known and known["contributions"][index] is not None]
        gated += len(applied)
        for index in SEATS:
            held = known["signal_values"][index] if known else None
            assert row["signal_values"][index] == held, "the value of the last tick before the gate closed"
        if tick - (LAST - 21) > limit:
            assert {row["statuses"][index] for index in SEATS} <= {"stale", "missing"}
            lost = sum(weight[index] for index in SEATS if before["contributions"][index] is not None)
            assert abs(before["coverage"] - row["coverage"] - lost * 1_000_000 / MODEL.total_weight) <= 1
        assert sum(part for part in row["contributions"] if part is not None) == (row["score"] or 0)
    assert gated > 10, "this world must have something to gate"
    assert published.live.keys() == plain.live.keys()


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_when_a_gate_moves_does_not_matter_to_the_rows_in_the_end(seed: int) -> None:
    """Told before the first load, in the middle of the stream or after it, in one bundle or several, once or twice."""
    chance = random.Random(seed)
    accounts = world(MODEL, seed % 100, 3, DAYS)
    moves = [gate(LAST - 40 + 7 * n, chance.random() < 0.5) for n in range(6)]
    once = run(scorer_of(MODEL), [told(*moves), *at_once(accounts, LAST)], Published())
    stream = day_by_day(accounts, LAST - 50, LAST, seed)
    for move in [*moves, *chance.sample(moves, 2)]:
        stream.insert(chance.randrange(len(stream) + 1), told(move))
    stream.append(bundle("events.crm", 10**6, (), midnight(LAST) + timedelta(hours=12), midnight(LAST - 6)))
    spread = run(scorer_of(MODEL), stream, Published())
    assert spread.history == once.history
    assert spread.live == once.live


def test_only_rows_from_the_gates_tick_on_are_restated_and_the_live_row_with_them() -> None:
    accounts = world(MODEL, 3, 3, DAYS)
    scorer = scorer_of(MODEL)
    run(scorer, at_once(accounts, LAST), Published())
    published = run(scorer, [told(gate(LAST - 1, True))], Published(), first_offset=100)
    assert {tick for _, tick in published.history} == {LAST - 1, LAST}
    assert set(published.live) == set(accounts)
    assert published.position == 101, "restated rows have a greater revision"


def test_gates_of_no_metric_end_those_of_an_older_version() -> None:
    gates = Gates()
    gates.apply(GateStep("seats", "stripe", 1, 5, True, frozenset({GATED})))
    gates.apply(GateStep("seats", "stripe", 2, 3, True, frozenset()))
    assert not np.any(gates.closed({GATED}, 0, 20))
