"""Flink arrives at DuckDB's values, to the last decimal, also when it is killed on the way."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given

from embedded.stack import Stack
from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import METRIC_VALUES_FLINK, TOPICS
from tests.conftest import settings_for
from tests.parity.flink_log import LogWriter
from tests.parity.flink_process import Published, Window, running
from tests.parity.kafka_log import rows
from tests.parity.logs import KINDS, START, Shape, Written, first_of_each, generated
from tests.parity.shapes import APPENDED, of_an_engine
from vitals.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Logs = Mapping[str, Sequence[Written]]


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Kafka and a registry of their own: the job reads whole topics."""
    with Stack(tmp_path_factory.mktemp("stack")).infrastructure(("kafka", "registry")) as endpoints:
        settings = settings_for(endpoints, tmp_path_factory.mktemp("its state"), snapshot_interval_seconds=1.0)
        bootstrap(settings)
        prepare_topics(settings, [TOPICS[METRIC_VALUES_FLINK]])
        yield settings


@pytest.fixture
def logs() -> dict[str, list[Written]]:
    """What was appended so far."""
    return {topic: [] for topic in KINDS}


@pytest.fixture
def published(settings: Settings) -> Iterator[Published]:
    published = Published(settings)
    yield published
    published.close()


def expected(logs: Logs) -> dict[Window, Decimal | None]:
    """The values of the events that count."""
    return {
        (account, metric, grain, start.replace(tzinfo=UTC)): value
        for topic, log in logs.items()
        for account, metric, grain, start, value in rows(topic, first_of_each(log))
    }


def at_the_limits(topic: str) -> list[Written]:
    """Events that are unusual, and valid: far times, the ends of windows, odd accounts, the largest numbers."""
    log = generated(topic, Shape(60, duplicates=0, seed=1))
    midnight = START + timedelta(days=1)
    times = [
        datetime(1500, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        midnight,
        midnight - timedelta(microseconds=1),
        midnight - timedelta(microseconds=2),
    ]
    numbers = [Decimal("9999999999999999999999999.999999"), Decimal("-0.000001"), Decimal(0), None]
    return [
        Written(
            "current",
            written.read()
            | {
                "account_id": ("", "limits é 漢 😀 'quoted' {{KAFKA_BOOTSTRAP}}")[number % 2],
                "event_time": times[number % len(times)],
                "value": numbers[number % len(numbers)],
                "properties": [{}, {"": "", "feature": "", "seats": "-7.25"}, {"seats": "1e2"}][number % 3],
            },
        )
        for number, written in enumerate(log)
    ]


def test_every_metric_of_one_log_is_the_same_in_flink_and_duckdb(settings: Settings, published: Published) -> None:
    logs = {topic: [*generated(topic, Shape(4000)), *at_the_limits(topic)] for topic in KINDS}
    writer = LogWriter(settings)
    for topic, log in logs.items():
        writer.abort(topic, generated(topic, Shape(100, seed=2)))
        writer.append(topic, log)
        writer.abort(topic, generated(topic, Shape(100, seed=3)))
    with running(settings, "--until-end", "--parallelism", "2") as flink:
        assert flink.end() == 0, flink.log.read_text()
    values, wanted = published.read(), expected(logs)
    differences = {
        window: (values.get(window), wanted.get(window))
        for window in values.keys() | wanted.keys()
        if values.get(window) != wanted.get(window)
    }
    assert not differences, "\n".join(f"{window}: {values}" for window, values in sorted(differences.items())[:20])
    assert not published.went_back


@of_an_engine
@given(appended=APPENDED)
def test_whatever_the_log_is_like_flink_says_what_duckdb_says(
    settings: Settings, published: Published, logs: dict[str, list[Written]], appended: Mapping[str, list[Shape]]
) -> None:
    """Each example makes the log longer, and another job reads all of it."""
    writer = LogWriter(settings)
    for topic, shapes in appended.items():
        more = [written for shape in shapes for written in generated(topic, shape)]
        writer.append(topic, more)
        logs[topic] += more
    with running(settings, "--until-end") as flink:
        assert flink.end() == 0, flink.log.read_text()
    assert not set(published.read().items()) ^ set(expected(logs).items())


def test_killed_and_stopped_it_goes_on_where_it_was(settings: Settings, published: Published) -> None:
    whole = {topic: generated(topic, Shape(3000, days=6)) for topic in KINDS}
    writer = LogWriter(settings)
    written = 0

    def append(up_to: int) -> Logs:
        nonlocal written
        for topic, log in whole.items():
            writer.append(topic, log[written:up_to])
        written = up_to
        return {topic: log[:up_to] for topic, log in whole.items()}

    for up_to, way_to_end in ((800, "kill"), (1600, "kill_all"), (2400, "stop")):
        with running(settings) as flink:
            # What the run before it has left to commit comes first; a signal before that would meet a starting Python.
            flink.wait_for("the job runs", lambda: any(line.get("state") == "running" for line in flink.said()))
            published.read()
            before = published.records
            append(up_to - 300)
            # Values are committed with a checkpoint: there is one to go on from, and more to do after it.
            flink.wait_for(
                "the first values", lambda before=before: bool(published.read()) and published.records > before
            )
            append(up_to)
            if way_to_end == "stop":
                assert flink.stop() == 0, flink.log.read_text()
                assert any(line.get("state") == "stopped" for line in flink.said())
            else:
                getattr(flink, way_to_end)()
    stopped_at = len(published.read())
    records = published.records
    with running(settings) as flink:
        logs = append(3000)
        wanted = expected(logs)
        flink.wait_for("the last values", lambda: published.read() == wanted)
        (start,) = [line for line in flink.said() if line["event"] == "flink"]
        assert "savepoint" in start["restored"]
        assert flink.stop() == 0, flink.log.read_text()
    # From the savepoint on, not from the log's start: windows that were complete are not written again.
    assert published.records - records < stopped_at
    assert not published.went_back
