"""`vitals rollup` on a real Kafka: killed at random points, two at a time, one that sleeps while another works."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded.endpoints import Endpoints
from embedded.stack import Stack
from schemas import bootstrap as topics_bootstrap
from streams.rollup.native import NativeDecoder
from streams.rollup.worker import RollupWorker
from tests.conftest import settings_for
from tests.parity.logs import START, Shape, first_of_each, generated
from tests.rollup.topics import RollupTopics, expected_of, expected_values, logs_of
from tests.scoring.process import VitalsProcess, until
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.telemetry import Health

FAR = timedelta(days=1)


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A stack of its own: a worker reads every partition of topics whose names are fixed."""
    stack = Stack(tmp_path_factory.mktemp("rollup"))
    with stack.infrastructure(only=("kafka", "registry")) as endpoints:
        topics_bootstrap.bootstrap(settings_for(endpoints, endpoints.state_dir))
        yield endpoints


@pytest.fixture
def topics(endpoints: Endpoints) -> RollupTopics:
    settings = settings_for(endpoints, endpoints.state_dir)
    return RollupTopics(settings, AvroSerde(Registry(settings.registry_url)))


@pytest.fixture
def state_dir(endpoints: Endpoints) -> Path:
    """Of all workers: snapshots are where any of them can read them."""
    return endpoints.state_dir / "workers"


def send_in_shares(topics: RollupTopics, logs: dict, shares: int) -> Iterator[int]:
    """Sends the logs share by share, so that something can happen in between."""
    for share in range(shares):
        for (topic, partition), log in logs.items():
            size = len(log) // shares + 1
            topics.send(topic, partition, log[share * size : (share + 1) * size])
        topics.flush()
        yield share


def assert_is(topics: RollupTopics, logs: dict) -> None:
    """What was published in the end is what the logs say, and counts add up."""
    until(lambda: topics.through(*logs), "all of the logs is in what the workers published")
    expected = expected_of(logs)
    accounts = {key[0] for key in expected}
    assert {key: value for key, value in topics.values.items() if key[0] in accounts} == expected
    for where, log in logs.items():
        unique = sum(1 for _ in first_of_each(log))
        fates: Counter[str] = Counter()
        for (_, fate), count in topics.counts[where].items():
            fates[fate] += count
        assert fates == Counter(counted=unique, duplicate=len(log) - unique)


@pytest.mark.timeout(200)
def test_killed_at_random_points_it_ends_as_undisturbed(topics: RollupTopics, endpoints: Endpoints, state_dir) -> None:
    rng = random.Random(11)
    logs = logs_of((0, 1), 4000)
    for where in logs:
        topics.progress(*where, None)
    worker = VitalsProcess(endpoints, state_dir, "rollup")
    for share in send_in_shares(topics, logs, 4):
        until(worker.ready, "the worker owns its partitions")
        time.sleep(rng.uniform(0, 1.5))
        if share < 3:
            worker.kill()
            worker = VitalsProcess(endpoints, state_dir, "rollup")
    with worker:
        assert_is(topics, logs)


@pytest.mark.timeout(240)
def test_two_workers_share_and_a_sleeper_that_wakes_up_changes_nothing(
    topics: RollupTopics, endpoints: Endpoints, state_dir: Path
) -> None:
    """Partitions change hands while both live; then one is stopped in its tracks, loses its partitions to the other
    without knowing, wakes up and goes on with what it believes to own.
    """
    logs = logs_of((2, 3, 6, 7), 3000)
    for where in logs:
        topics.progress(*where, None)
    first = VitalsProcess(endpoints, state_dir, "rollup")
    shares = send_in_shares(topics, logs, 3)
    next(shares)
    until(first.ready, "the first worker owns its partitions")
    with first, VitalsProcess(endpoints, state_dir, "rollup") as second:
        next(shares)
        until(lambda: second.log.read_text().count("partition_assigned") == 4, "the second has taken its half")
        first._process.send_signal(signal.SIGSTOP)
        next(shares)
        until(lambda: second.log.read_text().count("partition_assigned") >= 8, "the second owns everything")
        until(lambda: topics.through(*logs), "the second has read everything")
        first._process.send_signal(signal.SIGCONT)
        until(lambda: first.log.read_text().count("partition_assigned") > 8, "the first has joined again")
        assert_is(topics, logs)
        assert first.running()


