"""End offsets of Kafka topics: where each partition's log stands."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from vitals.clock import Clock
from vitals.kafka import connection
from vitals.settings import Settings

log = structlog.get_logger()

Offsets = Mapping[tuple[str, int], int]

TIMEOUT_SECONDS = 3.0
KEEP = timedelta(seconds=2)


def end_offsets(admin: AdminClient, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """End offset of each partition that exists; those of a broker that does not answer in time are left out.

    Markers of transactions count: behind a transactional topic a reader that has everything can be a few offsets short.
    """
    latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = {TopicPartition(topic, number): latest for topic, number in partitions}
    if not wanted:
        return {}
    found = {}
    answers = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT_SECONDS)
    for partition, answer in answers.items():
        try:
            found[(partition.topic, partition.partition)] = int(answer.result(TIMEOUT_SECONDS).offset)
        except (KafkaException, TimeoutError) as error:
            log.debug("no end offset", topic=partition.topic, partition=partition.partition, error=str(error))
    return found


class EndOffsets:
    """End offsets for an API process: one client, asked at most every two seconds."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._admin: AdminClient | None = None
        self._read: tuple[datetime, frozenset[tuple[str, int]], dict[tuple[str, int], int]] | None = None
        self._asking = threading.Lock()

    async def of(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """As `end_offsets`, without holding up the event loop."""
        return await asyncio.to_thread(self._of, partitions)

    def _of(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        with self._asking:
            asked, now = frozenset(partitions), self._clock.now()
            if self._read is not None and self._read[1] == asked and now - self._read[0] < KEEP:
                return self._read[2]
            if self._admin is None:
                self._admin = AdminClient(connection(self._settings))
            found = end_offsets(self._admin, partitions)
            if not found:
                self._admin = None  # or it would go on trying, and log that, until somebody asks again
            self._read = (now, asked, found)
            return found
