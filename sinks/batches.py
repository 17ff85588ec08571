"""Cuts what a consumer hands over into batches, and keeps the positions of its partitions."""

from collections.abc import Callable, Iterable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from sinks.delivery import Message, Source, Step
from sinks.instruments import LOST_RECORDS
from vitals.errors import FatalError, RetriableError
from vitals.kafka import consumer_options
from vitals.settings import Settings

log = structlog.get_logger()

MESSAGES_A_BATCH = 200
BYTES_A_BATCH = 4 * 1024 * 1024
"""Avro of a batch; the decoded objects take about ten times as much memory."""
FIRST_MESSAGE_SECONDS = 0.25
"""Longest wait for the first message of a batch. The rest is what has arrived already: a lone message goes at once."""
FILL_SECONDS = 0.005
WATERMARK_SECONDS = 10.0


class Batch:
    """Messages in log order, and how far they move each source."""

    def __init__(self, positions: dict[Source, int]) -> None:
        self.messages: list[Message] = []
        self.size = 0
        self._positions = positions
        self._next: dict[Source, int] = {}

    def add(self, message: Message) -> None:
        """Takes a message, unless its offset is applied already or its partition was revoked."""
        if message.offset >= self._reached(message.source):
            self.messages.append(message)
            self.size += len(message.value or b"")
            self._next[message.source] = message.offset + 1

    def end_of(self, source: Source, offset: int) -> None:
        """The log ends before `offset`; transaction markers before it are passed, or the lag would never be zero."""
        if source in self._positions and offset > self._reached(source):
            self._next[source] = offset

    def _reached(self, source: Source) -> float:
        return self._next.get(source, self._positions.get(source, float("inf")))

    @property
    def steps(self) -> dict[Source, Step]:
        """The move of each source."""
        return {source: Step(self._positions[source], reached) for source, reached in self._next.items()}


class BatchReader:
    """A consumer whose positions come from the sink's own store.

    claim: takes the first offset that the log holds of each newly assigned source, returns where to start.
    """

    def __init__(
        self,
        settings: Settings,
        sink: str,
        topics: Iterable[str],
        claim: Callable[[dict[Source, int]], dict[Source, int]],
    ) -> None:
        options = consumer_options(settings, f"vitals.sink.{sink}") | {
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            # Enough to keep a bulk load busy, and no more memory than that.
            "queued.max.messages.kbytes": 32 * 1024,
        }
        self.positions: dict[Source, int] = {}
        self.joined = False
        self._sink = sink
        self._claim = claim
        self._consumer = Consumer(options)
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def next_batch(self) -> Batch:
        """The next batch; an empty one when nothing came for a quarter of a second.

        Raises:
            RetriableError: Kafka says what a new session may mend.
            FatalError: a stored position lies behind the end of the log.
        """
        batch = Batch(self.positions)
        wanted, timeout = 1, FIRST_MESSAGE_SECONDS
        while len(batch.messages) < MESSAGES_A_BATCH and batch.size < BYTES_A_BATCH:
            received = self._consumer.consume(wanted, timeout)
            for message in received:
                self._take(batch, message)
            if not received:
                break
            wanted, timeout = 16, FILL_SECONDS
        return batch

    def applied(self, steps: dict[Source, Step]) -> None:
        """Remembers that the store has moved."""
        for source, step in steps.items():
            if source in self.positions:
                self.positions[source] = step.next_offset

    def lags(self) -> dict[Source, int]:
        """End offset minus position of each source, by what the brokers last told."""
        lags = {}
        for source, position in self.positions.items():
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*source), cached=True)
            lags[source] = max(0, end - position)
        return lags

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def _take(self, batch: Batch, message: KafkaMessage) -> None:
        error = message.error()
        source = Source(message.topic() or "", message.partition() or 0)
        offset = message.offset()
        if error is None:
            assert offset is not None
            batch.add(Message(source, offset, _bytes(message.key()), _bytes(message.value())))
        elif error.code() == KafkaError._PARTITION_EOF:
            assert offset is not None
            batch.end_of(source, offset)
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise RetriableError(f"A topic of {self._sink} does not exist yet: run `vitals bootstrap`. {error.str()}")
        elif error.fatal() or not error.retriable():
            raise RetriableError(f"Kafka: {error.str()}")

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        bounds = {}
        for assigned in partitions:
            try:
                bounds[Source(assigned.topic, assigned.partition)] = consumer.get_watermark_offsets(
                    assigned, timeout=WATERMARK_SECONDS
                )
            except KafkaException as error:
                raise RetriableError(f"Kafka does not tell the offsets of {assigned.topic}: {error}") from error
        starts = self._claim({source: low for source, (low, _) in bounds.items()}) if bounds else {}
        for source, start in starts.items():
            low, high = bounds[source]
            if start > high:
                raise FatalError(
                    f"{source.topic}/{source.partition} ends at {high}, but the sink {self._sink} has applied it up to "
                    f"{start}: the topic was made anew. Delete the sink's stored offset to load it from its start."
                )
            if start < low:
                # Open windows and live scores are absolute and come again; sealed ones are what reconciliation mends.
                LOST_RECORDS.labels(self._sink, source.topic).inc(low - start)
                log.error("retention removed records before they were applied", source=source, first=start, held=low)
        self.positions.update(starts)
        self.joined = True  # also with nothing assigned: a stand-by is ready too
        consumer.incremental_assign(
            [TopicPartition(*source, max(start, bounds[source][0])) for source, start in starts.items()]
        )
        log.info("assigned", partitions=len(self.positions))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        for revoked in partitions:
            self.positions.pop(Source(revoked.topic, revoked.partition), None)


def _bytes(part: str | bytes | None) -> bytes | None:
    return part.encode() if isinstance(part, str) else part
