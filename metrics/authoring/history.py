"""The history of an events topic, read from Kafka once: what was committed when the reading began."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from metrics.authoring.evaluation import EVENT_COLUMNS, event_table
from vitals.avro import AvroSerde, Registry
from vitals.errors import BadRecordError, RetriableError, UserError
from vitals.kafka import consumer_options
from vitals.settings import Settings

ANSWER_SECONDS = 10.0
MESSAGES_A_CALL = 5_000
EVENTS_A_CHUNK = 50_000

OnProgress = Callable[[int, int], None]
"""Called with the log positions read and those there are."""


@dataclass(frozen=True)
class History:
    """The events of a topic, each once: of those with one id the first in the log. Late ones are among them."""

    topic: str
    events: pa.Table
    duplicates: int
    unreadable: int

    @property
    def read(self) -> int:
        """Every event on the topic: counted, duplicates and unreadable ones."""
        return int(self.events.num_rows) + self.duplicates + self.unreadable


@dataclass
class _Gathered:
    seen: set[str] = field(default_factory=set)
    chunks: list[pa.Table] = field(default_factory=lambda: [EVENT_COLUMNS.empty_table()])
    records: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    unreadable: int = 0

    def add(self, serde: AvroSerde, body: bytes | None) -> None:
        try:
            name, record = serde.decode(body)
        except BadRecordError:
            self.unreadable += 1
            return
        if name != "Event":
            return
        if record["event_id"] in self.seen:
            self.duplicates += 1
            return
        self.seen.add(record["event_id"])
        self.records.append(record)
        if len(self.records) >= EVENTS_A_CHUNK:
            self.cut()

    def cut(self) -> None:
        """Rows are large as dictionaries and small as columns."""
        self.chunks.append(event_table(self.records))
        self.records = []


def read_history(settings: Settings, topic: str, on_progress: OnProgress) -> History:
    """Reads a topic from its first record to its end as it is now.

    Raises:
        UserError: Kafka or the schema registry does not answer, or the topic does not exist.
    """
    # Its troubles are told once, by the error below, and not with every attempt to connect.
    quiet = {"error_cb": lambda _: None, "enable.partition.eof": True, "partition.assignment.strategy": "range"}
    consumer = Consumer(consumer_options(settings, "vitals-metrics-preview") | quiet)
    gathered = _Gathered()
    try:
        bounds = _bounds(settings, consumer, topic)
        serde = AvroSerde(Registry(settings.registry_url))
        _read(consumer, topic, bounds, lambda message: gathered.add(serde, message.value()), on_progress)
    except KafkaException as error:
        raise UserError(f"Kafka stopped answering at {settings.kafka_bootstrap}: {error.args[0].str()}.") from error
    except RetriableError as error:
        raise UserError(f"{error} The registry is expected at {settings.registry_url}.") from error
    finally:
        consumer.close()
    gathered.cut()
    return History(topic, pa.concat_tables(gathered.chunks), gathered.duplicates, gathered.unreadable)


def _bounds(settings: Settings, consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """First and end offset of every partition that holds something."""
    try:
        found = consumer.list_topics(timeout=ANSWER_SECONDS).topics.get(topic)
    except KafkaException as error:
        raise UserError(
            f"Kafka does not answer at {settings.kafka_bootstrap}: start Vitals, or set VITALS_KAFKA_BOOTSTRAP "
            '(eval "$(vitals env)" does).'
        ) from error
    if found is None:
        raise UserError(f"Kafka at {settings.kafka_bootstrap} has no topic {topic}: run `vitals bootstrap` first.")
    bounds = {
        partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
        for partition in found.partitions
    }
    return {partition: (low, end) for partition, (low, end) in bounds.items() if low < end}


def _read(
    consumer: Consumer,
    topic: str,
    bounds: dict[int, tuple[int, int]],
    take: Callable[[Message], None],
    on_progress: OnProgress,
) -> None:
    """Hands over the messages below the bounds, in log order within a partition.

    A partition also ends where an open transaction begins: what is not committed now is not history yet.
    """
    positions = {partition: low for partition, (low, _) in bounds.items()}
    total = sum(end - low for low, end in bounds.values())
    waiting = set(bounds)
    consumer.assign([TopicPartition(topic, partition, low) for partition, low in positions.items()])
    while waiting:
        messages = consumer.consume(MESSAGES_A_CALL, timeout=0.2)
        for message in messages or _answer(consumer):
            partition, offset = message.partition() or 0, message.offset() or 0
            problem = message.error()
            if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(problem)
            end = bounds[partition][1]
            if problem is None and partition in waiting and offset < end:
                take(message)
            positions[partition] = min(offset + 1, end)
            if problem is not None or offset + 1 >= end:
                waiting.discard(partition)
                positions[partition] = end
        on_progress(total - sum(bounds[each][1] - position for each, position in positions.items()), total)


def _answer(consumer: Consumer) -> list[Message]:
    """Waits for one message where none was there at once."""
    message = consumer.poll(ANSWER_SECONDS)
    if message is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"nothing came in {ANSWER_SECONDS:.0f} s"))
    return [message]
