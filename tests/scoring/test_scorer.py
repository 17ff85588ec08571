"""Scoring a partition: whatever the cuts and the order, the same rows come out, and they are the formula's."""

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.loader import read_model
from schemas.topics import EVENTS_TOPICS, events_topic
from streams.scoring.instants import day_of
from streams.scoring.scorer import FIRST_LOAD_GRACE_SECONDS
from streams.scoring.state import PartitionState
from tests.analytics.health.test_scores import FORMULA
from tests.scoring.logs import (
    ORIGIN,
    Bundle,
    Published,
    World,
    at_once,
    bundle,
    day_by_day,
    midnight,
    run,
    scorer_of,
    windows_of,
    world,
)
from vitals.errors import BadRecordError

MODEL = read_model()
DAYS = 420
LAST = ORIGIN + DAYS
seeds = st.integers(0, 2**31)


def everything(accounts: World, bundles: list[Bundle]) -> Published:
    published = run(scorer_of(MODEL), bundles, Published())
    ticks = sum(LAST - FORMULA.first_day(windows) for windows in accounts.values())
    assert len(published.history) == ticks, "one row an account and tick, from its first day on"
    return published


def test_a_first_load_is_the_formula_tick_by_tick() -> None:
    accounts = world(MODEL, 7, 3, DAYS)
    published = everything(accounts, at_once(accounts, LAST))
    chance = random.Random(1)
    for account_id, tick in chance.sample(sorted(published.history), 60):
        expected = FORMULA.score_at(MODEL.definition, accounts[account_id], tick)
        assert published.history[(account_id, tick)] == expected
    for account_id, windows in accounts.items():
        assert published.live[account_id] == FORMULA.score_at(MODEL.definition, windows, LAST + 1)


@settings(max_examples=10)
@given(seed=seeds)
def test_many_small_bundles_give_what_one_load_gives(seed: int) -> None:
    accounts = world(MODEL, seed % 1000, 3, DAYS)
    once = everything(accounts, at_once(accounts, LAST))
    gradually = everything(accounts, day_by_day(accounts, LAST - 120, LAST, seed))
    assert gradually.history == once.history
    assert gradually.live == once.live


@settings(max_examples=12)
@given(seed=seeds)
def test_a_topic_that_falls_behind_is_held_and_restated_when_it_catches_up(seed: int) -> None:
    accounts = world(MODEL, seed % 1000, 3, DAYS)
    chance = random.Random(seed)
    silent, days = chance.choice(EVENTS_TOPICS), chance.randrange(1, 30)
    stream = day_by_day(accounts, LAST - 60, LAST, seed)
    behind = [
        each
        for each in stream
        if each["input_topic"] == silent and each["watermark"] and each["watermark"] > midnight(LAST - days)
    ]
    scorer, published = scorer_of(MODEL), Published()
    delivered = [each for each in stream if each not in behind]
    run(scorer, delivered, published)
    reached = LAST - days - 1

    def informed(signal: dict[str, Any], tick: int) -> int:
        topics = {events_topic(term["metric"]) for term in (*signal["inputs"], *signal.get("denominator", ()))}
        return min(tick, reached) if silent in topics else tick

    known: World = {account_id: {} for account_id in accounts}
    for each in delivered:
        for account in each["accounts"]:
            for value in account["values"]:
                windows = known[account["account_id"]].setdefault(value["metric"], {})
                windows[day_of(value["window_start"])] = int(value["value"] * 1_000_000)
    for (account_id, tick), row in chance.sample(sorted(published.history.items()), 20):
        assert row == FORMULA.score_at(MODEL.definition, known[account_id], tick, informed)
    run(scorer, behind, published, first_offset=len(stream))
    once = everything(accounts, at_once(accounts, LAST))
    assert published.history == once.history
    assert published.live == once.live


@settings(max_examples=10)
@given(seed=seeds)
def test_a_topic_that_completes_its_first_load_last_is_scored_in(seed: int) -> None:
    accounts = world(MODEL, seed % 1000, 3, DAYS)
    once = everything(accounts, at_once(accounts, LAST))
    chance = random.Random(seed)
    slow = chance.choice(EVENTS_TOPICS)
    others = [each for each in at_once(accounts, LAST) if each["input_topic"] != slow]
    pause = [bundle("events.crm" if slow != "events.crm" else "events.billing", 21, (), midnight(LAST))] * 20
    values = [each for each in at_once(accounts, LAST) if each["input_topic"] == slow]
    published = everything(accounts, [*others, *pause, *values])
    assert published.history == once.history
    assert published.live == once.live


