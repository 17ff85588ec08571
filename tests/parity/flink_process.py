"""`vitals rollup --engine flink` as a process that tests stop and kill, and the values that it publishes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaError, TopicPartition

from metrics.catalogue import catalogue
from schemas.topics import METRIC_VALUES_FLINK, PARTITIONS
from vitals.avro import AvroSerde, Registry
from vitals.kafka import consumer_options
from vitals.settings import Settings

Window = tuple[str, str, str, datetime]
"""Account, metric, grain, window start."""

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 240.0


class FlinkProcess:
    """One run of the command."""

    def __init__(self, settings: Settings, *options: str) -> None:
        self.log = settings.state_dir / f"flink-{time.monotonic_ns()}.log"
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "VITALS_REGISTRY_URL": settings.registry_url,
            "VITALS_STATE_DIR": str(settings.state_dir),
            "VITALS_SNAPSHOT_INTERVAL_SECONDS": str(settings.snapshot_interval_seconds),
        }
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "vitals", "rollup", "--engine", "flink", *options]
            self._process = psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def said(self) -> list[dict[str, Any]]:
        """Its log lines so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds while the process runs."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self._process.poll() is None, f"it ended before {what}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"{what} did not come about:\n{self.log.read_text()}"
            time.sleep(0.2)

    def end(self) -> int:
        """Waits until it ends by itself; its exit status."""
        return int(self._process.wait(DEADLINE_SECONDS))

    def stop(self) -> int:
        """Asks it to stop."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        """Kills the command alone (SIGKILL), and sees that Flink goes with it."""
        children = self._process.children(recursive=True)
        self._process.kill()
        _, alive = psutil.wait_procs([self._process, *children], timeout=20)
        assert not alive, f"these outlived it: {alive}"

    def kill_all(self) -> None:
        """Kills the command, Flink's Python and Java at once."""
        everyone = [self._process, *self._process.children(recursive=True)]
        for process in everyone:
            process.kill()
        psutil.wait_procs(everyone, timeout=20)


@contextmanager
def running(settings: Settings, *options: str) -> Iterator[FlinkProcess]:
    """A process that does not outlive the block."""
    process = FlinkProcess(settings, *options)
    try:
        yield process
    finally:
        if process._process.is_running():
            process.kill_all()


class Published:
    """The committed values of the result topic, as a compacting reader sees them."""

    def __init__(self, settings: Settings) -> None:
        self.values: dict[Window, Decimal] = {}
        self.records = 0
        self.went_back: list[Window] = []
        self._reached = dict.fromkeys(range(PARTITIONS), 0)
        self._counts = {metric.name for metric in catalogue() if metric.merge == "count"}
        self._serde = AvroSerde(Registry(settings.registry_url))
        self._consumer = Consumer(consumer_options(settings, "parity") | {"enable.partition.eof": True})
        self._consumer.assign([TopicPartition(METRIC_VALUES_FLINK, number, 0) for number in range(PARTITIONS)])

    def read(self) -> dict[Window, Decimal]:
        """Reads to the present end. A count that shrinks is noted: no event is ever taken back."""
        ends = {
            number: self._consumer.get_watermark_offsets(TopicPartition(METRIC_VALUES_FLINK, number))[1]
            for number in range(PARTITIONS)
        }
        while any(self._reached[number] < end for number, end in ends.items()):
            message = self._consumer.poll(10.0)
            assert message is not None, f"the ends {ends} did not come"
            problem = message.error()
            if problem is not None:
                assert problem.code() == KafkaError._PARTITION_EOF, problem
                # Past the markers of transactions, which no reader sees.
                self._reached[message.partition()] = message.offset()
                continue
            name, key = self._serde.decode(message.key())
            assert name == "WindowKey"
            name, record = self._serde.decode(message.value())
            assert name == "WindowValue"
            assert {field: record[field] for field in key} == key
            self._take((key["account_id"], key["metric"], key["grain"], key["window_start"]), record["value"])
        return self.values

    def _take(self, window: Window, value: Decimal) -> None:
        self.records += 1
        if window[1] in self._counts and value < self.values.get(window, Decimal(0)):
            self.went_back.append(window)
        self.values[window] = value

    def close(self) -> None:
        """Leaves the topic."""
        self._consumer.close()
