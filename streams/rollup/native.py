"""Whole batches of Avro events decoded natively, exactly as the reference does.

The bodies are framed as one Avro object container, in which each record ends with a marker: a number that nobody
outside this process knows, and the record's index. A body that is cut short or too long is not followed by its marker
where the schema says that it ends, so that markers in their places prove that each record was read from its own bytes
and from no other. Whatever is not plain (a batch with a bad body, a schema of another shape, a map with a key twice, an
instant outside the calendar) goes to the reference, and only those messages that it cannot read are set aside.
"""

import io
import json
import secrets
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from streams.rollup.branches import foreign_branches
from streams.rollup.decoding import DECODED_COLUMNS, EVENT_COLUMNS, GREATEST_VALUE, Decoded, ReferenceDecoder
from streams.rollup.watermark import micros
from vitals.avro import PREFIX_LENGTH, AvroSerde, Registry, parsed_schema, primitive
from vitals.errors import BadRecordError

log = structlog.get_logger()

SMALLEST_NATIVE_RUN = 32
"""A smaller run costs less by the reference than the frame around it."""

EARLIEST, LATEST = (
    micros(edge.replace(tzinfo=UTC))
    for edge in (datetime.min, datetime.max)  # noqa: DTZ901
)
"""What the reference's datetime can say, in microseconds since the epoch."""

_NONCE = secrets.token_bytes(8)
_SYNC = secrets.token_bytes(16)
_INDEX = struct.Struct(">I")
MARKER_LENGTH = len(_NONCE) + _INDEX.size


class UnreadableBatchError(Exception):
    """The batch is not one that can be read natively; which message is to blame is not known."""


@dataclass(frozen=True)
class WriterPlan:
    """How the bodies of one writer's schema are read: a container's header, the columns that it has, and the newest
    schema's other columns with their defaults.
    """

    header: bytes
    types: list[Any]
    columns: list[str]
    defaults: list[pl.Expr]


class NativeDecoder:
    """Reads whole batches by Polars, whatever is not plain by the reference."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._reference = ReferenceDecoder(AvroSerde(registry))
        self._plans: dict[bytes, WriterPlan | None] = {}
        self._markers = Markers()

    def decode(self, bodies: Sequence[bytes | None]) -> Decoded:
        """The messages' events, progress records and what is unreadable."""
        by_prefix: dict[bytes, list[int]] = defaultdict(list)
        for row, body in enumerate(bodies):
            by_prefix[b"" if body is None else body[:PREFIX_LENGTH]].append(row)
        parts = [self._decode_group(prefix, rows, bodies) for prefix, rows in by_prefix.items()]
        if len(parts) == 1:
            return parts[0]
        events = pl.concat([part.events for part in parts]) if parts else pl.DataFrame(schema=DECODED_COLUMNS)
        return Decoded(
            events.sort("row"),
            sorted(chain.from_iterable(part.progress for part in parts), key=lambda each: each[0]),
            sorted(chain.from_iterable(part.unreadable for part in parts), key=lambda each: each[0]),
        )

    def _decode_group(self, prefix: bytes, rows: list[int], bodies: Sequence[bytes | None]) -> Decoded:
        plan = self._plan(prefix) if len(rows) >= SMALLEST_NATIVE_RUN else None
        if plan is None:
            return self._reference.decode_rows([(row, bodies[row]) for row in rows])
        try:
            return self._whole(plan, rows, bodies)
        except UnreadableBatchError as problem:
            decoded = self._halves(prefix, rows, bodies)
            if not decoded.unreadable and self._plans.get(prefix) is not None:
                log.warning("native_decoder_gives_way", schema_prefix=prefix.hex(), reason=str(problem))
                self._plans[prefix] = None
            return decoded

    def _halves(self, prefix: bytes, rows: list[int], bodies: Sequence[bytes | None]) -> Decoded:
        """Finds the messages to blame: each half again, down to runs that the reference reads."""
        middle = len(rows) // 2
        parts = []
        for half in (rows[:middle], rows[middle:]):
            plan = self._plans[prefix]
            if plan is None or len(half) < SMALLEST_NATIVE_RUN:
                parts.append(self._reference.decode_rows([(row, bodies[row]) for row in half]))
                continue
            try:
                parts.append(self._whole(plan, half, bodies))
            except UnreadableBatchError:
                parts.append(self._halves(prefix, half, bodies))
        first, second = parts
        return Decoded(
            pl.concat([first.events, second.events]),
            first.progress + second.progress,
            first.unreadable + second.unreadable,
        )

    def _whole(self, plan: WriterPlan, rows: list[int], bodies: Sequence[bytes | None]) -> Decoded:
        markers, expected = self._markers.first(len(rows))
        chosen: list[bytes] = [bodies[row] or b"" for row in rows]
        ends = np.cumsum(np.fromiter(map(len, chosen), np.int64, len(chosen)) + MARKER_LENGTH)
        start = plan.header + primitive("long", len(rows)) + primitive("long", int(ends[-1]))
        container = b"".join(chain((start,), chain.from_iterable(zip(chosen, markers, strict=True)), (_SYNC,)))
        try:
            frame = pl.read_avro(io.BytesIO(container), columns=[*plan.columns, "_marker"])
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the native library is no Exception
            raise UnreadableBatchError(f"{type(error).__name__}: {error}") from error
        if frame.height != len(rows) or not frame["_marker"].equals(expected):
            raise UnreadableBatchError("a record was read from another's bytes")
        events = frame.with_columns(pl.Series("row", rows, dtype=pl.Int64), *plan.defaults).select(*DECODED_COLUMNS)
        bodies_at = len(start) + PREFIX_LENGTH + np.concatenate([[0], ends[:-1]])
        foreign = foreign_branches(np.frombuffer(container, np.uint8), bodies_at, plan.types)
        odd = _odd_rows(events, foreign)
        if odd.is_empty():
            return Decoded(events)
        again = self._reference.decode_rows([(row, bodies[row]) for row in odd.to_list()])
        plain = events.filter(~pl.col("row").is_in(odd.implode()))
        return Decoded(pl.concat([plain, again.events]).sort("row"), again.progress, again.unreadable)

    def _plan(self, prefix: bytes) -> WriterPlan | None:
        if prefix not in self._plans:
            self._plans[prefix] = self._made(prefix)
        return self._plans[prefix]

    def _made(self, prefix: bytes) -> WriterPlan | None:
        if len(prefix) < PREFIX_LENGTH or prefix[0] != 0:
            return None
        try:
            name, writer = self._registry.writer_schema(int.from_bytes(prefix[1:], "big"))
        except BadRecordError:
            return None
        return plan_of(writer) if name == "Event" else None