@pytest.mark.timeout(120)
def test_late_events_and_unreadable_messages_are_set_aside_exactly(
    topics: RollupTopics, endpoints: Endpoints, state_dir: Path
) -> None:
    topic, partition = "events.support", 4
    log = generated(topic, Shape(1500, days=2, seed=99))
    topics.progress(topic, partition, None)
    topics.flush()
    start = topics.end(topic, partition)
    topics.send(topic, partition, log[:700])
    topics.send_bytes(topic, partition, b"no avro at all")
    topics.send(topic, partition, log[700:])
    topics.progress(topic, partition, START + 4 * FAR)  # both days seal
    late = generated(topic, Shape(40, days=1, duplicates=0, seed=100))
    topics.send(topic, partition, late)
    open_day = generated(topic, Shape(30, duplicates=0, seed=101))
    for each in open_day:
        each.record["event_time"] += 10 * FAR
    topics.send(topic, partition, open_day)
    topics.flush()
    with VitalsProcess(endpoints, state_dir, "rollup"):
        until(lambda: topics.through((topic, partition)), "everything is read")
    expected = expected_values(topic, [*first_of_each(log), *(each.read() for each in open_day)])
    accounts = {key[0] for key in expected}
    assert {key: value for key, value in topics.values.items() if key[0] in accounts} == expected
    [dead] = topics.set_aside("dead_letters")
    assert dead["origin"] == f"{topic}/{partition}/{start + 700}"
    assert dead["original"] == b"no avro at all"
    set_aside = topics.set_aside("late_events")
    assert {each["event_id"] for each in set_aside} == {each.record["event_id"] for each in late}
    fates: Counter[str] = Counter()
    for (_, fate), count in topics.counts[(topic, partition)].items():
        fates[fate] += count
    unique = sum(1 for _ in first_of_each(log))
    assert fates == Counter(
        counted=unique + len(open_day), duplicate=len(log) - unique, late=len(late), dead_lettered=1
    )


@pytest.mark.timeout(120)
def test_what_was_read_but_not_folded_is_in_no_snapshot(
    topics: RollupTopics, endpoints: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positions have moved when folding fails: kept like that, the batch would be lost."""
    topics.send("events.crm", 5, generated("events.crm", Shape(50)))
    topics.flush()
    settings = settings_for(endpoints, tmp_path)
    registry = Registry(settings.registry_url)
    worker = RollupWorker(
        settings,
        AvroSerde(registry),
        NativeDecoder(registry),
        WallClock(),
        threading.Event(),  # type: ignore[arg-type]
    )

    def fails(*_: object) -> None:
        raise RuntimeError("no more memory")

    monkeypatch.setattr(worker._state.windows, "fold", fails)
    with pytest.raises(RuntimeError, match="no more memory"):
        worker.run(Health())
    assert [path for path in settings.snapshots.rglob("*") if path.is_file()] == []


class MovedWithinAList:
    """A consumer whose first list with messages holds those from before its partitions were assigned again, and those
    from after it: librdkafka calls back in the middle of `consume`.
    """

    def __init__(self, worker: RollupWorker) -> None:
        self._worker, self._consumer, self.moved = worker, worker._consumer, False

    def consume(self, count: int, timeout: float) -> list[Any]:
        messages = self._consumer.consume(count, timeout)
        if self.moved or not any(message.error() is None for message in messages):
            return messages
        self.moved = True
        assigned = self._consumer.assignment()
        self._worker._revoked(self._consumer, assigned)
        self._worker._assigned(self._consumer, assigned)
        return messages + self._consumer.consume(count, timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


@pytest.mark.timeout(120)
def test_a_list_from_both_sides_of_an_assignment_counts_once(
    topics: RollupTopics, endpoints: Endpoints, tmp_path: Path
) -> None:
    """Last of its module: this worker has snapshots of its own, so it reads what the others read from the beginning."""
    logs = {("events.billing", 5): generated("events.billing", Shape(800, seed=577))}
    for where, log in logs.items():
        topics.progress(*where, None)
        topics.send(*where, log)
    topics.flush()
    settings = settings_for(endpoints, tmp_path)
    registry = Registry(settings.registry_url)
    stopping = threading.Event()
    worker = RollupWorker(settings, AvroSerde(registry), NativeDecoder(registry), WallClock(), stopping)  # type: ignore[arg-type]
    moved = MovedWithinAList(worker)
    worker._consumer = moved  # type: ignore[assignment]
    running = threading.Thread(target=worker.run, args=(Health(),))
    running.start()
    try:
        assert_is(topics, logs)
    finally:
        stopping.set()
        running.join(30)
    assert moved.moved
