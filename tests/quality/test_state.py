"""The worker's state and verdicts on logs in memory: cuts, order and restarts change nothing; and plain answers."""

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.quality.judging import Judgement
from schemas.topics import PARTITIONS
from streams.rollup.snapshots import SnapshotFolder
from streams.rollup.watermark import micros
from tests.quality.logs import CHECKS, DAY, START, InMemory, World, check, event, progress, world


@settings(max_examples=6)
@given(st.integers(0, 6), st.integers(0, 10**6), st.sampled_from((8, 30, 90)))
def test_order_and_cuts_of_reading_change_no_final_result(seed: int, order: int, largest: int) -> None:
    made = world(seed, days=24, a_day=4)
    whole, cut = InMemory(made).run(), InMemory(made).run(order, largest)
    assert cut.finals == whole.finals
    assert cut.steps == whole.steps
    assert {name for name, _, _ in whole.finals} == {each.name for each in CHECKS}


@settings(max_examples=6)
@given(st.integers(0, 4), st.integers(0, 10**6))
def test_a_restart_from_snapshots_at_any_point_changes_nothing(tmp_path_factory, seed: int, order: int) -> None:
    """Partitions are saved at different times, so that a restart finds each somewhere else."""
    random = Random(order)
    made = world(seed, days=24, a_day=4)
    expected = InMemory(made).run()
    worker, folder = InMemory(made), tmp_path_factory.mktemp("snapshots")
    snapshots = SnapshotFolder(folder, "quality", lambda: "the checks")
    for number, _ in enumerate(worker.cuts(random, 30)):
        if random.random() < 0.1:
            for partition in random.sample(range(PARTITIONS), random.randrange(PARTITIONS + 1)):
                snapshots.write(worker.state, partition)
        if random.random() < 0.03 and number < 300:
            worker.restart()
            snapshots = SnapshotFolder(folder, "quality", lambda: "the checks")
            for partition in range(PARTITIONS):
                snapshots.restore(worker.state, partition)
    worker.publish()
    assert worker.finals == expected.finals
    assert worker.steps == expected.steps


def test_events_count_in_their_window_until_the_watermark_of_their_place_has_passed_it() -> None:
    """An independent walk along each log: shares of missing amounts and of repeats, day by day."""
    made = world(3)
    missing, repeats = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for (topic, _), log in made.logs.items():
        if topic != "events.billing":
            continue
        watermark, seen = START - 99 * DAY, set()
        for name, record in log:
            if name == "Progress":
                watermark = record["complete_through"] or watermark
                continue
            day = record["event_time"].replace(hour=0, minute=0, second=0)
            fresh = record["event_id"] not in seen
            seen.add(record["event_id"])
            if day + DAY <= watermark:
                continue
            repeats[day][0] += 1
            repeats[day][1] += not fresh
            if fresh:
                missing[day][0] += 1
                missing[day][1] += record["value"] is None
    finals = InMemory(made).run().finals

    def told(name: str) -> dict[datetime, list[int]]:
        return {
            START + (start - micros(START)) // 86_400_000_000 * DAY: [final.judgement.records, final.judgement.flagged]
            for (check_name, _, start), final in finals.items()
            if check_name == name
        }

    assert told("amounts") == dict(missing)
    assert told("repeats") == dict(repeats)
    assert any(flagged for _, flagged in repeats.values())


def test_the_gate_follows_the_verdicts_and_keeps_still_where_there_is_too_little() -> None:
    finals = InMemory(made := world(11)).run()
    failing: dict[str, bool] = {}
    expected = {}
    for (name, source, start), final in sorted(finals.finals.items(), key=lambda item: item[0][2]):
        verdict = final.judgement.verdict
        if name != "amounts" or verdict == "not_enough_data" or failing.get(source) == (verdict == "failed"):
            continue
        failing[source] = verdict == "failed"
        expected[(name, source, start + 86_400_000_000)] = failing[source]
    assert {key: step.closed for key, step in finals.steps.items()} == expected
    assert {True, False} <= set(expected.values()), "this world must close and open the gate"
    assert made.logs


def empty(*topics: str) -> World:
    """Logs without anything in them."""
    return World({(topic, partition): [] for topic in topics for partition in range(PARTITIONS)})


def days_of(counts: list[int], **more: Any) -> World:
    """A product log with so many events a day."""
    made = empty("events.product")
    number = 0
    for day, count in enumerate(counts):
        for _ in range(count):
            number += 1
            at = START + day * DAY
            made.logs[("events.product", number % PARTITIONS)].append(
                event(number, "mixpanel", "product.feature_used", at, number, **more)
            )
        for log in made.logs.values():
            log.append(progress("mixpanel.all", START + (day + 1) * DAY, START + (day + 1) * DAY))
    return made