@settings(max_examples=15)
@given(seed=seeds)
def test_state_does_not_depend_on_the_order_of_topics_or_on_repetition(seed: int) -> None:
    """Records of one topic come in order, with some delivered twice; the topics mix in any way."""
    chance = random.Random(seed)
    accounts = world(MODEL, seed % 1000, 3, DAYS)
    plain = day_by_day(accounts, LAST - 60, LAST, seed)
    queues = {topic: [each for each in plain if each["input_topic"] == topic] for topic in EVENTS_TOPICS}
    mixed: list[Bundle] = []
    while any(queues.values()):
        queue = queues[chance.choice([topic for topic, queue in queues.items() if queue])]
        mixed.append(queue.pop(0))
        if chance.random() < 0.2:
            mixed.append(chance.choice([each for each in mixed if each["input_topic"] == mixed[-1]["input_topic"]]))
    one, other = PartitionState(MODEL), PartitionState(MODEL)
    for each in plain:
        one.apply(each)
    for each in mixed:
        other.apply(each)
    assert contents(one) == contents(other)


def contents(state: PartitionState) -> dict[str, Any]:
    """Every value that differs from none, by account, with the progress of the topics."""
    view = state.arrays.view()
    values = {}
    for metric, array in (*view.summed.items(), *view.levels.items()):
        absent = 0 if metric in view.summed else -(2**63)
        for row, column in zip(*(array != absent).nonzero(), strict=True):
            key = (state.arrays.account_ids[row], metric, view.origin + int(column))
            values[key] = int(array[row, column])
    firsts = dict(zip(state.arrays.account_ids, state.arrays.first_day.tolist(), strict=True))
    return {
        "values": values,
        "first": firsts,
        "topics": {name: vars(progress) for name, progress in state.topics.items()},
        "watermark": state.watermark,
        "sealed": state.sealed_through,
    }


def test_an_outdated_flush_changes_nothing_and_a_cut_one_is_repaired() -> None:
    """A rollup dies between two parts of flush 30 and sends it again as flushes 20 and 40."""
    state = PartitionState(MODEL)
    account = next(iter(world(MODEL, 1, 1, DAYS)))
    window = [(account, "product.events", ORIGIN, 5_000_000)]
    other = [(account, "product.events", ORIGIN + 1, 7_000_000)]
    state.apply(bundle("events.product", 30, window, last_part=False))
    state.apply(bundle("events.product", 20, other))
    state.apply(bundle("events.product", 40, [(account, "product.events", ORIGIN, 9_000_000)], midnight(ORIGIN + 2)))
    state.apply(bundle("events.product", 30, [(account, "product.events", ORIGIN, 1_000_000)], midnight(ORIGIN)))
    assert contents(state)["values"] == {
        (account, "product.events", ORIGIN): 9_000_000,
        (account, "product.events", ORIGIN + 1): 7_000_000,
    }
    assert state.watermark == midnight(ORIGIN + 2)


def test_a_reconciled_window_is_not_changed_by_the_stream_of_the_same_definitions() -> None:
    state = PartitionState(MODEL)
    account = next(iter(world(MODEL, 1, 1, DAYS)))

    def value_after(next_offset: int, value: int, **more: Any) -> int:
        window = (account, "product.events", ORIGIN)
        state.apply(bundle("events.product", next_offset, [(*window, value)], **more))
        return int(contents(state)["values"][window])

    assert value_after(10, 1) == 1
    assert value_after(5, 2, rank=1) == 2
    assert value_after(20, 3) == 2
    assert value_after(21, 4, definition_version=2) == 4


def test_silent_accounts_tick_when_only_the_watermark_moves() -> None:
    accounts = world(MODEL, 3, 2, DAYS)
    scorer, published = scorer_of(MODEL), Published()
    run(scorer, at_once(accounts, LAST), published)
    before = set(published.history)
    moved = [bundle("events.crm", 30, (), midnight(LAST + 3) + timedelta(hours=1))]
    run(scorer, moved, published, first_offset=100)
    added = set(published.history) - before
    assert added == {(account_id, tick) for account_id in accounts for tick in range(LAST + 1, LAST + 4)}
    assert {row["tick"] for row in published.live.values()} == {LAST + 4}


def test_a_watermark_on_midnight_opens_the_next_day() -> None:
    accounts = world(MODEL, 3, 1, DAYS)
    bundles = at_once(accounts, LAST)
    for each in bundles:
        each["watermark"] = each["watermark"] and midnight(LAST)
    published = run(scorer_of(MODEL), bundles, Published())
    assert max(tick for _, tick in published.history) == LAST
    assert {row["tick"] for row in published.live.values()} == {LAST + 1}


def test_a_change_today_scores_the_live_row_of_that_account_only() -> None:
    accounts = world(MODEL, 3, 4, DAYS)
    scorer = scorer_of(MODEL)
    run(scorer, at_once(accounts, LAST), Published())
    account = sorted(accounts)[0]
    change = [
        bundle(
            "events.product", 40, [(account, "product.events", LAST, 3_000_000)], midnight(LAST) + timedelta(hours=13)
        )
    ]
    published = run(scorer, change, Published(), first_offset=100)
    assert set(published.live) == {account}
    assert not published.history


