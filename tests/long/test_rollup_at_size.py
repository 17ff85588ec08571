"""The rollup at size: restarted with millions of events in open windows, its latency, and that memory follows what is
open and not what was.
"""

import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from benchmarks.rollup import log as benchmark_log
from benchmarks.rollup.broker import VALUES, end_offsets, reader
from benchmarks.rollup.published import Published, since
from benchmarks.rollup.truth import metric_windows
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from metrics.catalogue import metrics_of
from schemas import bootstrap as topics_bootstrap
from schemas.topics import PARTITIONS
from tests.conftest import settings_for
from tests.long.conftest import Facts
from tests.long.live_latency import percentile
from tests.long.rollup_pace import Pace
from tests.parity.logs import START, Shape, Written, generated
from tests.rollup.topics import RollupTopics
from tests.scoring.process import VitalsProcess, until
from vitals.avro import AvroSerde, Registry
from vitals.settings import Settings

pytestmark = pytest.mark.slow

PRODUCT, SUPPORT = "events.product", "events.support"
OPEN_EVENTS = 2_000_000
RESTART_SECONDS = 15.0
EVENTS_A_SECOND, PACE_SECONDS = 5_000, 120
LATENCY_SECONDS = 1.2
MEMORY_GROWTH = 1.2


@pytest.fixture
def endpoints(tmp_path: Path) -> Iterator[Endpoints]:
    """A stack with empty topics."""
    stack = Stack(tmp_path / "stack")
    with stack.infrastructure(only=("kafka", "registry")) as endpoints:
        topics_bootstrap.bootstrap(settings_for(endpoints, endpoints.state_dir))
        yield endpoints


@pytest.fixture
def settings(endpoints: Endpoints) -> Settings:
    return settings_for(endpoints, endpoints.state_dir)


@pytest.fixture
def serde(settings: Settings) -> AvroSerde:
    return AvroSerde(Registry(settings.registry_url))


def told(worker: VitalsProcess, name: str) -> float | None:
    """Sum of a metric of the worker's over its labels; None until it says."""
    answer = worker.answers("/metrics") or ""
    values = [float(line.rpartition(" ")[2]) for line in answer.splitlines() if line.startswith(f"{name}{{")]
    return sum(values) if values else None


def lag(worker: VitalsProcess) -> float | None:
    """Records after the worker's positions."""
    return told(worker, "vitals_rollup_lag")


