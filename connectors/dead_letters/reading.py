"""Reads dead letters from their topic, and which of them were repaired from the streams' states."""

from collections.abc import Iterable, Iterator

import structlog
from confluent_kafka import Message

from connectors.dead_letters.letters import Letter, Position
from connectors.repairs import REPAIRED
from connectors.stream_state import CURSORS
from connectors.topic_reading import read_at, read_to_end
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError, UserError
from vitals.settings import Settings

log = structlog.get_logger()

DEAD_LETTERS = "dead_letters"


def read_letters(settings: Settings, serde: AvroSerde) -> Iterator[Letter]:
    """Every dead letter, one at a time. Raises as `read_to_end`."""
    for message in read_to_end(settings, DEAD_LETTERS):
        try:
            yield _letter(message, serde)
        except BadRecordError as error:
            log.warning("dead_letter_unreadable", offset=message.offset(), error=str(error))


def letter_at(settings: Settings, serde: AvroSerde, position: Position) -> Letter:
    """The dead letter at a position.

    Raises:
        UserError: there is none, or Kafka does not answer.
    """
    message = read_at(settings, DEAD_LETTERS, position.partition, position.offset)
    if message is None:
        raise UserError(f"There is no dead letter at {position}: `vitals dead-letters list` shows the positions.")
    return _letter(message, serde)


def _letter(message: Message, serde: AvroSerde) -> Letter:
    _, record = serde.decode(message.value())
    return Letter(Position(message.partition() or 0, message.offset() or 0), record)


def read_repaired(settings: Settings) -> set[str]:
    """Positions of the dead letters that were repaired. Raises as `read_to_end`."""
    return repaired_in(read_to_end(settings, CURSORS))


def repaired_in(messages: Iterable[Message]) -> set[str]:
    """The positions in records of `connectors.cursors`; nothing else of them is decoded."""
    marked = f"|{REPAIRED}".encode()
    found: set[str] = set()
    for message in messages:
        _, mark, position = (message.key() or b"").partition(marked)
        if mark and message.value() is not None:
            found.add(position.decode())
    return found
