"""Reads what was committed to a topic since a mark."""

from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.topics import topic
from vitals.avro import AvroSerde, Registry
from vitals.kafka import consumer_options
from vitals.settings import Settings


class Topic:
    """One topic from the end that it had when this was made, or with `whole` from its beginning."""

    def __init__(self, settings: Settings, name: str, *, whole: bool = False) -> None:
        self._settings, self.name = settings, name
        self._serde = AvroSerde(Registry(settings.registry_url))
        self._from = dict.fromkeys(range(topic(name).partitions), 0) if whole else self._ends()

    def records(self, *record_names: str) -> list[dict[str, Any]]:
        """Every committed record of the given names since the mark, by partition in log order."""
        return [record for name, record, _ in self.messages() if not record_names or name in record_names]

    def messages(self) -> list[tuple[str, dict[str, Any], int]]:
        """Record name, record and partition of every committed record since the mark."""
        found: list[tuple[str, dict[str, Any], int]] = []
        ends = self._ends()
        consumer = Consumer(consumer_options(self._settings, "tests") | {"enable.partition.eof": True})
        waiting = {partition for partition, end in ends.items() if end > self._from[partition]}
        consumer.assign([TopicPartition(self.name, partition, self._from[partition]) for partition in waiting])
        try:
            while waiting:
                message = consumer.poll(30.0)
                assert message is not None, f"{self.name} is not stable: partitions {waiting}"
                partition = message.partition() or 0
                if message.error() is not None:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    if (message.offset() or 0) >= ends[partition]:
                        waiting.discard(partition)
                    continue
                name, record = self._serde.decode(message.value())
                found.append((name, record, partition))
        finally:
            consumer.close()
        return sorted(found, key=lambda item: item[2])

    # A topic that was created a moment ago may have no leader yet.
    @retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(30), wait=wait_fixed(0.1), reraise=True)
    def _ends(self) -> dict[int, int]:
        # Of uncommitted records too: a commit returns before its markers are in every partition.
        consumer = Consumer(consumer_options(self._settings, "tests") | {"isolation.level": "read_uncommitted"})
        try:
            return {
                partition: consumer.get_watermark_offsets(TopicPartition(self.name, partition), timeout=30)[1]
                for partition in range(topic(self.name).partitions)
            }
        finally:
            consumer.close()