@pytest.mark.timeout(400)
def test_killed_with_two_million_open_events_it_serves_again_at_once(
    endpoints: Endpoints, settings: Settings, tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = benchmark_log.Shape(events=OPEN_EVENTS, partitions=PARTITIONS)
    log = benchmark_log.generated(shape)
    schema_id = Registry(settings.registry_url).writer_id(PRODUCT, "Event")
    benchmark_log.produce(log, settings.kafka_bootstrap, PRODUCT, schema_id)
    monkeypatch.setenv("VITALS_SNAPSHOT_INTERVAL_SECONDS", "1")
    worker = VitalsProcess(endpoints, tmp_path / "workers", "rollup")
    state_bytes: dict[int, int] = {}

    def through() -> bool:
        read, size = told(worker, "vitals_rollup_events_total"), told(worker, "vitals_rollup_state_bytes")
        if read and size:
            state_bytes[int(read)] = int(size)
        return lag(worker) == 0

    until(through, "the worker has read everything", 200)
    time.sleep(3.0)
    through()
    worker.kill()
    told_every = max(1, len(state_bytes) // 8)
    growth = ", ".join(f"{events:,}: {size / 1e6:.0f} MB" for events, size in sorted(state_bytes.items())[::told_every])
    facts("rollup's state by events in open windows", growth)
    began = time.monotonic()
    with VitalsProcess(endpoints, tmp_path / "workers", "rollup") as again:
        until(again.ready, "the worker serves again", 60)
        served = time.monotonic() - began
        # All of it once more: not one of two million is counted a second time.
        benchmark_log.produce(log, settings.kafka_bootstrap, PRODUCT, schema_id)
        until(lambda: lag(again) == 0, "the worker has read everything again", 200)
        until(lambda: lag(again) == 0, "and published it", 5)
        time.sleep(2.0)
    ends = [2 * end for end in log.ends()]
    published = Published({account: number for number, account in enumerate(log.account_ids)}, ends)
    consumer = reader(settings, "tests-at-size")
    assert sum(end_offsets(consumer, VALUES, PARTITIONS)) > 0
    for message in since(consumer, [0] * PARTITIONS):
        published.add(message)
    rows = 0
    for metric in metrics_of(PRODUCT):
        for grain in metric.grains:
            truth = metric_windows(log, metric.name, grain)
            assert not truth.difference(published.windows(metric.name, grain)), (metric.name, grain)
            rows += len(truth.keys)
    fates = published.summed_fates()
    unique = int(log.original.sum())
    assert sum(count for (_, fate), count in fates.items() if fate == "counted") == unique
    assert sum(count for (_, fate), count in fates.items() if fate == "duplicate") == 2 * OPEN_EVENTS - unique
    facts(
        f"rollup killed with {OPEN_EVENTS:,} events in open windows",
        f"serving again after {served:.1f} s (target {RESTART_SECONDS:g} s); all sent again, {rows:,} rows right",
    )
    assert served < RESTART_SECONDS


@pytest.mark.timeout(400)
def test_latency_at_a_steady_pace(endpoints: Endpoints, settings: Settings, tmp_path: Path, facts: Facts) -> None:
    schema_id = Registry(settings.registry_url).writer_id(PRODUCT, "Event")
    shape = benchmark_log.Shape(events=EVENTS_A_SECOND * PACE_SECONDS, partitions=PARTITIONS)
    messages = list(benchmark_log.generated(shape).messages(schema_id))
    with VitalsProcess(endpoints, tmp_path / "workers", "rollup") as worker:
        until(worker.ready, "the worker owns its partitions")
        pace = Pace(settings, PRODUCT, EVENTS_A_SECOND)
        watcher = threading.Thread(target=pace.watch, daemon=True)
        watcher.start()
        pace.send(messages)
        until(pace.complete, "everything sent is in metrics.values", 60)
        pace.stop()
        watcher.join()
    latencies = pace.latencies()
    assert len(latencies) == len(messages)
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    facts(
        f"rollup from produce to metrics.values at {EVENTS_A_SECOND:,} events/s for {PACE_SECONDS} s",
        f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {max(latencies):.2f} s (target p99 {LATENCY_SECONDS:g} s)",
    )
    assert p99 < LATENCY_SECONDS


@pytest.mark.timeout(900)
def test_memory_follows_what_is_open(
    endpoints: Endpoints, settings: Settings, serde: AvroSerde, tmp_path: Path, facts: Facts
) -> None:
    """Days of 20,000 events, each sealed an hour after its end: ten of them, a hundred, and ten with ten times more
    duplicates. One partition after the other, each read by a worker of its own.
    """
    peaks = {}
    for partition, (name, days, duplicates) in enumerate(
        [("10 days", 10, 0.05), ("100 days", 100, 0.05), ("10 days, half of them duplicates", 10, 0.5)]
    ):
        topics = RollupTopics(settings, serde)
        topics.progress(SUPPORT, partition, None)
        sent = 0
        for day in range(days):
            log = _one_day(day, duplicates)
            sent += len(log)
            topics.send(SUPPORT, partition, log)
            topics.progress(SUPPORT, partition, START + timedelta(days=day + 1, hours=2))
        topics.flush()
        # Snapshots let each worker begin where the one before ended, so that it reads its own partition only.
        with VitalsProcess(endpoints, tmp_path / "workers", "rollup") as worker:
            until(
                lambda worker=worker, sent=sent: (told(worker, "vitals_rollup_events_total") or 0) >= sent,
                "the worker has read everything",
                200,
            )
            time.sleep(2 * settings.snapshot_interval_seconds)
            peaks[name] = _peak_mb(worker)
    facts("rollup's peak memory as windows seal", ", ".join(f"{name}: {peak:.0f} MB" for name, peak in peaks.items()))
    base, *others = peaks.values()
    assert all(peak < MEMORY_GROWTH * base for peak in others), peaks


_DAY: list[Written] = []


def _one_day(day: int, duplicates: float) -> list[Written]:
    """The same 20,000 events, moved to the day and with ids of their own; some of them twice."""
    if not _DAY:
        _DAY.extend(generated(SUPPORT, Shape(20_000, accounts=300, days=1, duplicates=0, disorder=0)))
    rng = random.Random(day)
    log: list[Written] = []
    for number, written in enumerate(_DAY):
        record = written.record | {
            "event_id": f"{day:08x}-0000-4000-8000-{number:012x}",
            "event_time": written.record["event_time"] + timedelta(days=day),
        }
        log.append(Written(written.version, record))
        if rng.random() < duplicates:
            log.append(log[rng.randrange(len(log))])
    return log


def _peak_mb(worker: VitalsProcess) -> float:
    """Greatest resident memory of the process so far."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    assert psutil.pid_exists(worker.pid)
    return int(peak) / 1024