@pytest.mark.parametrize(("last", "verdict"), [(40, "passed"), (0, "failed"), (90, "failed")])
def test_volume_sees_a_day_of_silence(last: int, verdict: str) -> None:
    finals = InMemory(days_of([40] * 28 + [last])).run().finals
    final = finals[("amount_of_events", "mixpanel", micros(START + 28 * DAY))]
    assert final.judgement.verdict == verdict
    assert final.judgement.observed == last
    assert finals[("amount_of_events", "mixpanel", micros(START))].judgement.verdict == "not_enough_data"


def test_volume_of_a_day_that_goes_on_does_not_fail_for_being_young() -> None:
    made = days_of([40] * 28)
    made.logs[("events.product", 0)].append(
        event(10**6, "mixpanel", "product.feature_used", START + 28 * DAY, 1, properties={"feature": "a"})
    )
    worker = InMemory(made).run()
    provisional = [each for each in worker.open if each.check.name == "amount_of_events"][-1]
    assert (provisional.window_start, provisional.judgement.verdict) == (micros(START + 28 * DAY), "not_enough_data")


def test_freshness_tells_the_stream_that_stands_still_and_no_longer_one_that_is_retired() -> None:
    hour = DAY / 24
    made = World(
        {(topic, partition): [] for topic in ("events.product", "events.crm") for partition in range(PARTITIONS)}
    )
    for step in range(60 * 6):
        now = START + step * hour / 30
        for (topic, _), log in made.logs.items():
            if topic == "events.product":
                log.append(progress("mixpanel.all", now, now))
            elif step < 60:
                log.append(progress("salesforce.accounts", now, now))
            elif step == 60 * 5:
                log.append(progress("salesforce.accounts", None, now, "retired"))
    finals = InMemory(made).run().finals
    lags = {
        (start - micros(START)) // 3_600_000_000: final.judgement
        for (name, source, start), final in finals.items()
        if name == "streams" and source == "salesforce.accounts"
    }
    assert [lags[number].verdict for number in range(0, 11)] == [
        "passed", "passed", "passed", *["failed"] * 7, "not_enough_data",
    ]  # fmt: skip
    assert lags[5].observed == pytest.approx(4 * 3600, abs=1)
    assert {final.judgement.verdict for (name, source, _), final in finals.items() if source == "mixpanel.all"} >= {
        "passed"
    }


def test_cross_source_and_sequence_look_at_everything_so_far() -> None:
    made = World(
        {(topic, partition): [] for topic in ("events.billing", "events.crm") for partition in range(PARTITIONS)}
    )
    billing, crm = made.logs[("events.billing", 0)], made.logs[("events.crm", 0)]
    for number in range(4):
        crm.append(event(number, "salesforce", "crm.opportunity_won", START, number))
        billing.append(event(100 + number, "stripe", "billing.subscription_started", START, number))
    billing.append(event(200, "stripe", "billing.invoice_paid", START, 0))
    for (topic, _), log in made.logs.items():
        source = "salesforce.all" if topic == "events.crm" else "stripe.all"
        log.append(progress(source, START + DAY, START + DAY))
        if log is billing:
            log += [event(300 + n, "stripe", "billing.invoice_paid", START + DAY, n) for n in (1, 2, 3)]
            log += [event(400 + n, "stripe", "billing.subscription_canceled", START + DAY, 0) for n in (1, 2)]
        log.append(progress(source, START + 2 * DAY, START + 2 * DAY))
    finals = InMemory(made).run().finals
    first, second = micros(START), micros(START + DAY)
    assert finals[("both", "all", first)].judgement == Judgement("failed", 4, 3, 0.25, 0.5)
    assert finals[("both", "all", second)].judgement == Judgement("passed", 4, 0, 1.0, 0.5)
    assert finals[("order", "stripe", first)].judgement == Judgement("passed", 4, 0, 0.0, None, 0.1)
    assert finals[("order", "stripe", second)].judgement == Judgement("failed", 4, 1, 0.25, None, 0.1)


def test_an_unused_snapshot_folder_gives_nothing_back(tmp_path: Path) -> None:
    worker = InMemory(World())
    assert not SnapshotFolder(tmp_path, "quality", lambda: "x").restore(worker.state, 0)


def test_other_checks_have_no_use_for_a_snapshot(tmp_path: Path) -> None:
    made = days_of([5, 5])
    worker = InMemory(made, [check("c", "uniqueness", topic="events.product", maximum_share=0.5)]).run()
    SnapshotFolder(tmp_path, "quality", lambda: "one").write(worker.state, 0)
    again = InMemory(made)
    assert not SnapshotFolder(tmp_path, "quality", lambda: "other").restore(again.state, 0)
    assert SnapshotFolder(tmp_path, "quality", lambda: "one").restore(again.state, 0)
    assert again.state.partitions[0].next_offsets == worker.state.partitions[0].next_offsets
