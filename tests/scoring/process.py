"""`vitals scoring` as a process of its own beside real Kafka, registry and PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from embedded.endpoints import Endpoints
from embedded.ports import choose_ports
from tests.scoring.logs import Bundle, Published
from vitals.avro import AvroSerde
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

DEADLINE_SECONDS = 90.0


def until(done: Callable[[], bool], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Waits for something that other processes bring about.

    Raises:
        AssertionError: it did not come about in time.
    """
    give_up = time.monotonic() + deadline_seconds
    while not done():
        assert time.monotonic() < give_up, f"not within {deadline_seconds:g} s: {what}"
        time.sleep(0.05)


class VitalsProcess:
    """A `vitals` command with its own metrics port."""

    def __init__(self, endpoints: Endpoints, folder: Path, *command: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = choose_ports(["metrics"], forced={}, remembered={}, prefer_defaults=False)["metrics"].port
        self.log = folder / f"{'-'.join(command)}-{self.port}.log"
        environment = {
            **os.environ,
            **endpoints.environment(),
            "VITALS_STATE_DIR": str(folder),
            "VITALS_METRICS_PORT": str(self.port),
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vitals", *command], env=environment, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def answers(self, path: str) -> str | None:
        """Body of `/healthz` or `/metrics` where the answer is 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def ready(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return self.answers("/healthz") is not None

    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> float:
        """SIGTERM; returns how many seconds the process took to end."""
        started = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - started

    def __enter__(self) -> "VitalsProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.running():
            self.terminate()


class ScoringLog:
    """The two ends of scoring in one partition: `metrics.values` to write, `health.scores` to read."""

    def __init__(self, settings: Settings, serde: AvroSerde, partition: int) -> None:
        self._serde, self.partition = serde, partition
        self._producer = producer(settings)
        self._consumer = Consumer(consumer_options(settings, "tests-scoring"))
        self._consumer.assign([TopicPartition("health.scores", partition, 0)])
        self.published = Published()
        self.bundles = 0
        self._newest: Bundle | None = None

    def send(self, bundles: list[Bundle]) -> int:
        """Writes bundles and returns the offset after the last one."""
        for each in bundles:
            self._newest = {**each, "accounts": []}
            record = {**each, "input_partition": self.partition}
            self.send_bytes(self._serde.encode("metrics.values", "MetricValuesBundle", record))
        assert self._producer.flush(30) == 0
        return self.end("metrics.values")

    def send_bytes(self, message: bytes) -> None:
        self._producer.produce("metrics.values", message, partition=self.partition)
        self._producer.poll(0)

    def end(self, topic: str) -> int:
        """Offset after the partition's last record."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, self.partition), timeout=10)[1])

    def read(self) -> Published:
        """Takes in what is new in `health.scores`."""
        for message in self._consumer.consume(500, 0.2):
            assert message.error() is None, message.error()
            record: dict[str, Any] = self._serde.decode(message.value())[1]
            assert len(message.value() or b"") <= 512 * 1024
            self.published.add(record)
            self.bundles += 1
        return self.published

    def wait_scored(self, what: str) -> None:
        """Waits until everything sent is scored.

        Like the rollup it repeats the newest watermark now and then: a step that changes nothing may stay silent for a
        second.
        """
        end = self.end("metrics.values")
        beat = time.monotonic() + 1.5

        def scored() -> bool:
            nonlocal beat
            if self._newest is not None and time.monotonic() > beat:
                beat = time.monotonic() + 1.5
                self.send([self._newest])
            return self.read().position >= end

        until(scored, what)

    def close(self) -> None:
        self._consumer.close()
