"""Sends messages at a steady pace and notes when the rollup's bundles cover each of them."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks.rollup.published import decoded
from schemas.topics import PARTITIONS
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

TICK_SECONDS = 0.01


class Pace:
    """One run. `watch` runs in a thread of its own while `send` sends."""

    def __init__(self, settings: Settings, topic: str, events_a_second: int) -> None:
        self._topic, self._events_a_second = topic, events_a_second
        self._producer = producer(settings)
        self._consumer = Consumer(consumer_options(settings, "tests-pace"))
        self._consumer.assign([TopicPartition("metrics.values", number, 0) for number in range(PARTITIONS)])
        self._sent_at: dict[int, dict[int, float]] = defaultdict(dict)
        """By partition: when the message of an offset was handed to the producer."""
        self._covered: dict[int, list[tuple[int, float]]] = defaultdict(list)
        """By partition: next offsets of bundles, and when they came."""
        self._stopping = threading.Event()

    def send(self, messages: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Sends (partition, key, body) at the pace."""
        began = time.monotonic()
        for number, (partition, key, body) in enumerate(messages):
            if number % 50 == 0:
                ahead = began + number / self._events_a_second - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                self._producer.poll(0)
            at = time.monotonic()
            self._producer.produce(
                self._topic, body, key, partition=partition, on_delivery=lambda _, told, at=at: self._note(told, at)
            )
        assert self._producer.flush(30) == 0

    def _note(self, message: Any, at: float) -> None:
        self._sent_at[message.partition()][message.offset()] = at

    def watch(self) -> None:
        """Reads bundles until `stop`."""
        while not self._stopping.is_set():
            for message in self._consumer.consume(100, TICK_SECONDS):
                bundle = decoded(message)
                if bundle["input_topic"] == self._topic and bundle["last_part"]:
                    self._covered[bundle["input_partition"]].append((bundle["next_offset"], time.monotonic()))
        self._consumer.close()

    def complete(self) -> bool:
        """Whether every message sent is covered."""
        return all(
            self._covered[partition] and self._covered[partition][-1][0] > max(offsets)
            for partition, offsets in self._sent_at.items()
        )

    def stop(self) -> None:
        """Ends `watch`."""
        self._stopping.set()

    def latencies(self) -> list[float]:
        """Seconds from produce to the first bundle that covers it, of every message."""
        found = []
        for partition, offsets in self._sent_at.items():
            bundles = iter(self._covered[partition])
            through, came = next(bundles)
            for offset, at in sorted(offsets.items()):
                while through <= offset:
                    through, came = next(bundles)
                found.append(came - at)
        return found
