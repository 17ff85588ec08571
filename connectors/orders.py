"""What people want of a stream, heeded by its runner: to pause (the compacted topic `connectors.orders`, one record a
stream), and to map dead letters again (`connectors.repairs`).

A paused stream stays registered, so it holds the watermark of its topics: nothing seals until it goes on.
"""

import threading

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from connectors.repairs import REPAIRS
from connectors.topic_reading import read_to_end
from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import BadRecordError, RetriableError
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

log = structlog.get_logger()

ORDERS = "connectors.orders"
FLUSH_SECONDS = 30.0


class Orders:
    """The orders in force, kept current by `follow_orders`."""

    def __init__(self) -> None:
        self._paused: set[str] = set()
        self._repairs: dict[str, int] = {}
        self._read = threading.Event()

    def paused(self, stream: str) -> bool:
        """Whether the stream is to fetch nothing."""
        return stream in self._paused

    def repairs_end(self, stream: str) -> int:
        """The offset behind the last repair that was sent to the stream; 0 where none was."""
        return self._repairs.get(stream, 0)

    def apply(self, record: dict[str, object]) -> None:
        """Takes one record of `connectors.orders`."""
        if record["paused"]:
            self._paused.add(str(record["stream"]))
        else:
            self._paused.discard(str(record["stream"]))

    def repair_sent(self, stream: str, offset: int) -> None:
        """Takes note of a record of `connectors.repairs`, which its stream reads itself."""
        self._repairs[stream] = max(offset + 1, self._repairs.get(stream, 0))

    def mark_read(self) -> None:
        """Everything that was ordered before this process began is known."""
        self._read.set()

    def wait_read(self, timeout_seconds: float) -> bool:
        """Blocks until then; False after the time-out."""
        return self._read.wait(timeout_seconds)


def follow_orders(settings: Settings, serde: AvroSerde, orders: Orders, stopping: threading.Event) -> None:
    """Reads both topics from their beginnings for as long as the process lives (run it in a thread of its own)."""
    consumer = Consumer(consumer_options(settings, "vitals-stream-orders"))
    places = [TopicPartition(topic, one, 0) for topic in (ORDERS, REPAIRS) for one in range(TOPICS[topic].partitions)]
    ends: dict[tuple[str, int], int] = {}
    try:
        while not stopping.is_set() and not ends:
            try:
                ends = {
                    (place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=10.0)[1]
                    for place in places
                }
            except KafkaException as error:
                log.warning("orders_unread", error=str(error))
                stopping.wait(1.0)
        consumer.assign(places)
        while not stopping.is_set():
            for message in consumer.consume(100, timeout=0.2):
                _take(message, serde, orders)
            if ends:
                at = {(place.topic, place.partition): place.offset for place in consumer.position(places)}
                if all(at[place] >= end for place, end in ends.items() if end > 0):
                    orders.mark_read()
                    ends = {}
    finally:
        consumer.close()


def _take(message: Message, serde: AvroSerde, orders: Orders) -> None:
    if message.error() is not None:
        log.warning("orders_read", error=str(message.error()))
    elif message.topic() == REPAIRS:
        orders.repair_sent((message.key() or b"").decode(errors="replace"), message.offset() or 0)
    else:
        try:
            orders.apply(serde.decode(message.value())[1])
        except BadRecordError as error:
            log.error("order_unreadable", offset=message.offset(), error=str(error))


def read_paused(settings: Settings, serde: AvroSerde) -> set[str]:
    """The streams that are paused by order. Raises as `read_to_end`."""
    orders = Orders()
    streams = set()
    for message in read_to_end(settings, ORDERS):
        _, record = serde.decode(message.value())
        orders.apply(record)
        streams.add(str(record["stream"]))
    return {stream for stream in streams if orders.paused(stream)}


def order(settings: Settings, serde: AvroSerde, clock: Clock, streams: dict[str, str], *, paused: bool) -> None:
    """Pauses or resumes streams, given as stream to source.

    Raises:
        RetriableError: the brokers did not take the records.
    """
    client = producer(settings)
    for stream, source in streams.items():
        record = {"source": source, "stream": stream, "paused": paused, "ordered_at": clock.now()}
        client.produce(ORDERS, serde.encode(ORDERS, "StreamOrder", record), stream.encode())
    if client.flush(FLUSH_SECONDS) > 0:
        raise RetriableError(f"Kafka did not take the order within {FLUSH_SECONDS:.0f} s.")