def test_a_late_day_scores_the_ticks_after_it_again() -> None:
    accounts = world(MODEL, 3, 4, DAYS)
    scorer = scorer_of(MODEL)
    run(scorer, at_once(accounts, LAST), Published())
    account = sorted(accounts)[0]
    change = [
        bundle(
            "events.product",
            40,
            [(account, "product.events", LAST - 3, 3_000_000)],
            midnight(LAST) + timedelta(hours=13),
        )
    ]
    published = run(scorer, change, Published(), first_offset=100)
    assert set(published.history) == {(account, tick) for tick in range(LAST - 2, LAST + 1)}


def test_nothing_is_scored_before_a_first_load_is_complete() -> None:
    accounts = world(MODEL, 3, 2, DAYS)
    loading = [bundle("events.product", 10 + n, list(windows_of(accounts))) for n in range(3)]
    scorer, published = scorer_of(MODEL), Published()
    run(scorer, loading, published)
    assert not published.history
    assert published.watermark is None
    complete = [bundle(topic, 50, (), midnight(LAST)) for topic in EVENTS_TOPICS]
    run(scorer, complete[:3], published, first_offset=10)
    assert not published.history, "the fourth topic may still be loading"
    run(scorer, complete[3:], published, first_offset=13)
    assert published.history


def test_a_first_load_after_the_first_scoring_changes_live_rows_at_once_and_history_at_its_end() -> None:
    accounts = world(MODEL, 3, 2, DAYS)
    others = [each for each in at_once(accounts, LAST) if each["input_topic"] != "events.product"]
    scorer = scorer_of(MODEL)
    run(scorer, others, Published())
    run(scorer, [bundle("events.crm", 21, (), midnight(LAST))], Published(), first_offset=100)
    account = sorted(accounts)[0]
    part = [bundle("events.product", 5, [(account, "product.events", LAST - 9, 1_000_000)])]
    loading = run(scorer, part, Published(), first_offset=101)
    assert set(loading.live) == {account}
    assert not loading.history
    complete = run(scorer, [bundle("events.product", 6, (), midnight(LAST))], Published(), first_offset=102)
    assert {tick for name, tick in complete.history if name == account} >= set(range(LAST - 8, LAST + 1))


def test_a_topic_that_never_speaks_holds_nothing_up_for_long() -> None:
    accounts = world(MODEL, 3, 2, DAYS)
    spoken = [each for each in at_once(accounts, LAST) if each["input_topic"] != "events.billing"]
    scorer, published = scorer_of(MODEL), Published()
    run(scorer, spoken, published)
    assert not published.history
    again = [bundle("events.crm", 21, (), midnight(LAST))]
    run(scorer, again, published, first_offset=len(spoken) + int(FIRST_LOAD_GRACE_SECONDS))
    assert published.history


def test_a_quiet_partition_keeps_its_watermark_fresh_once_a_second_at_most() -> None:
    scorer = scorer_of(MODEL)
    run(scorer, at_once(world(MODEL, 3, 1, DAYS), LAST), Published())
    steps = [
        len(
            list(
                scorer.step(bundle("events.crm", 30 + n, (), midnight(LAST) + timedelta(hours=13)), 100 + n, 50 + n / 4)
            )
        )
        for n in range(9)
    ]
    assert steps == [1, 0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("day", "value"), [(ORIGIN, 10**17), (1, 1_000_000), (80_000, 1_000_000)], ids=["too large", "1970", "2189"]
)
def test_a_value_that_cannot_be_right_is_refused_whole(day: int, value: int) -> None:
    state = PartitionState(MODEL)
    account = next(iter(world(MODEL, 1, 1, DAYS)))
    good = (account, "product.events", ORIGIN, 1_000_000)
    with pytest.raises(BadRecordError):
        state.apply(bundle("events.product", 5, [good, (account, "product.events", day, value)], midnight(LAST)))
    assert contents(state)["values"] == {}
    assert state.watermark is None


def test_bundles_stay_small() -> None:
    import io

    import fastavro

    from streams.scoring.bundles import account_groups, bundle_record
    from vitals.avro import parsed_schema

    accounts = world(MODEL, 5, 30, DAYS)
    scorer = scorer_of(MODEL)
    sizes = []
    for offset, each in enumerate(at_once(accounts, LAST)):
        for chunk in scorer.step(each, offset, 0.0):
            assert chunk is not None
            for group in account_groups(chunk, scorer):
                buffer = io.BytesIO()
                record = bundle_record(scorer, 0, chunk.live, group, midnight(LAST))
                fastavro.schemaless_writer(buffer, parsed_schema("HealthScoresBundle"), record)
                sizes.append(buffer.tell())
    assert len(sizes) > 2
    assert max(sizes) <= 512 * 1024
