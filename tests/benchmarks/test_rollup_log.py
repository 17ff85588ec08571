"""The rollup benchmark's log and truth against plain Python over the encoded messages."""

import io
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from aiokafka.partitioner import murmur2

from benchmarks.rollup.jobs.our_worker import extended, job
from benchmarks.rollup.log import START, Log, Shape, generated, require_known_event
from benchmarks.rollup.truth import (
    DEFINITIONS,
    MEASURES,
    MILLION,
    WINDOWS,
    Windows,
    fates,
    job_windows,
    metric_windows,
    synthetic,
    window_key,
)
from metrics.catalogue import metrics_of
from vitals.avro import parsed_schema

SHAPE = Shape(events=3_000, accounts=40, partitions=3, duplicates=0.1, disorder=0.2)
Event = dict[str, Any]


@pytest.fixture(scope="module")
def log() -> Log:
    return generated(SHAPE)


@pytest.fixture(scope="module")
def events(log: Log) -> list[Event]:
    """Every message as the reference decoder reads it, in log order."""
    schema, found = parsed_schema("Event"), []
    for partition, key, body in log.messages(schema_id=7):
        assert body[:5] == b"\0\0\0\0\x07"
        stream = io.BytesIO(body[5:])
        event: Any = fastavro.schemaless_reader(stream, schema, schema)
        assert stream.read() == b""
        again = io.BytesIO()
        fastavro.schemaless_writer(again, schema, event)
        assert again.getvalue() == body[5:], "encoded as fastavro encodes it"
        assert key.decode() == event["account_id"]
        assert partition == (murmur2(key) & 0x7FFFFFFF) % SHAPE.partitions
        found.append(event)
    return found


def plain(log: Log, windows: Windows) -> dict[tuple[str, Any], list[int]]:
    """Windows by account id and start."""
    start = {window_key(0, int((START + timedelta(minutes=n)).timestamp()) * MILLION): n for n in range(-1440, 1440)}
    return {
        (log.account_ids[key // WINDOWS], START + timedelta(minutes=start[key % WINDOWS])): values
        for key, values in zip(windows.keys.tolist(), windows.values.tolist(), strict=True)
    }


def unique(events: list[Event]) -> list[Event]:
    return list({event["event_id"]: event for event in reversed(events)}.values())


def minute(event: Event) -> Any:
    return event["event_time"].replace(second=0, microsecond=0)


def test_log_is_what_its_shape_says(log: Log, events: list[Event]) -> None:
    require_known_event()
    assert len(events) == SHAPE.events
    assert log.ends() == [Counter(log.partition.tolist())[n] for n in range(SHAPE.partitions)]
    repeated = len(events) - len(unique(events))
    assert repeated == int((~log.original).sum())
    assert 0.05 < repeated / len(events) < 0.15
    place = [START + timedelta(milliseconds=6 * number) for number in log.source.tolist()]
    early = sum(event["event_time"] < at for event, at in zip(events, place, strict=True))
    assert 0.15 < early / len(events) < 0.25
    assert fates(log)[("product.feature_used", "counted")] == sum(
        event["kind"] == "product.feature_used" for event in unique(events)
    )


def test_same_shape_same_log(log: Log) -> None:
    assert list(generated(SHAPE).messages(1)) == list(log.messages(1))


@pytest.mark.parametrize("deduplicated", [True, False])
def test_rows_of_the_job(log: Log, events: list[Event], deduplicated: bool) -> None:
    rows: dict[tuple[str, Any], list[Event]] = defaultdict(list)
    for event in unique(events) if deduplicated else events:
        rows[(event["account_id"], minute(event))].append(event)
    expected = {
        window: [
            len(own) * MILLION,
            sum(event["kind"] == "product.feature_used" for event in own) * MILLION,
            sum(event["kind"] == "product.event_tracked" for event in own) * MILLION,
            sum(event["value"] is None for event in own) * MILLION,
            int(sum((event["value"] or Decimal(0) for event in own), Decimal(0)) * MILLION),
            len({event["user_id"] for event in own} - {None}) * MILLION,
        ]
        for window, own in rows.items()
    }
    assert plain(log, job_windows(log, deduplicated)) == expected


def test_metrics_by_day(log: Log, events: list[Event]) -> None:
    rows: dict[tuple[str, Any], list[Event]] = defaultdict(list)
    for event in unique(events):
        rows[(event["account_id"], minute(event).replace(hour=0, minute=0))].append(event)
    used = {at: [event for event in own if "feature" in event["properties"]] for at, own in rows.items()}
    assert plain(log, metric_windows(log, "product.features_used", "day")) == {
        at: [len({event["properties"]["feature"] for event in own}) * MILLION] for at, own in used.items() if own
    }
    valued = {at: [event["value"] for event in own if event["value"] is not None] for at, own in used.items()}
    assert plain(log, metric_windows(log, "product.value", "day")) == {
        at: [int(sum(own) * MILLION)] for at, own in valued.items() if own
    }

    names = {at: {event["properties"].get("event") for event in own} - {None} for at, own in rows.items()}
    assert plain(log, metric_windows(log, "product.event_names", "day")) == {
        at: [len(own) * MILLION] for at, own in names.items() if own
    }
    views = {at: sum(event["properties"].get("event") == "Loaded a Page" for event in own) for at, own in rows.items()}
    assert plain(log, metric_windows(log, "product.page_views", "day")) == {
        at: [count * MILLION] for at, count in views.items() if count
    }


def test_the_truth_knows_every_product_metric(log: Log) -> None:
    for metric in metrics_of("events.product"):
        for grain in metric.grains:
            metric_windows(log, metric.name, grain)


def test_synthetic_maximum_by_hour(log: Log, events: list[Event]) -> None:
    assert synthetic(2).kind == "max"
    largest: dict[tuple[str, Any], int] = {}
    for event in events:
        if event["value"] is not None:
            at = (event["account_id"], minute(event).replace(minute=0))
            largest[at] = max(largest.get(at, 0), int(event["value"] * MILLION))
    assert plain(log, metric_windows(log, "product.synthetic_02", "hour")) == {
        at: [value] for at, value in largest.items()
    }


def test_a_difference_is_said(log: Log) -> None:
    truth = job_windows(log, deduplicated=True)
    assert truth.difference(job_windows(log, deduplicated=True)) == ""
    assert "are missing" in truth.difference(job_windows(log, deduplicated=False))


def test_truth_and_worker_define_the_same_metrics() -> None:
    assert tuple(metric.name for metric in job()) == MEASURES
    for metric in (*job(), *extended(20)):
        number = metric.name.removeprefix("product.synthetic_")
        assert metric.merge == (synthetic(int(number)) if number.isdigit() else DEFINITIONS[metric.name]).kind
