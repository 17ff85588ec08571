"""Messages that a sink cannot apply go to the dead letters before their offset is passed."""

import structlog

from sinks.delivery import Message
from sinks.instruments import DEAD_LETTERS
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import RetriableError
from vitals.kafka import producer
from vitals.settings import Settings

log = structlog.get_logger()

TOPIC = "dead_letters"
FLUSH_SECONDS = 30.0


class DeadLetters:
    """The sink's writer of dead letters. One is written again, not lost, when the sink dies before its offset moves."""

    def __init__(self, settings: Settings, serde: AvroSerde, clock: Clock, sink: str) -> None:
        self._producer = producer(settings)
        self._serde = serde
        self._clock = clock
        self._sink = sink

    def set_aside(self, message: Message, error: Exception) -> None:
        """Hands the message to Kafka; `flush` says when it is safe."""
        topic, partition = message.source
        record = {
            "source": self._sink,
            "stage": "sink",
            "error_class": type(error).__name__,
            "message": str(error),
            "origin": f"{topic}/{partition}/{message.offset}",
            "attempt": 1,
            "original": message.value or b"",
            "set_aside_at": self._clock.now(),
        }
        self._producer.produce(TOPIC, self._serde.encode(TOPIC, "DeadLetter", record), message.key, partition)
        DEAD_LETTERS.labels(self._sink, topic).inc()
        log.warning("dead letter", origin=record["origin"], error=str(error))

    def flush(self) -> None:
        """Returns once Kafka has every message that was set aside.

        Raises:
            RetriableError: it does not within 30 s.
        """
        if self._producer.flush(FLUSH_SECONDS) > 0:
            raise RetriableError("Kafka did not take the dead letters within 30 s.")
