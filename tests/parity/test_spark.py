"""Spark says of a log what DuckDB says of it, to the last decimal."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given

from batch.plan import Summary
from batch.rollup import roll_up
from embedded.stack import Stack
from metrics.catalogue import catalogue
from schemas.bootstrap import create_topics
from schemas.topics import TOPICS
from tests.conftest import settings_for
from tests.parity.flink_log import LogWriter
from tests.parity.kafka_log import Message, Row, committed, expected, publish, rows
from tests.parity.logs import KINDS, Shape, first_of_each, generated
from tests.parity.shapes import APPENDED, of_an_engine
from vitals.settings import Settings

# The first use installs Spark.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SHAPE = Shape(4000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Kafka and registry that hold this module's logs only."""
    folder = tmp_path_factory.mktemp("spark")
    with Stack(folder / "stack").infrastructure(["kafka", "registry"]) as endpoints:
        settings = settings_for(endpoints, folder / "state")
        create_topics(settings, TOPICS.values(), 1)
        for topic in KINDS:
            publish(settings, topic, SHAPE)
        yield settings


def spark_rows(folder: Path) -> list[Row]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            "SELECT account_id, metric, grain, window_start AT TIME ZONE 'UTC', value FROM read_parquet(?)",
            [str(folder / "*.parquet")],
        ).fetchall()


def check(settings: Settings, logs: dict[str, list[Message]], summary: Summary, out: Path) -> None:
    wanted: set[Row] = set()
    for topic, log in logs.items():
        of_topic, fates = expected(settings, topic, log)
        assert Counter(summary["topics"][topic]) == fates
        wanted |= of_topic
    found = spark_rows(out)
    assert summary["rows"] == len(found)
    assert sorted(set(found) ^ wanted, key=repr)[:10] == []
    assert len(found) == len(wanted)


def test_the_whole_log(own: Settings, tmp_path: Path) -> None:
    out = tmp_path / "values.parquet"
    summary = roll_up(own, (), "earliest", "latest", str(out))
    logs = {topic: committed(own, topic) for topic in KINDS}
    check(own, logs, summary, out)
    found = set(spark_rows(out))
    assert {(metric, grain) for _, metric, grain, _, _ in found} == {
        (metric.name, grain) for metric in catalogue() for grain in metric.grains
    }
    # The reference agrees with what was generated, so neither is empty by mistake.
    for topic in KINDS:
        accounts = {written.record["account_id"] for written in generated(topic, SHAPE)}
        metrics = {metric.name for metric in catalogue() if metric.topic == topic}
        of_log = {row for row in found if row[0] in accounts and row[1] in metrics}
        assert of_log == rows(topic, first_of_each(generated(topic, SHAPE)))
        fates = summary["topics"][topic]
        assert min(fates[fate] for fate in ("counted", "duplicate", "progress", "unreadable")) > 20
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE FROM read_parquet(?)", [str(out / "*.parquet")]).fetchall()
    assert {name: kind for name, kind, *_ in described}["value"] == "DECIMAL(38,6)"


@of_an_engine
@given(appended=APPENDED)
def test_whatever_the_log_is_like_spark_says_what_duckdb_says(
    own: Settings, tmp_path_factory: pytest.TempPathFactory, appended: dict[str, list[Shape]]
) -> None:
    """Each example makes the log longer, and another job reads all of it."""
    writer = LogWriter(own)
    for topic, shapes in appended.items():
        writer.append(topic, [written for shape in shapes for written in generated(topic, shape)])
    out = tmp_path_factory.mktemp("drawn") / "values.parquet"
    summary = roll_up(own, (), "earliest", "latest", str(out))
    check(own, {topic: committed(own, topic) for topic in KINDS}, summary, out)


def test_a_range_of_one_topic(own: Settings, tmp_path: Path) -> None:
    topic = "events.billing"
    log = committed(own, topic)
    last = {each.partition: each.offset for each in log}
    # One partition from its first third on, one up to its second third, one not at all, the others whole.
    first, end = {0: last[0] // 3, 2: 0}, {1: last[1] * 2 // 3, 2: 0}
    part = [
        each
        for each in log
        if first.get(each.partition, 0) <= each.offset < end.get(each.partition, last[each.partition] + 1)
    ]
    out = tmp_path / "part"
    summary = roll_up(own, [topic], json.dumps({topic: first}), json.dumps({topic: end}), str(out))
    assert 0 < len(part) < len(log)
    check(own, {topic: part}, summary, out)
