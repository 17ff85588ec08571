"""Messages of an events topic decoded as one table.

`EventDecoder` is the contract. `ReferenceDecoder` reads message by message with fastavro and says what is right;
`NativeDecoder` (native.py) reads whole batches and agrees with it, which a property test holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from vitals.avro import AvroSerde, Record
from vitals.errors import BadRecordError

EVENT_COLUMNS: Mapping[str, pl.DataType] = MappingProxyType(
    {
        "event_id": pl.String(),
        "account_id": pl.String(),
        "user_id": pl.String(),
        "kind": pl.String(),
        "source": pl.String(),
        "event_time": pl.Datetime("us", "UTC"),
        "ingested_at": pl.Datetime("us", "UTC"),
        "value": pl.Decimal(38, 6),
        "properties": pl.List(pl.Struct({"key": pl.String(), "value": pl.String()})),
    }
)

GREATEST_VALUE = Decimal("9" * 32 + "." + "9" * 6)
"""The greatest number of 38 digits, six of them after the point."""

DECODED_COLUMNS: Mapping[str, pl.DataType] = MappingProxyType({"row": pl.Int64(), **EVENT_COLUMNS})


@dataclass(frozen=True)
class Decoded:
    """What a run of messages holds. `row` is a message's index in the run; every message is in exactly one of three.

    events: `DECODED_COLUMNS`, by row. progress: progress records by row. unreadable: why, by row.
    """

    events: pl.DataFrame
    progress: list[tuple[int, Record]] = field(default_factory=list)
    unreadable: list[tuple[int, BadRecordError]] = field(default_factory=list)


class EventDecoder(Protocol):
    """Decodes a run of messages of an events topic.

    Raises:
        RetriableError: the schema registry cannot be reached.
    """

    def decode(self, bodies: Sequence[bytes | None]) -> Decoded:
        """The messages' events, progress records and what is unreadable."""
        ...


class ReferenceDecoder:
    """One message after the other, by fastavro."""

    def __init__(self, serde: AvroSerde) -> None:
        self._serde = serde

    def decode(self, bodies: Sequence[bytes | None]) -> Decoded:
        """The messages' events, progress records and what is unreadable."""
        return self.decode_rows(list(enumerate(bodies)))

    def decode_rows(self, bodies: Sequence[tuple[int, bytes | None]]) -> Decoded:
        """The same for messages whose rows are given."""
        rows: list[dict[str, Any]] = []
        decoded = Decoded(pl.DataFrame())
        for row, body in bodies:
            try:
                name, record = self._serde.decode(body)
                if name == "Progress":
                    decoded.progress.append((row, record))
                elif name == "Event":
                    if record["value"] is not None and record["value"].copy_abs() > GREATEST_VALUE:
                        raise BadRecordError("The event's value has more than 38 digits.")
                    rows.append({"row": row, **record, "properties": _entries(record["properties"])})
                else:
                    raise BadRecordError(f"A {name} does not belong on an events topic.")
            except BadRecordError as error:
                decoded.unreadable.append((row, error))
        return Decoded(pl.DataFrame(rows, schema=DECODED_COLUMNS), decoded.progress, decoded.unreadable)


def _entries(properties: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in properties.items()]
