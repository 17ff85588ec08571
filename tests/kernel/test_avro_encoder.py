"""The compiled Avro encoder writes what fastavro writes, and refuses what does not fit."""

import io
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid5

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitals.avro import encoder, parsed_schema
from vitals.avro_encoder import compiled
from vitals.events import EVENT_NAMESPACE, name_uuid

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.just("é" * 3_000)
INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]))
DECIMALS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda unscaled: Decimal(f"{unscaled}E-6"))
EVENTS = st.fixed_dictionaries(
    {
        "event_id": TEXTS,
        "account_id": TEXTS,
        "user_id": st.none() | TEXTS,
        "kind": TEXTS,
        "source": TEXTS,
        "event_time": INSTANTS,
        "ingested_at": INSTANTS,
        "value": st.none() | DECIMALS,
        "properties": st.dictionaries(TEXTS, TEXTS, max_size=5),
    }
)
RAW = st.fixed_dictionaries(
    {
        "source": TEXTS,
        "object": TEXTS,
        "source_id": TEXTS,
        "fetched_at": INSTANTS,
        "cursor": TEXTS,
        "body": TEXTS,
    }
)
LONGS = {
    "type": "record",
    "name": "Longs",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "text", "type": "string"}]}},
        {"name": "late", "type": ["string", "null"], "default": "none given"},
    ],
}


def by_fastavro(schema: Any, record: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    return buffer.getvalue()


def encode(record_name: str, record: dict[str, Any]) -> bytes:
    assert compiled(parsed_schema(record_name)) is not None, "fastavro takes no bytes where a schema says text"
    return encoder(record_name)(record)


@given(EVENTS)
def test_events_are_written_as_fastavro_writes_them(event: dict[str, Any]) -> None:
    assert encode("Event", event) == by_fastavro(parsed_schema("Event"), event)


@given(RAW)
def test_raw_objects_are_written_as_fastavro_writes_them_as_text_or_as_bytes(raw: dict[str, Any]) -> None:
    written = by_fastavro(parsed_schema("RawObject"), raw)
    assert encode("RawObject", raw) == written
    assert encode("RawObject", raw | {"body": raw["body"].encode()}) == written


@given(st.integers(-(2**63), 2**63 - 1), TEXTS, st.none() | TEXTS)
def test_longs_nested_records_and_defaults(number: int, text: str, late: str | None) -> None:
    schema = fastavro.parse_schema(LONGS)
    encode_longs = compiled(schema)
    assert encode_longs is not None
    record = {"number": number, "inner": {"text": text}, "late": late}
    assert encode_longs(record) == by_fastavro(schema, record)
    del record["late"]
    assert encode_longs(record) == by_fastavro(schema, record)


EVENT: dict[str, Any] = {
    "event_id": "a",
    "account_id": "b",
    "kind": "c",
    "source": "d",
    "event_time": datetime(2026, 1, 1, tzinfo=UTC),
    "ingested_at": datetime(2026, 1, 1, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_id": None},
        {"kind": 7},
        {"event_time": "2026-01-01"},
        {"event_time": datetime(2026, 1, 1)},  # noqa: DTZ001 - an instant without a zone is the mistake
        {"value": 1.5},
        {"value": Decimal("0.0000001")},
        {"value": Decimal(10**32)},
        {"value": Decimal("NaN")},
        {"properties": {"a": 1}},
        {"properties": {"a": None}},
        {"properties": {"\ud800": "a lone surrogate"}},
        {"properties": [("a", "b")]},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    assert encode("Event", EVENT)
    with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
        encode("Event", EVENT | wrong)
    with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
        encode("Event", {name: value for name, value in EVENT.items() if name != "account_id"} | {"kind": "c"})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 1.0, True, None, "1"])
def test_what_is_no_long_is_refused(number: object) -> None:
    encode_longs = compiled(fastavro.parse_schema(LONGS))
    assert encode_longs is not None
    with pytest.raises((TypeError, OverflowError)):
        encode_longs({"number": number, "inner": {"text": ""}})


@pytest.mark.parametrize("kind", ["double", {"type": "array", "items": "string"}, ["null", "string", "long"]])
def test_a_schema_with_other_types_is_left_to_fastavro(kind: Any) -> None:
    schema = {"type": "record", "name": "Other", "fields": [{"name": "field", "type": kind}]}
    assert compiled(fastavro.parse_schema(schema)) is None
    assert compiled("string") is None


def test_threads_that_share_an_encoder_do_not_mix_their_instants() -> None:
    schema, wrong, encode_shared = parsed_schema("Event"), [], encoder("Event")

    def write(day: int) -> None:
        for second in range(2_000):
            event = EVENT | {"event_time": datetime(2026, 1, day, second=second % 60, tzinfo=UTC)}
            if encode_shared(event) != by_fastavro(schema, event):
                wrong.append(event)

    threads = [threading.Thread(target=write, args=(day,)) for day in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(TEXTS)
def test_ids_are_those_of_uuid5(name: str) -> None:
    assert name_uuid(EVENT_NAMESPACE, name) == str(uuid5(EVENT_NAMESPACE, name))
