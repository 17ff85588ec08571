"""Reads a topic from its beginning to its stable end, for commands: message by message, so memory stays bounded."""

from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import TOPICS
from vitals.errors import RetriableError, UserError
from vitals.kafka import consumer_options
from vitals.settings import Settings

FIRST_ANSWER_SECONDS = 10.0
STABLE_SECONDS = 60.0


def read_to_end(settings: Settings, topic: str) -> Iterator[Message]:
    """Every committed message of a topic up to the end that it has now, each partition in its order.

    Raises:
        UserError: Kafka does not answer, or has no such topic.
        RetriableError: a transaction stays open for a minute.
    """
    yield from _read(settings, topic, dict.fromkeys(range(TOPICS[topic].partitions), 0), None)


def read_at(settings: Settings, topic: str, partition: int, offset: int) -> Message | None:
    """The committed message at one position; None where there is none (any more). Raises as `read_to_end`."""
    for message in _read(settings, topic, {partition: offset}, offset + 1):
        return message if message.offset() == offset else None
    return None


def read_between(settings: Settings, topic: str, partition: int, start: int, end: int) -> Iterator[Message]:
    """The committed messages of one partition from offset `start` to before `end`. Raises as `read_to_end`."""
    yield from _read(settings, topic, {partition: start}, end)


def _read(settings: Settings, topic: str, starts: dict[int, int], until: int | None) -> Iterator[Message]:
    consumer = Consumer(
        consumer_options(settings, "vitals-topic-reading")
        | {"enable.partition.eof": True, "partition.assignment.strategy": "range"}
    )
    try:
        assigned, waiting = [], {}
        for partition, start in starts.items():
            low, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=FIRST_ANSWER_SECONDS)
            end = end if until is None else min(end, until)
            if max(low, start) < end:
                assigned.append(TopicPartition(topic, partition, max(low, start)))
                waiting[partition] = end
        consumer.assign(assigned)
        while waiting:
            message = consumer.poll(STABLE_SECONDS)
            if message is None:
                raise RetriableError(f"{topic} is not stable after {STABLE_SECONDS:.0f} s.")
            problem, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
            if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(problem)
            if problem is None and offset < waiting.get(partition, 0):
                yield message
            # Markers of transactions take offsets too: the last message may lie well before the end.
            if offset + (problem is None) >= waiting.get(partition, 0):
                waiting.pop(partition, None)
    except KafkaException as error:
        code = error.args[0].code() if error.args and isinstance(error.args[0], KafkaError) else None
        if code in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
            raise UserError(f"Kafka has no topic {topic}: run `vitals bootstrap` first.") from error
        raise UserError(
            f"Kafka does not answer at {settings.kafka_bootstrap} ({error}): is it running, and are these its "
            'settings? For `vitals up`, run `eval "$(vitals env)"` first.'
        ) from error
    finally:
        consumer.close()
