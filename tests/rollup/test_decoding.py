"""The native decoder reads what the reference reads, and sets aside exactly what the reference cannot read."""

import io
import struct
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from streams.rollup import native
from streams.rollup.decoding import DECODED_COLUMNS, Decoded, ReferenceDecoder
from streams.rollup.native import NativeDecoder
from tests.parity.logs import KINDS, Shape, Written, generated
from tests.rollup.registry import PROGRESS_ID, KnownSchemas, framed
from vitals.avro import AvroSerde, parsed_schema, primitive

PROGRESS = struct.pack(">bI", 0, PROGRESS_ID) + (
    lambda buffer: (
        fastavro.schemaless_writer(
            buffer,
            parsed_schema("Progress"),
            {"source": "s", "stream": "s.t", "complete_through": None, "mode": "live", "written_at": 0},
        ),
        buffer.getvalue(),
    )[1]
)(io.BytesIO())


@st.composite
def spoilt(draw: st.DrawFn, body: bytes) -> bytes | None:
    """A message as a broken producer might send it."""
    how = draw(st.sampled_from(["cut", "long", "flip", "id", "none", "empty", "double"]))
    place = draw(st.integers(0, len(body) - 1))
    match how:
        case "cut":
            return body[:place]
        case "long":
            return body + draw(st.binary(min_size=1, max_size=40))
        case "flip":
            return body[:place] + bytes([body[place] ^ draw(st.integers(1, 255))]) + body[place + 1 :]
        case "id":
            return b"\0" + draw(st.binary(min_size=4, max_size=4)) + body[5:]
        case "none":
            return None
        case "empty":
            return b""
        case _:
            return body + body


@st.composite
def message_runs(draw: st.DrawFn) -> list[bytes | None]:
    topic = draw(st.sampled_from(sorted(KINDS)))
    shape = Shape(draw(st.sampled_from([0, 3, 40, 150, 400])), seed=draw(st.integers(0, 50)))
    run: list[bytes | None] = [framed(each) for each in generated(topic, shape)]
    for _ in range(draw(st.integers(0, 4))):
        run.insert(draw(st.integers(0, len(run))), PROGRESS)
    for _ in range(draw(st.integers(0, 6)) if run else 0):
        place = draw(st.integers(0, len(run) - 1))
        body = run[place]
        if body:
            run[place] = draw(spoilt(body))
    return run


def read_alike(run: list[bytes | None]) -> Decoded:
    registry = KnownSchemas()
    got = NativeDecoder(registry).decode(run)  # type: ignore[arg-type]
    expected = ReferenceDecoder(AvroSerde(registry)).decode(run)  # type: ignore[arg-type]
    assert_frame_equal(with_sorted_properties(got), with_sorted_properties(expected))
    assert got.progress == expected.progress
    assert [row for row, _ in got.unreadable] == [row for row, _ in expected.unreadable]
    return got


def with_sorted_properties(decoded: Decoded) -> pl.DataFrame:
    assert dict(decoded.events.schema) == dict(DECODED_COLUMNS)
    return decoded.events.with_columns(pl.col("properties").list.sort())


@settings(max_examples=150)
@given(message_runs())
def test_it_agrees_with_the_reference(run) -> None:
    read_alike(run)


def test_good_batches_are_read_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the property above would hold for a decoder that leaves everything to the reference."""
    run = [framed(each) for each in generated("events.product", Shape(600))]
    decoder = NativeDecoder(KnownSchemas())  # type: ignore[arg-type]

    def refuse(*_: object) -> None:
        raise AssertionError("the reference was asked")

    monkeypatch.setattr(decoder._reference, "decode_rows", refuse)
    assert decoder.decode(run).events.height == 600


def event_of(**more: object) -> Written:
    written = next(each for each in generated("events.product", Shape(50)) if each.version == "current")
    return replace(written, record=written.record | more)


def with_raw_properties(written: Written, pairs: list[tuple[str, str]]) -> bytes:
    """A body whose map is written entry by entry, as no dictionary could be."""
    entries = {
        "type": "array",
        "items": {"type": "record", "name": "E", "fields": [{"name": n, "type": "string"} for n in "kv"]},
    }
    body = framed(replace(written, record=written.record | {"properties": {}}))[:-1]
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(entries), [{"k": key, "v": value} for key, value in pairs])
    return body + buffer.getvalue()


def with_raw_value(written: Written, unscaled: int, length: int) -> bytes:
    """A body whose decimal has so many bytes, whatever its precision allows."""
    body = framed(replace(written, record=written.record | {"value": None, "properties": {}}))[:-2]
    return body + b"\2" + primitive("bytes", unscaled.to_bytes(length, "big", signed=True)) + b"\0"


@pytest.mark.parametrize(
    "body",
    [
        *[with_raw_value(event_of(), sign * number, 17) for number in (10**38 - 1, 10**38, 2**127) for sign in (1, -1)],
        with_raw_value(event_of(), 10**38, 16),
        with_raw_value(event_of(), -(10**38), 16),
        with_raw_value(event_of(), 10**60, 40),
        with_raw_value(event_of(), 5, 20),
        with_raw_value(event_of(), 0, 0),
        framed(event_of(user_id="u"))[:79] + b"\4" + framed(event_of(user_id="u"))[80:],
        framed(event_of(user_id="u"))[:79] + b"\x82\0" + framed(event_of(user_id="u"))[80:],
        with_raw_properties(event_of(), [("a", "1"), ("b", "2"), ("a", "3")]),
        framed(event_of(value=Decimal("9" * 32 + ".999999"))),
        framed(event_of(value=Decimal("-0.000001"))),
        framed(event_of(event_time=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))),
        framed(event_of(event_time=10**18)),
        framed(event_of(event_time=-(10**18))),
        framed(event_of(kind="", user_id="", properties={"": ""})),
        framed(event_of(kind="né\N{SNOWMAN}", properties={"x" * 300: "y" * 100_000})),
    ],
    ids=[
        *["37-digits", "minus-37", "39-digits", "minus-39", "128-bits", "minus-128"],
        *["39-in-16", "minus-39-in-16", "61-digits", "padded", "no-bytes", "third-branch", "long-branch"],
        "key-twice",
        "largest",
        "smallest",
        "latest",
        "past-the-calendar",
        "before-it",
        "empty",
        "long",
    ],
)
def test_odd_events_are_read_alike(body: bytes) -> None:
    rest = [framed(each) for each in generated("events.product", Shape(120))]
    read_alike([*rest[:60], body, *rest[60:]])


def test_one_bad_message_among_many_costs_only_itself() -> None:
    run: list[bytes | None] = [framed(each) for each in generated("events.product", Shape(2000))]
    run[1234] = b"\0\0\0\0\1garbage"
    got = read_alike(run)
    assert [row for row, _ in got.unreadable] == [1234]
    assert got.events.height == 1999


def test_bytes_that_one_message_lacks_and_the_next_has_too_many_are_not_read_across(monkeypatch) -> None:
    """Two bodies cut in the wrong place, whose bytes together are two good records."""
    good = [framed(each) for each in generated("events.product", Shape(200)) if each.version == "current"]
    run: list[bytes | None] = list(chain(good[:40], [good[40][:-3], good[40][-3:] + good[41]], good[42:]))
    assert len(read_alike(run).unreadable) == 2
    monkeypatch.setattr(native, "SMALLEST_NATIVE_RUN", 2)
    assert len(read_alike(run).unreadable) == 2