def plan_of(writer: Any) -> WriterPlan | None:
    """How to read what a schema (parsed by fastavro) wrote; None where it takes more than the container can say."""
    reader = {each["name"]: each for each in parsed_schema("Event")["fields"]}
    written = {each["name"]: each for each in writer["fields"]}
    if any(not _is_plain(each["type"]) for each in written.values()):
        return None
    columns, defaults = [], []
    for name, wanted in reader.items():
        found = written.get(name)
        if found is None and wanted.get("default", "") in (None, {}):
            value = pl.lit(None) if wanted["default"] is None else pl.lit([])
            defaults.append(value.cast(EVENT_COLUMNS[name]).alias(name))
        elif found is not None and _bare(found["type"]) == _bare(wanted["type"]):
            columns.append(name)
        else:
            return None
    return WriterPlan(
        _header(list(written.values())), [_bare(each["type"]) for each in written.values()], columns, defaults
    )


def _is_plain(kind: Any) -> bool:
    """Whether the native decoder is known to read a type: what events have been made of so far."""
    bare = _bare(kind)
    if isinstance(bare, list):
        return len(bare) == 2 and bare[0] == "null" and _is_plain(bare[1])
    if isinstance(bare, dict):
        return bare.get("logicalType") in ("timestamp-micros", "decimal") or bare == {"type": "map", "values": "string"}
    return bare in ("string", "long", "int", "double", "boolean")


def _bare(kind: Any) -> Any:
    """A type without what says nothing of its bytes."""
    if isinstance(kind, list):
        return [_bare(each) for each in kind]
    if isinstance(kind, Mapping):
        return {
            name: _bare(part) for name, part in kind.items() if name not in ("doc", "default", "__fastavro_parsed__")
        }
    return kind


def _header(fields: list[Any]) -> bytes:
    """An object container's header for records between the wire format's prefix and the marker."""
    entry = [{"name": name, "type": "string"} for name in ("key", "value")]
    # A map has the bytes of an array of entries, which keeps the order and becomes a list of structs.
    entries = {"type": "array", "items": {"type": "record", "name": "Entry", "fields": entry}}
    prefix = {"name": "_prefix", "type": {"type": "fixed", "name": "Prefix", "size": PREFIX_LENGTH}}
    marker = {"name": "_marker", "type": {"type": "fixed", "name": "Marker", "size": MARKER_LENGTH}}
    columns = []
    for each in fields:
        bare = _bare(each["type"])
        is_map = isinstance(bare, dict) and bare["type"] == "map"
        columns.append({"name": each["name"], "type": entries if is_map else bare})
    schema = {"type": "record", "name": "FramedEvent", "fields": [prefix, *columns, marker]}
    metadata = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": b"null"}
    pairs = b"".join(primitive("long", len(part)) + part for pair in metadata.items() for part in pair)
    return b"".join((b"Obj\x01", primitive("long", len(metadata)), pairs, b"\x00", _SYNC))


class Markers:
    """The markers of a batch's records, as what is written and as what is to be read back; kept for the next batch."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._read = pl.Series(dtype=pl.Binary)

    def first(self, length: int) -> tuple[list[bytes], pl.Series]:
        """Those of the first records."""
        if length > len(self._written):
            self._written = [_NONCE + _INDEX.pack(index) for index in range(length)]
            self._read = pl.Series(self._written, dtype=pl.Binary)
        return self._written[:length], self._read.head(length)


def _odd_rows(events: pl.DataFrame, foreign: NDArray[np.bool_]) -> pl.Series:
    """Rows of events that the native decoder reads, but not as the reference does: foreign branches (a mask), instants
    outside the calendar, a value of more digits than a decimal has, a map with a key twice.
    """
    odd = [events["row"].filter(pl.Series(foreign))] if foreign.any() else []
    for column in ("event_time", "ingested_at"):
        within = events[column].to_physical().is_between(EARLIEST, LATEST)
        if not within.all():
            odd.append(events.filter(~within)["row"])
    fitting = events["value"].is_between(GREATEST_VALUE.copy_negate(), GREATEST_VALUE)
    if not fitting.all():
        odd.append(events.filter(~fitting)["row"])
    several = events.filter(pl.col("properties").list.len() > 1)
    if several.height:
        keys = several.select("row", pl.col("properties")).explode("properties").unnest("properties")
        odd.append(keys.filter(~pl.struct("row", "key").is_first_distinct())["row"])
    return pl.concat(odd).unique() if odd else pl.Series("row", [], dtype=pl.Int64)
