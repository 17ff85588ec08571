"""A schema registry of a test's own: the schemas that logs are written under, by id."""

import json
import struct
from typing import Any

import fastavro

from tests.parity.logs import VERSIONS, Written, schema_of
from vitals.avro import schema_text
from vitals.errors import BadRecordError

PROGRESS_ID = 9


class KnownSchemas:
    """`vitals.avro.Registry` as far as reading needs it."""

    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, Any]] = {
            number: ("Event", fastavro.parse_schema(schema_of(version))) for number, version in enumerate(VERSIONS)
        }
        self._schemas[PROGRESS_ID] = ("Progress", fastavro.parse_schema(json.loads(schema_text("Progress"))))

    def writer_schema(self, identifier: int) -> tuple[str, Any]:
        if identifier not in self._schemas:
            raise BadRecordError(f"Schema id {identifier} is not in the registry.")
        return self._schemas[identifier]


def framed(written: Written) -> bytes:
    """An event as it lies in Kafka."""
    return struct.pack(">bI", 0, VERSIONS.index(written.version)) + written.body()
