"""The generated log is what it says: readable under every version, with duplicates and disorder, the same each time."""

import io

import fastavro

from tests.parity.logs import KINDS, VERSIONS, Shape, first_of_each, generated, schema_of
from vitals.avro import parsed_schema


def test_every_version_is_read_as_the_newest() -> None:
    for topic in KINDS:
        log = generated(topic, Shape(400))
        assert {written.version for written in log} == set(VERSIONS)
        for written in log:
            writer = fastavro.parse_schema(schema_of(written.version))
            read = fastavro.schemaless_reader(io.BytesIO(written.body()), writer, parsed_schema("Event"))
            assert read == written.read()


def test_the_log_repeats_itself_and_is_out_of_order() -> None:
    log = generated("events.product", Shape(2000))
    assert log == generated("events.product", Shape(2000))
    unique = list(first_of_each(log))
    assert 0.02 < 1 - len(unique) / len(log) < 0.08
    times = [event["event_time"] for event in unique]
    assert times != sorted(times)
